/**
 * The gate's own test: a closure per segment, planted in a copy of the built code, must fail it.
 */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { LOAD_ROWS, runLoads } from "./load-rows.ts";
import { haveTool } from "./native.ts";
import type { Result } from "./row.ts";
import { judge } from "./row.ts";
import { scratch } from "./scratch.ts";

const HEAD = "export function loadDirect(";

/** The same load, and afterwards a closure for each segment. */
const PLANTED = `
let kept = [];
export function loadDirect(tag, pmap, va, len, segs) {
  const error = plainLoadDirect(tag, pmap, va, len, segs);
  kept = [];
  for (let i = 0; i < segs.count; i++) kept.push(() => segs.addr[i] + segs.len[i]);
  return error;
}
`;

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

/** A copy of the built packages. */
function copyBuilt(folder: string): void {
  const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
  for (const name of ["kern", "physmem", "pmap", "busdma", "trace", "arch-x86", "machine"]) {
    const packageName = `@physio/${name}`;
    copyPackage(join(modules, packageName), packageName, join(folder, "node_modules"));
  }
}

function plant(folder: string): void {
  const path = join(folder, "node_modules/@physio/busdma/dist/load-direct.js");
  const text = readFileSync(path, "utf8");
  if (!text.includes(HEAD)) throw new Error(`self-test: no "${HEAD}" in busdma's load-direct.js`);
  writeFileSync(path, text.replace(HEAD, "function plainLoadDirect(").replace(/^\/\/# .*$/m, ""));
  appendFileSync(path, PLANTED);
}

function loadResults(folder: string): Result[] {
  const outcomes = runLoads({ folder });
  return LOAD_ROWS.map((row) => judge(row, outcomes.get(row.id)));
}

/** @returns whether the gate saw it. */
export function selfTest(print: (text: string) => void): boolean {
  if (!haveTool("gcc")) {
    print("self-test: gcc is not installed, so there is nothing to compare with");
    return false;
  }
  return scratch((folder) => {
    copyBuilt(folder);
    const ratioOf = (results: readonly Result[]) => results.find((r) => r.id === "T1b")!;
    const before = ratioOf(loadResults(folder));
    plant(folder);
    const after = ratioOf(loadResults(folder));
    for (const [what, r] of [
      ["as built", before],
      ["with a closure per segment", after],
    ] as const) {
      print(`self-test: T1b ${what}: ${r.value?.toFixed(2)}x (${r.note}), ${r.verdict}`);
    }
    const seen = after.verdict === "failed" && after.value !== null;
    const slower = seen && before.value !== null && after.value > 1.2 * before.value;
    print(`self-test: the planted slow-down ${slower ? "fails the gate" : "WAS NOT SEEN"}`);
    return slower;
  });
}
