/**
 * Random operations on a file of ext2, through a whole machine, agree with an array: some here, 100,000 over all flag
 * sets and block sizes with PHYSIO_ALL, five millions in long/. And a planted fault is found, and shrunk to a handful.
 */
import type { Bytes } from "@physio/kern";
import { roundPage } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { expect, test } from "vitest";
import { campaign, tryList } from "../src/campaign.ts";
import { decodeList, encodeList } from "../src/list.ts";
import { FLAG_SETS } from "../src/ops.ts";
import { truncate } from "../src/process.ts";
import type { Truncate } from "../src/run.ts";
import { runList } from "../src/run.ts";
import { shrink } from "../src/shrink.ts";

const ALL = process.env.PHYSIO_ALL === "1";
const SEED = Number(process.env.PHYSIO_SEED ?? 1);
const OPS = ALL ? 100_000 : 1500;
const BLOCK_SIZES = [1024, 2048, 4096];
/** Of which each flag set has another share. */
const PROFILES = ["pc", "pc-32bit-dma", "arm64"];
const SETS = Object.keys(FLAG_SETS);

for (const [i, set] of SETS.entries()) {
  for (const [j, blockSize] of BLOCK_SIZES.entries()) {
    const profile = PROFILES[(i + j) % PROFILES.length];
    const threads = 1 + ((i * BLOCK_SIZES.length + j + SEED) % 3);
    const ops = Math.ceil(OPS / SETS.length / BLOCK_SIZES.length);
    const what = `${set}, blocks of ${blockSize}, ${profile}, ${threads} threads`;
    test(`${ops} operations agree with an array: ${what}`, () => {
      const result = campaign({ seed: SEED, ops, profile, blockSize, threads, set });
      expect(result.failure, `PHYSIO_SEED=${SEED}, ${what}`).toBeNull();
      expect(result.done).toBe(ops);
    });
  }
}

/** The last page keeps what lay behind the new end, on the disk and in memory. */
function* forgetful(vp: Vnode, size: Bytes): Sleeps<void> {
  if (size >= vp.size) {
    yield* truncate(vp, size);
    return;
  }
  yield* truncate(vp, Math.min(vp.size, roundPage(size)));
  vp.size = size;
  vp.writeSize = size;
}

/** What was behind the end is seen by who makes the file longer. */
function* careless(vp: Vnode, size: Bytes): Sleeps<void> {
  if (size > vp.size && roundPage(size) === roundPage(vp.size)) {
    vp.size = size;
    vp.writeSize = size;
    return;
  }
  yield* truncate(vp, size);
}

const PLANTED: readonly [string, string, Truncate][] = [
  ["a shrinking file keeps its tail", "small", forgetful],
  ["a growing file shows what was stored behind its end", "small", careless],
];

for (const [name, set, change] of PLANTED) {
  test(`a planted fault is found and shrunk to a handful of operations: ${name}`, () => {
    const plan = { seed: SEED, ops: 5000, profile: "pc", blockSize: 4096, threads: 2, set };
    const { list, failure } = campaign({ ...plan, truncate: change });
    if (list === null || failure === null) throw new Error("not found");
    const shrunk = shrink(list, failure, (shorter) => runList(shorter, change).failure);
    const told = shrunk.list.ops.map((op) => JSON.stringify(op)).join("\n");
    expect(shrunk.list.ops.length, `${shrunk.failure.why}\n${told}`).toBeLessThanOrEqual(5);
    const again = decodeList(encodeList(shrunk.list));
    expect(again).toEqual(shrunk.list);
    expect(runList(again, change).failure).toEqual(shrunk.failure);
    expect(shrunk.failure.why).toMatch(/byte \d+(, behind the end,)? is/);
    expect(tryList(again)).toBeNull();
  });
}
