/**
 * Frame allocation: exhaustion and back, contiguous ranges by hand, misuse, and long random runs
 * against a map of frames that knows which are used.
 */
import {
  Errno,
  ErrnoError,
  GiB,
  MAXADDR,
  MAXADDR_24BIT,
  MAXADDR_32BIT,
  MiB,
  NO_FRAME,
  PAGE_SIZE,
  Panic,
} from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BankConfig, ContigLimits } from "../src/index.ts";
import { PhysMem } from "../src/index.ts";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };
const SECTION = 4 * MiB;

function dice(seed: number): (n: number) => number {
  let state = seed | 0;
  return (n) => {
    state = (state + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    return ((mixed ^ (mixed >>> 13)) >>> 0) % n;
  };
}

/** Which of the allocator's three reaches an address belongs to. */
const reachOf = (pa: number) => (pa <= MAXADDR_24BIT ? 0 : pa <= MAXADDR_32BIT ? 1 : 2);

const THREE_REACHES: BankConfig[] = [
  { base: 0, size: 18 * MiB },
  { base: 4 * GiB - 4 * MiB, size: 9 * MiB + 5 * PAGE_SIZE },
  { base: 2 ** 52 - 5 * MiB, size: 5 * MiB },
];

test("every frame can be had once, highest reach first, and all come back", () => {
  const mem = new PhysMem({ banks: THREE_REACHES });
  const frames: number[] = [];
  for (let f = mem.allocFrame(); f !== NO_FRAME; f = mem.allocFrame()) frames.push(f);
  expect([frames.length, mem.freeFrames]).toEqual([mem.totalFrames, 0]);
  expect(new Set(frames.map((f) => mem.addrOf(f))).size).toBe(mem.totalFrames);
  const reaches = frames.map((f) => reachOf(mem.addrOf(f)));
  expect(reaches).toEqual(reaches.toSorted((a, b) => b - a));
  expect([mem.allocContig(1), mem.touchedBytes]).toEqual([NO_FRAME, 0]);
  mem.check();
  const roll = dice(7);
  for (let i = frames.length - 1; i >= 0; i--) {
    const [frame] = frames.splice(roll(i + 1), 1);
    mem.freeFrame(frame);
    if (i % 1000 === 0) mem.check();
  }
  expect(mem.freeFrames).toBe(mem.totalFrames);
  expect(mem.allocContig((18 * MiB) / PAGE_SIZE - 512, { high: MAXADDR_32BIT })).not.toBe(NO_FRAME);
});

describe("contiguous ranges, by hand", () => {
  interface Case extends Partial<ContigLimits> {
    readonly name: string;
    readonly banks?: BankConfig[];
    readonly pages: number;
    /** Expected address, −1 for none, or a range that holds all of it. */
    readonly at: number | [low: number, end: number];
  }
  const small = [{ base: 0, size: 8 * MiB }];
  const big = [
    { base: 0, size: 3 * GiB },
    { base: 4 * GiB, size: 4 * GiB },
  ];
  const cases: Case[] = [
    { name: "a page below an address", banks: small, pages: 1, high: 0xfff, at: 0 },
    { name: "a page one byte too low", banks: small, pages: 1, high: 0xffe, at: -1 },
    { name: "low inside of a page", banks: small, pages: 1, low: 0x1001, high: 0x2fff, at: 0x2000 },
    {
      name: "low and high of just the range",
      banks: small,
      pages: 16,
      low: 0x10000,
      high: 0x1ffff,
      at: 0x10000,
    },
    {
      name: "an alignment of 1 MiB",
      banks: small,
      pages: 3,
      low: 0x1000,
      high: 2 * MiB - 1,
      align: MiB,
      at: MiB,
    },
    {
      name: "an alignment beyond the bank",
      banks: small,
      pages: 1,
      low: 1,
      align: 16 * MiB,
      at: -1,
    },
    {
      name: "a boundary moves the range up",
      banks: small,
      pages: 3,
      low: 0xe000,
      high: 0x1ffff,
      boundary: 0x10000,
      at: 0x10000,
    },
    {
      name: "a boundary of just the size",
      banks: small,
      pages: 16,
      low: 0x1000,
      high: 0x1ffff,
      boundary: 0x10000,
      at: 0x10000,
    },
    { name: "the whole bank, two sections", banks: small, pages: 2048, at: 0 },
    { name: "more than the bank", banks: small, pages: 2049, at: -1 },
    { name: "across a section border", banks: small, pages: 1025, at: [0, 8 * MiB] },
    {
      name: "nothing between two banks",
      banks: big,
      pages: 1,
      low: 3 * GiB,
      high: 4 * GiB - 1,
      at: -1,
    },
    { name: "high memory before low, one page", banks: big, pages: 1, at: [4 * GiB, 8 * GiB] },
    { name: "high memory before low, a section", banks: big, pages: 1024, at: [4 * GiB, 8 * GiB] },
    { name: "high memory before low, 64 MiB", banks: big, pages: 16384, at: [4 * GiB, 8 * GiB] },
    {
      name: "32 bits before 24, 64 MiB",
      banks: big,
      pages: 16384,
      high: MAXADDR_32BIT,
      at: [16 * MiB, 3 * GiB],
    },
    { name: "24 bits when asked", banks: big, pages: 2048, high: MAXADDR_24BIT, at: [0, 16 * MiB] },
    {
      name: "low memory when only that is large enough",
      banks: [
        { base: 0, size: 12 * MiB },
        { base: 4 * GiB, size: 8 * MiB },
      ],
      pages: 3000,
      at: 0,
    },
    {
      name: "across 4 GiB in one bank",
      banks: [{ base: 4 * GiB - 8 * MiB, size: 16 * MiB }],
      pages: 4096,
      at: 4 * GiB - 8 * MiB,
    },
    {
      name: "the last pages of 52 bits",
      banks: THREE_REACHES,
      pages: 16,
      low: 2 ** 52 - 16 * PAGE_SIZE,
      at: 2 ** 52 - 16 * PAGE_SIZE,
    },
  ];
  for (const { name, banks = small, pages, at, ...limits } of cases) {
    test(name, () => {
      const mem = new PhysMem({ banks });
      const frame = mem.allocContig(pages, limits);
      const pa = frame === NO_FRAME ? -1 : mem.addrOf(frame);
      if (typeof at === "number") expect(pa).toBe(at);
      else expect(pa >= at[0] && pa + pages * PAGE_SIZE <= at[1]).toBe(true);
      mem.check();
      if (frame === NO_FRAME) return;
      expect(mem.freeFrames).toBe(mem.totalFrames - pages);
      mem.freeFrame(frame, pages);
      mem.check();
      expect(mem.freeFrames).toBe(mem.totalFrames);
    });
  }

  for (const limits of [
    { align: 3 * PAGE_SIZE },
    { align: 0 },
    { boundary: 0x3000 },
    { boundary: 0x2000 },
    { low: -1 },
    { high: Number.NaN },
  ]) {
    test(`three pages with ${JSON.stringify(limits)} are refused`, () => {
      const mem = new PhysMem({ banks: small });
      expect(() => mem.allocContig(3, limits)).toThrow(ErrnoError);
      expect(() => mem.allocContig(3, limits)).toThrow(
        expect.objectContaining({ errno: Errno.EINVAL }),
      );
    });
  }

  test("a count that is none is refused", () => {
    const mem = new PhysMem({ banks: small });
    for (const count of [0, -1, 1.5, Number.NaN])
      expect(() => mem.allocContig(count)).toThrow("EINVAL");
  });
});

describe("misuse panics", () => {
  const bench = (count: number) => {
    const mem = new PhysMem({ banks: [{ base: 0, size: 16 * MiB }] });
    return { mem, first: mem.allocContig(count, { align: SECTION }) };
  };

  test("a frame freed twice, alone or in a merged block", () => {
    const { mem, first } = bench(64);
    mem.freeFrame(first + 5);
    expect(() => mem.freeFrame(first + 5)).toThrow(Panic);
    mem.freeFrame(first + 4);
    for (const frame of [first + 4, first + 5]) expect(() => mem.freeFrame(frame)).toThrow(Panic);
    mem.check();
  });

  test("a range freed twice", () => {
    const { mem, first } = bench(64);
    mem.freeFrame(first, 64);
    expect(() => mem.freeFrame(first, 64)).toThrow(Panic);
    expect(() => mem.freeFrame(first + 8, 8)).toThrow(Panic);
  });

  for (const inner of [0, 1, 7, 63]) {
    test(`a range of which frame ${inner} is free already`, () => {
      const { mem, first } = bench(64);
      mem.freeFrame(first + inner);
      expect(() => mem.freeFrame(first, 64)).toThrow(Panic);
      mem.check();
    });
  }

  test("a range of which a whole section is free already", () => {
    const { mem, first } = bench(3072);
    mem.freeFrame(first + 1024, 1024);
    expect(() => mem.freeFrame(first, 3072)).toThrow(Panic);
  });

  test("frames that were never allocated or do not exist", () => {
    const { mem, first } = bench(1);
    for (const frame of [first + 1, first + 2048, 4096, -1, Number.NaN]) {
      expect(() => mem.freeFrame(frame)).toThrow(Panic);
    }
    expect(() => mem.freeFrame(first, 0)).toThrow(Panic);
    expect(() => mem.freeFrame(4095, 2)).toThrow(Panic);
  });
});

/** The map of frames: one list of pages per bank, 1 is used. */
class Model {
  readonly banks: { base: number; used: Uint8Array }[];

  constructor(banks: readonly BankConfig[]) {
    this.banks = banks.map(({ base, size }) => ({ base, used: new Uint8Array(size / PAGE_SIZE) }));
  }

  /** Mark a range; it must have been the other way. */
  mark(pa: number, count: number, value: 0 | 1): void {
    for (const { base, used } of this.banks) {
      const from = (pa - base) / PAGE_SIZE;
      if (!(from >= 0 && from < used.length)) continue;
      const part = used.subarray(from, from + count);
      if (part.length !== count || part.includes(value)) expect.fail(`${count} at ${pa} overlap`);
      part.fill(value);
    }
  }

  /** The highest reach that has a free page. */
  topReach(): number {
    const reaches = this.banks.flatMap(({ base, used }) => {
      const last = used.lastIndexOf(0);
      return last < 0 ? [] : [reachOf(base + last * PAGE_SIZE)];
    });
    return Math.max(-1, ...reaches);
  }

  /**
   * Whether the allocator must find `count` pages: they fit into one aligned free block of the next
   * power of two, or into a run of whole free sections.
   */
  mustFit(count: number, limits: ContigLimits): boolean {
    const block = Math.min(2 ** Math.ceil(Math.log2(count)), 1024);
    return this.banks.some(({ base, used }) => {
      const page = base / PAGE_SIZE;
      const usable = new Uint8Array(used.length);
      for (let at = (block - (page % block)) % block; at + block <= used.length; at += block) {
        if (!used.subarray(at, at + block).includes(1)) usable.fill(1, at, at + block);
      }
      let run = 0;
      for (let at = 0; at < used.length; at++) {
        run = usable[at] === 1 ? run + 1 : 0;
        const first = at - count + 1;
        const within = Math.floor((page + first) / block) === Math.floor((page + at) / block);
        if (run < count || (count <= 1024 && !within)) continue;
        if (obeys(base + first * PAGE_SIZE, count * PAGE_SIZE, limits)) return true;
      }
      return false;
    });
  }
}

/** The definition of the limits. */
function obeys(pa: number, size: number, { low, high, align, boundary }: ContigLimits): boolean {
  const last = pa + size - 1;
  const whole = boundary === 0 || Math.floor(pa / boundary) === Math.floor(last / boundary);
  return pa >= low && last <= high && pa % align === 0 && whole;
}

function drawLimits(roll: (n: number) => number, count: number): ContigLimits {
  const { base, size } = THREE_REACHES[roll(3)];
  const boundary = PAGE_SIZE * 2 ** (Math.ceil(Math.log2(count)) + roll(3));
  return {
    low: roll(3) === 0 ? base + roll(size) : 0,
    high: roll(3) === 0 ? Math.min(base + roll(size) + count * PAGE_SIZE, MAXADDR) : MAXADDR,
    align: roll(2) === 0 ? 2 ** roll(23) : 1,
    boundary: roll(3) === 0 ? boundary : 0,
  };
}

/** One allocation, judged by the model. @returns what was taken, or null. */
function allocate(
  mem: PhysMem,
  model: Model,
  roll: (n: number) => number,
): [number, number] | null {
  if (roll(3) === 0) {
    const frame = mem.allocFrame();
    const top = model.topReach();
    if (frame === NO_FRAME ? top >= 0 : reachOf(mem.addrOf(frame)) !== top) {
      expect.fail(`allocFrame gave ${frame}, the highest free reach is ${top}`);
    }
    return frame === NO_FRAME ? null : [frame, 1];
  }
  const count = roll(40) === 0 ? 900 + roll(1500) : 1 + roll(2 ** (1 + roll(8)));
  const limits = drawLimits(roll, count);
  const frame = mem.allocContig(count, limits);
  if (frame === NO_FRAME) {
    if (model.mustFit(count, limits)) expect.fail(`${count} ${JSON.stringify(limits)} fit`);
    return null;
  }
  if (!obeys(mem.addrOf(frame), count * PAGE_SIZE, limits)) {
    expect.fail(`${count} ${JSON.stringify(limits)} were put at ${mem.addrOf(frame)}`);
  }
  return [frame, count];
}

function longRun(seed: number, steps: number): void {
  const roll = dice(seed);
  const mem = new PhysMem({ banks: THREE_REACHES });
  const model = new Model(THREE_REACHES);
  const live: [number, number][] = [];
  let used = 0;
  const giveBack = (i: number) => {
    const [frame, count] = live[i];
    live[i] = live[live.length - 1];
    live.pop();
    mem.freeFrame(frame, count);
    model.mark(mem.addrOf(frame), count, 0);
    used -= count;
  };
  for (let step = 0; step < steps; step++) {
    if (live.length > 0 && roll(100) < (step % 6000 < 3000 ? 35 : 60)) giveBack(roll(live.length));
    else {
      const taken = allocate(mem, model, roll);
      if (taken !== null) {
        live.push(taken);
        model.mark(mem.addrOf(taken[0]), taken[1], 1);
        used += taken[1];
      }
    }
    if (mem.freeFrames !== mem.totalFrames - used) expect.fail(`step ${step}: count is off`);
    if (step % 1000 === 0) mem.check();
  }
  while (live.length > 0) giveBack(live.length - 1);
  mem.check();
  expect([mem.freeFrames, mem.touchedBytes]).toEqual([mem.totalFrames, 0]);
}

test("20,000 random allocations and frees agree with a map of frames", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => longRun(seed, 20_000)),
    { numRuns: 1, ...SEED },
  );
});
