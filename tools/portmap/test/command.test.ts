/**
 * The command on planted trees: what makes it fail, and what does not.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { command } from "../src/command.ts";

type Files = Readonly<Record<string, string>>;

const CODE = "packages/dma/toy/src/toy.ts";
const TEST = "packages/dma/toy/test/toy.test.ts";
const CLAIMS = "tools/portmap/inventory/claims.json";
const topic = "bus_dma complete";
const row = (name: string, kind: string, line: number, text = "") => ({
  name,
  kind,
  line,
  topic,
  text,
});

const seed = {
  path: "sys/kern/toy.c",
  origin: "ToyBSD",
  aliases: ["toy(9)"],
  families: ["toy_"],
  rows: [
    row("toy_load", "function", 10),
    row("toy_free", "function", 20),
    row("TOY_WAIT", "flag", 5),
    row("toy_sleep", "function", 40),
    row("man:load:EBUSY", "promise", 30, "a load that | waits"),
  ],
};

const CLEAN: Files = {
  "tools/portmap/inventory/toy.c.json": JSON.stringify(seed),
  [CLAIMS]: JSON.stringify([
    { id: "man:load:EBUSY", code: `${CODE}#Toy.load`, test: `${TEST}: is busy` },
    { id: "toy_free", partly: "no reuse", code: `${CODE}#Toy.free` },
  ]),
  [CODE]: [
    "/** A toy. @bsd #Y other_thing */",
    'import { x } from "./x.ts";',
    "export class Toy {",
    "  /** @bsd #Y toy_load TOY_WAIT */",
    "  load(): void {}",
    "  /** @bsd #Y sys/kern/toy.c toy_load */",
    "  start(): void {}",
    "  free(): void {}",
    "}",
  ].join("\n"),
  [TEST]: `test(\`a toy \${x} is busy\`, f);\ntest("toy_load does it", f);\n`,
};

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

