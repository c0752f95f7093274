/**
 * The manual holds: its examples run and compile, its links lead somewhere; and the check itself
 * notices what is planted in a copy.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkPaper } from "../src/check.ts";
import { examplesOf, readExamples } from "../src/examples.ts";
import { formatFinding } from "../src/finding.ts";
import { HOUSE } from "../src/house.ts";
import { checkLinks } from "../src/links.ts";
import { anchorsOf, fencesOf, linksOf } from "../src/markdown.ts";
import { checkPages } from "../src/pages.ts";
import { judgeExample, runExamples } from "../src/run.ts";
import { checkTypes } from "../src/types.ts";

// Running all examples takes 12 s: CI does, as does `node tools/manual/src/main.ts`.
test("every link leads somewhere, no page is missing, and there are examples", () => {
  const { examples, findings } = checkPaper(HOUSE);
  expect(findings.map(formatFinding)).toEqual([]);
  expect(examples.length).toBeGreaterThan(20);
});

const PAGE = "docs/manual/kern.md";
let root = "";
let text = "";

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "manual-test-"));
  mkdirSync(join(root, "docs/manual"), { recursive: true });
  cpSync(join(HOUSE, PAGE), join(root, PAGE));
  text = readFileSync(join(root, PAGE), "utf8");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Put `lines` at the end of the copy. @returns the number of the first of them. */
function plant(...lines: string[]): number {
  writeFileSync(join(root, PAGE), text + lines.map((line) => `${line}\n`).join(""));
  return text.split("\n").length;
}

function example(name: string, source: string[], output: string[]): string[] {
  return [`<!-- example: ${name} -->`, "```ts", ...source, "```", "", "```text", ...output, "```"];
}

/** What the check says of the copy's examples. */
function judged(limit?: number): string[] {
  const { examples, findings } = readExamples(root, [PAGE]);
  const outcomes = runExamples(root, examples, limit);
  const wrong = examples.flatMap((e, i) => judgeExample(root, e, outcomes[i]) ?? []);
  return [...findings, ...wrong].map(formatFinding);
}

