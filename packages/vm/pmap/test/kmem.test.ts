/** Kernel memory: every frame and address comes back, contents are zeroed, and nothing leaks on failure. */
import { Errno, ErrnoError, GiB, MiB, PAGE_SIZE, Panic } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

function bench(size = 16 * MiB) {
  const mem = new PhysMem({ banks: [{ base: 4 * GiB - size / 2, size }] });
  const kmem = new Kmem(mem);
  /** Fails when a frame, an address or a mapping is missing. */
  const checkEmpty = () => {
    mem.check();
    kmem.arena.check();
    expect([
      mem.totalFrames - mem.freeFrames,
      kmem.arena.allocated,
      kmem.pmap.residentCount,
    ]).toEqual([0, 0, 0]);
  };
  return { mem, kmem, checkEmpty };
}

const fill = (length: number, value: number) => new Uint8Array(length).fill(value);

describe("alloc and free", () => {
  for (const size of [1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 64 * 1024, 5 * MiB]) {
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
  });

  test("a size of 0 is refused and takes nothing", () => {
    const { kmem, checkEmpty } = bench();
    expect(() => kmem.alloc(0)).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
    expect(() => kmem.allocContig(0, {})).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
    checkEmpty();
  });

  test("freeing twice, off the page or with another size panics", () => {
    const { kmem } = bench();
    const va = kmem.alloc(2 * PAGE_SIZE);
    expect(() => kmem.free(va + 8, 2 * PAGE_SIZE)).toThrow(Panic);
    expect(() => kmem.free(va + 4 * PAGE_SIZE, PAGE_SIZE)).toThrow("is not allocated");
    kmem.free(va, 2 * PAGE_SIZE);
    expect(() => kmem.free(va, 2 * PAGE_SIZE)).toThrow(Panic);
    const other = bench();
    const two = other.kmem.alloc(2 * PAGE_SIZE);
    expect(() => other.kmem.free(two, PAGE_SIZE)).toThrow(Panic);
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
    expect(() => kmem.allocContig(4 * PAGE_SIZE, {})).toThrow(
      expect.objectContaining({ errno: Errno.ENOMEM }),
    );
    expect(() => kmem.alloc(4 * PAGE_SIZE)).toThrow(
      expect.objectContaining({ errno: Errno.ENOMEM }),
    );
    expect(mem.freeFrames).toBe(mem.totalFrames);
    kmem.arena.free(va, all);
  });
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
  });

  test("of what is not mapped are EFAULT", () => {
    const { kmem } = bench();
    const va = kmem.alloc(PAGE_SIZE);
    for (const at of [va + PAGE_SIZE, va + PAGE_SIZE - 2, va - 1, 0, -1]) {
      for (const action of [() => kmem.read(at, fill(4, 0)), () => kmem.write(at, fill(4, 0))]) {
        expect(action).toThrow(ErrnoError);
        expect(action).toThrow(expect.objectContaining({ errno: Errno.EFAULT }));
      }
    }
  });
});

test("random allocations keep their own bytes and return everything", () => {
  const step = fc.tuple(fc.nat(9), fc.nat(9 * PAGE_SIZE), fc.integer({ min: 1, max: 255 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { kmem, checkEmpty } = bench(64 * PAGE_SIZE);
      const live: { va: number; size: number; value: number }[] = [];
      const giveBack = (i: number) => {
        const [{ va, size, value }] = live.splice(i, 1);
        const seen = fill(size, 0);
        kmem.read(va, seen);
        expect(seen.every((byte) => byte === value)).toBe(true);
        kmem.free(va, size);
      };
      for (const [op, length, value] of steps) {
        const size = length + 1;
        if (op < 4 && live.length > 0) giveBack(length % live.length);
        else {
          const va = tryAlloc(kmem, size, op % 2 === 0);
          if (va < 0) continue;
          kmem.write(va, fill(size, value));
          live.push({ va, size, value });
        }
      }
      while (live.length > 0) giveBack(0);
      checkEmpty();
    }),
    { numRuns: 60, ...SEED },
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
