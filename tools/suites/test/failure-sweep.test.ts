/**
 * Every place where page I/O can fail, each once: see src/failure-sweep.ts. Every seventh failure;
 * `PHYSIO_ALL` takes all of them.
 */
import { Uio, UioRw } from "@physio/carriers";
import { Errno, KiB, PAGE_SIZE } from "@physio/kern";
import { vnFsync, vnWrite, WriteErrors } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import type { SweepCase } from "../src/failure-sweep.ts";
import { countPoints, failOnce, failuresOf } from "../src/failure-sweep.ts";
import { FaultPoints } from "../src/fault-points.ts";
import { PagingKernel } from "../src/paging-kernel.ts";

const STEP = process.env.PHYSIO_ALL === undefined ? 7 : 1;
const K = KiB;

const CASES: readonly SweepCase[] = [
  { name: "mapped", seed: 3, blockSize: 4 * K, completion: "softintr", journal: false, direct: false },
  { name: "small blocks", seed: 5, blockSize: K, completion: "inline", journal: true, direct: false },
  { name: "large blocks", seed: 8, blockSize: 16 * K, completion: "softintr", journal: true, direct: false },
  { name: "direct", seed: 11, blockSize: 4 * K, completion: "inline", journal: false, direct: true },
];

describe("one failure leaves nothing behind and loses nothing", () => {
  for (const of of CASES) {
    test(of.name, { timeout: 120_000 }, () => {
      let told = 0;
      let failures = 0;
      let at = 0;
      for (const [point, number] of failuresOf(of)) {
        if (at++ % STEP !== 0) continue;
        failures++;
        if (failOnce(of, point, number)) told++;
      }
      expect(failures).toBeGreaterThan(20 / STEP);
      expect(told).toBeGreaterThan(0);
    });
  }

  test("the cases come by every place", () => {
    const sum = (point: keyof ReturnType<typeof countPoints>) =>
      CASES.reduce((total, of) => total + countPoints(of)[point], 0);
    for (const point of ["page", "kva", "disk", "bmap", "alloc", "begin"] as const) {
      expect(sum(point), point).toBeGreaterThan(4);
    }
  });
});
