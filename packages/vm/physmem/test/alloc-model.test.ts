/**
 * Frame allocation against a map of frames: long random runs over three reaches and two domains.
 * PHYSIO_SEED replays one; long/alloc.long.test.ts has more operations.
 */

import { MiB } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import fc from "fast-check";
import { expect, test } from "vitest";
import { longRun } from "./frame-map.ts";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

test("200,000 random operations agree with a map of frames", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const { counters, touchedBytes } = longRun(seed, 200_000);
      // The run is worth its name only when it met the slow path and was refused at times.
      expect(counters.contigScans).toBeGreaterThan(1000);
      expect(counters.failures).toBeGreaterThan(1000);
      expect(touchedBytes).toBe(0);
    }),
    { numRuns: 1, endOnFailure: true, ...SEED },
  );
});

test("two memories in one process do not touch each other", () => {
  const [a, b] = [1, 2].map(() => new PhysMem({ banks: [{ base: 0, size: 8 * MiB }] }));
  const frames = Array.from({ length: 100 }, () => a.allocFrame());
  const first = a.allocContig(512);
  a.wire(first);
  a.pressure.setMarks({ reserved: 1, min: 2, target: 3 });
  a.pressure.onReclaim(() => 0);
  expect([b.freeFrames, b.counters.allocs, b.pressure.marks.min]).toEqual([b.totalFrames, 0, 0]);
  expect(() => b.freeFrame(frames[0])).toThrow("not allocated");
  expect(() => b.unwire(first)).toThrow("not allocated");
  b.check();
  const taken = Array.from({ length: 100 }, () => b.allocFrame());
  expect(taken).toEqual(frames);
  a.unwire(first);
  a.freeFrame(first, 512);
  for (const frame of frames) a.freeFrame(frame);
  expect([a.freeFrames, b.freeFrames]).toEqual([a.totalFrames, b.totalFrames - 100]);
  a.check();
  b.check();
});
