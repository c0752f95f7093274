/** Wiring ranges of an address space: all pages or none, and every wiring undone once. */
import { Errno, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import { Prot, VA_LIMIT } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { describe, expect, test } from "vitest";
import { expectPanic, RW, userBench } from "./fixture.ts";

/** Four pages that end at 2^48, the third of them read-only. */
const VA = VA_LIMIT - 4 * PAGE_SIZE;

function mapped() {
  const m = userBench();
  const frames = [0, 1, 2, 3].map(() => m.b.frame());
  frames.forEach((frame, i) => {
    m.pmap.enter(VA + i * PAGE_SIZE, frame, i === 2 ? Prot.READ : RW);
  });
  const sched = new Scheduler();
  const wire = (va: number, length: number, access: number) =>
    sched.runSync(m.space.wire(va, length, access));
  const counts = () => frames.map((f) => m.mem.section(f).wireCount[f & ROW_MASK]);
  return { ...m, frames, wire, counts };
}

describe("wire", () => {
  const cases = [
    {
      name: "all of it for reading",
      at: 0,
      length: 4 * PAGE_SIZE,
      access: Prot.READ,
      wired: [1, 1, 1, 1],
    },
    {
      name: "two pages for writing",
      at: 0,
      length: 2 * PAGE_SIZE,
      access: RW,
      wired: [1, 1, 0, 0],
    },
    { name: "one byte", at: PAGE_SIZE + 5, length: 1, access: Prot.READ, wired: [0, 1, 0, 0] },
    {
      name: "two bytes on two pages",
      at: PAGE_SIZE - 1,
      length: 2,
      access: Prot.READ,
      wired: [1, 1, 0, 0],
    },
    {
      name: "up to the end of a page",
      at: 100,
      length: PAGE_SIZE - 100,
      access: RW,
      wired: [1, 0, 0, 0],
    },
    {
      name: "the last byte of the space",
      at: 4 * PAGE_SIZE - 1,
      length: 1,
      access: RW,
      wired: [0, 0, 0, 1],
    },
  ];
  for (const { name, at, length, access, wired } of cases) {
    test(`${name}: every page of the range once, and unwire undoes it`, () => {
      const { wire, counts, space, pmap } = mapped();
      expect([wire(VA + at, length, access), counts()]).toEqual([Errno.OK, wired]);
      expect(pmap.wiredCount).toBe(0); // the frames stay, not the mappings
      space.unwire(VA + at, length);
      expect(counts()).toEqual([0, 0, 0, 0]);
    });
  }

  const refused = [
    { name: "a page that may not be written", at: 0, length: 4 * PAGE_SIZE, access: RW },
    {
      name: "a page that is not mapped",
      at: 3 * PAGE_SIZE,
      length: PAGE_SIZE + 1,
      access: Prot.READ,
    },
    { name: "the page before the first", at: -1, length: 2, access: Prot.READ },
    { name: "a right that nobody has", at: 0, length: PAGE_SIZE, access: Prot.EXECUTE },
    { name: "rights that are none", at: 0, length: PAGE_SIZE, access: Number.NaN },
  ];
  for (const { name, at, length, access } of refused) {
    test(`over ${name} is EFAULT and wires nothing`, () => {
      const { wire, counts } = mapped();
      expect([wire(VA + at, length, access), counts()]).toEqual([Errno.EFAULT, [0, 0, 0, 0]]);
    });
  }

  test("counts: two wires need two unwires", () => {
    const { wire, counts, space } = mapped();
    wire(VA, 2 * PAGE_SIZE, RW);
    wire(VA + PAGE_SIZE, PAGE_SIZE, Prot.READ);
    expect(counts()).toEqual([1, 2, 0, 0]);
    space.unwire(VA, 2 * PAGE_SIZE);
    expect(counts()).toEqual([0, 1, 0, 0]);
    space.unwire(VA + PAGE_SIZE, PAGE_SIZE);
    expect(counts()).toEqual([0, 0, 0, 0]);
  });

  test("keeps a frame from being freed, even when its mapping goes", () => {
    const { b, wire, mem, frames, pmap } = mapped();
    wire(VA, PAGE_SIZE, RW);
    pmap.remove(VA, PAGE_SIZE);
    expectPanic(() => mem.freeFrame(frames[0]), "wired");
    mem.unwire(frames[0]);
    b.pmaps.check();
  });

  test("of a range that is none panics", () => {
    const { wire, space, counts } = mapped();
    for (const [va, length] of [
      [VA, 0],
      [VA, -1],
      [-1, 10],
      [VA, Number.NaN],
      [Number.NaN, 10],
    ]) {
      expectPanic(() => wire(va, length, Prot.READ), `${length} bytes at ${va}`);
      expectPanic(() => space.unwire(va, length), `${length} bytes at ${va}`);
    }
    expect(counts()).toEqual([0, 0, 0, 0]);
  });
});

test("unwire below zero panics, and of what is not mapped", () => {
  const { space, frames } = mapped();
  expectPanic(() => space.unwire(VA, 1), `frame ${frames[0]}`);
  expectPanic(() => space.unwire(VA - PAGE_SIZE, 1), "not mapped");
});

describe("extractAndHold", () => {
  test("wires the frame of a mapping that has the rights", () => {
    const { pmap, mem, frames, counts } = mapped();
    expect(pmap.extractAndHold(VA + 5, RW)).toBe(frames[0]);
    expect(pmap.extractAndHold(VA + 2 * PAGE_SIZE, Prot.READ)).toBe(frames[2]);
    expect(counts()).toEqual([1, 0, 1, 0]);
    expect([mem.unwire(frames[0]), mem.unwire(frames[2])]).toEqual([0, 0]);
  });

  test("gives no frame and wires none where there is no mapping, or not for this", () => {
    const { pmap, counts } = mapped();
    for (const [va, prot] of [
      [VA + 2 * PAGE_SIZE, RW],
      [VA, Prot.EXECUTE],
      [VA, 8],
      [VA, Number.NaN],
      [0, Prot.READ],
      [0, Prot.NONE],
      [VA_LIMIT, Prot.READ],
      [-1, Prot.READ],
      [Number.NaN, Prot.READ],
    ]) {
      expect(pmap.extractAndHold(va, prot)).toBe(NO_FRAME);
    }
    expect(counts()).toEqual([0, 0, 0, 0]);
  });
});
