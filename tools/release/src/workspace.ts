/**
 * The public packages of the tree: their manifests, doors and closures.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { must } from "./run.ts";

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

export interface Package {
  readonly name: string;
  readonly dir: string;
  readonly manifest: Manifest;
}

/** A specifier that the package lets others import. */
export interface Door {
  readonly specifier: string;
  /** package.json and the like: data, without types or names. */
  readonly json: boolean;
}

export function repositoryRoot(): string {
  return fileURLToPath(new URL("../../..", import.meta.url));
}

/** All of packages/GROUP/NAME that are not private, sorted by name. */
export function publicPackages(root: string): Package[] {
  const dirs = folders(join(root, "packages")).flatMap(folders);
  return dirs
    .filter((dir) => existsSync(join(dir, "package.json")))
    .map((dir) => ({ dir, manifest: readManifest(dir) }))
    .filter(({ manifest }) => manifest.private !== true)
    .map(({ dir, manifest }) => ({ name: manifest.name, dir, manifest }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The packages that `only` names (with or without the scope); all of them without it. */
export function chosen(packages: readonly Package[], only: string | undefined): Package[] {
  if (only === undefined) return [...packages];
  const found = packages.filter((p) => p.name === only || p.name.endsWith(`/${only}`));
  if (found.length === 0) throw new Error(`no public package ${only}`);
  return found;
}

/** The package and every public package that it needs at run time. */
export function closure(pkg: Package, packages: readonly Package[]): Package[] {
  const byName = new Map(packages.map((p) => [p.name, p]));
  const found = new Set([pkg]);
  for (const at of found) {
    for (const name of Object.keys(at.manifest.dependencies ?? {})) {
      const dependency = byName.get(name);
      if (dependency !== undefined) found.add(dependency);
    }
  }
  return [...found];
}

export function doors(manifest: Manifest): Door[] {
  return Object.keys(manifest.exports ?? {}).map((key) => ({
    specifier: manifest.name + key.slice(1),
    json: key.endsWith(".json"),
  }));
}

export function readManifest(dir: string): Manifest {
  return JSON.parse(readFileSync(join(dir, "package.json"), "utf8"));
}

/** Builds what ships; tests are not built, so one that does not compile holds up no release. */
export async function build(root: string, packages: readonly Package[]): Promise<void> {
  const tsc = join(root, "node_modules/.bin/tsc");
  await must(tsc, ["-b", ...packages.map((p) => p.dir)], { cwd: root });
}

function folders(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(dir, entry.name));
}
