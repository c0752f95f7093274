/**
 * Arenas: constraints by hand, what is refused, and long random runs against a map of units that
 * knows which are used. At the bottom, above 2^32 and up to 2^52 − 1.
 */
import { Errno, ErrnoError, MAXADDR, Panic } from "@physio/kern";
import type { Constraints } from "@physio/vmem";
import { Arena } from "@physio/vmem";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

/** Evenly distributed whole numbers below `n`, named by a seed. */
function dice(seed: number): (n: number) => number {
  let state = seed | 0;
  return (n) => {
    state = (state + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    return ((mixed ^ (mixed >>> 13)) >>> 0) % n;
  };
}

/** An arena of [`start`, `start + size`) less the `used` ranges. */
function arena(quantum: number, start: number, size: number, used: [number, number][] = []) {
  const it = new Arena("test", quantum);
  it.add(start, size);
  for (const [at, length] of used) {
    expect(it.alloc(length, { min: at, max: at + length - 1 })).toBe(at);
  }
  return it;
}

describe("constraints, by hand: 0x10000 bytes from 0x10000", () => {
  interface Case extends Constraints {
    readonly name: string;
    readonly size: number;
    readonly at: number;
    readonly used?: [number, number][];
  }
  const cases: Case[] = [
    { name: "nothing asked", size: 0x100, at: 0x10000 },
    { name: "the whole", size: 0x10000, at: 0x10000 },
    { name: "more than the whole", size: 0x10010, at: -1 },
    { name: "a size below the quantum", size: 1, at: 0x10000, used: [] },
    { name: "align", size: 0x100, align: 0x1000, at: 0x11000, used: [[0x10000, 0x10]] },
    { name: "align beyond the span", size: 0x10, align: 0x40000, at: -1 },
    { name: "phase", size: 0x100, align: 0x1000, phase: 0x20, at: 0x10020 },
    {
      name: "phase behind a used start",
      size: 0x100,
      align: 0x1000,
      phase: 0x20,
      at: 0x11020,
      used: [[0x10000, 0x30]],
    },
    { name: "nocross fits", size: 0x800, nocross: 0x1000, at: 0x10000 },
    {
      name: "nocross moves up",
      size: 0x800,
      nocross: 0x1000,
      at: 0x11000,
      used: [[0x10000, 0x810]],
    },
    {
      name: "nocross with a phase that leaves no room",
      size: 0x900,
      align: 0x1000,
      phase: 0x800,
      nocross: 0x1000,
      at: -1,
    },
    { name: "nocross of just the size", size: 0x1000, nocross: 0x1000, at: 0x10000 },
    { name: "min", size: 0x100, min: 0x12345, at: 0x12350 },
    { name: "min below the span", size: 0x100, min: 0x50, at: 0x10000 },
    { name: "max of just the last byte", size: 0x100, max: 0x100ff, at: 0x10000 },
    { name: "max one byte short", size: 0x100, max: 0x100fe, at: -1 },
    { name: "min and max", size: 0x100, min: 0x1ff00, max: 0x1ffff, at: 0x1ff00 },
    { name: "min beyond", size: 0x100, min: 0x1ff10, at: -1 },
    {
      name: "a hole too small is passed",
      size: 0x20,
      max: 0x10fff,
      at: 0x10040,
      used: [[0x10010, 0x30]],
    },
  ];
  for (const { name, size, at, used, ...constraints } of cases) {
    test(name, () => {
      const it = arena(0x10, 0x10000, 0x10000, used);
      expect(it.alloc(size, constraints)).toBe(at);
      it.check();
    });
  }
});

test("what comes back is merged: in any order of three, the whole can be had again", () => {
  for (const order of [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ]) {
    const it = arena(1, 0, 30);
    const parts = [it.alloc(10), it.alloc(10), it.alloc(10)];
    expect([it.alloc(1), it.allocated]).toEqual([-1, 30]);
    for (const i of order) {
      it.free(parts[i], 10);
      it.check();
    }
    expect([it.alloc(30), it.total]).toEqual([0, 30]);
  }
});

test("spans with a gap are never joined, spans that touch are", () => {
  const it = arena(0x10, 0, 0x100);
  it.add(0x200, 0x100);
  expect([it.alloc(0x110), it.total]).toEqual([-1, 0x200]);
  it.add(0x100, 0x100);
  expect(it.alloc(0x300)).toBe(0);
  it.check();
});

test("the highest addresses are handed out like any other", () => {
  const it = arena(1, 2 ** 52 - 16, 16);
  expect(it.alloc(1, { min: MAXADDR })).toBe(MAXADDR);
  expect(it.alloc(8, { align: 8, nocross: 8 })).toBe(2 ** 52 - 16);
  expect([it.alloc(8), it.alloc(7)]).toEqual([-1, 2 ** 52 - 8]);
  const high = arena(0x1000, 2 ** 40, 2 ** 33);
  expect(high.alloc(2 ** 32, { min: 2 ** 40 + 1, align: 2 ** 32 })).toBe(2 ** 40 + 2 ** 32);
  expect(high.alloc(2 ** 32)).toBe(2 ** 40);
  high.check();
});

describe("what is refused", () => {
  const refused = (errno: number, words: string, action: () => void) => {
    expect(action).toThrow(ErrnoError);
    expect(action).toThrow(words);
    expect(action).toThrow(expect.objectContaining({ errno }));
  };

  test("a quantum that is not a power of 2", () => {
    refused(Errno.EINVAL, "vmem kva: quantum 3 is not a power of 2", () => new Arena("kva", 3));
    refused(Errno.EINVAL, "quantum 0", () => new Arena("kva", 0));
  });

  for (const [start, size] of [
    [0x10, 0],
    [0x11, 0x10],
    [0x10, 0x11],
    [-0x10, 0x10],
    [2 ** 52, 0x10],
    [2 ** 52 - 0x10, 0x20],
    [0, Number.NaN],
  ]) {
    test(`the span ${start}+${size}`, () => {
      refused(Errno.EINVAL, `span ${start}+${size}`, () => new Arena("a", 0x10).add(start, size));
    });
  }

  for (const [start, size] of [
    [0x100, 0x10],
    [0xf0, 0x20],
    [0x1f0, 0x20],
    [0x80, 0x400],
    [0x140, 0x10],
  ]) {
    test(`the span ${start}+${size}, which overlaps 0x100+0x100, and the arena stays as it was`, () => {
      const it = arena(0x10, 0x100, 0x100, [[0x120, 0x20]]);
      refused(Errno.EEXIST, `span ${start}+${size} overlaps`, () => it.add(start, size));
      expect([it.total, it.allocated]).toEqual([0x100, 0x20]);
      it.check();
    });
  }

  const bad: [string, number, Constraints][] = [
    ["a size of 0", 0, {}],
    ["a size below 0", -16, {}],
    ["a size that is no number", Number.NaN, {}],
    ["an alignment that is not a power of 2", 16, { align: 48 }],
    ["an alignment below the quantum", 16, { align: 8 }],
    ["a phase of the alignment", 16, { align: 32, phase: 32 }],
    ["a phase off the quantum", 16, { align: 32, phase: 8 }],
    ["a boundary that is not a power of 2", 16, { nocross: 48 }],
    ["a boundary below the size", 64, { nocross: 32 }],
    ["min above max", 16, { min: 64, max: 32 }],
    ["a min that is no address", 16, { min: -1 }],
  ];
  for (const [name, size, constraints] of bad) {
    test(name, () => {
      const it = arena(0x10, 0x100, 0x100);
      refused(Errno.EINVAL, "vmem test: size", () => it.alloc(size, constraints));
      expect(it.allocated).toBe(0);
    });
  }

  test("freeing what is not allocated, twice, or with another size panics", () => {
    const it = arena(0x10, 0x100, 0x100);
    const at = it.alloc(0x28);
    expect(() => it.free(0x180, 0x10)).toThrow(Panic);
    expect(() => it.free(at + 0x10, 0x10)).toThrow("which is not allocated");
    expect(() => it.free(at, 0x40)).toThrow("with size 64, allocated 48");
    it.free(at, 0x28);
    expect(() => it.free(at, 0x28)).toThrow("vmem test: free of 256, which is not allocated");
    it.check();
  });
});

const Q = 16;
const UNITS = 1024;
/** Spans of the long run, in units: two that touch, a gap of 56, two more. */
const SPANS = [
  [0, 300],
  [300, 212],
  [568, 200],
  [768, 256],
];

/** Random constraints, some of which cannot be met. */
function drawConstraints(roll: (n: number) => number, base: number, size: number): Constraints {
  const align = Q * 2 ** roll(6);
  const low = roll(UNITS * Q);
  const c: { -readonly [K in keyof Constraints]: Constraints[K] } = {};
  if (roll(2) === 0) c.align = align;
  if (c.align !== undefined && roll(2) === 0) c.phase = Q * roll(align / Q);
  if (roll(3) === 0) c.nocross = 2 ** (Math.ceil(Math.log2(size)) + roll(3));
  if (roll(3) === 0) c.min = base + low;
  if (roll(3) === 0) c.max = base + low + roll(UNITS * Q - low) + size;
  return c;
}

/** Whether `at` obeys the constraints, by their definition. */
function obeys(at: number, size: number, c: Constraints): boolean {
  const last = at + size - 1;
  const { align = Q, phase = 0, nocross = 0, min = 0, max = MAXADDR } = c;
  const whole = nocross === 0 || Math.floor(at / nocross) === Math.floor(last / nocross);
  return at >= min && last <= max && (at - phase) % align === 0 && whole;
}

/** `steps` random operations; −1 is accepted only when no place exists. */
function longRun(seed: number, base: number, steps: number): void {
  const roll = dice(seed);
  const it = new Arena("long", Q);
  const used = new Uint8Array(UNITS).fill(1);
  for (const i of [2, 0, 3, 1]) {
    it.add(base + SPANS[i][0] * Q, SPANS[i][1] * Q);
    used.fill(0, SPANS[i][0], SPANS[i][0] + SPANS[i][1]);
  }
  const live: [number, number][] = [];
  const fits = (u: number, n: number) => u + n <= UNITS && !used.subarray(u, u + n).includes(1);

  for (let step = 0; step < steps; step++) {
    if (live.length > 0 && roll(100) < (step % 4000 < 2000 ? 40 : 55)) {
      const i = roll(live.length);
      const [at, size] = live[i];
      live[i] = live[live.length - 1];
      live.pop();
      it.free(at, size);
      used.fill(0, (at - base) / Q, (at - base) / Q + Math.ceil(size / Q));
    } else {
      const size = 1 + roll(roll(8) === 0 ? 100 * Q : 12 * Q);
      const units = Math.ceil(size / Q);
      const c = roll(2) === 0 ? {} : drawConstraints(roll, base, units * Q);
      const at = it.alloc(size, c);
      if (at < 0) {
        for (let u = 0; u < UNITS; u++) {
          if (obeys(base + u * Q, units * Q, c) && fits(u, units)) {
            expect.fail(`step ${step}: ${size} ${JSON.stringify(c)} fits at unit ${u}`);
          }
        }
      } else {
        const u = (at - base) / Q;
        if (!obeys(at, units * Q, c) || !fits(u, units)) {
          expect.fail(`step ${step}: ${size} ${JSON.stringify(c)} was put at unit ${u}`);
        }
        used.fill(1, u, u + units);
        live.push([at, size]);
      }
    }
    if (step % 500 === 0) it.check();
  }
  for (const [at, size] of live) it.free(at, size);
  it.check();
  expect([it.allocated, it.total]).toEqual([0, 968 * Q]);
  for (const [start, units] of [
    [0, 512],
    [568, 456],
  ]) {
    expect(it.alloc(units * Q, { min: base + start * Q })).toBe(base + start * Q);
  }
}

for (const [where, base] of [
  ["0", 0],
  ["2^33 + 64 KiB", 2 ** 33 + 65536],
  ["2^52 − 16 KiB", 2 ** 52 - UNITS * Q],
] as const) {
  test(`20,000 random operations from ${where} agree with a map of units`, () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => longRun(seed, base, 20_000)),
      { numRuns: 1, ...SEED },
    );
  });
}
