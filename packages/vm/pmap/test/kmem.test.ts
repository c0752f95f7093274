/** Kernel memory: every frame and address comes back, contents are zeroed, and nothing leaks on failure. */
import { Errno, ErrnoError, GiB, MiB, PAGE_SIZE, Panic } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dice, expectErrno, expectPanic, fill, kmemBench, SEED } from "./fixture.ts";

function bench(size = 16 * MiB) {
  const b = kmemBench(size);
  /** Fails when a frame, an address or a mapping is missing. */
  const checkEmpty = () => {
    b.mem.check();
    b.kmem.check();
    expect([
      b.mem.totalFrames - b.mem.freeFrames,
      b.kmem.arena.allocated,
      b.kmem.pmap.residentCount,
    ]).toEqual([0, 0, 0]);
  };
  return { b, mem: b.mem, kmem: b.kmem, checkEmpty };
}

describe("alloc and free", () => {
  for (const size of [
    PAGE_SIZE / 2 + 1,
    PAGE_SIZE - 1,
    PAGE_SIZE,
    PAGE_SIZE + 1,
    64 * 1024,
    5 * MiB,
  ]) {
    test(`${size} bytes take whole pages and give them back`, () => {
      const { mem, kmem, checkEmpty } = bench();
      const va = kmem.alloc(size);
      const pages = Math.ceil(size / PAGE_SIZE);
      expect([va % PAGE_SIZE, kmem.pmap.residentCount]).toEqual([0, pages]);
      expect(mem.totalFrames - mem.freeFrames).toBe(pages);
      kmem.free(va, size);
      expect(kmem.pmap.extract(va)).toBe(-1);
      checkEmpty();
    });
  }

  test("memory is zero when it is had again", () => {
    const { mem, kmem } = bench(8 * PAGE_SIZE);
    for (const contig of [false, true, false]) {
      const size = 4 * PAGE_SIZE;
      const va = contig ? kmem.allocContig(size, {}) : kmem.alloc(size);
      const seen = fill(size, 0xee);
      kmem.read(va, seen);
      expect(seen.every((byte) => byte === 0)).toBe(true);
      kmem.write(va, fill(size, 0x5a));
      expect([mem.freeFrames, kmem.pmap.extract(va) >= 4 * GiB]).toEqual([4, true]);
      kmem.free(va, size);
    }
  });

  test("ENOMEM on a tiny machine takes nothing", () => {
    const { mem, kmem } = bench(8 * PAGE_SIZE);
    const held = kmem.alloc(3 * PAGE_SIZE);
    const before = [mem.freeFrames, kmem.arena.allocated, kmem.pmap.residentCount];
    expect(() => kmem.alloc(6 * PAGE_SIZE)).toThrow(ErrnoError);
    expect(() => kmem.alloc(6 * PAGE_SIZE)).toThrow(
      expect.objectContaining({ errno: Errno.ENOMEM }),
    );
    expect([mem.freeFrames, kmem.arena.allocated, kmem.pmap.residentCount]).toEqual(before);
    const rest = kmem.alloc(5 * PAGE_SIZE);
    expect(rest).not.toBe(held);
    kmem.free(held, 3 * PAGE_SIZE);
    kmem.free(rest, 5 * PAGE_SIZE);
  });

  for (const size of [0, -1, 0.5, PAGE_SIZE + 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    test(`a size of ${size} is refused and takes nothing`, () => {
      const { kmem, checkEmpty } = bench();
      expectErrno(() => kmem.alloc(size), Errno.EINVAL, `${size} bytes`);
      expectErrno(() => kmem.tryAlloc(size), Errno.EINVAL, `${size} bytes`);
      expectErrno(() => kmem.allocContig(size, {}), Errno.EINVAL);
      checkEmpty();
    });
  }

  for (const size of [
    17 * MiB,
    512 * GiB,
    513 * GiB,
    2 ** 52,
    Number.MAX_SAFE_INTEGER - PAGE_SIZE,
  ]) {
    test(`a size of ${size} is more than there is, and takes nothing`, () => {
      const { kmem, checkEmpty } = bench();
      expect(kmem.tryAlloc(size)).toBe(-1);
      expectErrno(() => kmem.alloc(size), Errno.ENOMEM, `${size} bytes`);
      checkEmpty();
    });
  }

  test("freeing twice, off the page or with another size panics", () => {
    const { kmem } = bench();
    const va = kmem.alloc(2 * PAGE_SIZE);
    expect(() => kmem.free(va + 8, 2 * PAGE_SIZE)).toThrow(Panic);
    expect(() => kmem.free(va + 4 * PAGE_SIZE, PAGE_SIZE)).toThrow("no memory at");
    expect(() => kmem.free(va, PAGE_SIZE)).toThrow(Panic);
    for (const size of [3 * PAGE_SIZE, 100, 0, -PAGE_SIZE, Number.NaN]) {
      expectPanic(() => kmem.free(va, size));
    }
    for (const at of [-1, 0, Number.NaN, 2 ** 48]) expectPanic(() => kmem.free(at, PAGE_SIZE));
    kmem.check();
    expect(kmem.pmap.residentCount).toBe(2);
    kmem.free(va, 2 * PAGE_SIZE);
    expect(() => kmem.free(va, 2 * PAGE_SIZE)).toThrow(Panic);
  });

  test("whoever hears of a frame that is free may allocate at once", () => {
    const { b, mem, kmem, checkEmpty } = bench(8 * PAGE_SIZE);
    const taken: number[] = [];
    const off = mem.pressure.onRelief(() => taken.push(kmem.alloc(2 * PAGE_SIZE)));
    const va = kmem.alloc(2 * PAGE_SIZE);
    mem.pressure.expect();
    kmem.free(va, 2 * PAGE_SIZE);
    off();
    expect(taken).toEqual([va]); // the addresses that are being freed
    kmem.check();
    expect([kmem.pmap.residentCount, mem.freeFrames]).toEqual([2, 6]);
    kmem.write(va, fill(2 * PAGE_SIZE, 0x33));
    for (const at of taken) kmem.free(at, 2 * PAGE_SIZE);
    checkEmpty();
    b.end();
  });
});

describe("allocContig", () => {
  const cases = [
    { name: "frames in a row", size: 5 * PAGE_SIZE, limits: {} },
    { name: "below 4 GiB", size: 64 * 1024, limits: { high: 4 * GiB - 1 } },
    { name: "aligned", size: 3 * PAGE_SIZE, limits: { align: MiB } },
    { name: "inside of a boundary", size: 16 * PAGE_SIZE, limits: { boundary: 64 * 1024 } },
    { name: "more than a section", size: 6 * MiB, limits: { low: 4 * GiB } },
  ];
  for (const { name, size, limits } of cases) {
    test(`${name}: physical addresses follow the virtual ones`, () => {
      const { kmem, checkEmpty } = bench();
      const va = kmem.allocContig(size, limits);
      const pa = kmem.pmap.extract(va);
      const {
        low = 0,
        high = 2 ** 52,
        align = PAGE_SIZE,
        boundary = size,
      }: { [k: string]: number } = limits;
      expect(pa >= low && pa + size - 1 <= high && pa % align === 0).toBe(true);
      if ("boundary" in limits) expect((pa % boundary) + size <= boundary).toBe(true);
      for (let at = 0; at < size; at += PAGE_SIZE) expect(kmem.pmap.extract(va + at)).toBe(pa + at);
      kmem.free(va, size);
      checkEmpty();
    });
  }

  test("gives −1 and takes nothing when no such frames are free", () => {
    const { kmem, checkEmpty } = bench();
    expect(kmem.allocContig(17 * MiB, {})).toBe(-1);
    expect(kmem.allocContig(PAGE_SIZE, { high: GiB })).toBe(-1);
    checkEmpty();
  });

  test("gives its frames back when there are no kernel addresses", () => {
    const { mem, kmem } = bench();
    const all = kmem.arena.total;
    const va = kmem.arena.alloc(all);
    expect(kmem.allocContig(4 * PAGE_SIZE, {})).toBe(-1);
    expect(() => kmem.alloc(4 * PAGE_SIZE)).toThrow(
      expect.objectContaining({ errno: Errno.ENOMEM }),
    );
    expect(mem.freeFrames).toBe(mem.totalFrames);
    kmem.arena.free(va, all);
  });
});

describe("small sizes", () => {
  for (const [size, stride] of [
    [1, 16],
    [15, 16],
    [16, 16],
    [17, 32],
    [32, 32],
    [33, 64],
    [100, 128],
    [1000, 1024],
    [1024, 1024],
    [1025, 2048],
    [2048, 2048],
  ]) {
    test(`${size} bytes come from the zone of ${stride}: aligned, zeroed, in one page`, () => {
      const { mem, kmem } = bench();
      const seen = fill(size, 0xee);
      const all = Array.from({ length: PAGE_SIZE / stride }, () => kmem.alloc(size));
      for (const va of all) {
        expect([va % stride, (va % PAGE_SIZE) + size <= PAGE_SIZE]).toEqual([0, true]);
        kmem.read(va, seen);
        expect(seen.every((byte) => byte === 0)).toBe(true);
        kmem.write(va, fill(size, 0x5a));
      }
      expect(mem.totalFrames - mem.freeFrames).toBe(1);
      const zone = kmem.zones.find((z) => z.itemSize === stride);
      expect([zone?.name, zone?.used]).toEqual([`kmem-${stride}`, all.length]);
      for (const va of all) kmem.free(va, size);
      const again = kmem.alloc(stride);
      const rest = fill(stride, 0xee);
      kmem.read(again, rest);
      expect(rest.every((byte) => byte === 0)).toBe(true);
      kmem.free(again, size); // any size of the zone's will do
    });
  }

  test("above half a page are whole pages", () => {
    const { kmem } = bench();
    const va = kmem.alloc(PAGE_SIZE / 2 + 1);
    expect([va % PAGE_SIZE, kmem.zones.every((zone) => zone.slabs === 0)]).toEqual([0, true]);
    kmem.free(va, PAGE_SIZE / 2 + 1);
  });

  test("freed with another size panic with both, and stay", () => {
    const { kmem } = bench();
    const va = kmem.alloc(100);
    for (const size of [64, 129, 0, -1, 4096, Number.NaN]) {
      expectPanic(
        () => kmem.free(va, size),
        `0x${va.toString(16)}`,
        `size ${size}`,
        "allocated 128",
      );
    }
    expectPanic(() => kmem.free(va + 16, 100), "not an item in use");
    const least = kmem.alloc(1);
    for (const size of [0, -1]) {
      expectPanic(() => kmem.free(least, size), `size ${size}`, "allocated 16");
    }
    kmem.free(least, 1);
    kmem.check();
    kmem.free(va, 100);
    expectPanic(() => kmem.free(va, 100), "not an item in use");
    const page = kmem.alloc(2 * PAGE_SIZE);
    expectPanic(() => kmem.free(page, 100));
    kmem.free(page, 2 * PAGE_SIZE);
  });

  test("are given back before an allocation fails", () => {
    const { mem, kmem, checkEmpty } = bench(8 * PAGE_SIZE);
    for (const size of [16, 100, 500, 1000, 2000]) kmem.free(kmem.alloc(size), size);
    const zone = kmem.zone("mine", 24);
    zone.free(zone.alloc());
    expect([mem.freeFrames, mem.counters.reclaims]).toEqual([2, 0]);
    const va = kmem.alloc(8 * PAGE_SIZE);
    expect([mem.freeFrames, mem.counters.failures, zone.slabs]).toEqual([0, 0, 0]);
    expect(mem.counters.reclaims).toBeGreaterThan(0);
    kmem.free(va, 8 * PAGE_SIZE);
    zone.free(zone.alloc());
    const row = kmem.allocContig(8 * PAGE_SIZE, {});
    expect(row).toBeGreaterThan(0);
    kmem.free(row, 8 * PAGE_SIZE);
    checkEmpty();
  });
});

test("two machines do not touch each other", () => {
  const [one, two] = [bench(4 * PAGE_SIZE), bench(4 * PAGE_SIZE)];
  const [a, z] = [one.kmem.alloc(100), two.kmem.alloc(100)];
  expect(a).toBe(z);
  one.kmem.write(a, fill(100, 0x11));
  const seen = fill(100, 0xee);
  two.kmem.read(z, seen);
  expect(seen.every((byte) => byte === 0)).toBe(true);
  const rest = one.kmem.alloc(3 * PAGE_SIZE);
  expect([one.mem.freeFrames, two.mem.freeFrames]).toEqual([0, 3]);
  expect(one.kmem.tryAlloc(PAGE_SIZE)).toBe(-1);
  expect([two.mem.counters.failures, two.kmem.pmap.residentCount]).toEqual([0, 1]);
  one.kmem.free(rest, 3 * PAGE_SIZE);
  one.kmem.free(a, 100);
  two.kmem.free(z, 100);
});

describe("read and write", () => {
  test("cross pages whose frames are scattered", () => {
    const { mem, kmem } = bench();
    const holes = Array.from({ length: 8 }, () => mem.allocFrame());
    for (const frame of [6, 1, 4, 3]) mem.freeFrame(holes[frame]);
    const va = kmem.alloc(4 * PAGE_SIZE);
    const row = [0, 1, 2, 3].map((i) => kmem.pmap.extract(va + i * PAGE_SIZE) - i * PAGE_SIZE);
    expect(new Set(row).size).toBeGreaterThan(1);
    const data = Uint8Array.from({ length: 3 * PAGE_SIZE }, (_, i) => (i * 31) & 0xff);
    kmem.write(va + 1000, data);
    const seen = fill(data.length, 0);
    kmem.read(va + 1000, seen);
    expect(Buffer.compare(seen, data)).toBe(0);
    kmem.free(va, 4 * PAGE_SIZE);
    for (const frame of [0, 2, 5, 7]) mem.freeFrame(holes[frame]);
  });

  test("of what is not mapped are EFAULT", () => {
    const { kmem } = bench();
    const va = kmem.alloc(PAGE_SIZE);
    for (const at of [va + PAGE_SIZE, va + PAGE_SIZE - 2, va - 1, 0, -1, 2 ** 48, Number.NaN]) {
      for (const action of [() => kmem.read(at, fill(4, 0)), () => kmem.write(at, fill(4, 0))]) {
        expect(action).toThrow(ErrnoError);
        expect(action).toThrow(expect.objectContaining({ errno: Errno.EFAULT }));
      }
    }
    kmem.free(va, PAGE_SIZE);
  });
});

test("random allocations keep their own bytes and return everything", () => {
  const step = fc.tuple(fc.nat(9), fc.nat(9 * PAGE_SIZE), fc.integer({ min: 1, max: 255 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { b, kmem, checkEmpty } = bench(64 * PAGE_SIZE);
      const live: { va: number; size: number; value: number }[] = [];
      const giveBack = (i: number) => {
        const [{ va, size, value }] = live.splice(i, 1);
        const seen = fill(size, 0);
        kmem.read(va, seen);
        expect(seen.every((byte) => byte === value)).toBe(true);
        kmem.free(va, size);
      };
      for (const [op, length, value] of steps) {
        const size = op < 7 ? length + 1 : (length % 3000) + 1;
        if (op < 4 && live.length > 0) giveBack(length % live.length);
        else {
          const va = tryAlloc(kmem, size, op % 2 === 0);
          if (va < 0) continue;
          kmem.write(va, fill(size, value));
          live.push({ va, size, value });
        }
      }
      kmem.check();
      while (live.length > 0) giveBack(0);
      kmem.reclaim();
      checkEmpty();
      b.end();
    }),
    { numRuns: 60, ...SEED },
  );
});

test("50,000 random operations give everything back", () => {
  fc.assert(
    fc.property(fc.nat(), (number) => {
      const roll = dice(number);
      const { b, kmem } = bench(256 * PAGE_SIZE);
      const zone = kmem.zone("items", 200);
      const live: { va: number; size: number }[] = [];
      for (let i = 0; i < 50_000; i++) {
        const full = i % 10_000 < 5_000 ? 40 : 60;
        if (live.length > 0 && roll(100) < full) {
          const at = roll(live.length);
          const { va, size } = live[at];
          live[at] = live[live.length - 1];
          live.pop();
          if (size === 0) zone.free(va);
          else kmem.free(va, size);
        } else {
          const kind = roll(8);
          const size = kind === 0 ? 1 + roll(8 * PAGE_SIZE) : kind < 3 ? 0 : 1 + roll(2048);
          const va = size === 0 ? zone.alloc() : kmem.tryAlloc(size);
          if (va >= 0) live.push({ va, size });
        }
        if (i % 10_000 === 0) kmem.check();
      }
      kmem.check();
      for (const { va, size } of live) {
        if (size === 0) zone.free(va);
        else kmem.free(va, size);
      }
      b.end();
    }),
    { numRuns: 1, ...SEED },
  );
});

/** An address, or −1 where the machine is full. */
function tryAlloc(kmem: Kmem, size: number, contig: boolean): number {
  if (contig) return kmem.allocContig(size, {});
  try {
    return kmem.alloc(size);
  } catch (error) {
    if (error instanceof ErrnoError && error.errno === Errno.ENOMEM) return -1;
    throw error;
  }
}
