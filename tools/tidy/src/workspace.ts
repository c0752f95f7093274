/**
 * The tree under judgement: which files it has, its packages, and their parsed sources.
 *
 * Files come from git (tracked, and new ones that no ignore rule covers) when the root is a git
 * tree, else from a walk. Everything is read at most once and parsed at most once.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ModuleRequest } from "./imports.ts";
import { importsOf } from "./imports.ts";
import type { Layers } from "./layers.ts";
import { SCOPE } from "./layers.ts";
import { SourceFile } from "./parse.ts";
import { Scopes } from "./scope.ts";

export interface Manifest {
  readonly name?: string;
  readonly exports?: unknown;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** A source file in its place. `src` files ship; everything else in a package is `test`. */
export interface Unit {
  readonly file: SourceFile;
  readonly scopes: Scopes;
  readonly imports: readonly ModuleRequest[];
  readonly area: "src" | "test";
}

export interface Package {
  readonly folder: string;
  readonly group: string;
  /** `packages/vm/uvm`. */
  readonly dir: string;
  /** Empty when package.json is missing or no JSON; the package rule says so. */
  readonly manifest: Manifest;
  readonly units: readonly Unit[];
}

const SOURCE = /\.[cm]?[jt]sx?$/;
const SKIPPED_FOLDERS: ReadonlySet<string> = new Set([
  "node_modules",
  ".git",
  ".toolchain",
  ".turbo",
  ".tsc-test",
  "dist",
  "coverage",
  "reports",
]);

export class Workspace {
  readonly root: string;
  readonly layers: Layers;
  /** Paths relative to the root, with forward slashes, sorted. */
  readonly files: readonly string[];
  readonly packages: readonly Package[];
  /** Sources of tools/*\/src. */
  readonly toolFiles: readonly SourceFile[];
  readonly #texts = new Map<string, string | null>();

  constructor(root: string, layers: Layers) {
    this.root = root;
    this.layers = layers;
    this.files = listFiles(root);
    this.packages = this.#readPackages();
    this.toolFiles = this.files
      .filter((f) => /^tools\/[^/]+\/src\//.test(f) && SOURCE.test(f))
      .flatMap((f) => this.#parse(f) ?? []);
  }

  find(folder: string): Package | undefined {
    return this.packages.find((p) => p.folder === folder);
  }

  /** Text of a file, or null when it is not there. */
  text(path: string): string | null {
    let text = this.#texts.get(path);
    if (text === undefined) {
      text = readOrNull(join(this.root, path))?.toString("utf8") ?? null;
      this.#texts.set(path, text);
    }
    return text;
  }

  /** The file as JSON; undefined when it is missing or is no JSON object. */
  json(path: string): Record<string, unknown> | undefined {
    try {
      const value: unknown = JSON.parse(this.text(path) ?? "");
      return value !== null && typeof value === "object" ? { ...value } : undefined;
    } catch {
      return undefined;
    }
  }

  /** Line of the first occurrence of `needle` in the file, 1 when it is not there. */
  lineWith(path: string, needle: string): number {
    const text = this.text(path) ?? "";
    const at = text.indexOf(needle);
    return at < 0 ? 1 : text.slice(0, at).split("\n").length;
  }

  #parse(path: string): SourceFile | null {
    const text = this.text(path);
    return text === null ? null : new SourceFile(path, text);
  }

  #readPackages(): Package[] {
    const byDir = new Map<string, string[]>();
    for (const path of this.files) {
      const dir = /^packages\/[^/]+\/[^/]+(?=\/)/.exec(path)?.[0];
      if (dir === undefined) continue;
      const inside = byDir.get(dir);
      if (inside === undefined) byDir.set(dir, [path]);
      else inside.push(path);
    }
    return [...byDir].map(([dir, files]) => this.#readPackage(dir, files));
  }

  #readPackage(dir: string, files: readonly string[]): Package {
    const [, group, folder] = dir.split("/");
    const units: Unit[] = [];
    for (const path of files) {
      if (!SOURCE.test(path) || path.includes("/fixtures/")) continue;
      const file = this.#parse(path);
      if (file === null) continue;
      const area = path.startsWith(`${dir}/src/`) ? "src" : "test";
      units.push({ file, scopes: new Scopes(file), imports: importsOf(file), area });
    }
    return { folder, group, dir, manifest: this.json(`${dir}/package.json`) ?? {}, units };
  }
}

/** The `@physio` packages in one dependency table, by folder name. */
export function houseNames(table: Readonly<Record<string, string>> | undefined): string[] {
  return Object.keys(table ?? {})
    .filter((n) => n.startsWith(SCOPE))
    .map((n) => n.slice(SCOPE.length));
}

export function readOrNull(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null; // missing, or a link to a folder
  }
}

export function listFiles(root: string): string[] {
  if (!existsSync(join(root, ".git"))) return walk(root, "").sort();
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const out = execFileSync("git", args, { cwd: root, maxBuffer: 2 ** 28 }).toString("utf8");
  const listed = new Set(out.split("\0"));
  return [...listed].filter((f) => f !== "" && existsSync(join(root, f))).sort();
}

function walk(root: string, dir: string): string[] {
  return readdirSync(join(root, dir), { withFileTypes: true }).flatMap((entry) => {
    const path = dir === "" ? entry.name : `${dir}/${entry.name}`;
    if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) ? [] : walk(root, path);
    return entry.isFile() && !entry.name.endsWith(".tsbuildinfo") ? [path] : [];
  });
}
