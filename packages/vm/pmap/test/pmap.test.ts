/** Pmaps: mappings against a Map, access rights, and what a frame remembers of its accesses. */
import { Errno, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import {
  clearBits,
  clearModify,
  clearReference,
  copyinAll,
  copyoutAll,
  Enter,
  isModified,
  isReferenced,
  PmapBit,
  Prot,
  Pte,
  Run,
  VA_LIMIT,
} from "@physio/pmap";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expectErrno, expectPanic, fill, RW, SEED, userBench } from "./fixture.ts";

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
      const { b, mem, pmap } = userBench();
      const first = mem.allocContig(1024);
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
      pmap.remove(0, VA_LIMIT);
      mem.freeFrame(first, 1024);
      b.end();
    }),
    { numRuns: 60, ...SEED },
  );
});

describe("enter", () => {
  for (const va of [-PAGE_SIZE, 1, PAGE_SIZE + 8, 0.5, VA_LIMIT, 2 ** 50, Number.NaN]) {
    test(`at ${va} is EINVAL`, () => {
      const { b, pmap } = userBench();
      const frame = b.frame();
      expectErrno(() => pmap.enter(va, frame, RW), Errno.EINVAL, "enter");
      expectErrno(() => pmap.kenter(va, frame, RW), Errno.EINVAL, "kenter");
      expect(pmap.residentCount).toBe(0);
    });
  }

  test("without a frame panics, with none left behind", () => {
    const { pmap } = userBench();
    for (const frame of [NO_FRAME, 2000, Number.NaN]) {
      expectPanic(() => pmap.enter(0, frame, RW), `frame ${frame}`);
      expectPanic(() => pmap.kenter(0, frame, RW), `frame ${frame}`);
    }
    expect(pmap.residentCount).toBe(0);
  });

  test("takes the place of what was mapped, with its rights", () => {
    const { b, pmap } = userBench();
    const [first, second] = [b.frame(), b.frame()];
    pmap.enter(0x4000, first, RW);
    pmap.enter(0x4000, second, Prot.READ);
    expect([pmap.frameAt(0x4fff), pmap.residentCount]).toEqual([second, 1]);
    expect(pmap.access(0x4000, Prot.WRITE)).toBe(NO_FRAME);
  });
});

test("rights that are none, and attributes that contradict, are EINVAL and change nothing", () => {
  const { b, pmaps, pmap } = userBench();
  const frame = b.frame();
  pmap.enter(0x1000, frame, RW, Enter.WIRED);
  const both = Enter.UNCACHED | Enter.WRITE_COMBINING;
  const flags = [1, 2, 4, 16, 128, both, both | Enter.WIRED, -1, 0.5, Number.NaN];
  for (const prot of [Prot.NONE, 8, 15, -1, 1.5, Number.NaN]) {
    expectErrno(() => pmap.enter(0x1000, frame, prot), Errno.EINVAL, `rights ${prot}`);
    expectErrno(() => pmap.kenter(0x1000, frame, prot), Errno.EINVAL, `rights ${prot}`);
    if (prot === Prot.NONE) continue;
    expectErrno(() => pmap.protect(0x1000, PAGE_SIZE, prot), Errno.EINVAL, `rights ${prot}`);
    expectErrno(() => pmaps.pageProtect(frame, prot), Errno.EINVAL, `rights ${prot}`);
  }
  for (const flag of flags) {
    expectErrno(() => pmap.enter(0x1000, frame, RW, flag), Errno.EINVAL, `flags ${flag}`);
    expectErrno(() => pmap.kenter(0x1000, frame, RW, flag), Errno.EINVAL, `flags ${flag}`);
    expectErrno(() => pmap.changeAttr(0x1000, PAGE_SIZE, flag), Errno.EINVAL, `attribute ${flag}`);
    expectErrno(() => pmaps.setAttr(frame, flag), Errno.EINVAL, `attribute ${flag}`);
  }
  expect(pmap.pteAt(0x1000)).toBe(RW | Pte.WIRED | Pte.MANAGED);
});

test("a range that is none is EINVAL and changes nothing", () => {
  const { b, pmap } = userBench();
  pmap.enter(0x1000, b.frame(), RW, Enter.WIRED);
  const ranges: [number, number][] = [
    [0x1001, PAGE_SIZE],
    [0x1000, 100],
    [0x1000, 4096.5],
    [0x1000, -PAGE_SIZE],
    [-PAGE_SIZE, 2 * PAGE_SIZE],
    [0, VA_LIMIT + PAGE_SIZE],
    [VA_LIMIT, PAGE_SIZE],
    [2 ** 52 - PAGE_SIZE, PAGE_SIZE],
    [0, Number.POSITIVE_INFINITY],
    [0x1000, Number.NaN],
    [Number.NaN, PAGE_SIZE],
  ];
  for (const [va, length] of ranges) {
    expectErrno(() => pmap.remove(va, length), Errno.EINVAL, "remove");
    expectErrno(() => pmap.protect(va, length, Prot.READ), Errno.EINVAL, "protect");
    expectErrno(() => pmap.protect(va, length, Prot.NONE), Errno.EINVAL, "remove");
    expectErrno(() => pmap.unwire(va, length), Errno.EINVAL, "unwire");
    expectErrno(() => pmap.changeAttr(va, length, 0), Errno.EINVAL, "changeAttr");
  }
  expect(pmap.pteAt(0x1000)).toBe(RW | Pte.WIRED | Pte.MANAGED);
});

