import type { Breach, Files } from "./fixture.ts";
import { breaches, controls, source } from "./fixture.ts";

const IMPORT =
  'import type { BusAddr, Bytes, FileOffset, PhysAddr, VirtAddr } from "@physio/kern";\n';

function vmem(body: string): Files {
  return source(
    "vmem",
    `${IMPORT}export type All = BusAddr | Bytes | FileOffset | PhysAddr | VirtAddr;\n${body}`,
  );
}

/** [what, source, the operand, its type] */
type Row = readonly [string, string, string, string];

const rows: readonly Row[] = [
  ["| on a parameter", "export const f = (a: PhysAddr) => a | 1;", "a", "PhysAddr"],
  ["& on a parameter", "export const f = (a: BusAddr) => 4095 & a;", "a", "BusAddr"],
  ["^ on a parameter", "export const f = (a: VirtAddr) => a ^ 1;", "a", "VirtAddr"],
  ["~ on a parameter", "export const f = (a: Bytes) => ~a;", "a", "Bytes"],
  ["<< on a parameter", "export const f = (a: FileOffset) => a << 1;", "a", "FileOffset"],
  [">> on a parameter", "export const f = (a: PhysAddr) => a >> 12;", "a", "PhysAddr"],
  [">>> on a parameter", "export const f = (a: PhysAddr) => a >>> 0;", "a", "PhysAddr"],
  ["|=", "export function f(a: PhysAddr) {\n  a |= 1;\n}", "a", "PhysAddr"],
  ["&=", "export function f(a: PhysAddr) {\n  a &= 1;\n}", "a", "PhysAddr"],
  [">>>=", "export function f(a: PhysAddr) {\n  a >>>= 1;\n}", "a", "PhysAddr"],
  [
    "an operand on the right of &=",
    "export function f(n: number, a: Bytes) {\n  n &= a;\n}",
    "a",
    "Bytes",
  ],
  [
    "a const",
    "export function f() {\n  const a: PhysAddr = 1;\n  return a & 1;\n}",
    "a",
    "PhysAddr",
  ],
  [
    "a name copied without a type",
    "export function f(a: PhysAddr) {\n  const b = a;\n  return b & 1;\n}",
    "b",
    "PhysAddr",
  ],
  ["an optional parameter", "export const f = (a?: PhysAddr) => a! & 1;", "a!", "PhysAddr"],
  ["a union with null", "export const f = (a: Bytes | null) => a! & 1;", "a!", "Bytes"],
  ["a default", "export const f = (a: PhysAddr = 0) => a & 1;", "a", "PhysAddr"],
  [
    "parentheses and as",
    "export const f = (a: PhysAddr) => ((a as number)) & 1;",
    "((a as number))",
    "PhysAddr",
  ],
  [
    "a cast to an address",
    "export const f = (a: number) => (a as PhysAddr) & 1;",
    "PhysAddr",
    "PhysAddr",
  ],
  ["a sum", "export const f = (a: PhysAddr) => (a + 4095) & 4095;", "(a + 4095)", "PhysAddr"],
  [
    "a local alias of the type",
    "type Pa = PhysAddr;\nexport const f = (a: Pa) => a & 1;",
    "a",
    "PhysAddr",
  ],
  [
    "a renamed import",
    'import type { PhysAddr as P } from "@physio/kern";\nexport const f = (a: P) => a & 1;',
    "a",
    "PhysAddr",
  ],
  [
    "a namespace import",
    'import type * as kern from "@physio/kern";\nexport const f = (a: kern.Bytes) => a & 1;',
    "a",
    "Bytes",
  ],
  [
    "a class field",
    "export class C {\n  at: PhysAddr = 0;\n  f() {\n    return this.at & 1;\n  }\n}",
    "this.at",
    "PhysAddr",
  ],
  [
    "a private field",
    "export class C {\n  #at: PhysAddr = 0;\n  f() {\n    return this.#at & 1;\n  }\n}",
    "this.#at",
    "PhysAddr",
  ],
  [
    "an accessor",
    "export class C {\n  get at(): PhysAddr {\n    return 1;\n  }\n}\nexport const f = (c: C) => c.at & 1;",
    "c.at",
    "PhysAddr",
  ],
  [
    "an interface property",
    "interface I {\n  at: Bytes;\n}\nexport const f = (i: I) => i.at & 1;",
    "i.at",
    "Bytes",
  ],
  [
    "an inherited property",
    "interface I {\n  at: Bytes;\n}\ninterface J extends I {\n  n: number;\n}\nexport const f = (j: J) => j.at & 1;",
    "j.at",
    "Bytes",
  ],
  [
    "a property of a type literal",
    "export const f = (o: { at: Bytes }) => o.at & 1;",
    "o.at",
    "Bytes",
  ],
  [
    "a destructured parameter",
    "export const f = ({ at }: { at: Bytes }) => at & 1;",
    "at",
    "Bytes",
  ],
  ["an element of a list", "export const f = (l: readonly Bytes[]) => l[0] & 1;", "l[0]", "Bytes"],
  [
    "a loop variable",
    "export function f(l: Bytes[]) {\n  for (const n of l) void (n & 1);\n}",
    "n",
    "Bytes",
  ],
  [
    "a call of a function in the file",
    "function g(): Bytes {\n  return 1;\n}\nexport const f = () => g() & 1;",
    "g()",
    "Bytes",
  ],
  [
    "a call of an arrow in the file",
    "const g = (): Bytes => 1;\nexport const f = () => g() & 1;",
    "g()",
    "Bytes",
  ],
  [
    "a call of a method",
    "class C {\n  at(): Bytes {\n    return 1;\n  }\n}\nexport const f = (c: C) => c.at() & 1;",
    "c.at()",
    "Bytes",
  ],
  [
    "a field of another file's class, receiver unknown",
    "export const f = (o: ReturnType<typeof JSON.parse>[0]) => o.base & 1;",
    "o.base",
    "VirtAddr",
  ],
  [
    "a field of another file's interface",
    'import type { Range } from "./arena.ts";\nexport const f = (r: Range) => r.size >>> 12;',
    "r.size",
    "Bytes",
  ],
];