function plant(files: Files): string {
  const root = mkdtempSync(join(tmpdir(), "portmap-"));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

function run(root: string, ...args: string[]): { code: number; lines: string[] } {
  const lines: string[] = [];
  const code = command(["--root", root, ...args], (line) => lines.push(line));
  return { code, lines };
}

const page = (root: string): string => readFileSync(join(root, "docs/port-map.md"), "utf8");

test("a clean tree is written and then checked: 0", () => {
  const root = plant(CLEAN);
  const said = { code: 0, lines: ["portmap: 5 rows, 3 done, 1 partly, 1 not yet"] };
  expect(run(root)).toEqual(said);
  expect(run(root, "--check")).toEqual(said);
  expect(run(root, "--summary").lines).toEqual(['{"done":3,"partly":1,"notYet":1,"rows":5}']);
});

test("the page has a row a line of the seed, in its order, and the others at the end", () => {
  const root = plant(CLEAN);
  run(root);
  const rows = page(root)
    .split("\n")
    .filter((line) => /^\| (\d+ )?`/.test(line));
  const code = (symbol: string, line: number) => `[${symbol}](../${CODE}#L${line})`;
  expect(rows).toEqual([
    `| 5 \`TOY_WAIT\` | done | ${code("Toy.load", 5)} |  |  |`,
    `| 10 \`toy_load\` | done | ${code("Toy.load", 5)}<br>${code("Toy.start", 7)} | [toy.test:2](../${TEST}#L2) |  |`,
    `| 20 \`toy_free\` | partly | ${code("Toy.free", 8)} |  | no reuse |`,
    `| 30 \`man:load:EBUSY\` | done | ${code("Toy.load", 5)} | [toy.test:1](../${TEST}#L1) | a load that \\| waits |`,
    "| 40 `toy_sleep` | not yet: bus_dma complete |  |  |  |",
    `| \`other_thing\` |  | ported | [toy.ts](../${CODE}#L1) |`,
  ]);
  expect(page(root)).not.toContain(root);
});

const withTag = (tag: string): Files => ({
  ...CLEAN,
  [CODE]: CLEAN[CODE].replace("#Y other_thing", tag),
});
const withClaim = (claim: object): Files => ({
  ...CLEAN,
  [CLAIMS]: JSON.stringify([claim], null, 2),
});

const faults: { name: string; files: Files; says: RegExp }[] = [
  {
    name: "a claim whose symbol is missing",
    files: withClaim({ id: "toy_free", code: `${CODE}#Toy.gone` }),
    says: /claims\.json:3: claim toy_free: packages\/dma\/toy\/src\/toy\.ts has no symbol Toy\.gone/,
  },
  {
    name: "a claim whose file is missing",
    files: withClaim({ id: "toy_free", code: "packages/dma/toy/src/gone.ts#x" }),
    says: /claim toy_free: no file packages\/dma\/toy\/src\/gone\.ts/,
  },
  {
    name: "a claim whose test is missing",
    files: withClaim({ id: "toy_free", code: `${CODE}#Toy.free`, test: `${TEST}: never was` }),
    says: /claim toy_free: .*toy\.test\.ts has no test with "never was"/,
  },
  {
    name: "a claim without code, and no tag",
    files: withClaim({ id: "toy_free", test: `${TEST}: is busy` }),
    says: /claims\.json:3: claim toy_free: neither the claim nor a tag names code/,
  },
  {
    name: "a claim for a row that no seed has",
    files: withClaim({ id: "toy_fly", code: `${CODE}#Toy.free` }),
    says: /claim toy_fly: no inventory has such a row/,
  },
  {
    name: "a tag with the seed's path and a name that it does not have",
    files: withTag("#Y sys/kern/toy.c fly"),
    says: /toy\.ts:1: @bsd fly: sys\/kern\/toy\.c has nothing of that name/,
  },
  {
    name: "a tag with the seed's page and a name that it does not have",
    files: withTag("#Y toy(9) flying"),
    says: /@bsd flying: sys\/kern\/toy\.c has nothing/,
  },
  {
    name: "a tag with a name of the seed's family that it does not have",
    files: withTag("#Y toy_fly"),
    says: /@bsd toy_fly: not in sys\/kern\/toy\.c/,
  },
  { name: "a #P without its reason", files: withTag("#P other"), says: /a #P without its \[why\]/ },
  { name: "a tag without a name", files: withTag("#Y"), says: /a @bsd tag without a name/ },
  {
    name: "a tag that nothing follows",
    files: { ...CLEAN, [CODE]: `${CLEAN[CODE]}\n/** @bsd other */` },
    says: /toy\.ts:10: a @bsd tag that no declaration follows/,
  },
];

for (const { name, files, says } of faults) {
  test(`${name}: 1 and one line`, () => {
    const root = plant(files);
    for (const args of [[], ["--check"]]) {
      const { code, lines } = run(root, ...args);
      expect(lines).toEqual([expect.stringMatching(says)]);
      expect(code).toBe(1);
    }
  });
}

test("a name of the family from another file is no fault when the tag names that file", () => {
  const root = plant(withTag("#Y sys/kern/toy_more.c toy_fly"));
  expect(run(root).code).toBe(0);
});

test("#N makes a row not yet done and is no place for it", () => {
  const root = plant(withTag("#N toy_sleep"));
  expect(run(root).lines).toEqual(["portmap: 5 rows, 3 done, 1 partly, 1 not yet"]);
  expect(page(root)).toContain("| 40 `toy_sleep` | not yet: bus_dma complete |  |  |  |");
});

test("a stale page, or none: 1", () => {
  const root = plant(CLEAN);
  const stale = ["docs/port-map.md:1: stale: run node tools/portmap/src/main.ts"];
  expect(run(root, "--check")).toEqual({ code: 1, lines: stale });
  run(root);
  writeFileSync(join(root, CODE), `\n${CLEAN[CODE]}`);
  expect(run(root, "--check")).toEqual({ code: 1, lines: stale });
});

test("an unknown kind or topic, or a name twice, throws", () => {
  const broken = [
    { ...seed.rows[0], kind: "thing" },
    { ...seed.rows[0], topic: "some day" },
    { ...seed.rows[0], line: 0 },
    seed.rows[1],
  ];
  for (const bad of broken) {
    const rows = JSON.stringify({ ...seed, rows: [bad, seed.rows[1]] });
    const root = plant({ ...CLEAN, "tools/portmap/inventory/toy.c.json": rows });
    expect(() => run(root)).toThrow(/^toy\.c\.json: /);
  }
});

test("bad usage: 2 and how to use it", () => {
  for (const args of [["--wat"], ["--check", "--summary"], ["--root", "/no/such/folder"]]) {
    const lines: string[] = [];
    expect(command(args, (line) => lines.push(line))).toBe(2);
    expect(lines[1]).toBe("usage: portmap [--root DIR] [--check | --summary]");
  }
});
