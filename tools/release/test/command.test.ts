import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { command } from "../src/command.ts";
import { judge } from "../src/tally.ts";
import { folder, listening } from "./fixture.ts";

const MAIN = join(import.meta.dirname, "../src/main.ts");

test("bad usage exits 2 and says how to call it", async () => {
  for (const args of [[], ["publish"], ["check", "more"], ["sizes", "--bad"]]) {
    const lines: string[] = [];
    expect(await command(args, (line) => lines.push(line))).toBe(2);
    expect(lines.join("\n")).toContain("usage: release check");
  }
});

test("a release without --dry-run is refused with one line", () => {
  const done = spawnSync(process.execPath, [MAIN, "release"], { encoding: "utf8" });
  expect(done.status).toBe(2);
  expect(done.stdout.trim().split("\n")).toHaveLength(1);
  expect(done.stdout).toContain("--dry-run");
});

test("a job that breaks is one failure", async () => {
  const lines: string[] = [];
  const args = ["check", "--only", "nothing", "--root", folder({})];
  expect(await command(args, (line) => lines.push(line))).toBe(1);
  expect(lines).toEqual(["FAILED check: no public package nothing", "0 passed, 1 failed"]);
});

test("the tally counts, prints and closes", async () => {
  const { tally, lines } = listening();
  tally.record("toy", [
    await judge("one", () => null),
    await judge("two", () => "is bad\nvery bad"),
    await judge("three", () => Promise.reject(new Error("broke"))),
  ]);
  expect(tally.close()).toBe(1);
  expect(lines).toEqual([
    "toy: one",
    "FAILED toy: two: is bad",
    "    very bad",
    "FAILED toy: three: broke",
    "1 passed, 2 failed",
  ]);
});
