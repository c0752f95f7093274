/**
 * Bundles through size-limit: the minified code and its size after gzip.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import preset from "@size-limit/preset-small-lib";
import sizeLimit from "size-limit";

export interface Bundle {
  readonly gzip: number;
  readonly code: string;
}

export interface How {
  /** Packages that stay outside. */
  readonly external?: readonly string[];
  /** Node's own modules stay outside too; else they cannot be resolved. */
  readonly onNode?: boolean;
}

/** Bundles the module at the path `entry`. */
export async function bundle(entry: string, how: How = {}): Promise<Bundle> {
  const out = mkdtempSync(join(tmpdir(), "physio-bundle-"));
  const check = {
    files: [entry],
    gzip: true,
    ignore: [...(how.external ?? []), ...(how.onNode ? builtins() : [])],
    // What ships stands on its own: the tree's tsconfig.json has no say.
    modifyRolldownConfig: (config: object) => ({ ...config, tsconfig: false }),
    size: 0,
    bundles: [] as string[],
  };
  try {
    await sizeLimit([preset], { checks: [check], saveBundle: out });
    const code = check.bundles.map((path) => readFileSync(path, "utf8")).join("");
    return { gzip: check.size, code };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function builtins(): string[] {
  return builtinModules.flatMap((name) => [name, `node:${name}`]);
}
