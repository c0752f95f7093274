/**
 * The command line: arguments in, lines and an exit code out.
 *
 * 0 and one line on a clean tree, 1 and one line per violation, 2 on bad usage.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { ownLayers, repositoryRoot } from "./picture.ts";
import { format } from "./report.ts";
import { fix, tidy } from "./tidy.ts";

const USAGE = "usage: tidy [--root DIR] [--fix]";

export function command(args: readonly string[], print: (line: string) => void): number {
  const options = parse(args);
  if (typeof options === "string") {
    print(`tidy: ${options}`);
    print(USAGE);
    return 2;
  }
  const { root } = options;
  const layers = ownLayers();
  if (options.fix) for (const path of fix(root, layers)) print(`tidy: wrote ${path}`);

  const verdict = tidy(root, layers);
  for (const violation of verdict.violations) print(format(violation));
  if (verdict.violations.length > 0) return 1;
  print(`tidy: ${verdict.packages} packages, ${verdict.files} files, clean`);
  return 0;
}

/** The options, or what is wrong with them. */
function parse(args: readonly string[]): { root: string; fix: boolean } | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { root: { type: "string" }, fix: { type: "boolean", default: false } },
    });
    const root = resolve(values.root ?? repositoryRoot());
    return existsSync(root) ? { root, fix: values.fix } : `no folder ${root}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
