/** Wiring ranges of an address space: all pages or none, and every wiring undone once, whatever was mapped since. */
import { Errno, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import { Enter, Prot, Pte, VA_LIMIT } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { describe, expect, test } from "vitest";
import { dice, expectErrno, expectPanic, RW, SEED, userBench } from "./fixture.ts";

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
      expect(pmap.wiredCount).toBe(wired.reduce((sum, n) => sum + n, 0));
      space.unwire(VA + at, length);
      expect([pmap.wiredCount, counts()]).toEqual([0, [0, 0, 0, 0]]);
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
    { name: "addresses below 0", at: -VA - 1, length: 10, access: Prot.READ },
    { name: "no address", at: Number.NaN, length: 10, access: Prot.READ },
    { name: "a part of an address", at: 0.5, length: 10, access: Prot.READ },
    { name: "the end of all addresses", at: 3 * PAGE_SIZE, length: 2 * PAGE_SIZE, access: 1 },
    { name: "all addresses and more", at: 0, length: 2 ** 52, access: Prot.READ },
    { name: "no length", at: 0, length: Number.NaN, access: Prot.READ },
    { name: "a length below 0", at: 0, length: -1, access: Prot.READ },
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
    const { b, wire, mem, frames, pmap, space } = mapped();
    wire(VA, PAGE_SIZE, RW);
    pmap.remove(VA, PAGE_SIZE);
    expectPanic(() => mem.freeFrame(frames[0]), "wired");
    b.pmaps.check();
    expectPanic(() => b.pmaps.destroy(pmap), "3 pages are mapped");
    pmap.remove(VA, 4 * PAGE_SIZE);
    expectPanic(() => b.pmaps.destroy(pmap), "1 pages are wired");
    space.unwire(VA, PAGE_SIZE);
    b.pmaps.check();
  });

  test("of no bytes is OK and wires nothing", () => {
    const { wire, space, counts } = mapped();
    expect([wire(VA, 0, RW), wire(0, 0, RW), wire(VA_LIMIT, 0, RW)]).toEqual([0, 0, 0]);
    space.unwire(VA, 0);
    expect(counts()).toEqual([0, 0, 0, 0]);
  });

  test("of a frame that is wired as often as can be is ENOMEM, and rolls back", () => {
    const { wire, mem, frames, counts, space } = mapped();
    for (let i = 0; i < 65_534; i++) mem.wire(frames[1]);
    expect(wire(VA, 2 * PAGE_SIZE, Prot.READ)).toBe(Errno.OK);
    expect(wire(VA, 2 * PAGE_SIZE, Prot.READ)).toBe(Errno.ENOMEM);
    expect(counts()).toEqual([1, 65_535, 0, 0]);
    space.unwire(VA, 2 * PAGE_SIZE);
    for (let i = 0; i < 65_534; i++) mem.unwire(frames[1]);
  });
});

describe("a page that is wired", () => {
  test("takes no other frame, whether its mapping is there or not", () => {
    const { b, pmap, space, wire, frames, counts } = mapped();
    const other = b.frame();
    wire(VA, PAGE_SIZE, RW);
    expectErrno(() => pmap.enter(VA, other, RW), Errno.EBUSY, `frame ${frames[0]} is wired`);
    pmap.remove(VA, PAGE_SIZE);
    expectErrno(() => pmap.enter(VA, other, RW), Errno.EBUSY, `frame ${frames[0]} is wired`);
    expectErrno(() => pmap.kenter(VA, other, RW), Errno.EBUSY);
    pmap.enter(VA, frames[0], Prot.READ);
    expect([pmap.pteAt(VA) & Pte.WIRED, pmap.wiredCount]).toEqual([Pte.WIRED, 1]);
    space.unwire(VA, PAGE_SIZE);
    expect([counts(), pmap.wiredCount]).toEqual([[0, 0, 0, 0], 0]);
    pmap.enter(VA, other, RW);
    expect(pmap.frameAt(VA)).toBe(other);
  });

  test("gives back the frame that it wired after its mapping went", () => {
    const { b, pmap, space, wire, counts, mem } = mapped();
    const other = b.frame();
    wire(VA, 2 * PAGE_SIZE, RW);
    pmap.remove(VA, 2 * PAGE_SIZE);
    space.unwire(VA, 2 * PAGE_SIZE);
    expect(counts()).toEqual([0, 0, 0, 0]);
    pmap.enter(VA, other, RW);
    mem.wire(other); // somebody else's
    expectPanic(() => space.unwire(VA, PAGE_SIZE), "which is not wired");
    expect(mem.unwire(other)).toBe(0);
  });

  test("stays wired until the last of its wires, and as long as `enter` had it wired", () => {
    const { pmap, space, wire, frames, b } = mapped();
    const wired = () => [pmap.pteAt(VA) & Pte.WIRED, pmap.wiredCount];
    const again = b.space(pmap);
    wire(VA, PAGE_SIZE, RW);
    wire(VA, 1, RW);
    space.unwire(VA, PAGE_SIZE);
    expect(wired()).toEqual([Pte.WIRED, 1]);
    again.unwire(VA, 1); // whichever space of the pmap
    expect(wired()).toEqual([0, 0]);
    pmap.enter(VA, frames[0], RW, Enter.WIRED);
    wire(VA, PAGE_SIZE, RW);
    space.unwire(VA, PAGE_SIZE);
    expect(wired()).toEqual([Pte.WIRED, 1]);
    wire(VA, PAGE_SIZE, RW);
    pmap.unwire(VA, PAGE_SIZE); // ends the wiring by `enter` alone
    expect(wired()).toEqual([Pte.WIRED, 1]);
    expectPanic(() => pmap.unwire(VA, PAGE_SIZE), "which is not wired");
    space.unwire(VA, PAGE_SIZE);
    expect(wired()).toEqual([0, 0]);
  });

  test("of the direct map wires its frame alone", () => {
    const { b, mem, frames, counts } = mapped();
    const { kernel, direct } = b.pmaps;
    const space = b.space(kernel, true);
    const va = direct.va(mem.addrOf(frames[2]));
    const wire = () => new Scheduler().runSync(space.wire(va + 7, 1, RW));
    expect([wire(), counts(), kernel.wiredCount]).toEqual([Errno.OK, [0, 0, 1, 0], 0]);
    space.unwire(va + 7, 1);
    expectPanic(() => space.unwire(va, 1), "which is not wired");
    expect(counts()).toEqual([0, 0, 0, 0]);
  });
});

