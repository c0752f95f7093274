/** What the allocator counts, and its free lists as text. */
import { Errno, GiB, MiB, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { formatFreeLists, PhysMem } from "@physio/physmem";
import { expect, test } from "vitest";

test("every kind of request is counted", () => {
  const mem = new PhysMem({ banks: [{ base: 0, size: 8 * PAGE_SIZE }] });
  const frames = Array.from({ length: 4 }, () => mem.allocFrame());
  const range = mem.allocContig(4);
  expect([mem.allocFrame(), mem.allocContig(1)]).toEqual([NO_FRAME, NO_FRAME]);
  mem.pressure.onReclaim(() => 0);
  mem.allocFrame();
  mem.freeFrame(range, 4);
  mem.freeFrame(frames[3]);
  mem.pressure.setMarks({ reserved: 0, min: 4, target: 4 });
  mem.allocContig(5); // three to seven: over the border of two blocks
  expect({ ...mem.counters }).toEqual({
    allocs: 4,
    frees: 2,
    contigAllocs: 2,
    contigScans: 1,
    failures: 3,
    reclaims: 1,
    shortages: 1,
  });
});

test("free blocks by order hold all free frames, those in the cache as single ones", () => {
  const mem = new PhysMem({
    banks: [
      { base: 0, size: MiB },
      { base: 4 * GiB, size: 12 * MiB, domain: 1 },
    ],
  });
  expect(mem.freeBlocks(0, 0)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
  expect(mem.freeBlocks(1, 2)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
  mem.allocFrame(1); // takes 16 frames from the first section, and caches 15
  expect(mem.freeBlocks(1, 2)).toEqual([15, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2]);
  expect([mem.freeBlocks(1, 1), mem.freeBlocks(0, 2)].flat().every((n) => n === 0)).toBe(true);
  for (const reach of [3, -1, 0.5, Number.NaN]) {
    const einval = expect.objectContaining({ errno: Errno.EINVAL });
    expect(() => mem.freeBlocks(0, reach)).toThrow(einval);
  }
});

test("the free lists as text", () => {
  const mem = new PhysMem({
    banks: [
      { base: 0, size: MiB },
      { base: 4 * GiB, size: 12 * MiB },
      { base: 8 * GiB, size: 4 * PAGE_SIZE, domain: 1 },
    ],
  });
  mem.allocContig(4, { domain: 1 });
  mem.allocFrame();
  expect(formatFreeLists(mem)).toBe(`\
DOMAIN 0: 3327 of 3328 frames are free
  ORDER (SIZE)  | all addresses       24 bits
     10 (4096K) |             2             0
      9 (2048K) |             1             0
      8 (1024K) |             1             1
      7 ( 512K) |             1             0
      6 ( 256K) |             1             0
      5 ( 128K) |             1             0
      4 (  64K) |             1             0
      3 (  32K) |             0             0
      2 (  16K) |             0             0
      1 (   8K) |             0             0
      0 (   4K) |            15             0
DOMAIN 1: 0 of 4 frames are free`);
});
