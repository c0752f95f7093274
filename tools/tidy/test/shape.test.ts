import type { Breach } from "./fixture.ts";
import { breaches, controls, home, source } from "./fixture.ts";

/** [what, source, rule, text of the message] */
type Row = readonly [string, string, string, string];

const rows: readonly Row[] = [
  ["export *", 'export * from "./arena.ts";', "export-star", "./arena.ts"],
  ["export * as", 'export * as arena from "./arena.ts";', "export-star", "./arena.ts"],
  ["export type *", 'export type * from "./arena.ts";', "export-star", "./arena.ts"],
  ["enum", "export enum E {\n  A,\n}", "construct", "enum E"],
  ["const enum", "export const enum E {\n  A,\n}", "construct", "enum E"],
  ["namespace", "export namespace N {\n  export const a = 1;\n}", "construct", "namespace"],
  ["declare global", "declare global {\n  const a: number;\n}\nexport {};", "construct", "global"],
  [
    "a parameter property",
    "export class C {\n  constructor(readonly n: number) {}\n}",
    "construct",
    "parameter property",
  ],
  ["@ts-ignore", "// @ts-ignore\nexport const a = 1;", "construct", "@ts-ignore"],
  ["@ts-ignore in a block", "/* @ts-ignore: no */\nexport const a = 1;", "construct", "@ts-ignore"],
  ["@ts-nocheck", "// @ts-nocheck\nexport const a = 1;", "construct", "@ts-nocheck"],
  ["as any", "export const f = (a: unknown) => a as any;", "construct", "as any"],
  ["an assertion to any", "export const f = (a: unknown) => <any>a;", "construct", "as any"],
  ["a top-level let", "let n = 0;\nexport const f = () => n;", "state", "let n"],
  ["an exported let", "export let n = 0;", "state", "let n"],
  ["a top-level var", "var n = 0;\nexport const f = () => n;", "state", "var n"],
  ["a var in a top-level block", "{\n  var n = 0;\n}\nexport const f = () => n;", "state", "var n"],
  ["new Map()", "export const m = new Map<string, number>();", "state", "mutable Map"],
  ["new Set()", "const s = new Set();\nexport const f = () => s;", "state", "mutable Set"],
  ["new WeakMap()", "export const m = new WeakMap();", "state", "mutable WeakMap"],
  [
    "a filled Map that is not readonly",
    "export const m = new Map([[1, 2]]);",
    "state",
    "ReadonlyMap",
  ],
  [
    "an empty Map called readonly",
    "export const m: ReadonlyMap<number, number> = new Map();",
    "state",
    "mutable Map",
  ],
  ["an empty array", "export const list: number[] = [];", "state", "empty array"],
  ["an empty object", "export const table: Record<string, number> = {};", "state", "empty object"],
  ["new Array", "export const a = new Array(8);", "state", "mutable Array"],
  ["a typed array", "export const a = new Uint32Array(8);", "state", "// scratch:"],
  ["a typed array from a list", "export const a = Float64Array.from([1]);", "state", "// scratch:"],
  ["an ArrayBuffer", "export const a = new ArrayBuffer(8);", "state", "// scratch:"],
  [
    "a scratch without a reason",
    "// scratch:\nexport const a = new Uint32Array(8);",
    "state",
    "// scratch:",
  ],
  ["a static field", "export class C {\n  static count = 0;\n}", "state", "static"],
  [
    "a static collection",
    "export class C {\n  static readonly all = new Set<C>();\n}",
    "state",
    "mutable Set",
  ],
  [
    "a write to a module's object",
    "const s = { n: 0 };\nexport const f = () => {\n  s.n = 1;\n};",
    "state",
    "writes to s",
  ],
  [
    "a count in a module's object",
    "const s = { n: 0 };\nexport const f = () => s.n++;",
    "state",
    "writes to s",
  ],
];

