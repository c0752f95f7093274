/**
 * The default allocator of DMA memory: each kind keeps its limits and comes back whole.
 */
import type { DmaAllocator, DmaMemRequest } from "@physio/busdma/impl";
import { kmemAllocator } from "@physio/busdma/impl";
import { GiB, MAXADDR, MiB, PAGE_SIZE } from "@physio/kern";
import { PhysMem, ROW_MASK } from "@physio/physmem";
import { Kmem, Run } from "@physio/pmap";
import fc from "fast-check";
import { expect, test } from "vitest";

const REACH = 16 * MiB - 1;
/** CacheAttr.UNCACHED. */
const UNCACHED = 1;
const request = (fields: Partial<DmaMemRequest>): DmaMemRequest => ({
  allocator: "small",
  size: 100,
  highest: MAXADDR,
  alignment: 1,
  boundary: 0,
  uncacheable: false,
  zero: false,
  wait: false,
  ...fields,
});

function setUp(): { kmem: Kmem; allocator: DmaAllocator } {
  const mem = new PhysMem({
    banks: [
      { base: MiB, size: MiB },
      { base: GiB, size: MiB },
    ],
  });
  const kmem = new Kmem(mem);
  return { kmem, allocator: kmemAllocator(kmem) };
}

const how = (r: DmaMemRequest) => (r.allocator === "small" ? "small" : "pages");

test("any request: its limits hold, all of it is mapped and zero, and it comes back", () => {
  const { kmem, allocator } = setUp();
  const { mem, pmap } = kmem;
  const property = fc.property(
    fc.constantFrom("small", "pages", "contiguous" as const),
    fc.integer({ min: 1, max: 8 * PAGE_SIZE }),
    fc.integer({ min: 0, max: 14 }),
    fc.constantFrom(0, PAGE_SIZE, 16 * PAGE_SIZE),
    fc.boolean(),
    fc.boolean(),
    (kind, draw, shift, boundary, low, uncacheable) => {
      const small = kind === "small";
      const size = small ? 1 + (draw % PAGE_SIZE) : draw;
      const alignment = small ? 2 ** Math.min(shift, 12) : 2 ** shift;
      const highest = low && !small ? REACH : MAXADDR;
      const r = request({
        allocator: kind as DmaMemRequest["allocator"],
        size,
        alignment,
        boundary,
        highest,
        uncacheable: uncacheable && !small,
      });
      const va = allocator.alloc(r);
      expect(va).toBeGreaterThan(0);
      const bytes = new Uint8Array(size);
      kmem.read(va, bytes);
      expect(bytes.every((b) => b === 0)).toBe(true);
      kmem.write(va, bytes.fill(7));
      const run = new Run();
      for (let done = 0; done < size; done += PAGE_SIZE) {
        expect(pmap.extract(va + done)).toBeLessThanOrEqual(highest);
        pmap.run(va + done, 1, 1, run);
        expect(run.attr).toBe(r.uncacheable ? UNCACHED : 0);
      }
      const pa = pmap.extract(va) as number;
      if (kind !== "pages") expect(pa % alignment).toBe(0);
      if (kind === "contiguous") {
        for (let done = 0; done < size; done += PAGE_SIZE) {
          expect(pmap.extract(va + done)).toBe(pa + done);
        }
        if (boundary >= size) expect((pa % boundary) + size).toBeLessThanOrEqual(boundary);
      }
      if (small) expect((va % PAGE_SIZE) + size).toBeLessThanOrEqual(PAGE_SIZE);
      allocator.free(va, size, how(r));
    },
  );
  const before = mem.freeFrames;
  fc.assert(property, { seed: 6, numRuns: 400 });
  kmem.reclaim();
  expect(before - mem.freeFrames).toBeLessThanOrEqual(0);
  kmem.check();
});

test("pages are freed as pages whatever their frames were used for before", () => {
  const { kmem, allocator } = setUp();
  const { mem } = kmem;
  kmem.alloc(100); // a slab: number 1
  const frames: number[] = [];
  for (
    let f = mem.allocContig(1, { high: REACH });
    f >= 0;
    f = mem.allocContig(1, { high: REACH })
  ) {
    frames.push(f);
  }
  for (const frame of frames) mem.section(frame).index[frame & ROW_MASK] = 1;
  for (const frame of frames) mem.freeFrame(frame);
  const before = mem.freeFrames;
  const va = allocator.alloc(request({ allocator: "pages", size: 100, highest: REACH }));
  expect(kmem.slabOf(va)).toBe(null);
  allocator.free(va, 100, "pages");
  expect(mem.freeFrames).toBe(before);
});

test("what is not to be had is -1, and nothing is lost", () => {
  const { kmem, allocator } = setUp();
  const { mem } = kmem;
  const before = mem.freeFrames;
  for (const fields of [
    { allocator: "pages", size: 3 * MiB },
    { allocator: "pages", size: MiB + PAGE_SIZE, highest: REACH },
    { allocator: "contiguous", size: MiB + PAGE_SIZE },
    { allocator: "pages", size: MAXADDR },
    { allocator: "contiguous", size: Number.NaN },
    { allocator: "contiguous", size: PAGE_SIZE, highest: PAGE_SIZE },
  ] as const) {
    expect(allocator.alloc(request(fields))).toBe(-1);
    expect(mem.freeFrames).toBe(before);
  }
  kmem.check();
});
