/** The verifying mode: what was written after it was freed is found, and nothing else is. */
import { GiB, MiB, NO_FRAME, PAGE_SIZE, Panic } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dice } from "./frame-map.ts";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

const BASE = 4 * GiB;
const bench = (verify = true) => new PhysMem({ banks: [{ base: BASE, size: 16 * MiB }], verify });
const page = (mem: PhysMem, frame: number) => {
  const to = new Uint8Array(PAGE_SIZE);
  mem.read(mem.addrOf(frame), to);
  return new Set(to);
};

test("freed and new frames are full of junk, when their section has bytes", () => {
  const mem = bench();
  const frame = mem.allocContig(2);
  mem.write(mem.addrOf(frame), new Uint8Array(2 * PAGE_SIZE).fill(7));
  mem.freeFrame(frame + 1);
  expect([page(mem, frame), page(mem, frame + 1)]).toEqual([new Set([7]), new Set([0xdf])]);
  mem.freeFrame(frame);
  mem.check();
  expect(mem.allocFrame()).toBe(frame);
  expect([page(mem, frame), page(mem, frame + 1)]).toEqual([new Set([0x5a]), new Set([0xdf])]);
  mem.check(); // an allocated frame is its owner's
});

test("RAM that nobody wrote stays untouched, and reads as zeros", () => {
  const mem = bench();
  const frame = mem.allocContig(3000);
  expect([page(mem, frame), mem.touchedBytes]).toEqual([new Set([0]), 0]);
  mem.freeFrame(frame, 3000);
  mem.check();
  expect([page(mem, mem.allocFrame()), mem.touchedBytes]).toEqual([new Set([0]), 0]);
});

describe("a byte written after the free", () => {
  for (const at of [0, 1, 2047, PAGE_SIZE - 1]) {
    test(`at ${at} is found by the next allocation of the frame`, () => {
      const mem = bench();
      const frame = mem.allocFrame();
      const pa = mem.addrOf(frame);
      mem.write(pa, new Uint8Array(4));
      mem.freeFrame(frame);
      mem.write(pa + at, new Uint8Array([0x42]));
      const message = `physmem: frame ${frame} (0x100000000) was written after it was freed: byte ${at} is 0x42`;
      expect(() => mem.check()).toThrow(message);
      expect(() => mem.allocFrame()).toThrow(message);
      expect(() => mem.allocFrame()).not.toThrow();
    });
  }

  test("is found in a range, across sections", () => {
    const mem = bench();
    const frame = mem.allocContig(1100);
    mem.fill(mem.addrOf(frame), 1100 * PAGE_SIZE, 1);
    mem.freeFrame(frame, 1100);
    mem.check();
    mem.view(frame + 1050).setUint16(mem.byteOffset(frame + 1050) + 8, 0xdfdf);
    mem.check(); // junk over junk
    mem.view(frame + 1050).setUint16(mem.byteOffset(frame + 1050) + 8, 0xdfde);
    expect(() => mem.allocContig(1100, { high: BASE + 1100 * PAGE_SIZE - 1 })).toThrow(
      `frame ${frame + 1050} (0x10041a000) was written after it was freed: byte 9 is 0xde`,
    );
  });

  test("is nobody's fault while verifying is off", () => {
    const mem = bench(false);
    const frame = mem.allocFrame();
    mem.write(mem.addrOf(frame), new Uint8Array(PAGE_SIZE).fill(9));
    mem.freeFrame(frame);
    mem.write(mem.addrOf(frame), new Uint8Array([1]));
    mem.check();
    expect([mem.allocFrame(), page(mem, frame)]).toEqual([frame, new Set([1, 9])]);
  });
});

test("a frame that was never freed keeps the bytes that it got before it was allocated", () => {
  const mem = bench();
  mem.write(BASE, new Uint8Array([1, 2, 3])); // an image that is loaded
  mem.check();
  const frame = mem.allocFrame();
  expect([mem.addrOf(frame), page(mem, frame)]).toEqual([BASE, new Set([1, 2, 3, 0])]);
  mem.check();
});

