/** Pressure: marks and classes, the two edges, reclaiming; a random run against the definition of the edges. */
import { Errno, MiB, NO_FRAME, PAGE_SIZE, Panic } from "@physio/kern";
import type { PressureMarks } from "@physio/physmem";
import { AllocClass, ANY_DOMAIN, PhysMem } from "@physio/physmem";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dice } from "./frame-map.ts";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };
const { NORMAL, SYSTEM, INTERRUPT } = AllocClass;

const bench = (pages: number, marks?: PressureMarks) => {
  const mem = new PhysMem({ banks: [{ base: 4096 * MiB, size: pages * PAGE_SIZE }] });
  if (marks !== undefined) mem.pressure.setMarks(marks);
  const told: string[] = [];
  mem.pressure.onShortage(() => told.push(`short at ${mem.freeFrames}`));
  mem.pressure.onRelief(() => told.push(`relief at ${mem.freeFrames}`));
  const take = (n: number, cls = SYSTEM) =>
    Array.from({ length: n }, () => mem.allocFrame(ANY_DOMAIN, cls));
  return { mem, told, take };
};

describe("marks", () => {
  const bad: [reserved: number, min: number, target: number][] = [
    [2, 1, 3],
    [1, 3, 2],
    [1, 2, 65],
    [-1, 2, 3],
    [0.5, 2, 3],
    [0, Number.NaN, 3],
    [0, 0, Number.NaN],
    [0, 0, Number.POSITIVE_INFINITY],
  ];
  for (const [reserved, min, target] of bad) {
    test(`${reserved} <= ${min} <= ${target} of 64 is refused, and the old ones stay`, () => {
      const { mem } = bench(64, { reserved: 1, min: 2, target: 3 });
      const set = () => mem.pressure.setMarks({ reserved, min, target });
      expect(set).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
      expect(set).toThrow(`marks ${reserved} <= ${min} <= ${target} of 64 frames`);
      expect(mem.pressure.marks).toEqual({ reserved: 1, min: 2, target: 3 });
    });
  }

  const left: [cls: AllocClass, frames: number][] = [
    [NORMAL, 9],
    [SYSTEM, 4],
    [INTERRUPT, 0],
  ];
  for (const [cls, frames] of left) {
    test(`class ${cls} leaves ${frames} of 9 reserved frames, singly or in a range`, () => {
      const { mem, take } = bench(64, { reserved: 9, min: 9, target: 9 });
      expect(mem.allocContig(64 - frames + 1, {}, cls)).toBe(NO_FRAME);
      const range = mem.allocContig(64 - frames, {}, cls);
      expect([range === NO_FRAME, mem.freeFrames]).toEqual([false, frames]);
      expect(mem.allocFrame(ANY_DOMAIN, cls)).toBe(NO_FRAME);
      mem.freeFrame(range, 64 - frames);
      const singles = take(65, cls).filter((f) => f !== NO_FRAME);
      expect([singles.length, mem.counters.failures]).toEqual([64 - frames, 3 + frames]);
      mem.check();
    });
  }

  test("without marks every class takes the last frame", () => {
    for (const cls of [NORMAL, SYSTEM, INTERRUPT]) {
      const { mem, take, told } = bench(16);
      expect(take(16, cls)).not.toContain(NO_FRAME);
      expect([mem.freeFrames, mem.allocFrame(ANY_DOMAIN, cls), told]).toEqual([0, NO_FRAME, []]);
    }
  });

  test("a class that is none is refused", () => {
    const { mem } = bench(16);
    for (const cls of [3, -1, 0.5, Number.NaN]) {
      expect(() => mem.allocFrame(ANY_DOMAIN, cls)).toThrow(`EINVAL`);
      expect(() => mem.allocContig(1, {}, cls)).toThrow(`allocation class ${cls}`);
    }
    expect(mem.freeFrames).toBe(16);
  });
});

