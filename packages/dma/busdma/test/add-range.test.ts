/**
 * addRange: a table to check by hand, then a model that knows nothing but bytes.
 */

import { SegList } from "@physio/busdma";
import { addRange } from "@physio/busdma/impl";
import { GiB, KiB, MAXADDR, PAGE_SIZE, TiB } from "@physio/kern";
import fc from "fast-check";
import { expect, test } from "vitest";

type Range = readonly [number, number];
interface Case {
  readonly name: string;
  readonly max: number;
  readonly bound: number;
  readonly ranges: readonly Range[];
  readonly segs: readonly Range[];
  readonly capacity?: number;
  readonly ok?: boolean;
}

const K4 = 4 * KiB;
const cases: Case[] = [
  { name: "nothing", max: K4, bound: 0, ranges: [[0x1000, 0]], segs: [] },
  { name: "one range", max: K4, bound: 0, ranges: [[0x1000, 100]], segs: [[0x1000, 100]] },
  {
    name: "contiguous ranges coalesce",
    max: 64 * KiB,
    bound: 0,
    ranges: [
      [0x1000, 0x1000],
      [0x2000, 0x1000],
    ],
    segs: [[0x1000, 0x2000]],
  },
  {
    name: "a gap, or a step back, opens a segment",
    max: 64 * KiB,
    bound: 0,
    ranges: [
      [0x1000, 0x800],
      [0x1801, 1],
      [0x1000, 1],
    ],
    segs: [
      [0x1000, 0x800],
      [0x1801, 1],
      [0x1000, 1],
    ],
  },
  {
    name: "no coalescing past the largest segment",
    max: 0x1800,
    bound: 0,
    ranges: [
      [0x1000, 0x1000],
      [0x2000, 0x1000],
    ],
    segs: [
      [0x1000, 0x1000],
      [0x2000, 0x1000],
    ],
  },
  {
    name: "a range longer than the largest segment is cut from its start",
    max: 3000,
    bound: 0,
    ranges: [[0, 10000]],
    segs: [
      [0, 3000],
      [3000, 3000],
      [6000, 3000],
      [9000, 1000],
    ],
  },
  {
    name: "a boundary splits a range",
    max: 64 * KiB,
    bound: 0x2000,
    ranges: [[0x1800, 0x1000]],
    segs: [
      [0x1800, 0x800],
      [0x2000, 0x800],
    ],
  },
  {
    name: "no coalescing across a boundary",
    max: 0x2000,
    bound: 0x2000,
    ranges: [
      [0x1000, 0x1000],
      [0x2000, 0x1000],
    ],
    segs: [
      [0x1000, 0x1000],
      [0x2000, 0x1000],
    ],
  },
  {
    name: "a boundary above 4 GiB",
    max: 8 * GiB,
    bound: 8 * GiB,
    ranges: [[TiB - GiB, 2 * GiB]],
    segs: [
      [TiB - GiB, GiB],
      [TiB, GiB],
    ],
  },
  {
    name: "the last byte of all",
    max: K4,
    bound: K4,
    ranges: [[MAXADDR - PAGE_SIZE + 1, PAGE_SIZE]],
    segs: [[MAXADDR - PAGE_SIZE + 1, PAGE_SIZE]],
  },
  {
    name: "a full list says so and keeps what it has",
    max: K4,
    bound: 0,
    capacity: 2,
    ranges: [
      [0, 10],
      [100, 10],
      [200, 10],
    ],
    segs: [
      [0, 10],
      [100, 10],
    ],
    ok: false,
  },
  {
    name: "a full list still grows its last segment",
    max: K4,
    bound: 0,
    capacity: 1,
    ranges: [
      [0, 10],
      [10, 10],
    ],
    segs: [[0, 20]],
  },
  {
    name: "a chunk above the boundary that begins on it does not fit",
    max: 0x4000,
    bound: 0x2000,
    ranges: [[0x2000, 0x3000]],
    segs: [],
    ok: false,
  },
];

function load(c: Case): { ok: boolean; segs: Range[] } {
  const list = new SegList(c.capacity ?? 64);
  const ok = c.ranges.every(([addr, len]) => addRange(list, addr, len, c.max, c.bound));
  return { ok, segs: list.toArray().map((s): Range => [s.addr, s.len]) };
}

for (const c of cases) {
  test(`addRange: ${c.name}`, () => {
    expect(load(c)).toEqual({ ok: c.ok ?? true, segs: c.segs });
  });
}

/** Byte by byte: a byte joins the segment of the byte before it unless a rule forbids it. */
function bytesOf(segs: readonly Range[], base: bigint): bigint[] {
  return segs.flatMap(([addr, len]) =>
    Array.from({ length: len }, (_, i) => base + BigInt(addr) + BigInt(i)),
  );
}

const draw = fc.record({
  base: fc.constantFrom(0n, 1n << 32n, (1n << 40n) - 4096n, (1n << 51n) - 64n),
  max: fc.integer({ min: 1, max: 48 }),
  bound: fc.constantFrom(0, 1, 2, 8, 16, 64),
  steps: fc.array(fc.record({ gap: fc.constantFrom(0, 0, 0, 1, 7, -20), len: fc.nat(70) }), {
    maxLength: 6,
  }),
});

test("addRange: segments are the bytes in order, within every limit, and coalesced", () => {
  const property = fc.property(draw, ({ base, max, bound, steps }) => {
    let at = Number(base) + 64;
    const ranges = steps.map(({ gap, len }): Range => {
      const start = at + gap;
      at = start + len;
      return [start, len];
    });
    const limit = bound === 0 ? max : Math.min(max, bound);
    const { ok, segs } = load({ name: "", max: limit, bound, ranges, segs: [], capacity: 1000 });
    expect(ok).toBe(true);
    expect(bytesOf(segs, 0n)).toEqual(bytesOf(ranges, 0n));
    for (const [addr, len] of segs) {
      expect(len).toBeGreaterThan(0);
      expect(len).toBeLessThanOrEqual(limit);
      const [first, last] = [BigInt(addr), BigInt(addr) + BigInt(len) - 1n];
      if (bound !== 0) expect(first / BigInt(bound)).toBe(last / BigInt(bound));
    }
    // Two neighbours that touch stay apart only for a reason.
    for (let i = 1; i < segs.length; i++) {
      const [[a, alen], [b, blen]] = [segs[i - 1], segs[i]];
      if (a + alen !== b) continue;
      const onBoundary = bound !== 0 && BigInt(b) % BigInt(bound) === 0n;
      expect(onBoundary || alen + blen > limit).toBe(true);
    }
  });
  fc.assert(property, { seed: 3, numRuns: 800 });
});

test("addRange: a list of any capacity holds the first segments of the unlimited list", () => {
  const property = fc.property(draw, fc.integer({ min: 1, max: 6 }), ({ max, steps }, capacity) => {
    let at = 1000;
    const ranges = steps.map(({ gap, len }): Range => {
      at += gap + len;
      return [at - len, len];
    });
    const c = { name: "", max, bound: 0, ranges, segs: [] };
    const all = load({ ...c, capacity: 1000 });
    const some = load({ ...c, capacity });
    expect(some.ok).toBe(all.segs.length <= capacity);
    const heads = (segs: readonly Range[]) => segs.slice(0, capacity).map(([addr]) => addr);
    expect(heads(some.segs)).toEqual(heads(all.segs));
  });
  fc.assert(property, { seed: 4, numRuns: 1000 });
});
