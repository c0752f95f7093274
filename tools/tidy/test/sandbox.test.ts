import type { Breach } from "./fixture.ts";
import { breaches, controls, source } from "./fixture.ts";

/** [what, source, text of the message, package if not vmem] */
type Row = readonly [string, string, string, string?];

const rows: readonly Row[] = [
  ["a bigint literal", "export const n = 1n;", "bigint"],
  ["a bigint type", "export type N = bigint;", "bigint"],
  ["BigInt()", "export const n = (a: number) => BigInt(a);", "BigInt"],
  ["BigInt.asUintN", "export const n = BigInt.asUintN;", "BigInt"],
  ["BigInt64Array", "export const n = (a: BigInt64Array) => a;", "BigInt64Array"],
  ["BigUint64Array", "export const f = () => new BigUint64Array(1);", "BigUint64Array"],
  ["globalThis.BigInt", "export const f = () => globalThis.BigInt;", "BigInt"],
  ["a 64-bit DataView access", "export const f = (v: DataView) => v.getBigUint64(0);", "bigint"],
  ["bigint at the top", "export const n = 1n;", "bigint", "cli"],
  ["a Promise value", "export const f = () => Promise.resolve();", "Promise"],
  ["a Promise type", "export type P = Promise<void>;", "Promise"],
  ["an async iterable type", "export type P = AsyncIterable<number>;", "AsyncIterable"],
  ["an async function", "export async function f() {}", "async"],
  ["an async arrow", "export const f = async () => {};", "async"],
  ["an async method", "export class C {\n  async f() {}\n}", "async"],
  ["top-level await", "export const x = await 1;", "await"],
  ["for await", "for await (const x of []) void x;\nexport {};", "for await"],
  ["a dynamic import", `export const f = () => import("@physio/kern");`, "import()"],
  ["an async iterator", "export const k = Symbol.asyncIterator;", "async symbol"],
  ["node:fs", `import fs from "node:fs";\nexport const f = fs;`, "node:fs"],
  ["a bare builtin", `import fs from "fs";\nexport const f = fs;`, "Node's API"],
  ["a builtin's subpath", `import type fs from "fs/promises";\nexport type F = typeof fs;`, "fs/"],
  ["node:fs in machine", `import fs from "node:fs";\nexport const f = fs;`, "nbd, cli", "machine"],
  ["process", "export const p = process.argv;", "process"],
  ["typeof process.env", "export type P = typeof process.env;", "process"],
  ["Buffer", "export const f = () => Buffer.alloc(1);", "Buffer"],
  ["a Buffer type", "export const f = (b: Buffer) => b;", "Buffer"],
  ["NodeJS types", "export type T = NodeJS.Timeout;", "NodeJS"],
  ["require", `export const f = require;`, "require"],
  ["__dirname", "export const d = __dirname;", "__dirname"],
  ["import.meta.url", "export const u = import.meta.url;", "import.meta"],
  ["process in shorthand", "export const f = () => ({ process });", "process"],
  ["process under a shadow elsewhere", shadowed(), "process"],
  ["setTimeout", "export const f = () => setTimeout(f, 1);", "setTimeout"],
  ["setInterval", "export const f = () => setInterval(f, 1);", "setInterval"],
  ["setImmediate", "export const f = () => setImmediate(f);", "setImmediate"],
  ["queueMicrotask", "export const f = () => queueMicrotask(f);", "queueMicrotask"],
  ["globalThis[setTimeout]", `export const f = () => globalThis["setTimeout"];`, "setTimeout"],
  ["globalThis handed on", "export const f = () => Object.keys(globalThis);", "globalThis"],
  ["Date.now", "export const f = () => Date.now();", "level 12"],
  ["new Date", "export const f = () => new Date();", "Date"],
  [
    "Date under another name",
    "export const f = () => {\n  const D = Date;\n  return D;\n};",
    "Date",
  ],
  ["performance.now", "export const f = () => performance.now();", "performance"],
  [
    "an ambient name",
    "declare const performance: { now(): number };\nexport const f = () => performance.now();",
    "performance",
  ],
  [
    "an ambient function",
    "declare function setTimeout(f: () => void): void;\nexport const f = () => setTimeout(f);",
    "setTimeout",
  ],
  ["globalThis by a cast", "export const f = () => (globalThis as { x?: 1 }).x;", "globalThis"],
  ["Math.random", "export const f = () => Math.random();", "seed"],
  [
    "Math.random taken apart",
    "export const f = () => {\n  const { random } = Math;\n  return random;\n};",
    "seed",
  ],
  ["Math.random in machine", "export const f = () => Math.random();", "seed", "machine"],
  ["Math.random in the command", `export const f = () => Math["random"]();`, "seed", "cli"],
];

breaches(
  rows.map(([name, body, text, pkg = "vmem"]): Breach => {
    return { name, files: source(pkg, body), rule: "sandbox", says: [`@physio/${pkg} (`, text] };
  }),
);

function shadowed(): string {
  return `export const f = (process: number) => process;
export const g = () => process;`;
}

controls([
  {
    name: "names that are properties, parameters, locals, labels and imports",
    files: {
      ...source("kern", `export const process = 1;`, "src/names.ts"),
      ...source(
        "kern",
        `import { process } from "./names.ts";
interface Wire { process(): void; readonly Buffer: number; setTimeout?: number }
export const a = (x: Wire) => [x.process, x.Buffer, x["setTimeout"]];
export const b = (Buffer: number, { Date }: { Date: number }) => [Buffer, Date, process];
export const c = { Promise: 1, require: 2, performance() {} };
export class D { process = 1; Buffer(): void {} static Date = () => 1 as const; }
export function e(): void { Buffer: for (;;) break Buffer; }
export function f(): number { const module = 1; return module; }
export type G = { Promise: number; [process: string]: number };
export type H = (Buffer: number) => void;
export type I = [process: number];
try { f(); } catch (process) { void process; }
export { a as process };
`.replace("static Date", "static readonly Date"),
      ),
    },
  },
  {
    name: "declared types of the same names",
    files: source(
      "kern",
      `interface Buffer { readonly n: number }
type Promise<T> = T;
export const f = (b: Buffer): Promise<number> => b.n;
export const g = <Date>(d: Date): Date => d;`,
    ),
  },
  {
    name: "texts and comments",
    files: source(
      "kern",
      `// process.exit, 1n, await, Math.random()
export const t = "process " + \`Buffer\` + "bigint";
export const isBig = (x: unknown) => typeof x === "bigint";`,
    ),
  },
  {
    name: "the parts of Math and Date that compute",
    files: source(
      "kern",
      `export const m = () => Math.max(Math.imul(1, 2), Date.UTC(2000, 1));
export const when = (d: Date) => d;`,
    ),
  },
  {
    name: "promises and clocks in machine",
    files: source(
      "machine",
      `export const f = async () => [new Date(), performance.now(), setTimeout(f, 1)];`,
    ),
  },
  {
    name: "Node in the command and in tests",
    files: {
      ...source(
        "cli",
        `import fs from "fs";\nexport const f = [fs, Buffer, __dirname, globalThis];`,
      ),
      ...source(
        "vmem",
        `import "node:fs";\nconst f = async () => [1n, process, Math.random()];\nvoid f;`,
        "test/p.test.ts",
      ),
    },
  },
]);