test("an address that is none is mapped nowhere", () => {
  const { b, pmap, space } = userBench();
  pmap.enter(0, b.frame(), RW);
  for (const va of [-1, -PAGE_SIZE, -(2 ** 48), VA_LIMIT, 2 ** 52 - 1, Number.NaN]) {
    expect([pmap.frameAt(va), pmap.extract(va), pmap.access(va, Prot.READ)]).toEqual([-1, -1, -1]);
    expect(space.copyin(va, fill(4, 0), 0, 4)).toBe(0);
  }
});

describe("access", () => {
  const rights = [
    { prot: Prot.EXECUTE, read: false, write: false },
    { prot: Prot.READ, read: true, write: false },
    { prot: Prot.WRITE, read: false, write: true },
    { prot: RW, read: true, write: true },
  ];
  for (const { prot, read, write } of rights) {
    test(`through rights ${prot}: read ${read}, write ${write}`, () => {
      const { b, mem, pmap, space } = userBench();
      const frame = b.frame();
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
    const { b, mem, pmap } = userBench();
    const frame = b.frame();
    const bits = () => mem.section(frame).pmapBits[frame & ROW_MASK];
    pmap.enter(0x1000, frame, Prot.READ);
    pmap.access(0x1000, Prot.WRITE);
    pmap.access(0x2000, Prot.READ);
    expect(pmap.access(0x1000, Number.NaN)).toBe(NO_FRAME);
    const run = new Run();
    pmap.run(0x1000, 100, RW, run);
    expect([run.frame, bits()]).toEqual([NO_FRAME, 0]);
    pmap.access(0x1000, Prot.READ);
    expect(bits()).toBe(PmapBit.REFERENCED);
  });

  test("a write through any mapping marks the frame until it is cleared", () => {
    const { b, mem, pmaps, pmap } = userBench();
    const other = pmaps.create("other");
    const [frame, neighbour] = [b.frame(), b.frame()];
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

describe("referenced and modified bits", () => {
  /** A frame that is mapped three times: twice in one pmap, once in another. */
  function shared() {
    const { b, mem, pmaps, pmap, space } = userBench();
    const other = pmaps.create("other");
    const frame = b.frame();
    pmap.enter(0x1000, frame, RW);
    pmap.enter(2 ** 47, frame, Prot.READ);
    other.enter(VA_LIMIT - PAGE_SIZE, frame, RW);
    return { b, mem, pmap, space, frame, other, otherSpace: b.space(other) };
  }

  test("a copy through one mapping is seen on the frame", () => {
    const { mem, space, otherSpace, frame } = shared();
    const seen = () => [isReferenced(mem, frame), isModified(mem, frame)];
    expect(seen()).toEqual([false, false]);
    space.copyin(2 ** 47, fill(1, 0), 0, 1);
    expect(seen()).toEqual([true, false]);
    otherSpace.copyout(VA_LIMIT - 1, fill(1, 0x42), 0, 1);
    expect(seen()).toEqual([true, true]);
    const read = fill(1, 0);
    space.copyin(0x1fff, read, 0, 1);
    expect(read[0]).toBe(0x42);
  });

  test("are cleared one by one, and a clear tells what was", () => {
    const { mem, pmap, frame } = shared();
    const seen = () => [isReferenced(mem, frame), isModified(mem, frame)];
    pmap.access(0x1000, Prot.WRITE);
    expect([clearReference(mem, frame), ...seen()]).toEqual([true, false, true]);
    expect([clearReference(mem, frame), ...seen()]).toEqual([false, false, true]);
    expect([clearModify(mem, frame), ...seen()]).toEqual([true, false, false]);
    pmap.access(0x1000, RW);
    clearBits(mem, frame);
    expect(seen()).toEqual([false, false]);
  });

  test("outlive the mapping that they came through", () => {
    const { mem, pmap, frame } = shared();
    pmap.access(0x1000, Prot.WRITE);
    pmap.remove(0, VA_LIMIT);
    expect([isReferenced(mem, frame), isModified(mem, frame)]).toEqual([true, true]);
  });

  test("extract, frameAt and extractAndHold set none", () => {
    const { mem, pmap, frame } = shared();
    pmap.extract(0x1000);
    pmap.frameAt(0x1000);
    pmap.extractAndHold(0x1000, Prot.WRITE);
    expect(mem.section(frame).pmapBits[frame & ROW_MASK]).toBe(0);
    mem.unwire(frame);
  });
});

describe("run", () => {
  /** Pages 0, 1, 2 (read-only), 3 and 5 of a range, in frames that lie in a row; then a gap of one frame. */
  function inRow() {
    const m = userBench();
    const first = m.mem.allocContig(8);
    for (const i of [0, 1, 2, 3, 5]) {
      m.pmap.enter(0x10000 + i * PAGE_SIZE, first + i, i === 2 ? Prot.READ : RW);
    }
    m.pmap.enter(0x10000 + 6 * PAGE_SIZE, first + 7, RW);
    const bits = () =>
      [0, 1, 2, 3, 4, 5, 6, 7].map((i) => m.mem.section(first).pmapBits[(first + i) & ROW_MASK]);
    const done = () => {
      m.pmap.remove(0, VA_LIMIT);
      m.mem.freeFrame(first, 8);
    };
    return { ...m, first, bits, done };
  }

  const cases = [
    {
      name: "over four pages",
      page: 0,
      at: 100,
      length: 8 * PAGE_SIZE,
      access: Prot.READ,
      found: 4 * PAGE_SIZE - 100,
      marked: [1, 1, 1, 1, 0, 0, 0, 0],
    },
    {
      name: "up to what is asked for",
      page: 0,
      at: 100,
      length: PAGE_SIZE,
      access: Prot.READ,
      found: PAGE_SIZE,
      marked: [1, 1, 0, 0, 0, 0, 0, 0],
    },
    {
      name: "up to a page that may not be written",
      page: 0,
      at: 0,
      length: 8 * PAGE_SIZE,
      access: Prot.WRITE,
      found: 2 * PAGE_SIZE,
      marked: [3, 3, 0, 0, 0, 0, 0, 0],
    },
    {
      name: "up to a gap in memory",
      page: 5,
      at: 4000,
      length: 8 * PAGE_SIZE,
      access: RW,
      found: 96,
      marked: [0, 0, 0, 0, 0, 3, 0, 0],
    },
    {
      name: "nowhere where nothing is mapped",
      page: 4,
      at: 0,
      length: 8,
      access: Prot.READ,
      found: -1,
      marked: [0, 0, 0, 0, 0, 0, 0, 0],
    },
    {
      name: "nowhere where it is not allowed",
      page: 2,
      at: 0,
      length: 8,
      access: RW,
      found: -1,
      marked: [0, 0, 0, 0, 0, 0, 0, 0],
    },
  ];
  for (const { name, page: number, at, length, access, found, marked } of cases) {
    test(`goes ${name}, and marks what it found`, () => {
      const { pmap, first, bits, done } = inRow();
      const run = new Run();
      pmap.run(0x10000 + number * PAGE_SIZE + at, length, access, run);
      expect(run.frame).toBe(found < 0 ? NO_FRAME : first + number);
      if (found >= 0) expect(run.length).toBe(found);
      expect(bits()).toEqual(marked);
      done();
    });
  }

  test("never leads from one bank into another, nor from one leaf to what is not there", () => {
    const { b, mem, pmap } = userBench({
      banks: [
        { base: 0, size: 4 * PAGE_SIZE },
        { base: 4 * PAGE_SIZE, size: 4 * PAGE_SIZE },
      ],
    });
    const [low, high] = [mem.frameOf(0), mem.frameOf(4 * PAGE_SIZE)];
    for (let i = 0; i < 8; i++) b.frame();
    const va = 512 * PAGE_SIZE - 4 * PAGE_SIZE; // the banks meet where a leaf ends
    for (let i = 0; i < 4; i++) pmap.enter(va + i * PAGE_SIZE, low + i, RW);
    const run = new Run();
    pmap.run(va, 8 * PAGE_SIZE, RW, run);
    expect([run.frame, run.length]).toEqual([low, 4 * PAGE_SIZE]);
    for (let i = 0; i < 4; i++) pmap.enter(va + (4 + i) * PAGE_SIZE, high + i, RW);
    pmap.run(va, 8 * PAGE_SIZE, RW, run);
    expect([run.frame, run.length]).toEqual([low, 4 * PAGE_SIZE]);
  });
});

describe("copyin and copyout", () => {
  /** Three pages from 0x10000 in scattered frames, the last for reading only; then nothing. */
  function mapped() {
    const { b, mem, pmap, space } = userBench();
    const frames = [b.frame(), b.frame(), b.frame()].toReversed();
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

  test("of no length move nothing; of a bad one, and past the end of an array, they panic", () => {
    const { space } = mapped();
    expect(space.copyin(0x10000, fill(4, 0), 0, 0)).toBe(0);
    expect(space.copyout(0x10000, fill(4, 0), 4, 0)).toBe(0);
    for (const length of [-1, 2.5, 5, Number.NaN]) {
      expectPanic(() => space.copyin(0x10000, fill(4, 0), 0, length), `copy of ${length} bytes`);
      expectPanic(() => space.copyout(0x10000, fill(4, 0), 0, length), `copy of ${length} bytes`);
      expectPanic(() => space.copyout(0x7000, fill(4, 0), 0, length), "user"); // not even mapped
    }
    for (const at of [-1, 1, 5, 0.5, Number.NaN]) {
      expectPanic(() => space.copyin(0x10000, fill(4, 0), at, 4), `${at}`);
      expectPanic(() => space.copyout(0x10000, fill(4, 0), at, 4), `${at}`);
    }
  });

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
