/**
 * Contiguous ranges in memory that is in pieces: what only a scan finds, what no request may get.
 */
import {
  Errno,
  ErrnoError,
  GiB,
  MAXADDR,
  MAXADDR_32BIT,
  MiB,
  NO_FRAME,
  PAGE_SIZE,
} from "@physio/kern";
import type { ContigLimits } from "@physio/physmem";
import { PhysMem } from "@physio/physmem";
import { describe, expect, test } from "vitest";
import { reachOf } from "./frame-map.ts";

/** Memory of as many pages as `picture` has marks: `#` is allocated, `.` is free. */
function drawn(picture: string, base: number): PhysMem {
  const mem = new PhysMem({ banks: [{ base, size: picture.length * PAGE_SIZE }] });
  const first = mem.allocContig(picture.length);
  for (let i = 0; i < picture.length; i++) if (picture[i] === ".") mem.freeFrame(first + i);
  mem.check();
  return mem;
}

describe("a run of pages, by hand", () => {
  interface Case {
    readonly picture: string;
    readonly pages: number;
    /** The page it must be put at; −1: none. */
    readonly at: number;
    /** In pages. */
    readonly limits?: Partial<ContigLimits>;
  }
  const cases: Case[] = [
    { picture: "################", pages: 1, at: -1 },
    { picture: "#####.##########", pages: 1, at: 5 },
    { picture: "#..##...####.#.#", pages: 3, at: 5 },
    { picture: "##....##.#.#.#.#", pages: 4, at: 2 },
    { picture: "#......#....####", pages: 6, at: 1 },
    { picture: "#......#....####", pages: 7, at: -1 },
    { picture: ".###############", pages: 1, at: 0 },
    { picture: "#########.......", pages: 7, at: 9 },
    { picture: "################", pages: 16, at: -1 },
    { picture: "................", pages: 16, at: 0 },
    { picture: "#.......#.......", pages: 4, at: 4, limits: { align: 4, high: 8 } },
    { picture: "#.......#.......", pages: 5, at: -1, limits: { align: 8 } },
    { picture: "##.....##.......", pages: 3, at: 4, limits: { boundary: 4, high: 8 } },
    { picture: "#......##.......", pages: 4, at: 12, limits: { boundary: 4, low: 5 } },
    { picture: "#.......########", pages: 5, at: -1, limits: { boundary: 8, low: 4 } },
    { picture: "####.....#######", pages: 5, at: -1, limits: { boundary: 8 } },
    { picture: "#######..#######", pages: 2, at: 7 },
    { picture: "#######..#######", pages: 2, at: -1, limits: { boundary: 8 } },
    { picture: "#......#########", pages: 3, at: 3, limits: { low: 3, high: 6 } },
    { picture: "#......#########", pages: 3, at: -1, limits: { low: 3, high: 5 } },
    { picture: "#......#########", pages: 3, at: -1, limits: { low: 5 } },
  ];
  for (const base of [0, 3 * GiB, 2 ** 40, 2 ** 52 - 16 * PAGE_SIZE]) {
    for (const { picture, pages, at, limits = {} } of cases) {
      const asked = Object.entries(limits).map(([name, value]) => `, ${name} ${value}`);
      test(`${picture} at ${base}: ${pages}${asked.join("")}`, () => {
        const mem = drawn(picture, base);
        const { low = 0, high = 16, align = 1, boundary = 0 } = limits;
        const frame = mem.allocContig(pages, {
          low: base + low * PAGE_SIZE,
          high: base + high * PAGE_SIZE - 1,
          align: align * PAGE_SIZE,
          boundary: boundary * PAGE_SIZE,
        });
        expect(frame === NO_FRAME ? -1 : (mem.addrOf(frame) - base) / PAGE_SIZE).toBe(at);
        mem.check();
        if (frame === NO_FRAME) return;
        mem.freeFrame(frame, pages);
        mem.check();
        expect(mem.freeFrames).toBe(picture.replaceAll("#", "").length);
      });
    }
  }
});

