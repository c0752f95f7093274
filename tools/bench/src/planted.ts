/**
 * Copies of the built packages with a regression planted in them: what the gate's own test measures.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** One regression: in a built file, `head` gives way to `text`, and `more` is appended. */
export interface Plant {
  /** Below node_modules/@physio. */
  readonly file: string;
  readonly head: string;
  readonly text: string;
  readonly more: string;
}

/** The load of 64 KiB as it is, and afterwards a closure for each segment. */
export const CLOSURES: Plant = Object.freeze({
  file: "busdma/dist/load-direct.js",
  head: "export function loadDirect(",
  text: "function plainLoadDirect(",
  more: `
let kept = [];
export function loadDirect(tag, pmap, va, len, segs) {
  const error = plainLoadDirect(tag, pmap, va, len, segs);
  kept = [];
  for (let i = 0; i < segs.count; i++) kept.push(() => segs.addr[i] + segs.len[i]);
  return error;
}
`,
});

/** An object for each frame that is allocated. */
export const OBJECTS: Plant = Object.freeze({
  file: "physmem/dist/alloc.js",
  head: "    allocFrame(domain, cls) {",
  text: "    allocFrame(domain, cls) {\n        kept = { domain, cls };",
  more: "\nlet kept = null;\n",
});

/** Packages that workers import: see worker-main.ts. */
const ROOTS: readonly string[] = Object.freeze([
  "machine",
  "membus",
  "uvm",
  "vmem",
  "sched",
  "arch-arm64",
  "arch-riscv",
  "dmacheck",
]);

/** Copy the package at `from` with all it depends on into `modules`. */
function copyPackage(from: string, name: string, modules: string): void {
  const to = join(modules, name);
  if (existsSync(to)) return;
  const text = readFileSync(join(from, "package.json"), "utf8");
  const { dependencies = {} } = JSON.parse(text) as { dependencies?: Record<string, string> };
  mkdirSync(dirname(to), { recursive: true });
  const filter = (path: string) => !path.slice(from.length).includes("node_modules");
  cpSync(from, to, { recursive: true, dereference: true, filter });
  for (const dependency of Object.keys(dependencies)) {
    copyPackage(join(from, "node_modules", dependency), dependency, modules);
  }
}

/** Copy the built packages into `folder`. */
export function copyBuilt(folder: string): void {
  const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
  for (const name of ROOTS) {
    const packageName = `@physio/${name}`;
    copyPackage(join(modules, packageName), packageName, join(folder, "node_modules"));
  }
}

/** @throws when the built code has no such place any more. */
export function plant(folder: string, { file, head, text, more }: Plant): void {
  const path = join(folder, "node_modules/@physio", file);
  const code = readFileSync(path, "utf8");
  if (!code.includes(head)) throw new Error(`self-test: no "${head}" in ${file}`);
  const planted = code.replace(head, () => text).replace(/^\/\/# .*$/m, "");
  writeFileSync(path, planted + more);
}