describe("a frame without bytes when it was freed", () => {
  for (const at of [0, 2047, PAGE_SIZE - 1]) {
    test(`and written at ${at} since is found`, () => {
      const mem = bench();
      const frame = mem.allocFrame();
      mem.freeFrame(frame);
      mem.write(mem.addrOf(frame) + at, new Uint8Array([0x42]));
      const message = `frame ${frame} (0x100000000) was written after it was freed: byte ${at} is 0x42`;
      expect(() => mem.check()).toThrow(message);
      expect(() => mem.allocFrame()).toThrow(message);
    });
  }

  test("is found in a range of sections of which one was written", () => {
    const mem = bench();
    const frame = mem.allocContig(2500);
    mem.freeFrame(frame, 2500);
    mem.check();
    mem.write(mem.addrOf(frame + 1500), new Uint8Array([0, 7]));
    expect(() => mem.allocContig(2500)).toThrow(`frame ${frame + 1500} (`);
    expect(mem.touchedBytes).toBe(4 * MiB);
  });

  test("is not blamed for bytes of its neighbours, and is new junk when it is allocated", () => {
    const mem = bench();
    const [frame, other] = [mem.allocFrame(), mem.allocFrame()];
    mem.freeFrame(frame);
    mem.write(mem.addrOf(other), new Uint8Array([9]));
    mem.check();
    expect([mem.allocFrame(), page(mem, frame)]).toEqual([frame, new Set([0x5a])]);
  });

  test("keeps its section's bytes when the section is free: they tell who wrote", () => {
    const mem = bench();
    const frame = mem.allocContig(1024);
    mem.write(mem.addrOf(frame), new Uint8Array([9]));
    mem.freeFrame(frame, 1024);
    expect(mem.touchedBytes).toBe(4 * MiB);
    mem.write(mem.addrOf(frame), new Uint8Array([9]));
    expect(() => mem.check()).toThrow("was written after it was freed: byte 0 is 0x9");
  });
});

/** Owners that write only to what they have; at the end one that does not. */
function runOwners(seed: number): void {
  const roll = dice(seed);
  const mem = new PhysMem({ banks: [{ base: BASE, size: 2 * MiB }], verify: true });
  const live: [frame: number, count: number][] = [];
  const freed: number[] = [];
  for (let step = 0; step < 600; step++) {
    if (live.length > 0 && roll(100) < 45) {
      const [frame, count] = live.splice(roll(live.length), 1)[0];
      mem.freeFrame(frame, count);
      freed.push(frame + roll(count));
      continue;
    }
    const count = roll(3) === 0 ? 1 + roll(40) : 1;
    const frame = count === 1 ? mem.allocFrame() : mem.allocContig(count);
    if (frame === NO_FRAME) continue;
    live.push([frame, count]);
    if (roll(2) === 0) mem.fill(mem.addrOf(frame), count * PAGE_SIZE, roll(256));
    if (step % 100 === 0) mem.check();
  }
  const victim = freed.findLast(
    (f) => !live.some(([frame, count]) => f >= frame && f < frame + count),
  )!;
  mem.check();
  const at = roll(PAGE_SIZE);
  mem.write(mem.addrOf(victim) + at, new Uint8Array([0x33]));
  expect(() => mem.check()).toThrow(`frame ${victim} (`);
  expect(() => mem.check()).toThrow(`byte ${at} is 0x33`);
}

test("owners that write to what they have are never blamed, one that does not always is", () => {
  fc.assert(fc.property(fc.integer(), runOwners), { numRuns: 5, ...SEED });
});

test("adopted memory is checked like any other", () => {
  const lent = new Uint8Array(64 * PAGE_SIZE);
  const mem = new PhysMem({ banks: [{ base: 2 ** 40, adopt: lent }], verify: true });
  lent.fill(0x77);
  const frame = mem.allocFrame();
  expect(lent[0]).toBe(0x77);
  mem.freeFrame(frame);
  expect([lent[0], lent[PAGE_SIZE]]).toEqual([0xdf, 0x77]);
  mem.allocFrame();
  expect([lent[0], lent[PAGE_SIZE]]).toEqual([0x5a, 0x77]);
  mem.freeFrame(frame);
  lent[PAGE_SIZE - 1] = 0;
  expect(() => mem.allocFrame()).toThrow("byte 4095 is 0x0");
});

test("a double free panics and changes nothing, verifying or not", () => {
  for (const verify of [true, false]) {
    const mem = bench(verify);
    const frame = mem.allocFrame();
    mem.write(mem.addrOf(frame), new Uint8Array(4));
    mem.freeFrame(frame);
    expect(() => mem.freeFrame(frame)).toThrow(Panic);
    expect(() => mem.freeFrame(frame)).toThrow("free, in the cache");
    expect(mem.freeFrames).toBe(mem.totalFrames);
    mem.check();
  }
});

test("a wired frame keeps its bytes when a free of it panics", () => {
  const mem = bench();
  const frame = mem.allocFrame();
  mem.write(mem.addrOf(frame), new Uint8Array(PAGE_SIZE).fill(3));
  mem.wire(frame);
  expect(() => mem.freeFrame(frame)).toThrow(Panic);
  expect(page(mem, frame)).toEqual(new Set([3]));
});