describe("edges", () => {
  test("a shortage is told once, relief once, and again only from the target on", () => {
    const { mem, told, take } = bench(16, { reserved: 0, min: 4, target: 8 });
    const frames = take(16);
    expect([told, mem.pressure.short]).toEqual([["short at 3"], true]);
    const give = (n: number) => {
      for (const frame of frames.splice(0, n)) mem.freeFrame(frame);
    };
    give(3);
    expect(told.length).toBe(1);
    give(1);
    expect([told.splice(0), mem.pressure.short]).toEqual([["short at 3", "relief at 4"], false]);
    frames.push(...take(2));
    give(5);
    frames.push(...take(4));
    expect(told).toEqual([]); // 7 was the most that was free
    give(5);
    frames.push(...take(5));
    expect(told).toEqual(["short at 3"]);
    expect(mem.counters.shortages).toBe(2);
  });

  test("a range makes both edges in one step", () => {
    const { mem, told } = bench(16, { reserved: 0, min: 4, target: 8 });
    const frame = mem.allocContig(15);
    mem.freeFrame(frame, 15);
    mem.freeFrame(mem.allocContig(15), 15);
    expect(told).toEqual(["short at 1", "relief at 16", "short at 1", "relief at 16"]);
  });

  test("who expects memory is told of the next free, once", () => {
    const { mem, told, take } = bench(16);
    const frames = take(16);
    mem.freeFrame(frames[0]);
    mem.pressure.expect();
    expect(told).toEqual([]);
    mem.freeFrame(frames[1]);
    mem.freeFrame(frames[2]);
    expect(told).toEqual(["relief at 2"]);
  });

  test("who expects memory in a shortage is told below the mark, and all are told at it", () => {
    const { mem, told, take } = bench(16, { reserved: 0, min: 4, target: 8 });
    const frames = take(16);
    mem.pressure.expect();
    for (const frame of frames) mem.freeFrame(frame);
    expect(told).toEqual(["short at 3", "relief at 1", "relief at 4"]);
  });

  test("new marks are no free, but may be relief", () => {
    const { mem, told, take } = bench(16, { reserved: 0, min: 4, target: 8 });
    take(14);
    mem.pressure.expect();
    mem.pressure.setMarks({ reserved: 0, min: 3, target: 5 });
    expect(told).toEqual(["short at 3"]);
    mem.pressure.setMarks({ reserved: 0, min: 2, target: 2 });
    expect(told).toEqual(["short at 3", "relief at 2"]);
    take(1);
    expect(told.pop()).toBe("short at 1");
    mem.pressure.setMarks({ reserved: 0, min: 0, target: 0 });
    expect([told.pop(), mem.pressure.short]).toEqual(["relief at 1", false]);
  });

  test("a hook that was unsubscribed is not told, and one subscribed twice is told twice", () => {
    const { mem, take } = bench(16, { reserved: 0, min: 4, target: 4 });
    let calls = 0;
    const hook = () => {
      calls++;
    };
    const [first, second] = [mem.pressure.onShortage(hook), mem.pressure.onShortage(hook)];
    mem.freeFrame(take(13)[0]);
    expect(calls).toBe(2);
    first();
    first();
    mem.freeFrame(take(1)[0]);
    expect(calls).toBe(3);
    second();
    take(1);
    expect(calls).toBe(3);
  });

  test("what hooks cause is told when the running ones have returned", () => {
    const { mem, told, take } = bench(16, { reserved: 0, min: 4, target: 4 });
    const frames: number[] = [];
    mem.pressure.onShortage(() => {
      mem.freeFrame(frames.pop()!);
      told.push("freed");
    });
    mem.pressure.onShortage(() => told.push("second"));
    frames.push(...take(12));
    expect(take(1)).not.toEqual([NO_FRAME]);
    expect(told).toEqual(["short at 3", "freed", "second", "relief at 4"]);
    mem.check();
  });

  test("a hook that throws does not silence the others for good", () => {
    const { mem, told, take } = bench(16, { reserved: 0, min: 4, target: 4 });
    const off = mem.pressure.onRelief(() => {
      throw new Error("hook");
    });
    const frames = take(16);
    expect(() => mem.freeFrame(frames[0], 4)).toThrow("hook");
    off();
    take(1);
    mem.freeFrame(frames[5]);
    expect(told).toEqual(["short at 3", "relief at 4", "short at 3", "relief at 4"]);
    mem.check();
  });
});