describe("a run across sections", () => {
  const SECTION = 1024;

  test("joins the end of one with the beginning of the next", () => {
    const mem = new PhysMem({ banks: [{ base: 0, size: 12 * MiB }], lowReserve: [0, 0] });
    const first = mem.allocContig(3 * SECTION);
    mem.freeFrame(first + SECTION - 5, 10);
    expect(mem.allocContig(11)).toBe(NO_FRAME);
    expect(mem.allocContig(10)).toBe(first + SECTION - 5);
    expect([mem.counters.contigScans, mem.freeFrames]).toEqual([1, 0]);
    mem.check();
  });

  test("joins a whole free section with parts of its neighbours", () => {
    const mem = new PhysMem({ banks: [{ base: 2 ** 45, size: 12 * MiB }] });
    const first = mem.allocContig(3 * SECTION);
    mem.freeFrame(first + SECTION - 3, SECTION + 7);
    expect(mem.allocContig(SECTION + 8)).toBe(NO_FRAME);
    expect(mem.allocContig(SECTION + 7, { boundary: 8 * MiB })).toBe(NO_FRAME);
    expect(mem.allocContig(SECTION + 7)).toBe(first + SECTION - 3);
    mem.check();
    mem.freeFrame(first, 3 * SECTION);
    mem.check();
    expect(mem.allocContig(3 * SECTION)).toBe(first);
  });

  test("joins what lies on both sides of 16 MiB and of 4 GiB", () => {
    for (const edge of [16 * MiB, 4 * GiB]) {
      const banks = [{ base: edge - 4 * MiB, size: 8 * MiB }];
      const mem = new PhysMem({ banks, lowReserve: [0, 0] });
      const first = mem.allocContig(2 * SECTION);
      mem.freeFrame(first + SECTION - 2, 4);
      expect(mem.allocContig(4, { high: edge + PAGE_SIZE })).toBe(NO_FRAME);
      expect(mem.addrOf(mem.allocContig(4))).toBe(edge - 2 * PAGE_SIZE);
      mem.check();
    }
  });

  test("never leads from one bank into another, though they touch in memory", () => {
    const mem = new PhysMem({
      banks: [
        { base: 0, size: 4 * MiB },
        { base: 4 * MiB, size: 4 * MiB },
      ],
    });
    expect(mem.allocContig(SECTION + 1)).toBe(NO_FRAME);
  });
});

test("single frames that were freed are joined before lower memory is taken", () => {
  const mem = new PhysMem({
    banks: [
      { base: 0, size: 64 * MiB },
      { base: 4 * GiB, size: 4 * MiB },
    ],
  });
  const high = mem.allocContig(1024, { low: 4 * GiB });
  for (let i = 0; i < 16; i++) mem.freeFrame(high + 32 + i);
  expect(mem.allocContig(16)).toBe(high + 32);
  mem.check();
});

describe("a reach of many blocks, of which hardly one suits", () => {
  const pages = 16 * 1024;
  /** Free memory below 16 MiB, and in each of the higher reaches 64 MiB that are allocated. */
  const bench = () => {
    const mem = new PhysMem({
      banks: [
        { base: 0, size: 16 * MiB },
        { base: 64 * MiB, size: 64 * MiB },
        { base: 4 * GiB, size: 64 * MiB },
      ],
    });
    const middle = mem.allocContig(pages, { low: 64 * MiB, high: GiB });
    return { mem, middle, high: mem.allocContig(pages, { low: 4 * GiB }) };
  };

  test("is scanned for it before a lower one is taken", () => {
    const { mem, high } = bench();
    for (let i = 0; i < pages; i += 4) mem.freeFrame(high + i, 2);
    const aligned = mem.allocContig(2, { align: 64 * MiB });
    expect([aligned, mem.counters.contigScans]).toEqual([high, 1]);
    const last = mem.addrOf(high + pages - 4);
    expect(mem.addrOf(mem.allocContig(2, { low: last }))).toBe(last);
    expect(mem.allocContig(2, { low: last })).toBe(NO_FRAME);
    expect(reachOf(mem.addrOf(mem.allocContig(2, { align: 8 * MiB })))).toBe(2);
    mem.check();
  });

  test("does not keep a scan from a higher one, which has a run in two blocks", () => {
    const { mem, middle, high } = bench();
    mem.allocContig(4096, { high: 16 * MiB });
    for (let i = 8; i < pages / 2; i += 8) mem.freeFrame(middle + i, 4);
    mem.freeFrame(high, 3);
    expect(mem.allocContig(3, { align: 64 * MiB })).toBe(high);
    mem.check();
  });
});

