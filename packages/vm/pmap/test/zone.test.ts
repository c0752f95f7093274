/** Zones: items of one size, their slabs, and what a free of anything else does. */
import { Errno, MiB, PAGE_SIZE } from "@physio/kern";
import type { Slab, Zone } from "@physio/pmap";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dice, expectErrno, expectPanic, fill, kmemBench, SEED } from "./fixture.ts";

function zoned(size = MiB) {
  const b = kmemBench(size);
  return { b, mem: b.mem, kmem: b.kmem };
}

/** Take `count` items. */
const take = (zone: Zone, count: number) => Array.from({ length: count }, () => zone.alloc());

describe("a zone of items of", () => {
  const cases = [
    { size: 1, align: 1, stride: 1, perSlab: 4096 },
    { size: 1, align: 8, stride: 8, perSlab: 512 },
    { size: 8, align: 8, stride: 8, perSlab: 512 },
    { size: 9, align: 8, stride: 16, perSlab: 256 },
    { size: 24, align: 2, stride: 24, perSlab: 170 },
    { size: 100, align: 64, stride: 128, perSlab: 32 },
    { size: 1000, align: 1, stride: 1000, perSlab: 4 },
    { size: 2048, align: 2048, stride: 2048, perSlab: 2 },
    { size: 2049, align: 8, stride: 2056, perSlab: 1 },
    { size: 1, align: 4096, stride: 4096, perSlab: 1 },
    { size: 4096, align: 4096, stride: 4096, perSlab: 1 },
  ];
  for (const { size, align, stride, perSlab } of cases) {
    test(`${size} bytes at multiples of ${align}: ${perSlab} in a page, ${stride} apart`, () => {
      const { mem, kmem } = zoned();
      const zone = kmem.zone("z", size, { align });
      expect([zone.itemSize, zone.stride, zone.perSlab]).toEqual([size, stride, perSlab]);
      const items = take(zone, perSlab);
      const page = items[0] - (items[0] % PAGE_SIZE);
      expect(new Set(items).size).toBe(perSlab);
      expect(items.toSorted((x, y) => x - y)).toEqual(items.map((_, i) => page + i * stride));
      expect([zone.slabs, mem.totalFrames - mem.freeFrames]).toEqual([1, 1]);
      const another = zone.alloc();
      expect([zone.slabs, zone.used, zone.requests]).toEqual([2, perSlab + 1, perSlab + 1]);
      expect(Math.floor(another / PAGE_SIZE)).not.toBe(page / PAGE_SIZE);
      for (const va of [...items, another]) zone.free(va);
      zone.check();
      expect([zone.used, zone.slabs]).toEqual([0, 1]);
    });
  }

  for (const { size, align } of [
    { size: 0, align: 8 },
    { size: -8, align: 8 },
    { size: 4097, align: 8 },
    { size: 1.5, align: 8 },
    { size: Number.NaN, align: 8 },
    { size: Number.POSITIVE_INFINITY, align: 8 },
    { size: 8, align: 0 },
    { size: 8, align: 24 },
    { size: 8, align: 8192 },
    { size: 8, align: 0.5 },
    { size: 8, align: Number.NaN },
  ]) {
    test(`${size} bytes at multiples of ${align} is EINVAL`, () => {
      const { kmem } = zoned();
      const count = kmem.zones.length;
      expectErrno(
        () => kmem.zone("bad", size, { align }),
        Errno.EINVAL,
        "bad",
        `${size}`,
        `${align}`,
      );
      expect(kmem.zones.length).toBe(count);
    });
  }
});

test("an item that was freed is the next that is had", () => {
  const { kmem } = zoned();
  const zone = kmem.zone("z", 100);
  const items = take(zone, 5);
  zone.free(items[2]);
  zone.free(items[4]);
  expect([zone.alloc(), zone.alloc()]).toEqual([items[4], items[2]]);
  for (const va of items) zone.free(va);
});

test("items come zeroed from a zone that says so, all of their stride", () => {
  const { kmem } = zoned();
  const zone = kmem.zone("z", 20, { align: 32, zero: true });
  for (let round = 0; round < 3; round++) {
    const va = zone.alloc();
    const seen = fill(32, 0xee);
    kmem.read(va, seen);
    expect(seen.every((byte) => byte === 0)).toBe(true);
    kmem.write(va, fill(32, 0x5a));
    zone.free(va);
  }
});

test("items of another zone keep the bytes that were there", () => {
  const { kmem } = zoned();
  const zone = kmem.zone("z", 32);
  const va = zone.alloc();
  kmem.write(va, fill(32, 0x5a));
  zone.free(va);
  expect(zone.alloc()).toBe(va);
  const seen = fill(32, 0);
  kmem.read(va, seen);
  expect(seen.every((byte) => byte === 0x5a)).toBe(true);
  zone.free(va);
});

