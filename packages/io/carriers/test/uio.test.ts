/**
 * uiomove: both directions, over several ranges, up to a hole, and never more than resid.
 */

import type { Iovec } from "@physio/carriers";
import { Uio, UioRw, uiomove, uiomoveFrames } from "@physio/carriers";
import { Errno, PAGE_SIZE, Panic } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { copyinAll, copyoutAll, Kmem, PmapSpace, Prot } from "@physio/pmap";
import fc from "fast-check";
import { expect, test } from "vitest";

const BASE = 0x10_0000;
const PAGES = 4;

/** A user space with pages at BASE; page `hole`, if any, is missing; page `readOnly` cannot be written. */
function userSpace({ hole = -1, readOnly = -1 } = {}): PmapSpace {
  const mem = new PhysMem({ banks: [{ base: PAGE_SIZE, size: 64 * PAGE_SIZE }] });
  const { pmaps, cpu } = new Kmem(mem);
  const space = new PmapSpace(pmaps.create("user"), false, cpu);
  for (let page = 0; page < PAGES; page++) {
    if (page === hole) continue;
    const prot = page === readOnly ? Prot.READ : Prot.READ | Prot.WRITE;
    space.pmap.enter(BASE + page * PAGE_SIZE, mem.allocFrame(), prot);
  }
  return space;
}

const bytes = (length: number, from = 1) => Uint8Array.from({ length }, (_, i) => (from + i) % 251);

function contents(space: PmapSpace, va: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  expect(copyinAll(space, va, out)).toBe(Errno.OK);
  return out;
}

const cases: {
  name: string;
  iov: [number, number][];
  ask: number;
  moved: number;
  index: number;
}[] = [
  { name: "one range, all of it", iov: [[0, 100]], ask: 100, moved: 100, index: 0 },
  { name: "less than the range", iov: [[0, 100]], ask: 30, moved: 30, index: 0 },
  { name: "more than there is", iov: [[0, 100]], ask: 300, moved: 100, index: 0 },
  {
    name: "several ranges, across pages",
    iov: [
      [4000, 200],
      [8192, 10],
      [100, 5],
    ],
    ask: 213,
    moved: 213,
    index: 2,
  },
  {
    name: "empty ranges are stepped over",
    iov: [
      [0, 0],
      [64, 8],
      [0, 0],
      [128, 8],
    ],
    ask: 16,
    moved: 16,
    index: 3,
  },
  { name: "nothing asked", iov: [[0, 100]], ask: 0, moved: 0, index: 0 },
  { name: "no ranges", iov: [], ask: 10, moved: 0, index: 0 },
];

for (const c of cases) {
  const iovecs = () => c.iov.map(([at, length]): Iovec => ({ base: BASE + at, length }));

  test(`uiomove: READ: ${c.name}`, () => {
    const space = userSpace();
    const uio = new Uio(UioRw.READ, space, iovecs(), 1000);
    const total = uio.resid;
    const buffer = bytes(c.ask + 7);
    expect(uiomove(buffer, 7, c.ask, uio)).toBe(Errno.OK);
    expect([uio.resid, uio.offset, uio.iovIndex]).toEqual([
      total - c.moved,
      1000 + c.moved,
      c.index,
    ]);
    const got = iovecs().flatMap((v) => [...contents(space, v.base, v.length)]);
    expect(got.slice(0, c.moved)).toEqual([...buffer.subarray(7, 7 + c.moved)]);
    expect(got.slice(c.moved).every((b) => b === 0)).toBe(true);
  });

  test(`uiomove: WRITE: ${c.name}`, () => {
    const space = userSpace();
    copyoutAll(space, BASE, bytes(PAGES * PAGE_SIZE, 9));
    const uio = new Uio(UioRw.WRITE, space, iovecs(), 0);
    const buffer = new Uint8Array(c.ask + 7);
    expect(uiomove(buffer, 7, c.ask, uio)).toBe(Errno.OK);
    const want = iovecs().flatMap((v) => [...contents(space, v.base, v.length)]);
    expect([...buffer.subarray(7, 7 + c.moved)]).toEqual(want.slice(0, c.moved));
    expect(buffer.subarray(7 + c.moved).every((b) => b === 0)).toBe(true);
    expect(uio.offset).toBe(c.moved);
  });
}

for (const rw of [UioRw.READ, UioRw.WRITE]) {
  test(`uiomove: direction ${rw} stops with EFAULT at a hole and accounts for what it moved`, () => {
    const space = userSpace({ hole: 1 });
    const iov = [
      { base: BASE + 4000, length: 50 },
      { base: BASE + 4090, length: 100 },
    ];
    const uio = new Uio(rw, space, iov, 500);
    expect(uiomove(bytes(150), 0, 150, uio)).toBe(Errno.EFAULT);
    expect([uio.resid, uio.offset, uio.iovIndex]).toEqual([94, 556, 1]);
    expect(uio.iov[1]).toEqual({ base: BASE + PAGE_SIZE, length: 94 });
    // The page arrives, and the move goes on where it stopped.
    space.pmap.enter(BASE + PAGE_SIZE, space.pmap.mem.allocFrame(), Prot.READ | Prot.WRITE);
    expect(uiomove(bytes(150), 56, 94, uio)).toBe(Errno.OK);
    expect([uio.resid, uio.offset]).toEqual([0, 650]);
  });
}