describe("reclaiming", () => {
  test("hooks are asked in order until they have given enough, then the request is tried once more", () => {
    const { mem, take } = bench(16);
    const held = take(16);
    const asked: string[] = [];
    const give = (name: string, most: number) => (wanted: number) => {
      asked.push(`${name} ${wanted}`);
      const given = Math.min(most, wanted);
      for (let i = 0; i < given; i++) mem.freeFrame(held.pop()!);
      return given;
    };
    mem.pressure.onReclaim(give("none", 0));
    mem.pressure.onReclaim(give("two", 2));
    mem.pressure.onReclaim(give("many", 100));
    expect(mem.allocFrame()).not.toBe(NO_FRAME);
    expect(asked.splice(0)).toEqual(["none 1", "two 1"]);
    expect(mem.allocContig(4)).not.toBe(NO_FRAME);
    expect(asked.splice(0)).toEqual(["none 4", "two 4", "many 2"]);
    expect([mem.counters.reclaims, mem.counters.failures]).toEqual([2, 0]);
    mem.check();
  });

  test("what is missing to the mark of the class is asked for", () => {
    const { mem, take } = bench(16, { reserved: 4, min: 4, target: 4 });
    const held = take(15, INTERRUPT);
    const asked: number[] = [];
    mem.pressure.onReclaim((wanted) => {
      asked.push(wanted);
      for (let i = 0; i < wanted; i++) mem.freeFrame(held.pop()!);
      return wanted;
    });
    expect(mem.allocFrame(ANY_DOMAIN, NORMAL)).not.toBe(NO_FRAME);
    expect([asked, mem.freeFrames]).toEqual([[4], 4]);
  });

  test("hooks that give nothing, or nothing that fits, end in a failure", () => {
    const { mem, take } = bench(16);
    const held = take(16);
    expect(mem.allocFrame()).toBe(NO_FRAME);
    const off = mem.pressure.onReclaim(() => 0);
    expect(mem.allocFrame()).toBe(NO_FRAME);
    off();
    const apart = [held[3], held[5]];
    const wants: number[] = [];
    mem.pressure.onReclaim((wanted) => {
      wants.push(wanted);
      for (const frame of apart) mem.freeFrame(frame);
      return apart.splice(0).length;
    });
    expect(mem.allocContig(2)).toBe(NO_FRAME);
    expect([mem.counters.failures, mem.counters.reclaims, mem.freeFrames]).toEqual([3, 3, 2]);
    expect(wants).toEqual([2, 4]);
    mem.check();
  });

  test("are asked again, for twice as many, while what they give does not lie in a row", () => {
    const { mem, take } = bench(64);
    const held = take(64);
    const order = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 5];
    const wants: number[] = [];
    mem.pressure.onReclaim((wanted) => {
      wants.push(wanted);
      const given = order.splice(0, wanted);
      for (const i of given) mem.freeFrame(held[i]);
      return given.length;
    });
    expect(mem.allocContig(3)).toBe(held[4]);
    expect([wants, mem.counters.reclaims, mem.counters.failures]).toEqual([[3, 6, 12], 3, 0]);
    mem.check();
  });

  test("that say they gave and did not are asked ten times, for one frame and for a range", () => {
    for (const ask of ["allocFrame", "allocContig"] as const) {
      const { mem, take } = bench(64);
      take(64);
      const wants: number[] = [];
      mem.pressure.onReclaim((wanted) => wants.push(wanted));
      expect(ask === "allocFrame" ? mem.allocFrame() : mem.allocContig(1)).toBe(NO_FRAME);
      expect(wants).toEqual([1, 2, 4, 8, 16, 32, 64, 64, 64, 64]);
      expect([mem.counters.reclaims, mem.counters.failures]).toEqual([10, 1]);
    }
  });

  test("an allocation inside of a hook asks no hook", () => {
    const { mem, take } = bench(16);
    const held = take(16);
    const inside: number[] = [];
    mem.pressure.onReclaim(() => {
      inside.push(mem.allocContig(2), mem.allocFrame());
      mem.freeFrame(held[7]);
      inside.push(mem.allocFrame());
      mem.freeFrame(held[4], 2);
      return 1;
    });
    expect(mem.allocContig(2)).toBe(held[4]);
    expect(inside).toEqual([NO_FRAME, NO_FRAME, held[7]]);
    expect(mem.counters.reclaims).toBe(1);
    mem.check();
  });

  test("a count that is none panics", () => {
    for (const count of [-1, 0.5, Number.NaN]) {
      const { mem, take } = bench(4);
      take(4);
      mem.pressure.onReclaim(() => count);
      expect(() => mem.allocFrame()).toThrow(`gave back ${count} frames`);
    }
  });
});

/** The edges by their definition: what is told after each step. */
function runEdges(seed: number): void {
  const roll = dice(seed);
  const [reserved, min, target] = [roll(9), 9 + roll(9), 18 + roll(9)];
  const { mem, told, take } = bench(40, { reserved, min, target });
  const held: number[] = [];
  const expected: string[] = [];
  let [armed, short, waiting] = [true, false, false];
  for (let step = 0; step < 3000; step++) {
    const kind = roll(20);
    if (kind === 0) {
      mem.pressure.expect();
      waiting = true;
    } else if (held.length > 0 && kind < (step % 200 < 100 ? 8 : 12)) {
      mem.freeFrame(held.splice(roll(held.length), 1)[0]);
      const free = 40 - held.length;
      if (waiting || (short && free >= min)) expected.push(`relief at ${free}`);
      waiting = false;
      if (free >= min) short = false;
      if (free >= target) armed = true;
    } else {
      const [frame] = take(1, [NORMAL, SYSTEM, INTERRUPT][roll(3)]);
      if (frame === NO_FRAME) continue;
      held.push(frame);
      const free = 40 - held.length;
      if (armed && free < min) {
        expected.push(`short at ${free}`);
        armed = false;
        short = true;
      }
    }
    if (told.length !== expected.length) expect.fail(`step ${step}: ${told} but ${expected}`);
  }
  expect(told).toEqual(expected);
  expect(expected.length).toBeGreaterThan(20);
  mem.check();
}