describe("slabs", () => {
  test("come and go with their items, and one that is empty stays", () => {
    const { mem, kmem } = zoned();
    const zone = kmem.zone("z", 1024);
    const items = take(zone, 12);
    expect(zone.slabs).toBe(3);
    for (const va of items.slice(0, 4)) zone.free(va);
    expect(zone.slabs).toBe(3);
    for (const va of items.slice(4, 8)) zone.free(va);
    expect([zone.slabs, mem.totalFrames - mem.freeFrames]).toEqual([2, 2]);
    const again = take(zone, 4);
    expect(zone.slabs).toBe(2);
    for (const va of [...again, ...items.slice(8)]) zone.free(va);
    expect([zone.slabs, zone.used, kmem.pmap.residentCount]).toEqual([1, 0, 1]);
  });

  test("that are empty go when they are reclaimed, and none that is in use", () => {
    const { mem, kmem } = zoned();
    const [zone, other] = [kmem.zone("z", 1024), kmem.zone("other", 64)];
    const items = take(zone, 5);
    zone.free(items[4]);
    other.free(other.alloc());
    expect([zone.slabs, other.slabs, zone.reclaim(), zone.reclaim()]).toEqual([2, 1, 1, 0]);
    expect([kmem.reclaim(), other.slabs, kmem.reclaim()]).toEqual([1, 0, 0]);
    expect(mem.totalFrames - mem.freeFrames).toBe(1);
    for (const va of items.slice(0, 4)) zone.free(va);
    expect([zone.reclaim(), kmem.arena.allocated, kmem.pmap.residentCount]).toEqual([1, 0, 0]);
  });

  test("are not had when memory is short, and the zone counts it", () => {
    const { kmem } = zoned(2 * PAGE_SIZE);
    const zone = kmem.zone("z", 2048);
    const items = take(zone, 6);
    expect(items.map((va) => va > 0)).toEqual([true, true, true, true, false, false]);
    expect(items.slice(4)).toEqual([-1, -1]);
    expect([zone.used, zone.requests, zone.failures, zone.slabs]).toEqual([4, 4, 2, 2]);
    expect(kmem.arena.allocated).toBe(2 * PAGE_SIZE);
    zone.free(items[0]);
    expect(zone.alloc()).toBe(items[0]);
    for (const va of items.slice(0, 4)) zone.free(va);
  });

  test("are not had when addresses are short, and the frame is not lost", () => {
    const { mem, kmem } = zoned();
    const zone = kmem.zone("z", 2048);
    const all = kmem.arena.alloc(kmem.arena.total);
    expect([zone.alloc(), zone.failures]).toEqual([-1, 1]);
    expect(mem.freeFrames).toBe(mem.totalFrames);
    kmem.arena.free(all, kmem.arena.total);
  });
});

describe("a free panics", () => {
  function items() {
    const { b, kmem } = zoned();
    const [zone, other] = [kmem.zone("mine", 100), kmem.zone("other", 100)];
    return { b, kmem, zone, other, va: zone.alloc(), foreign: other.alloc() };
  }
  const hex = (va: number) => `0x${va.toString(16)}`;

  test("of an item that is free already", () => {
    const { zone, other, va, foreign } = items();
    zone.free(va);
    expectPanic(() => zone.free(va), "zone mine", hex(va), "not an item in use");
    other.free(foreign);
    zone.check();
  });

  test("of an item that was never had, or of its middle", () => {
    const { zone, other, va, foreign } = items();
    for (const at of [va + 8, va + 104, va + 38 * 104, va + 0.5]) {
      expectPanic(() => zone.free(at), "zone mine", "not an item in use");
    }
    zone.check();
    zone.free(va);
    other.free(foreign);
  });

  test("of another zone's item", () => {
    const { kmem, zone, other, va, foreign } = items();
    expectPanic(() => zone.free(foreign), "zone mine", hex(foreign), "not its own");
    expectPanic(() => kmem.free(va, 100), "with size 100, allocated 100");
    zone.free(va);
    other.free(foreign);
  });

  test("of what is no item at all", () => {
    const { kmem, zone, other, va, foreign } = items();
    const page = kmem.alloc(PAGE_SIZE);
    for (const at of [0, -1, page, page + PAGE_SIZE, 2 ** 48, Number.NaN]) {
      expectPanic(() => zone.free(at), "zone mine", "not its own");
    }
    // The same byte, seen through the direct map.
    const direct = kmem.pmaps.direct.va(kmem.pmap.extract(va));
    expectPanic(() => zone.free(direct), "zone mine");
    kmem.free(page, PAGE_SIZE);
    zone.free(va);
    other.free(foreign);
  });

  test("of an item whose slab has gone", () => {
    const { kmem, zone, other, va, foreign } = items();
    zone.free(va);
    zone.reclaim();
    expectPanic(() => zone.free(va), "not its own");
    other.free(foreign);
    kmem.check();
  });
});

