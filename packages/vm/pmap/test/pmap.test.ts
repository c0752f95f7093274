/** Pmaps: mappings against a Map, access rights, and what a frame remembers of its accesses. */
import { Errno, ErrnoError, MiB, NO_FRAME, PAGE_SIZE, Panic } from "@physio/kern";
import { PhysMem, ROW_MASK } from "@physio/physmem";
import {
  clearModify,
  copyinAll,
  copyoutAll,
  isModified,
  Pmap,
  PmapBit,
  PmapSpace,
  Prot,
  VA_LIMIT,
} from "@physio/pmap";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };
const RW = Prot.READ | Prot.WRITE;

function bench(name = "user") {
  const mem = new PhysMem({ banks: [{ base: 2 ** 33, size: 4 * MiB }] });
  const pmap = new Pmap(mem, name);
  return { mem, pmap, space: new PmapSpace(pmap, false) };
}

const fill = (length: number, value: number) => new Uint8Array(length).fill(value);

/** Pages of all of the space: neighbours, borders of every level of a table, and the last one. */
const page = fc.oneof(
  fc.nat(20),
  fc.integer({ min: 0, max: 2 ** 36 - 1 }),
  fc
    .tuple(fc.constantFrom(2 ** 9, 2 ** 10, 2 ** 22, 2 ** 31, 2 ** 32, 2 ** 36), fc.nat(3))
    .map(([edge, below]) => edge - 1 - below),
);

test("enter, remove, extract and residentCount agree with a Map", () => {
  const step = fc.tuple(fc.nat(3), page, fc.integer({ min: 1, max: 5 }), fc.nat(1023));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { mem, pmap } = bench();
      const first = mem.frameOf(2 ** 33);
      const model = new Map<number, number>();
      for (const [op, number, count, row] of steps) {
        const pages = Array.from({ length: count }, (_, i) => number + i).filter(
          (p) => p < 2 ** 36,
        );
        if (op === 0) {
          pmap.remove(number * PAGE_SIZE, pages.length * PAGE_SIZE);
          for (const p of pages) model.delete(p);
        } else {
          for (const p of pages) pmap.enter(p * PAGE_SIZE, first + row, RW);
          for (const p of pages) model.set(p, first + row);
        }
        expect(pmap.residentCount).toBe(model.size);
        for (const p of [...model.keys(), ...pages, Math.max(number - 1, 0)]) {
          const frame = model.get(p) ?? NO_FRAME;
          const pa = frame === NO_FRAME ? -1 : mem.addrOf(frame) + 0xabc;
          expect([pmap.frameAt(p * PAGE_SIZE), pmap.extract(p * PAGE_SIZE + 0xabc)]).toEqual([
            frame,
            pa,
          ]);
        }
      }
    }),
    { numRuns: 60, ...SEED },
  );
});

describe("enter", () => {
  for (const va of [-PAGE_SIZE, 1, PAGE_SIZE + 8, VA_LIMIT, 2 ** 50, Number.NaN]) {
    test(`at ${va} is EINVAL`, () => {
      const { mem, pmap } = bench();
      const frame = mem.allocFrame();
      expect(() => pmap.enter(va, frame, RW)).toThrow(ErrnoError);
      expect(() => pmap.enter(va, frame, RW)).toThrow(
        expect.objectContaining({ errno: Errno.EINVAL }),
      );
      expect(pmap.residentCount).toBe(0);
    });
  }

  test("without a frame panics", () => {
    expect(() => bench().pmap.enter(0, NO_FRAME, RW)).toThrow(Panic);
  });

  test("takes the place of what was mapped, with its rights", () => {
    const { mem, pmap } = bench();
    const [a, b] = [mem.allocFrame(), mem.allocFrame()];
    pmap.enter(0x4000, a, RW);
    pmap.enter(0x4000, b, Prot.READ);
    expect([pmap.frameAt(0x4fff), pmap.residentCount]).toEqual([b, 1]);
    expect(pmap.access(0x4000, Prot.WRITE)).toBe(NO_FRAME);
  });
});

test("an address that is none is mapped nowhere", () => {
  const { mem, pmap, space } = bench();
  pmap.enter(0, mem.allocFrame(), RW);
  for (const va of [-1, -PAGE_SIZE, -(2 ** 48), VA_LIMIT, 2 ** 52 - 1]) {
    expect([pmap.frameAt(va), pmap.extract(va), pmap.access(va, Prot.READ)]).toEqual([-1, -1, -1]);
    expect(space.copyin(va, fill(4, 0), 0, 4)).toBe(0);
  }
});