test("uiomove: READ faults on a page that cannot be written, WRITE does not", () => {
  const make = (rw: UioRw) => {
    const space = userSpace({ readOnly: 0 });
    return new Uio(rw, space, [{ base: BASE, length: 10 }], 0);
  };
  const into = make(UioRw.READ);
  expect(uiomove(bytes(10), 0, 10, into)).toBe(Errno.EFAULT);
  expect(into.resid).toBe(10);
  expect(uiomove(new Uint8Array(10), 0, 10, make(UioRw.WRITE))).toBe(Errno.OK);
});

test("uiomove: a resid below the ranges' sum is the limit", () => {
  const space = userSpace();
  const uio = new Uio(UioRw.READ, space, [{ base: BASE, length: 100 }], 0);
  uio.resid = 40;
  expect(uiomove(bytes(100), 0, 100, uio)).toBe(Errno.OK);
  expect([uio.resid, uio.offset, uio.iov[0].length]).toEqual([0, 40, 60]);
  expect([...contents(space, BASE + 40, 60)].every((b) => b === 0)).toBe(true);
});

test("uiomove: a length that is none panics", () => {
  const uio = new Uio(UioRw.READ, userSpace(), [{ base: BASE, length: 10 }], 0);
  expect(() => uiomove(bytes(10), 0, -1, uio)).toThrow(Panic);
  expect(() => uiomove(bytes(10), 0, Number.NaN, uio)).toThrow(Panic);
});

test("uiomove: any cutting of a move gives the bytes of one move", () => {
  const range = fc.tuple(fc.nat(2 * PAGE_SIZE), fc.nat(600));
  const property = fc.property(
    fc.array(range, { maxLength: 5 }),
    fc.array(fc.nat(500), { minLength: 1, maxLength: 12 }),
    (list, cuts) => {
      const space = userSpace();
      copyoutAll(space, BASE, bytes(PAGES * PAGE_SIZE, 3));
      const iov = list.map(([at, length]) => ({ base: BASE + at, length }));
      const want = iov.flatMap((v) => [...contents(space, v.base, v.length)]);
      const uio = new Uio(UioRw.WRITE, space, iov, 0);
      const total = uio.resid;
      const buffer = new Uint8Array(8000);
      let at = 0;
      for (const cut of cuts) {
        const before = uio.resid;
        expect(uiomove(buffer, at, cut, uio)).toBe(Errno.OK);
        expect(before - uio.resid).toBe(Math.min(cut, before));
        at += before - uio.resid;
      }
      expect(uio.resid).toBe(total - at);
      expect(uio.iov.reduce((sum, v) => sum + v.length, 0)).toBe(uio.resid);
      expect([...buffer.subarray(0, at)]).toEqual(want.slice(0, at));
    },
  );
  fc.assert(property, { seed: 1, numRuns: 100 });
});

test("uiomoveFrames moves what uiomove moves, range by range, and stops where it stops", () => {
  const rows = [
    { rw: UioRw.READ, ask: 150, error: Errno.EFAULT },
    { rw: UioRw.WRITE, ask: 150, error: Errno.EFAULT },
    { rw: UioRw.READ, ask: 90, error: Errno.OK },
    { rw: UioRw.WRITE, ask: 3, error: Errno.OK },
  ];
  for (const { rw, ask, error } of rows) {
    const found = [false, true].map((frames) => {
      const space = userSpace({ hole: 2 });
      const { mem } = space.pmap;
      const frame = mem.allocFrame();
      mem.writeFrames(frame, 7, bytes(200), 0, 200);
      const buffer = new Uint8Array(PAGE_SIZE);
      mem.readFrames(frame, 0, buffer, 0, PAGE_SIZE);
      copyoutAll(space, BASE, bytes(50, 90));
      const iov = [
        { base: BASE, length: 0 },
        { base: BASE + 3, length: 20 },
        { base: BASE + 2 * PAGE_SIZE - 80, length: 130 },
      ];
      const uio = new Uio(rw, space, iov, 1000);
      const got = frames ? uiomoveFrames(frame, 7, ask, uio) : uiomove(buffer, 7, ask, uio);
      if (frames) mem.readFrames(frame, 0, buffer, 0, PAGE_SIZE);
      const { resid, offset, iovIndex } = uio;
      return { got, iov, resid, offset, iovIndex, buffer, user: contents(space, BASE, 8192) };
    });
    expect(found[1]).toEqual(found[0]);
    expect(found[1].got).toBe(error);
  }
  const none = new Uio(UioRw.READ, userSpace(), [{ base: BASE, length: 10 }], 0);
  expect(() => uiomoveFrames(3, 0, Number.NaN, none)).toThrow(Panic);
});