// ---- against a list of live items

interface Item {
  readonly va: number;
  readonly value: number;
}

function allocate(
  zone: Zone,
  live: Item[],
  read: (va: number) => Uint8Array,
  zero: boolean,
): number {
  const va = zone.alloc();
  if (va < 0) return va;
  const end = va + zone.itemSize;
  if (live.some((item) => va < item.va + zone.itemSize && item.va < end)) {
    expect.fail(`${va} overlaps another item`);
  }
  expect(Math.floor(va / PAGE_SIZE)).toBe(Math.floor((end - 1) / PAGE_SIZE));
  if (zero) expect(read(va).every((byte) => byte === 0)).toBe(true);
  return va;
}

test("items never overlap, keep their bytes, stay in one page, and all come back", () => {
  const shape = fc.record({
    size: fc.oneof(fc.integer({ min: 1, max: 4096 }), fc.constantFrom(1, 16, 2048, 2049, 4096)),
    align: fc.nat(12).map((log) => 2 ** log),
    zero: fc.boolean(),
    pages: fc.integer({ min: 1, max: 6 }),
    steps: fc.array(fc.nat(), { maxLength: 120 }),
  });
  fc.assert(
    fc.property(shape, ({ size, align, zero, pages, steps }) => {
      const { b, kmem } = zoned(pages * PAGE_SIZE);
      const zone = kmem.zone("z", size, { align, zero });
      const live: Item[] = [];
      const read = (va: number) => {
        const bytes = fill(size, 0xee);
        kmem.read(va, bytes);
        return bytes;
      };
      const giveBack = (i: number) => {
        const [{ va, value }] = live.splice(i, 1);
        expect(read(va).every((byte) => byte === value)).toBe(true);
        zone.free(va);
      };
      for (const number of steps) {
        const roll = dice(number);
        if (live.length > 0 && roll(5) < 2) giveBack(roll(live.length));
        else {
          const va = allocate(zone, live, read, zero);
          if (va < 0) expect(live.length).toBe(pages * zone.perSlab);
          else {
            expect(va % align).toBe(0);
            const value = 1 + roll(255);
            kmem.write(va, fill(size, value));
            live.push({ va, value });
          }
        }
        const used = new Set(live.map(({ va }) => Math.floor(va / PAGE_SIZE))).size;
        expect([zone.used, zone.slabs === used || zone.slabs === used + 1]).toEqual([
          live.length,
          true,
        ]);
        if (roll(8) === 0) expect(zone.reclaim()).toBeLessThanOrEqual(1);
        zone.check();
      }
      while (live.length > 0) giveBack(0);
      b.end();
    }),
    { numRuns: 80, ...SEED },
  );
});

// ---- planted faults

describe("check finds", () => {
  const faults: {
    name: string;
    words: string;
    plant: (zone: Zone, slab: Slab, full: Slab) => void;
  }[] = [
    { name: "a wrong count of items in use", words: "used of", plant: (zone) => zone.used++ },
    { name: "a wrong count of slabs", words: "used of", plant: (zone) => zone.slabs++ },
    {
      name: "a wrong count of free items",
      words: "has 2 free items, counted 3",
      plant: (_zone, slab) => slab.free++,
    },
    {
      name: "a list of items that was cut",
      words: "has 1 free items, counted 2",
      plant: (_zone, slab) => (slab.links[slab.head] = -1),
    },
    {
      name: "a list of items that runs in a circle",
      words: "free items, counted 2",
      plant: (_zone, slab) => (slab.links[slab.head] = slab.head),
    },
    {
      name: "a free item that is said to be in use",
      words: "has 1 free items, counted 2",
      plant: (_zone, slab) => (slab.links[slab.head] = -2),
    },
    {
      name: "a full slab on the list",
      words: "list of slabs",
      plant: (_zone, slab, full) => (slab.next = full),
    },
    {
      name: "a list of slabs that runs in a circle",
      words: "list of slabs",
      plant: (_zone, slab) => (slab.next = slab),
    },
  ];
  for (const { name, words, plant } of faults) {
    test(name, () => {
      const { b, kmem } = zoned();
      b.broken = true;
      const zone = kmem.zone("z", 1024);
      const items = take(zone, 6); // a full slab, and one with two free items
      kmem.check();
      plant(zone, kmem.slabOf(items[5])!, kmem.slabOf(items[0])!);
      expectPanic(() => kmem.check(), "zone z", words);
    });
  }
});