describe("limits that are none are refused with their values", () => {
  const bad: [limits: Partial<ContigLimits>, message: string][] = [
    [{ low: Number.NaN }, "3 pages, 0xNaN-0xfffffffffffff, align 4096, boundary 0"],
    [{ high: Number.NaN }, "3 pages, 0x0-0xNaN, align 4096, boundary 0"],
    [{ align: Number.NaN }, "align NaN, boundary 0"],
    [{ boundary: Number.NaN }, "boundary NaN"],
    [{ low: -1 }, "none-0xfffffffffffff"],
    [{ low: 0.5 }, "allocContig: 3 pages"],
    [{ high: 1.5 }, "allocContig: 3 pages"],
    [{ high: Number.POSITIVE_INFINITY }, "0xInfinity"],
    [{ align: 0 }, "align 0"],
    [{ align: -4096 }, "align -4096"],
    [{ align: 3 * PAGE_SIZE }, "align 12288"],
    [{ align: 2 ** 40 + 1 }, "align 1099511627777"],
    [{ align: 3 * 2 ** 40 }, "align 3298534883328"],
    [{ align: 2 ** 53 }, "align 9007199254740992"],
    [{ boundary: 2 * PAGE_SIZE }, "boundary 8192"],
    [{ boundary: 3 * 2 ** 40 }, "boundary 3298534883328"],
    [{ boundary: -16384 }, "boundary -16384"],
    [{ domain: 1 }, "domain 1 of 1"],
    [{ domain: -2 }, "domain -2 of 1"],
    [{ domain: 0.5 }, "domain 0.5 of 1"],
    [{ domain: Number.NaN }, "domain NaN of 1"],
  ];
  for (const [limits, message] of bad) {
    test(`${JSON.stringify(limits)}: ${message}`, () => {
      const mem = new PhysMem({ banks: [{ base: 0, size: 4 * MiB }] });
      const ask = () => mem.allocContig(3, limits);
      expect(ask).toThrow(ErrnoError);
      expect(ask).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
      expect(ask).toThrow(message);
      expect(mem.freeFrames).toBe(mem.totalFrames);
    });
  }

  test("the largest powers of 2 and addresses above all memory are none of these", () => {
    const mem = new PhysMem({ banks: [{ base: 0, size: 4 * MiB }] });
    const wide = { low: 0, high: Number.MAX_SAFE_INTEGER, align: 2 ** 52, boundary: 2 ** 52 };
    expect(mem.addrOf(mem.allocContig(1, wide))).toBe(0);
    expect(mem.allocContig(1, { low: MAXADDR })).toBe(NO_FRAME);
    expect(mem.allocContig(1, { low: Number.MAX_SAFE_INTEGER })).toBe(NO_FRAME);
    expect(mem.allocContig(1, { low: 8192, high: 4096 })).toBe(NO_FRAME);
  });

  test("a limit that is there but undefined is none", () => {
    const mem = new PhysMem({ banks: [{ base: 0, size: 4 * MiB }] });
    const limits = { high: undefined, align: 8192 } as unknown as Partial<ContigLimits>;
    expect(mem.allocContig(1, limits)).not.toBe(NO_FRAME);
  });
});

test("2 MiB of memory in pieces are found without a scan", () => {
  const mem = new PhysMem({ banks: [{ base: 4 * GiB, size: 128 * MiB }] });
  const first = mem.allocContig(32 * 1024);
  for (let i = 0; i < 32 * 1024; i += 2) mem.freeFrame(first + i);
  mem.freeFrame(first + 20 * 512 + 1);
  for (let i = 3; i < 512; i += 2) mem.freeFrame(first + 20 * 512 + i);
  const frame = mem.allocContig(512, { align: 2 * MiB, low: MAXADDR_32BIT });
  expect([frame, mem.counters.contigScans]).toEqual([first + 20 * 512, 0]);
  mem.check();
});
