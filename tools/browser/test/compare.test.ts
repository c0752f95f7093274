/**
 * What counts as the same run, and what the commands say when they cannot run.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { wholeNumber } from "../src/command.ts";
import { complaints, Tally } from "../src/compare.ts";
import { ROOT } from "../src/in-node.ts";
import type { RunResult } from "../src/run-one.ts";

const good: RunResult = {
  ok: true,
  files: 3,
  failures: [],
  traceHash: "0123456789abcdef",
  virtualTime: 1000,
  deferrals: 0,
};

function compare(other: RunResult | null): string[] {
  const results = other === null ? [] : [other];
  return complaints(
    [
      { host: "A", results: [good] },
      { host: "B", results },
    ],
    0,
  );
}

test("equal results are no complaint", () => {
  expect(compare({ ...good })).toEqual([]);
});

test("every difference is one", () => {
  expect(compare({ ...good, traceHash: "f" })).toEqual([
    "B: traceHash f, but A has 0123456789abcdef",
  ]);
  expect(compare({ ...good, files: 2 })).toEqual(["B: files 2, but A has 3"]);
  expect(compare({ ...good, virtualTime: 1 })).toEqual(["B: virtualTime 1, but A has 1000"]);
  expect(compare({ ...good, deferrals: 1 })).toEqual(["B: deferrals 1, but A has 0"]);
  expect(compare({ ...good, ok: false })).toEqual(["B: not verified"]);
  const failures = [{ path: "/a", reason: "contents differ" }];
  expect(compare({ ...good, ok: false, failures })).toEqual(["B: /a: contents differ"]);
  expect(compare(null)).toEqual(["B: no result"]);
});

test("results that agree but are wrong are complaints", () => {
  const bad = { ...good, ok: false };
  const hosts = ["A", "B"].map((host) => ({ host, results: [bad] }));
  expect(complaints(hosts, 0)).toEqual(["A: not verified", "B: not verified"]);
});

test("checks are counted", () => {
  const tally = new Tally();
  expect([tally.check(true), tally.check(false), tally.check(true)]).toEqual([true, false, true]);
  expect(tally.line()).toBe("2 passed, 1 failed");
});

test("numbers of seeds", () => {
  expect(wholeNumber("--seeds", "50")).toBe(50);
  for (const text of ["0", "-1", "1.5", "", "x"])
    expect(() => wholeNumber("--seeds", text)).toThrow(`--seeds: "${text}"`);
});

const CASES: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ["without a Chromium", [], 3, /^browser: no Chromium at .*nowhere: install it.*\n$/],
  ["an unknown option", ["--frob"], 2, /^browser: Unknown option '--frob'.*\n$/],
  ["an unknown image", ["--image", "none"], 2, /^browser: --image: there is no fixture none\n$/],
];

for (const [what, args, code, said] of CASES)
  test(`${what}: one line, exit code ${code}`, () => {
    const main = join(ROOT, "tools/browser/src/main.ts");
    const done = spawnSync(process.execPath, ["--conditions=@physio/source", main, ...args], {
      encoding: "utf8",
      env: { ...process.env, CHROMIUM: join(ROOT, "nowhere") },
    });
    expect(done.stderr).toMatch(said);
    expect([done.status, done.stdout]).toEqual([code, ""]);
  });