breaches([
  ...rows.map(([name, body, rule, text]): Breach => {
    return { name, files: source("vmem", body), rule, says: ["src/planted.ts", text] };
  }),
  {
    name: "code in index.ts",
    files: {
      [`${home("vmem")}/src/index.ts`]:
        'export { Arena } from "./arena.ts";\nexport const LIMIT = 1;\n',
    },
    rule: "index",
    says: ["index.ts:2:"],
  },
  {
    name: "an import in index.ts",
    files: {
      [`${home("vmem")}/src/index.ts`]:
        'import "./arena.ts";\nexport { Arena } from "./arena.ts";\n',
    },
    rule: "index",
    says: ["index.ts:1:", "ImportDeclaration"],
  },
  {
    name: "a local export list in index.ts",
    files: {
      [`${home("vmem")}/src/index.ts`]: "export { undefined as nothing };\n",
    },
    rule: "index",
    says: ["index.ts:1:"],
  },
  {
    name: "a file without a header",
    files: { [`${home("vmem")}/src/planted.ts`]: "// Planted.\nexport const a = 1;\n" },
    rule: "header",
    says: ["planted.ts:1:", "/**"],
  },
  {
    name: "a header below the imports",
    files: {
      [`${home("vmem")}/src/planted.ts`]:
        'import "./arena.ts";\n/** Planted. */\nexport const a = 1;\n',
    },
    rule: "header",
    says: ["/**"],
  },
  {
    name: "a header that is no doc comment",
    files: { [`${home("vmem")}/src/planted.ts`]: "/* Planted. */\nexport const a = 1;\n" },
    rule: "header",
    says: ["/**"],
  },
  {
    name: "a file that does not parse",
    files: source("vmem", "export const = 1;"),
    rule: "parse",
    says: ["planted.ts:2:"],
  },
]);

controls([
  {
    name: "constant tables and readonly collections",
    files: source(
      "vmem",
      `export const a: ReadonlyMap<string, number> = new Map([["a", 1]]);
export const b: ReadonlySet<string> = new Set(["a"]);
export const c = [1, 2, 3];
export const d: readonly number[] = [];
export const e = [] as const;
export const f = Object.freeze({ a: 1 });
export const g: Readonly<Record<string, number>> = {};
export const h = new Set(["a"]) as ReadonlySet<string>;
// scratch: holds numbers only between two statements of one call
export const i = new Uint32Array(8);
// table: the CRC of each byte, filled here and never written again
const j = new Uint32Array(256);
for (let n = 0; n < 256; n++) j[n] = n;
export const k = () => j;
export class L { static readonly LIMIT = 1; #n = new Map(); f() { let m = 0; this.#n.clear(); return m++; } }
export function m() { const s = { n: 0 }; s.n = 1; i[0] = 1; return new Set([s]); }
`,
    ),
  },
  {
    name: "comments that only mention directives, and other assertions",
    files: source(
      "vmem",
      `// why there is no @ts-ignore here
export const a = (x: unknown) => x as unknown as number;
export const b = { enum: 1, namespace: 2 };
declare const c: number;
export const d = () => c;`,
    ),
  },
  {
    name: "a door without a header, and a header under a table comment",
    files: {
      [`${home("vmem")}/src/impl.ts`]: 'export type { Range } from "./arena.ts";\n',
      [`${home("vmem")}/src/planted.ts`]:
        "// table: one opcode a line\n\n/** Opcodes. */\nexport const a = 1;\n",
    },
  },
  {
    name: "an empty package's index.ts",
    files: { [`${home("cli")}/src/index.ts`]: "// nothing yet\nexport {};\n" },
  },
  {
    name: "all of it in tests",
    files: source(
      "vmem",
      `export * from "../src/arena.ts";\nenum E {}\nlet n = E as any;\nconst m = new Map();\nvoid [n, m];`,
      "test/p.test.ts",
    ),
  },
]);
