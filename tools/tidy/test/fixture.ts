/**
 * A small clean workspace in a temporary folder, and the two shapes of a test over it: one planted
 * breach that must be the only line of output, and look-alikes that must pass.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { afterAll, expect, test } from "vitest";
import { command } from "../src/command.ts";

/** Contents by path; null leaves the file out. */
export type Files = Readonly<Record<string, string | null>>;

export interface Breach {
  readonly name: string;
  readonly files: Files;
  readonly rule: string;
  readonly says: readonly string[];
}

export interface Control {
  readonly name: string;
  readonly files: Files;
}

interface Spec {
  readonly group: string;
  readonly deps: readonly string[];
}

const HOUSE: Readonly<Record<string, Spec>> = {
  kern: { group: "kern", deps: [] },
  trace: { group: "kern", deps: ["kern"] },
  vmem: { group: "kern", deps: ["kern", "trace"] },
  sched: { group: "kern", deps: ["kern"] },
  machine: { group: "top", deps: ["sched", "vmem"] },
  cli: { group: "top", deps: ["machine"] },
};

const ADDR = `/** Addresses. */
export type PhysAddr = number & { readonly unit?: "physaddr" };
export type BusAddr = number & { readonly unit?: "busaddr" };
export type VirtAddr = number & { readonly unit?: "virtaddr" };
export type Bytes = number & { readonly unit?: "bytes" };
export type FileOffset = number & { readonly unit?: "fileoffset" };
export function offsetIn(a: PhysAddr, align: Bytes): number {
  return (a & (align - 1)) >>> 0;
}
`;

const SOURCES: Files = {
  "packages/kern/kern/src/addr.ts": ADDR,
  "packages/kern/kern/src/index.ts": `export type {
  BusAddr, Bytes, FileOffset, PhysAddr, VirtAddr,
} from "./addr.ts";
export { offsetIn } from "./addr.ts";
`,
  "packages/kern/trace/src/index.ts": `export { ring } from "./ring.ts";\n`,
  "packages/kern/trace/src/ring.ts": `/** A ring. */
import { offsetIn } from "@physio/kern";

export const ring = (at: number): number => offsetIn(at, 64);
`,
  "packages/kern/vmem/src/index.ts": `export { Arena } from "./arena.ts";\n`,
  "packages/kern/vmem/src/impl.ts": `export type { Range } from "./arena.ts";\n`,
  "packages/kern/vmem/src/arena.ts": `/** An arena of ranges. */
import type { Bytes, VirtAddr } from "@physio/kern";
import { ring } from "@physio/trace";

export interface Range {
  readonly start: VirtAddr;
  readonly size: Bytes;
  readonly flags: number;
}

export class Arena {
  readonly base: VirtAddr;
  constructor(base: VirtAddr) {
    this.base = base + ring(0);
  }
}
`,
  "packages/kern/vmem/test/arena.test.ts": `import { readFileSync } from "node:fs";
import { Arena } from "@physio/vmem";
import { offsetIn } from "@physio/kern";
import fc from "fast-check";
import { test } from "vitest";
import type { Range } from "../src/arena.ts";

test("arena", () => void [readFileSync, Arena, offsetIn, fc, {} as Range]);
`,
  "packages/kern/sched/src/index.ts": `export { now } from "./clock.ts";\n`,
  "packages/kern/sched/src/clock.ts": `/** The clock. */
import { offsetIn } from "@physio/kern";

export const now = (): number => offsetIn(1, 2);
`,
  "packages/top/machine/src/index.ts": `export { boot } from "./boot.ts";\n`,
  "packages/top/machine/src/boot.ts": `/** Boots. */
import { now } from "@physio/sched";
import { Arena } from "@physio/vmem";
import type { Range } from "@physio/vmem/impl";

export async function boot(range?: Range): Promise<unknown> {
  const started = Date.now();
  await new Promise((done) => setTimeout(done, now()));
  return [new Arena(0), range, started];
}
`,
  "packages/top/cli/src/index.ts": `export { run } from "./run.ts";\n`,
  "packages/top/cli/src/run.ts": `/** The command. */
import { readFileSync } from "node:fs";
import { boot } from "@physio/machine";

export const run = async () => [await boot(), readFileSync(process.argv[2]), import.meta.url];
`,
};

const made: string[] = [];
afterAll(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

/** The folder of a package of the fixture. */
export function home(name: string): string {
  return `packages/${HOUSE[name].group}/${name}`;
}

/** One source file with a header, planted in a package of the fixture. */
export function source(pkg: string, body: string, path = "src/planted.ts"): Files {
  return { [`${home(pkg)}/${path}`]: `/** Planted. */\n${body}\n` };
}

/** A package's manifest with some of its properties replaced. */
export function manifest(name: string, change: Readonly<Record<string, unknown>> = {}): Files {
  return { [`${home(name)}/package.json`]: json({ ...baseManifest(name), ...change }) };
}

/** A package's tsconfig that references `deps`. */
export function tsconfig(name: string, deps: readonly string[]): Files {
  const references = deps.map((d) => ({ path: posix.relative(home(name), home(d)) }));
  return { [`${home(name)}/tsconfig.json`]: json({ include: ["src"], references }) };
}

export function dependencies(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((n) => [n, "workspace:^"]));
}

/** Writes the clean workspace with `files` over it. @returns its root */
export function workspace(files: Files = {}): string {
  const root = mkdtempSync(join(tmpdir(), "tidy-"));
  made.push(root);
  for (const [path, text] of Object.entries({ ...baseFiles(), ...files })) {
    if (text === null) continue;
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

export function run(root: string, ...args: string[]): { code: number; lines: string[] } {
  const lines: string[] = [];
  const code = command(["--root", root, ...args], (line) => lines.push(line));
  return { code, lines };
}

export function breaches(cases: readonly Breach[]): void {
  for (const c of cases) {
    test(`flags ${c.name}`, () => {
      const { code, lines } = run(workspace(c.files));
      expect(lines).toHaveLength(1);
      expect(code).toBe(1);
      expect(lines[0]).toMatch(new RegExp(`^[^:]+:\\d+: \\[${c.rule}\\] `));
      for (const text of c.says) expect(lines[0]).toContain(text);
    });
  }
}

export function controls(cases: readonly Control[]): void {
  for (const c of cases) {
    test(`accepts ${c.name}`, () => {
      const { code, lines } = run(workspace(c.files));
      expect(lines.filter((line) => line.includes(": ["))).toEqual([]);
      expect(code).toBe(0);
    });
  }
}

function baseManifest(name: string): Record<string, unknown> {
  const door = (file: string) => ({ "@physio/source": `./src/${file}.ts`, default: "./dist" });
  const exports = { ".": door("index"), ...(name === "vmem" ? { "./impl": door("impl") } : {}) };
  const names = HOUSE[name].deps.map((d) => `@physio/${d}`);
  return { name: `@physio/${name}`, exports, dependencies: dependencies(...names) };
}

function baseFiles(): Files {
  const files: Record<string, string | null> = { ...SOURCES };
  const names = Object.keys(HOUSE);
  for (const name of names) {
    Object.assign(files, manifest(name), tsconfig(name, HOUSE[name].deps));
  }
  const references = names.map((name) => ({ path: home(name) }));
  files["tsconfig.json"] = json({ references: [...references, { path: "tsconfig.test.json" }] });
  files["tsconfig.test.json"] = json({ references });
  return files;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
