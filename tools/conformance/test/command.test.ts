/** The command: what it prints and returns, and that the script reaches it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { conformance } from "../src/command.ts";
import type { Scenario as GenfsScenario } from "../src/genfs/vectors.ts";
import type { Scenario } from "../src/vectors.ts";
import { GENFS_SCENARIO, withStep } from "./genfs-scenario.ts";
import { SCENARIO, withOp } from "./scenario.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "conformance-test-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function vectors(name: string, ...scenarios: (Scenario | GenfsScenario)[]): string {
  const path = join(root, name);
  writeFileSync(path, scenarios.map((scenario) => `${JSON.stringify(scenario)}\n`).join(""));
  return path;
}

function disputed(value: unknown): string {
  const path = join(root, "disputed.json");
  writeFileSync(path, JSON.stringify(value));
  return path;
}

function run(args: readonly string[], disputedPath?: string) {
  const out: string[] = [];
  const err: string[] = [];
  const printer = {
    log: (line: string) => out.push(line),
    error: (line: string) => err.push(line),
  };
  const code = conformance(args, printer, disputedPath);
  return { code, out, err };
}

const WRONG = withOp(4, { expect: { error: "EBUSY" } }, "hand-made-001");

test("all pass: the count alone, exit code 0", () => {
  const path = vectors("good.jsonl", SCENARIO, SCENARIO);
  expect(run(["busdma", path])).toEqual({ code: 0, out: ["2 passed, 0 failed"], err: [] });
});

test("a failing step is printed with file, scenario, step, operation and difference, exit code 1", () => {
  const path = vectors("wrong.jsonl", SCENARIO, WRONG);
  expect(run(["busdma", path])).toEqual({
    code: 1,
    out: [
      `${path}: hand-made-001, step 4, map_destroy:`,
      '    error: expected "EBUSY", got null',
      "1 passed, 1 failed",
    ],
    err: [],
  });
});

const steps: readonly [string, number, object, readonly string[]][] = [
  [
    "an unknown operation",
    3,
    { op: "frobnicate" },
    ["threw Error: no operation frobnicate", "the machine stopped 1 steps before the end"],
  ],
  [
    "an unknown flag",
    2,
    { flags: ["FROB"] },
    ["threw Error: no flag FROB", "the machine stopped 2 steps before the end"],
  ],
  [
    "an unknown map",
    3,
    { map: "m7" },
    ["threw Error: there is no map m7", "the machine stopped 1 steps before the end"],
  ],
  [
    "a panic that is not ours",
    4,
    { map: "m7", expect: { panic: "default-lock-called", debugOnly: false } },
    ["threw Error: there is no map m7"],
  ],
  [
    "a panic that does not come",
    4,
    { expect: { panic: "default-lock-called", debugOnly: false } },
    ['panic: expected "default-lock-called", got nothing', "error: expected nothing, got null"],
  ],
];

for (const [what, step, part, lines] of steps) {
  test(`${what} is a failing step`, () => {
    const path = vectors("step.jsonl", withOp(step, part));
    const op = (part as { op?: string }).op ?? SCENARIO.ops[step].op;
    const { code, out } = run(["busdma", path]);
    expect(code).toBe(1);
    const head = `${path}: hand-made-000, step ${step}, ${op}:`;
    expect(out).toEqual([head, ...lines.map((line) => `    ${line}`), "0 passed, 1 failed"]);
  });
}

test("steps after a failing one are still compared", () => {
  const wrong = withOp(1, { expect: { error: null, trivial: false } });
  const ops = wrong.ops.map((op, i) => (i === 4 ? { ...op, expect: {} } : op));
  const { out } = run(["busdma", vectors("two.jsonl", { ...wrong, ops })]);
  expect(out.filter((line) => line.includes(", step "))).toHaveLength(2);
});

test("exactly the disputed scenarios may fail when asked for, and they are still printed", () => {
  const path = vectors("disputed.jsonl", SCENARIO, WRONG);
  const list = disputed([{ id: WRONG.id, proof: "a map that is not loaded is not busy" }]);
  const args = ["busdma", path, "--tolerate-disputed"];
  const { code, out } = run(args, list);
  expect(code).toBe(0);
  expect(out[0]).toContain("hand-made-001, step 4");
  expect(out.slice(-2)).toEqual([
    `tolerated: exactly the disputed scenarios failed, see ${list}`,
    "1 passed, 1 failed",
  ]);
  expect(run(["busdma", path], list).code).toBe(1);
});

test("what fails beyond the list, and what is listed and passes, is not tolerated", () => {
  const path = vectors("disputed.jsonl", SCENARIO, WRONG);
  const list = disputed([
    { id: SCENARIO.id, proof: "x" },
    { id: "not-replayed", proof: "x" },
  ]);
  const { code, out } = run(["busdma", path, "--tolerate-disputed"], list);
  expect(code).toBe(1);
  expect(out.filter((line) => line.startsWith("not tolerated"))).toEqual([
    "not tolerated: hand-made-001 is not disputed",
    "not tolerated: hand-made-000 is disputed and passes",
  ]);
});

const complaints: readonly [string, readonly string[], RegExp][] = [
  ["no subject", [], /^conformance: replay what\?; usage: /],
  ["another subject", ["ubc"], /there are no vectors of "ubc"; usage: /],
  ["an unknown option", ["busdma", "--frob"], /--frob.*; usage: /],
  ["a file that is not there", ["busdma", "nowhere.jsonl"], /^conformance: nowhere\.jsonl: ENOENT/],
];

for (const [what, args, says] of complaints) {
  test(`${what}: one line, exit code 2`, () => {
    const { code, out, err } = run(args);
    expect([code, out, err.length]).toEqual([2, [], 1]);
    expect(err[0]).toMatch(says);
    expect(err[0]).not.toContain("\n");
  });
}

test("genfs: the same shape of report", () => {
  const wrong = withStep(2, { out: { err: 0, done: [0] } }, "hand-made-genfs-001");
  const path = vectors("genfs.jsonl", GENFS_SCENARIO, wrong);
  expect(run(["genfs", path])).toEqual({
    code: 1,
    out: [
      `${path}: hand-made-genfs-001, step 2, complete:`,
      "    done: expected [0], got nothing",
      "1 passed, 1 failed",
    ],
    err: [],
  });
  const { code, err } = run(["genfs", vectors("busdma.jsonl", SCENARIO)]);
  expect([code, err.length]).toEqual([2, 1]);
  expect(err[0]).toMatch(/busdma\.jsonl:1: no vnode$/);
});

test("a file that cannot be read is all that is said, whatever the others hold", () => {
  const good = vectors("good.jsonl", WRONG);
  const broken = join(root, "broken.jsonl");
  writeFileSync(broken, "{}\n");
  const { code, out, err } = run(["busdma", good, broken]);
  expect([code, out, err]).toEqual([2, [], [`conformance: ${broken}:1: no id`]]);
});

test("a disputed list without a proof is refused", () => {
  const path = vectors("good.jsonl", SCENARIO);
  for (const list of [{}, [{ id: "x" }], [null], [{ id: "x", proof: "" }]]) {
    expect(run(["busdma", path, "--tolerate-disputed"], disputed(list)).code).toBe(2);
  }
});

test("the program returns the command's exit code", () => {
  const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
  const start = (...args: string[]) =>
    spawnSync(process.execPath, ["--conditions=@physio/source", main, ...args], {
      encoding: "utf8",
    });
  const good = start("busdma", vectors("good.jsonl", SCENARIO));
  expect([good.status, good.stdout]).toEqual([0, "1 passed, 0 failed\n"]);
  expect(start("busdma", vectors("wrong.jsonl", WRONG)).status).toBe(1);
  const usage = start();
  expect([usage.status, usage.stdout]).toEqual([2, ""]);
  expect(usage.stderr.trim().split("\n")).toHaveLength(1);
});