describe("planted in a copy", () => {
  test("an example that throws is reported with the line that throws", () => {
    const at = plant(
      ...example(
        "planted",
        [
          'import { panic } from "@physio/kern";',
          "",
          'console.log("so far");',
          'panic("no more");',
        ],
        ["so far"],
      ),
    );
    expect(judged()).toEqual([`${PAGE}:${at + 5}: example "planted" throws Panic: no more`]);
  });

  test("an example that prints something else is reported with the line of the output", () => {
    const source = ["for (const n of [1, 2, 3]) console.log(n);"];
    const at = plant(...example("planted", source, ["1", "7", "3"]));
    const what = 'example "planted" prints "2", the page says "7"';
    expect(judged()).toEqual([`${PAGE}:${at + 7}: ${what}`]);
  });

  test("… at the end of a line stands for the rest of it, and only there", () => {
    plant(...example("a", ['console.log("took 12 ms");'], ["took …"]));
    expect(judged()).toEqual([]);
    plant(...example("a", ['console.log("took 12 ms");'], ["took … ms"]));
    expect(judged()).toHaveLength(1);
    plant(...example("a", ["console.log(1);"], ["1", "…"]));
    expect(judged()).toHaveLength(1);
  });

  test("an example that ends the process, or never ends, does not take the others along", () => {
    const at = plant(
      ...example("leaves", ["process.exit(3);"], [""]),
      ...example("hangs", ["for (;;);"], [""]),
      ...example("goes-on", ["console.log(1);"], ["2"]),
    );
    const [leaves, hangs, goesOn] = judged(1500);
    expect(leaves).toMatch(`${PAGE}:${at + 2}: example "leaves" throws did not end: exit code 3`);
    expect(hangs).toMatch(`${PAGE}:${at + 10}: example "hangs" throws did not end: `);
    expect(goesOn).toMatch('example "goes-on" prints "1"');
  });

  test("an example that does not compile, and a name of a synopsis that is not there", () => {
    const at = plant(
      ...example("planted", ['const n: number = "one";', "console.log(n);"], ["one"]),
      "<!-- synopsis -->",
      "```ts",
      'import { panik } from "@physio/kern";',
      "```",
    );
    const { examples, synopses } = readExamples(root, [PAGE]);
    const found = checkTypes([...examples, ...synopses]).map(formatFinding);
    expect(found[0]).toMatch(`${PAGE}:${at + 2}: example "planted" does not compile: TS2322`);
    expect(found[1]).toMatch(`${PAGE}:${at + 11}: the synopsis does not compile: TS2`);
  });

  test("broken links and anchors, each with its line", () => {
    writeFileSync(join(root, "docs/manual/other.md"), "# Two words\n\n## Two words\n");
    const at = plant(
      "[good](other.md#two-words-1), [bad](nowhere.md) and `[no link](at-all.md)`",
      "[bad](other.md#three-words) [good](#synopsis) [bad](#nothing)",
      "[good](https://example.org/x) ![bad](picture.png) [bad](../../../outside.md)",
      "[bad](/manual/other.md) [bad](other.md/..#x)",
    );
    const found = checkLinks(root, [PAGE]).filter(({ line }) => line >= at);
    expect(found.map((f) => [f.line - at, f.what])).toEqual([
      [0, "link nowhere.md leads nowhere"],
      [1, "link other.md#three-words: no such heading"],
      [1, "link #nothing: no such heading"],
      [2, "link picture.png leads nowhere"],
      [2, "link ../../../outside.md leads out of the tree"],
      [3, "link /manual/other.md is not relative"],
      [3, "link other.md/..#x has an anchor in a folder"],
    ]);
  });

  test("a missing page, a page without a section, a page out of the index, an unlisted decision", () => {
    for (const name of ["kern", "new"]) {
      mkdirSync(join(root, `packages/a/${name}/src`), { recursive: true });
      writeFileSync(join(root, `packages/a/${name}/package.json`), "{}");
    }
    const decision = "export interface S {\n  readonly mendIt: boolean;\n}\n";
    writeFileSync(join(root, "packages/a/kern/src/semantics.ts"), decision);
    writeFileSync(join(root, "docs/manual/index.md"), "[new](new.md) [semantics](semantics.md)\n");
    writeFileSync(join(root, PAGE), text.replace("## ERRORS", "## MISTAKES"));
    expect(checkPages(root).map(formatFinding)).toEqual([
      "docs/manual/kern.md:1: no section ERRORS",
      "docs/manual/index.md:1: kern.md is not listed",
      "docs/manual/new.md:1: there is no such page",
      "docs/manual/semantics.md:1: there is no such page",
      "docs/manual/semantics.md:1: no row for mendIt of packages/a/kern/src/semantics.ts",
    ]);
  });
});

test("a ts block must be an example or a synopsis, an example has a name of its own and an output", () => {
  const page = [
    "```ts", // 1
    "```",
    "<!-- example: a -->",
    "```ts", // 4
    "```",
    "no output",
    ...example("b", [], []), // 7 … 13
    ...example("b", [], []),
  ].join("\n");
  const { examples, findings } = examplesOf("p.md", page);
  expect(examples.map((e) => e.name)).toEqual(["b"]);
  expect(findings.map(formatFinding)).toEqual([
    "p.md:1: a ts block without <!-- example: name --> or <!-- synopsis -->",
    'p.md:4: example "a" has no text block after it',
    'p.md:14: a second example "b"',
  ]);
});

test("fences hide headings and links; headings become anchors as on GitHub", () => {
  const page = ["# `a.b()` and *c*", "~~~", "# no", "[x](y)", "```", "~~~", "## a", "## a"].join(
    "\n",
  );
  expect([...anchorsOf(page)]).toEqual(["ab-and-c", "a", "a-1"]);
  expect(linksOf(page)).toEqual([]);
  expect(fencesOf(page)).toEqual([{ language: "", line: 2, text: "# no\n[x](y)\n```\n" }]);
});