breaches([
  ...rows.map(([name, body, operand, type]): Breach => {
    return {
      name,
      files: vmem(body),
      rule: "bitops",
      says: [operand, `(${type})`, "@physio/kern"],
    };
  }),
  {
    name: "a field of a lower package's interface",
    files: source(
      "machine",
      `import type { Range } from "@physio/vmem/impl";\nexport const f = (r: Range) => r.start | 1;`,
    ),
    rule: "bitops",
    says: ["r.start", "(VirtAddr)"],
  },
  {
    name: "kern itself outside addr.ts",
    files: source(
      "kern",
      `import type { Bytes } from "./addr.ts";\nexport const f = (n: Bytes) => n & 1;`,
    ),
    rule: "bitops",
    says: ["(Bytes)"],
  },
]);

const harmless: readonly (readonly [string, string])[] = [
  [
    "a number of the same name elsewhere",
    "export const f = (a: PhysAddr) => a + 1;\nexport const g = (a: number) => a & 1;",
  ],
  [
    "an inner shadow",
    "export function f(a: PhysAddr) {\n  const g = (a: number) => a & 1;\n  return g(a);\n}",
  ],
  [
    "a block shadow",
    "export function f(a: PhysAddr) {\n  {\n    const a = 1;\n    void (a & 1);\n  }\n  return a;\n}",
  ],
  ["logic and arithmetic", "export const f = (a: PhysAddr, b: Bytes) => (a && b) || a % b > 1;"],
  [
    "flags beside addresses",
    "interface I {\n  at: Bytes;\n  flags: number;\n}\nexport const f = (i: I) => i.flags & 1;",
  ],
  [
    "an index computed from an address",
    "export const f = (a: PhysAddr, t: number[]) => t[a % 8] & 1;",
  ],
  [
    "a field that this file declares otherwise",
    "interface Mine {\n  size: number;\n}\nexport type M = Mine;\nexport const f = (o: ReturnType<typeof JSON.parse>[0]) => o.size & 1;",
  ],
  [
    "a field whose receiver is known to differ",
    'import type { Range } from "./arena.ts";\ninterface Mine {\n  size: number;\n}\nexport const f = (m: Mine, r: Range) => (m.size & 1) + r.size;',
  ],
  ["a field of a library type", "export const f = (m: Map<number, number>) => m.size & 1;"],
  ["a call argument", "export const f = (a: PhysAddr, g: (n: number) => number) => g(a) & 1;"],
  ["a quotient", "export const f = (a: PhysAddr) => (a / 4096) & 1;"],
  ["a union of types", "export type T = PhysAddr | Bytes;"],
];

controls([
  ...harmless.map(([name, body]) => ({ name, files: vmem(body) })),
  {
    name: "types of the same names from elsewhere",
    files: source(
      "vmem",
      "type Bytes = Uint8Array | number;\nexport const f = (n: Bytes) => (n as number) & 1;",
    ),
  },
]);