describe("access", () => {
  const rights = [
    { prot: Prot.NONE, read: false, write: false },
    { prot: Prot.READ, read: true, write: false },
    { prot: Prot.WRITE, read: false, write: true },
    { prot: RW, read: true, write: true },
  ];
  for (const { prot, read, write } of rights) {
    test(`through rights ${prot}: read ${read}, write ${write}`, () => {
      const { mem, pmap, space } = bench();
      const frame = mem.allocFrame();
      pmap.enter(0x1000, frame, prot);
      expect(pmap.access(0x1008, Prot.READ)).toBe(read ? frame : NO_FRAME);
      expect(isModified(mem, frame)).toBe(false);
      expect(pmap.access(0x1008, Prot.WRITE)).toBe(write ? frame : NO_FRAME);
      expect(isModified(mem, frame)).toBe(write);
      expect(pmap.access(0x1008, RW)).toBe(read && write ? frame : NO_FRAME);
      expect(space.copyin(0x1000, fill(8, 0), 0, 8)).toBe(read ? 8 : 0);
      expect(space.copyout(0x1000, fill(8, 0), 0, 8)).toBe(write ? 8 : 0);
    });
  }

  test("a refused access leaves no mark", () => {
    const { mem, pmap } = bench();
    const frame = mem.allocFrame();
    const bits = () => mem.section(frame).pmapBits[frame & ROW_MASK];
    pmap.enter(0x1000, frame, Prot.READ);
    pmap.access(0x1000, Prot.WRITE);
    pmap.access(0x2000, Prot.READ);
    expect(bits()).toBe(0);
    pmap.access(0x1000, Prot.READ);
    expect(bits()).toBe(PmapBit.REFERENCED);
  });

  test("a write through any mapping marks the frame until it is cleared", () => {
    const { mem, pmap } = bench();
    const other = new Pmap(mem, "other");
    const [frame, neighbour] = [mem.allocFrame(), mem.allocFrame()];
    pmap.enter(0x1000, frame, Prot.READ);
    other.enter(0x7000, frame, RW);
    other.access(0x7000, Prot.WRITE);
    expect([isModified(mem, frame), isModified(mem, neighbour)]).toEqual([true, false]);
    expect([clearModify(mem, frame), clearModify(mem, frame)]).toEqual([true, false]);
    expect(mem.section(frame).pmapBits[frame & ROW_MASK]).toBe(PmapBit.REFERENCED);
    pmap.access(0x1000, Prot.READ);
    expect(isModified(mem, frame)).toBe(false);
  });
});

describe("copyin and copyout", () => {
  /** Three pages from 0x10000 in scattered frames, the last for reading only; then nothing. */
  function mapped() {
    const { mem, pmap, space } = bench();
    const frames = [mem.allocFrame(), mem.allocFrame(), mem.allocFrame()].toReversed();
    frames.forEach((frame, i) => {
      pmap.enter(0x10000 + i * PAGE_SIZE, frame, i === 2 ? Prot.READ : RW);
      mem.write(mem.addrOf(frame), fill(PAGE_SIZE, i + 1));
    });
    return { mem, pmap, space, frames };
  }

  const cases = [
    {
      name: "all of it",
      va: 0x10000,
      length: 3 * PAGE_SIZE,
      copied: 3 * PAGE_SIZE,
      out: 2 * PAGE_SIZE,
    },
    { name: "the middle", va: 0x10ff0, length: 32, copied: 32, out: 32 },
    {
      name: "up to the read-only page",
      va: 0x11000,
      length: PAGE_SIZE,
      copied: PAGE_SIZE,
      out: PAGE_SIZE,
    },
    { name: "into the read-only page", va: 0x11ffe, length: 5, copied: 5, out: 2 },
    { name: "over the end", va: 0x12ff0, length: 100, copied: 16, out: 0 },
    { name: "from before the start", va: 0xffff, length: 2, copied: 0, out: 0 },
    { name: "nothing, nowhere", va: 0x90000, length: 0, copied: 0, out: 0 },
  ];
  for (const { name, va, length, copied, out } of cases) {
    test(`${name}: ${copied} bytes in, ${out} bytes out`, () => {
      const { mem, space, frames } = mapped();
      const to = fill(length + 2, 0xee);
      expect(space.copyin(va, to, 1, length)).toBe(copied);
      const page = (i: number) => Math.floor((va + i - 0x10000) / PAGE_SIZE) + 1;
      const expected = to.map((_, i) => (i >= 1 && i <= copied ? page(i - 1) : 0xee));
      expect(Buffer.compare(to, expected)).toBe(0);
      expect(space.copyout(va, fill(length + 1, 0x77), 1, length)).toBe(out);
      const written = frames.map((frame) => {
        const bytes = fill(PAGE_SIZE, 0);
        mem.read(mem.addrOf(frame), bytes);
        return bytes.filter((byte) => byte === 0x77).length;
      });
      expect(written.reduce((sum, n) => sum + n, 0)).toBe(out);
      const result = (n: number) => (n === length ? Errno.OK : Errno.EFAULT);
      expect(copyinAll(space, va, to, 1, length)).toBe(result(copied));
      expect(copyoutAll(space, va, to, 1, length)).toBe(result(out));
    });
  }

  test("mark what they touch, page by page", () => {
    const { mem, space, frames } = mapped();
    space.copyin(0x12000, fill(1, 0), 0, 1);
    space.copyout(0x11000, fill(1, 0), 0, 1);
    expect(frames.map((frame) => mem.section(frame).pmapBits[frame & ROW_MASK])).toEqual([
      0,
      PmapBit.REFERENCED | PmapBit.MODIFIED,
      PmapBit.REFERENCED,
    ]);
  });
});