describe("hooks that go wrong", () => {
  test("shortage and relief that cause each other panic after 1000 rounds", () => {
    const mem = new PhysMem({ banks: [{ base: 2 ** 40, size: 16 * PAGE_SIZE }] });
    mem.pressure.setMarks({ reserved: 0, min: 4, target: 4 });
    const held: number[] = [];
    let calls = 0;
    mem.pressure.onShortage(() => {
      calls++;
      mem.freeFrame(held.pop()!);
    });
    mem.pressure.onRelief(() => {
      calls++;
      held.push(mem.allocFrame());
    });
    for (let i = 0; i < 12; i++) held.push(mem.allocFrame());
    expect(() => mem.allocFrame()).toThrow(
      "hooks for shortage and relief cause each other without end: 1000 rounds, 3 frames are free, marks 0 <= 4 <= 4",
    );
    expect(calls).toBe(1000);
    mem.check();
  });

  test("one that throws hides the edge from nobody, and the first error is thrown", () => {
    const { mem, told, take } = bench(16, { reserved: 0, min: 4, target: 4 });
    const fail = (name: string) => () => {
      told.push(name);
      throw new Error(name);
    };
    mem.pressure.onShortage(fail("first"));
    mem.pressure.onShortage(fail("second"));
    mem.pressure.onShortage(() => told.push("third"));
    take(12);
    expect(() => mem.allocFrame()).toThrow("first");
    expect(told).toEqual(["short at 3", "first", "second", "third", "relief at 4"]);
  });

  test("one that throws loses no frame, alone or in a range", () => {
    for (const count of [1, 3]) {
      const { mem, take } = bench(16, { reserved: 0, min: 4, target: 4 });
      take(12);
      const off = mem.pressure.onShortage(() => {
        throw new Error("hook");
      });
      expect(() => (count === 1 ? mem.allocFrame() : mem.allocContig(count))).toThrow("hook");
      expect([mem.freeFrames, mem.pressure.short]).toEqual([4, false]);
      off();
      mem.check();
      expect(mem.allocContig(4)).not.toBe(NO_FRAME);
    }
  });

  test("a frame whose free made the edge is free when a hook throws", () => {
    const { mem, take } = bench(16, { reserved: 0, min: 4, target: 4 });
    const frames = take(16);
    const told: string[] = [];
    mem.pressure.onRelief(() => {
      throw new Error("hook");
    });
    mem.pressure.onRelief(() => told.push("behind it"));
    expect(() => mem.freeFrame(frames[0], 4)).toThrow("hook");
    expect([mem.freeFrames, told]).toEqual([4, ["behind it"]]);
    mem.check();
  });

  test("a Panic goes through at once", () => {
    const { mem, told, take } = bench(16, { reserved: 0, min: 4, target: 4 });
    mem.pressure.onShortage(() => mem.freeFrame(-1));
    mem.pressure.onShortage(() => told.push("behind it"));
    take(12);
    expect(() => mem.allocFrame()).toThrow(Panic);
    expect(told).not.toContain("behind it");
  });

  test("what is no function is no hook, and what is no marks are none", () => {
    const { mem } = bench(16);
    for (const hook of [null, undefined, 3, {}] as unknown as (() => number)[]) {
      expect(() => mem.pressure.onShortage(hook)).toThrow(`a hook is ${String(hook)}`);
      expect(() => mem.pressure.onRelief(hook)).toThrow(Panic);
      expect(() => mem.pressure.onReclaim(hook)).toThrow(Panic);
    }
    for (const marks of [null, undefined, 3] as unknown as PressureMarks[])
      expect(() => mem.pressure.setMarks(marks)).toThrow(
        `marks ${String(marks as unknown)}: EINVAL`,
      );
  });
});

test("3,000 random steps tell what the definition of the edges says", () => {
  fc.assert(fc.property(fc.integer(), runEdges), { numRuns: 10, ...SEED });
});
