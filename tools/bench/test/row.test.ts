/**
 * What becomes of a row, and of a run: the gate.
 */
import { expect, test } from "vitest";
import { parseOptions } from "../src/options.ts";
import type { Outcome, Result, Row } from "../src/row.ts";
import { count, exitCode, judge, value } from "../src/row.ts";
import type { Suite } from "../src/suite.ts";
import { forAll, runSuites } from "../src/suite.ts";
import { countLine, table } from "../src/table.ts";

const gated: Row = { id: "T1a", title: "a load", unit: "x", gate: 2, goal: 1.3 };
const free: Row = { ...gated, id: "demo", gate: null };
const noGcc: Outcome = { kind: "skipped", reason: "gcc is not installed", tool: "gcc" };
const forgotten: Outcome = { kind: "skipped", reason: "no time", tool: null };
const broken: Outcome = { kind: "error", reason: "the worker died" };

test.each<{ what: string; row: Row; outcome: Outcome | undefined; verdict: string }>([
  { what: "below its gate", row: gated, outcome: value(1.9), verdict: "passed" },
  { what: "at its gate", row: gated, outcome: value(2), verdict: "passed" },
  { what: "above its gate", row: gated, outcome: value(2.001), verdict: "failed" },
  { what: "that is no number", row: gated, outcome: value(Number.NaN), verdict: "failed" },
  { what: "without a gate", row: free, outcome: value(99), verdict: "published" },
  { what: "without its tool", row: gated, outcome: noGcc, verdict: "skipped" },
  { what: "skipped though its tool is there", row: gated, outcome: forgotten, verdict: "failed" },
  { what: "that broke", row: gated, outcome: broken, verdict: "failed" },
  { what: "that broke, without a gate", row: free, outcome: broken, verdict: "failed" },
  { what: "that its suite forgot", row: gated, outcome: undefined, verdict: "failed" },
])("a row $what is $verdict", ({ row, outcome, verdict }) => {
  expect(judge(row, outcome).verdict).toBe(verdict);
});

test("a row with a missing tool says why and counts as neither passed nor failed", () => {
  const results = [judge(gated, noGcc), judge({ ...gated, id: "T1b" }, value(1))];
  expect(count(results, "passed")).toBe(1);
  expect(countLine(results)).toBe("1 passed, 0 failed");
  expect(table(results, false)).toContain("skipped, not passed: T1a: gcc is not installed");
  expect(exitCode(results, true)).toBe(0);
});

test.each<{ outcome: Outcome; gate: boolean; code: number }>([
  { outcome: value(1), gate: true, code: 0 },
  { outcome: value(3), gate: true, code: 1 },
  { outcome: value(3), gate: false, code: 0 },
  { outcome: forgotten, gate: true, code: 1 },
  { outcome: broken, gate: true, code: 1 },
])("gate $gate and $outcome exits with $code", ({ outcome, gate, code }) => {
  expect(exitCode([judge(gated, outcome)], gate)).toBe(code);
});

test("a run of no rows is an error, not a success", () => {
  expect(exitCode([], false)).toBe(2);
});

function suiteOf(row: Row, outcome: Outcome): Suite & { runs: number } {
  const suite = {
    rows: [row],
    runs: 0,
    measure: () => {
      suite.runs++;
      return forAll([row], outcome);
    },
  };
  return suite;
}

test("only the suites with a wanted row run", () => {
  const one = suiteOf(gated, value(1));
  const other = suiteOf({ ...gated, id: "T2" }, value(1));
  const { results } = runSuites([one, other], "T1", () => {});
  expect(results.map((r) => r.id)).toEqual(["T1a"]);
  expect([one.runs, other.runs]).toEqual([1, 0]);
});

test("a suite that throws fails its rows and not the run", () => {
  const measure = () => {
    throw new Error("no such file");
  };
  const { results } = runSuites([{ rows: [gated], measure }], "", () => {});
  expect(results[0]).toMatchObject({ verdict: "failed", note: "Error: no such file" });
});

test("the table ends with the count, and has colours only for a terminal", () => {
  const results: Result[] = [judge(gated, value(1)), judge(gated, value(3))];
  expect(table(results, false).trimEnd().split("\n").at(-1)).toBe("1 passed, 1 failed");
  expect(table(results, false)).not.toContain("\x1b");
  expect(table(results, true)).toContain("\x1b[31mfailed");
});

test("wrong options are refused", () => {
  expect(() => parseOptions(["--fast"])).toThrow(TypeError);
  expect(() => parseOptions(["--write-docs", "--only", "T1"])).toThrow("--write-docs");
  expect(parseOptions(["--only", "T1", "--gate"])).toMatchObject({ only: "T1", gate: true });
});
