import { breaches, controls, home, source } from "./fixture.ts";

/** `count` statements, one a line. */
function lines(count: number): string {
  return "  void 0;\n".repeat(count);
}

/** A function of exactly `total` lines. */
function func(total: number, head = "export function long(): void {"): string {
  return `${head}\n${lines(total - 2)}}`;
}

const tool = (body: string) => ({ "tools/bench/src/x.ts": `/** X. */\n${body}\n` });

breaches([
  {
    name: "a function of 71 lines",
    files: source("vmem", func(71)),
    rule: "size",
    says: ["planted.ts:2:", "long", "71 lines", "at most 70", "// hot:"],
  },
  {
    name: "an arrow of 71 lines",
    files: source("vmem", `${func(71, "export const arrow = (): void => {")};`),
    rule: "size",
    says: ["arrow", "71 lines"],
  },
  {
    name: "a method of 71 lines",
    files: source("vmem", `export class C {\n${func(71, "method(): void {")}\n}`),
    rule: "size",
    says: ["method", "71 lines"],
  },
  {
    name: "a method of an object",
    files: source("vmem", `export const o = {\n${func(71, "method(): void {")},\n};`),
    rule: "size",
    says: ["method", "71 lines"],
  },
  {
    name: "a function whose nested function makes it long",
    files: source(
      "vmem",
      `export function outer() {\n${func(68, "function inner() {")}\n${lines(2)}}`,
    ),
    rule: "size",
    says: ["outer", "72 lines"],
  },
  {
    name: "a hot function of 121 lines",
    files: source("vmem", `// hot: 5 ns an item, measured\n${func(121)}`),
    rule: "size",
    says: ["121 lines", "at most 120"],
  },
  {
    name: "a hot comment without a reason",
    files: source("vmem", `// hot:\n${func(71)}`),
    rule: "size",
    says: ["at most 70"],
  },
  {
    name: "a hot comment that stands elsewhere",
    files: source("vmem", `// hot: far away\n\n${func(71)}`),
    rule: "size",
    says: ["at most 70"],
  },
  {
    name: "a file of 501 lines",
    files: source("vmem", `${"export {};\n".repeat(499)}export {};`),
    rule: "size",
    says: ["planted.ts:1:", "501 lines", "at most 500", "// table:"],
  },
  {
    name: "a long file called a table without a reason",
    files: source("vmem", `// table:\n${"export {};\n".repeat(500)}`),
    rule: "size",
    says: ["at most 500"],
  },
  {
    name: "a test file of 501 lines",
    files: source("vmem", "void 0;\n".repeat(500).trimEnd(), "test/p.test.ts"),
    rule: "size",
    says: ["test/p.test.ts", "501 lines"],
  },
  { name: "a long function of a tool", files: tool(func(71)), rule: "size", says: ["tools/bench"] },
  {
    name: "a long file of a tool",
    files: tool("void 0;\n".repeat(500).trimEnd()),
    rule: "size",
    says: ["501 lines"],
  },
]);

controls([
  { name: "a function of 70 lines", files: source("vmem", func(70)) },
  {
    name: "a hot function of 120 lines",
    files: source("vmem", `// hot: 5 ns an item; split it takes 9\n${func(120)}`),
  },
  {
    name: "a hot arrow under a reason of two lines",
    files: source(
      "vmem",
      `// hot: 5 ns an item;\n// split it takes 9\n${func(120, "export const f = (): void => {")};`,
    ),
  },
  {
    name: "a hot method",
    files: source("vmem", `export class C {\n// hot: 5 ns\n${func(100, "method(): void {")}\n}`),
  },
  { name: "a file of 500 lines", files: source("vmem", "export {};\n".repeat(499).trimEnd()) },
  {
    name: "a long table",
    files: source("vmem", `// table: opcodes, one a line\n${"export {};\n".repeat(600)}`),
  },
  {
    name: "regs.ts",
    files: source("vmem", `${func(200)}\n${"export {};\n".repeat(600)}`, "src/regs.ts"),
  },
  {
    name: "a long literal, also one that a function returns",
    files: source(
      "vmem",
      `export const t = [\n${"1,\n".repeat(100)}];
export const u = () => ({\n${"  a: [1, 2],\n".repeat(100).replace(/a/g, (_, i) => `a${i}`)}});
export function v() {\n  return [\n${"1,\n".repeat(100)}];\n}`,
    ),
  },
  {
    name: "a long test callback",
    files: source(
      "vmem",
      `declare const test: (f: () => void) => void;\ntest(() => {\n${lines(200)}});`,
      "test/p.test.ts",
    ),
  },
  { name: "a long callback in a tool's test", files: { "tools/bench/test/x.ts": func(200) } },
  {
    name: "a file that ends at its limit",
    files: { [`${home("vmem")}/test/x.ts`]: "void 0;\n".repeat(500) },
  },
]);
