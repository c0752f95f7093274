/**
 * Frame allocation by hand: exhaustion and back, contiguous ranges, and misuse.
 */
import {
  Errno,
  ErrnoError,
  GiB,
  MAXADDR_24BIT,
  MAXADDR_32BIT,
  MiB,
  NO_FRAME,
  PAGE_SIZE,
  Panic,
} from "@physio/kern";
import type { BankConfig, ContigLimits } from "@physio/physmem";
import { PhysMem } from "@physio/physmem";
import { describe, expect, test } from "vitest";

const SECTION = 4 * MiB;

/** Which of the allocator's three reaches an address belongs to. */
const reachOf = (pa: number) => (pa <= MAXADDR_24BIT ? 0 : pa <= MAXADDR_32BIT ? 1 : 2);

const THREE_REACHES: BankConfig[] = [
  { base: 0, size: 18 * MiB },
  { base: 4 * GiB - 4 * MiB, size: 9 * MiB + 5 * PAGE_SIZE },
  { base: 2 ** 52 - 5 * MiB, size: 5 * MiB },
];

test("every frame can be had once, highest reach first, and all come back", () => {
  const mem = new PhysMem({ banks: THREE_REACHES, lowReserve: [0, 0] });
  const frames: number[] = [];
  for (let f = mem.allocFrame(); f !== NO_FRAME; f = mem.allocFrame()) frames.push(f);
  expect([frames.length, mem.freeFrames]).toEqual([mem.totalFrames, 0]);
  expect(new Set(frames.map((f) => mem.addrOf(f))).size).toBe(mem.totalFrames);
  const reaches = frames.map((f) => reachOf(mem.addrOf(f)));
  expect(reaches).toEqual(reaches.toSorted((a, b) => b - a));
  expect([mem.allocContig(1), mem.touchedBytes]).toEqual([NO_FRAME, 0]);
  mem.check();
  // 1009 is prime to their number: a scattered order that meets every frame.
  for (let i = 0; i < frames.length; i++) {
    mem.freeFrame(frames[(i * 1009) % frames.length]);
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
      const mem = new PhysMem({ banks, lowReserve: [0, 0] });
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
