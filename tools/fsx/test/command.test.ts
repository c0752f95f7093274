/** The command: what it prints and returns. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bytes } from "@physio/kern";
import { roundPage } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fsx } from "../src/command.ts";
import type { OpList } from "../src/list.ts";
import { encodeList } from "../src/list.ts";
import { truncate } from "../src/process.ts";

/** The last page keeps what lay behind the new end. */
function* forgetful(vp: Vnode, size: Bytes): Sleeps<void> {
  yield* truncate(vp, size < vp.size ? Math.min(vp.size, roundPage(size)) : size);
  vp.size = size;
  vp.writeSize = size;
}

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "fsx-test-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function run(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = fsx(args, { log: (line) => out.push(line), error: (line) => err.push(line) });
  return { code, out, err };
}

test("a campaign without a failure says how many operations there were", () => {
  const result = run("--seed", "7", "--ops", "50", "--block-size", "2048", "--threads", "2");
  expect(result).toEqual({
    code: 0,
    out: ["50 operations, no failure (seed 7, all, blocks of 2048, pc, 2 threads)"],
    err: [],
  });
});

test("a failure is shrunk, printed and written; the file fails again as long as the fault is there", () => {
  const path = join(root, "failure.jsonl");
  const out: string[] = [];
  const printer = {
    log: (line: string) => out.push(line),
    error: (line: string) => out.push(line),
  };
  const args = ["--ops", "2000", "--set", "small", "--block-size", "4096", "--save", path];
  expect(fsx(args, printer, forgetful)).toBe(1);
  expect(out[0]).toMatch(
    /^after \d+ operations \(seed 1, small, blocks of 4096, pc, 1 threads\):$/,
  );
  expect(out[1]).toMatch(/^failed: operation \d+, /);
  expect(out[2]).toMatch(/^shrunk to [2-5] of \d+ operations in \d+ tries:$/);
  expect(out.at(-1)).toBe(`written: fsx --replay ${path}`);
  expect(fsx(["--replay", path], printer, forgetful)).toBe(1);
  expect(out.at(-1)).toMatch(/ operations, failed at operation \d: /);
  expect(run("--replay", path).code).toBe(0);
});

test("a list is replayed from a file", () => {
  const list: OpList = {
    profile: "arm64",
    blockSize: 1024,
    seed: 1,
    threads: 1,
    set: "all",
    ops: [
      { id: 1, op: "write", off: 100, len: 5000 },
      { id: 2, op: "drop", off: 0, len: 1 },
      { id: 3, op: "mread", off: 0, len: 5100 },
    ],
  };
  const path = join(root, "list.jsonl");
  writeFileSync(path, encodeList(list));
  expect(run("--replay", path)).toEqual({
    code: 0,
    out: [`${path}: 3 operations, good`],
    err: [],
  });
});

const refused: readonly (readonly [string, readonly string[]])[] = [
  ["--ops many: not a number from 0 to 1000000000", ["--ops", "many"]],
  ["--block-size 8192: there are 1024, 2048, 4096", ["--block-size", "8192"]],
  ["--set none: there are all, mapped, direct, sectors, tight, small", ["--set", "none"]],
];
for (const [why, args] of refused) {
  test(`the command line is refused: ${why}`, () => {
    const { code, err } = run(...args);
    expect([code, err[0]]).toEqual([2, `fsx: ${why}`]);
  });
}

test("a file that is no list is refused by name", () => {
  const path = join(root, "no.jsonl");
  writeFileSync(path, '{"profile":"pc"}\n');
  const { code, err } = run("--replay", path);
  expect([code, err[0]]).toEqual([2, `fsx: ${path}: line 1 is no head of a list`]);
});
