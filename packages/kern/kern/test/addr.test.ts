/**
 * Address arithmetic: a table to check by hand, then every operation against whole numbers without
 * limit, for addresses up to 2^52 − 1 and all powers of 2 as alignment.
 */

import {
  alignDown,
  alignUp,
  GiB,
  hex,
  isAligned,
  isPowerOf2,
  isWhole,
  MAXADDR,
  MAXADDR_24BIT,
  MAXADDR_32BIT,
  OFF_MAX,
  offsetIn,
  PAGE_SHIFT,
  PAGE_SIZE,
  pageOf,
  pageOffset,
  roundPage,
  TiB,
  truncPage,
  withinBoundary,
} from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };
const ALIGNMENTS = Array.from({ length: 53 }, (_, log) => 2 ** log);

/** Addresses of every size, and those next to a power of 2, where truncation shows. */
const address = fc.oneof(
  fc.integer({ min: 0, max: MAXADDR }),
  fc
    .tuple(fc.integer({ min: 0, max: 52 }), fc.integer({ min: -3, max: 3 }))
    .map(([log, delta]) => Math.min(Math.max(2 ** log + delta, 0), MAXADDR)),
);

describe("alignment, by hand", () => {
  const cases = [
    { a: 0, align: 1, offset: 0, down: 0, up: 0 },
    { a: 7, align: 1, offset: 0, down: 7, up: 7 },
    { a: 7, align: 8, offset: 7, down: 0, up: 8 },
    { a: 0x1234, align: 0x1000, offset: 0x234, down: 0x1000, up: 0x2000 },
    { a: 0x8000_0001, align: 0x10, offset: 1, down: 0x8000_0000, up: 0x8000_0010 },
    { a: 0xffff_ffff, align: 2 ** 31, offset: 0x7fff_ffff, down: 2 ** 31, up: 2 ** 32 },
    { a: 0x1_8000_0000, align: 2 ** 32, offset: 2 ** 31, down: 2 ** 32, up: 2 ** 33 },
    { a: 5 * TiB + 5, align: 4 * TiB, offset: TiB + 5, down: 4 * TiB, up: 8 * TiB },
    { a: MAXADDR, align: 0x1000, offset: 0xfff, down: 2 ** 52 - 4096, up: 2 ** 52 },
    { a: MAXADDR, align: 2 ** 52, offset: MAXADDR, down: 0, up: 2 ** 52 },
  ];
  for (const { a, align, ...expected } of cases) {
    test(`${hex(a)} against ${hex(align)}`, () => {
      const { offset, down, up } = expected;
      expect([offsetIn(a, align), alignDown(a, align), alignUp(a, align)]).toEqual([
        offset,
        down,
        up,
      ]);
      expect(isAligned(a, align)).toBe(offset === 0);
    });
  }
});

test("the limits are what their names say", () => {
  expect(PAGE_SIZE).toBe(1 << PAGE_SHIFT);
  expect([MAXADDR_24BIT, MAXADDR_32BIT]).toEqual([0xff_ffff, 0xffff_ffff]);
  expect([MAXADDR % 2, OFF_MAX % PAGE_SIZE, MAXADDR - OFF_MAX]).toEqual([1, 0, PAGE_SIZE - 1]);
  expect([GiB, TiB]).toEqual([2 ** 30, 2 ** 40]);
});

test("alignment agrees with whole numbers without limit, for every power of 2", () => {
  fc.assert(
    fc.property(address, (a) => {
      for (const align of ALIGNMENTS) {
        const offset = Number(BigInt(a) % BigInt(align));
        const down = BigInt(a) - BigInt(offset);
        const up = offset === 0 ? down : down + BigInt(align);
        expect(offsetIn(a, align)).toBe(offset);
        expect(alignDown(a, align)).toBe(Number(down));
        expect(alignUp(a, align)).toBe(Number(up));
        expect(isAligned(a, align)).toBe(offset === 0);
      }
    }),
    { numRuns: 300, ...SEED },
  );
});

test("offsetIn is exact up to 2^53 − 1", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.constantFrom(...ALIGNMENTS), (a, align) => {
      expect(offsetIn(a, align)).toBe(Number(BigInt(a) & (BigInt(align) - 1n)));
    }),
    { numRuns: 2000, ...SEED },
  );
});

test("pages agree with shifts of whole numbers without limit", () => {
  fc.assert(
    fc.property(address, (a) => {
      const page = BigInt(a) >> 12n;
      expect(pageOf(a)).toBe(Number(page));
      expect(pageOffset(a)).toBe(Number(BigInt(a) & 0xfffn));
      expect(truncPage(a)).toBe(Number(page << 12n));
      expect(roundPage(a)).toBe(Number(((BigInt(a) + 0xfffn) >> 12n) << 12n));
    }),
    { numRuns: 1000, ...SEED },
  );
});

test("withinBoundary: first and last byte lie between the same two multiples", () => {
  expect(withinBoundary(0xfff, 2, 0)).toBe(true);
  const boundary = fc.constantFrom(...ALIGNMENTS);
  const size = fc.oneof(fc.integer({ min: 1, max: 70_000 }), fc.integer({ min: 1, max: 2 ** 51 }));
  fc.assert(
    fc.property(address, size, boundary, (a, length, bound) => {
      const first = BigInt(a) / BigInt(bound);
      const last = (BigInt(a) + BigInt(length) - 1n) / BigInt(bound);
      expect(withinBoundary(a, length, bound)).toBe(first === last);
    }),
    { numRuns: 2000, ...SEED },
  );
});

describe("isPowerOf2", () => {
  test("knows all from 2^0 to 2^52 and none beyond", () => {
    expect(ALIGNMENTS.every(isPowerOf2)).toBe(true);
    const none = [0, -1, -2, 0.5, 1.5, 3, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY];
    expect(none.filter(isPowerOf2)).toEqual([]);
  });

  test("agrees with n & (n − 1)", () => {
    fc.assert(
      fc.property(address, (n) => {
        const expected = n > 0 && (BigInt(n) & (BigInt(n) - 1n)) === 0n;
        expect(isPowerOf2(n)).toBe(expected);
      }),
      { numRuns: 2000, ...SEED },
    );
  });
});

test("isWhole takes 0 to 2^53 − 1 and nothing else", () => {
  expect([0, 1, MAXADDR, 2 ** 53 - 1].every(isWhole)).toBe(true);
  expect([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY].filter(isWhole)).toEqual([]);
});

test("hex prints an address, and none for what is no address", () => {
  expect([0, 0xfff00, MAXADDR, -1].map(hex)).toEqual(["0x0", "0xfff00", "0xfffffffffffff", "none"]);
});