test("unwire of what is not wired panics, and undoes nothing before", () => {
  const { space, wire, counts } = mapped();
  expectPanic(() => space.unwire(VA, 1), "which is not wired");
  expectPanic(() => space.unwire(VA - PAGE_SIZE, 1), "which is not wired");
  wire(VA, 2 * PAGE_SIZE, RW);
  expectPanic(() => space.unwire(VA, 3 * PAGE_SIZE), "which is not wired");
  expect(counts()).toEqual([1, 1, 0, 0]);
  space.unwire(VA, 2 * PAGE_SIZE);
  for (const [va, length] of [
    [VA, -1],
    [-1, 10],
    [VA, Number.NaN],
    [Number.NaN, 10],
    [VA_LIMIT, 1],
  ]) {
    expectPanic(() => space.unwire(va, length), `${length} bytes at ${va}`);
  }
});

test("wires, mappings and frames agree with a model of counts", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const { b, pmap, space, wire, frames, counts, mem } = mapped();
    const roll = dice(SEED.seed ?? seed);
    const [held, wires] = [[0, 0, 0, 0], frames.map(() => 0)];
    const heldFrame = [0, 0, 0, 0];
    const mappedTo = [0, 1, 2, 3];
    for (let step = 0; step < 60; step++) {
      const where = `seed ${seed}, step ${step}`;
      const [page, count] = [roll(4), 1 + roll(4)];
      const range = [0, 1, 2, 3].filter((i) => i >= page && i < page + count);
      const va = VA + page * PAGE_SIZE;
      const length = range.length * PAGE_SIZE;
      const which = roll(4);
      switch (roll(4)) {
        case 0: {
          const fits = range.every((i) => mappedTo[i] >= 0);
          expect(wire(va, length, Prot.READ), where).toBe(fits ? Errno.OK : Errno.EFAULT);
          for (const i of fits ? range : []) {
            held[i]++;
            heldFrame[i] = mappedTo[i];
            wires[mappedTo[i]]++;
          }
          break;
        }
        case 1:
          if (!range.every((i) => held[i] > 0)) {
            expectPanic(() => space.unwire(va, length), "which is not wired");
            break;
          }
          space.unwire(va, length);
          for (const i of range) {
            held[i]--;
            wires[heldFrame[i]]--;
          }
          break;
        case 2:
          pmap.remove(va, PAGE_SIZE);
          mappedTo[page] = -1;
          break;
        default:
          if (held[page] > 0 && heldFrame[page] !== which) {
            expectErrno(() => pmap.enter(va, frames[which], Prot.READ), Errno.EBUSY);
          } else {
            pmap.enter(va, frames[which], Prot.READ);
            mappedTo[page] = which;
          }
      }
      const wiredPages = held.filter((n, i) => n > 0 && mappedTo[i] >= 0).length;
      expect([counts(), pmap.wiredCount], where).toEqual([wires, wiredPages]);
      b.pmaps.check();
    }
    for (let i = 0; i < 4; i++) {
      for (; held[i] > 0; held[i]--) space.unwire(VA + i * PAGE_SIZE, 1);
    }
    expect(counts()).toEqual([0, 0, 0, 0]);
    mem.check();
  }
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
