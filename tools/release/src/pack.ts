/**
 * Tarballs of the public packages, and what may be in them.
 *
 * `src` ships beside `dist`, because source maps and declaration maps point there. So each file of
 * `dist` has its source: one without is a leftover of a build before a file was renamed.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { each, must } from "./run.ts";
import type { Manifest, Package } from "./workspace.ts";

export interface Tarball {
  readonly pkg: Package;
  readonly path: string;
  /** Bytes of the compressed file. */
  readonly size: number;
  /** Paths inside, sorted. */
  readonly files: readonly string[];
}

const AT_TOP: ReadonlySet<string> = new Set([
  "LICENSE",
  "README.md",
  "CHANGELOG.md",
  "package.json",
]);
const TEST = /(^|\/)(test|tests|long|bench|fixtures|__tests__)\/|\.(test|spec|bench)\.[^/]+$/;
const EMITTED = [".js", ".js.map", ".d.ts", ".d.ts.map"];
const RUNTIME = ["dependencies", "peerDependencies", "optionalDependencies"];
const LOCAL = /^(workspace|catalog|file|link|portal):/;
const ENGINES = ">=20.19";

export function packAll(packages: readonly Package[], into: string): Promise<Tarball[]> {
  return each(packages, 2, (pkg) => packOne(pkg, into));
}

async function packOne(pkg: Package, into: string): Promise<Tarball> {
  const args = ["pack", "--json", "--pack-destination", into];
  const told = JSON.parse(await must("pnpm", args, { cwd: pkg.dir }));
  const files = told.files.map((f: { path: string }) => f.path).sort();
  return { pkg, path: told.filename, size: told.size, files };
}

/** What is wrong with the list of files, or null. */
export function contents(files: readonly string[]): string | null {
  const inside = new Set(files);
  const found: string[] = [];
  for (const path of files) {
    if (path.endsWith(".tsbuildinfo")) found.push(`${path} is the compiler's own`);
    else if (TEST.test(path)) found.push(`${path} is a test`);
    else if (path.startsWith("dist/")) found.push(...strayOutput(path, inside));
    else if (path.startsWith("src/")) found.push(...missingOutput(path, inside));
    else if (!AT_TOP.has(path)) found.push(`${path} does not belong in a package`);
  }
  for (const path of ["LICENSE", "package.json"]) {
    if (!inside.has(path)) found.push(`${path} is missing`);
  }
  return found.length === 0 ? null : found.join("\n");
}

function strayOutput(path: string, inside: ReadonlySet<string>): string[] {
  const stem = /^dist\/(.*?)(\.d\.ts|\.js)(\.map)?$/.exec(path)?.[1];
  if (stem === undefined) return [`${path} is no output of the compiler`];
  const message = `${path} has no source: remove dist and build again`;
  return inside.has(`src/${stem}.ts`) ? [] : [message];
}

function missingOutput(path: string, inside: ReadonlySet<string>): string[] {
  const stem = /^src\/(.*)\.ts$/.exec(path)?.[1];
  if (stem === undefined) return [`${path} is no source`];
  return EMITTED.map((ending) => `dist/${stem}${ending}`)
    .filter((output) => !inside.has(output))
    .map((output) => `${output} is missing`);
}

/** What is wrong with a manifest as it was packed, or null. */
export function manifestProblem(manifest: Manifest): string | null {
  const found: string[] = [];
  for (const field of RUNTIME) {
    const table = (manifest[field] ?? {}) as Readonly<Record<string, string>>;
    for (const [name, range] of Object.entries(table)) {
      if (LOCAL.test(range)) found.push(`${field}: ${name} is ${range}`);
    }
  }
  const engines = manifest.engines as { node?: string } | undefined;
  if (engines?.node !== ENGINES) found.push(`engines.node is ${engines?.node}, not ${ENGINES}`);
  if (manifest.type !== "module") found.push(`type is ${manifest.type}, not module`);
  if (manifest.sideEffects !== false) found.push("sideEffects is not false");
  if (typeof manifest.license !== "string") found.push("license is missing");
  return found.length === 0 ? null : found.join("\n");
}

/** Whether every map of an unpacked package leads to a file in it. */
export function mapsProblem(dir: string, files: readonly string[]): string | null {
  const inside = new Set(files);
  const found: string[] = [];
  for (const path of files) {
    if (!path.endsWith(".map")) continue;
    const map: { sources: string[] } = JSON.parse(readFileSync(join(dir, path), "utf8"));
    for (const source of map.sources) {
      const target = new URL(source, `file:///${path}`).pathname.slice(1);
      if (!inside.has(target)) found.push(`${path} leads to ${source}, which is not packed`);
    }
  }
  return found.length === 0 ? null : found.join("\n");
}
