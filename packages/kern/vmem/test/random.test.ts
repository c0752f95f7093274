/**
 * 200,000 random operations in all forms (plain, constrained, cached, imported) against the model
 * of model.ts, from 0, above 2^32 and up to 2^52 − 1. The same in long/, with many more.
 */
import fc from "fast-check";
import { test } from "vitest";
import { Q, randomRun, UNITS } from "./model.ts";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

const TOP = 2 ** 52 - UNITS * Q;
for (const [what, operations, base, caches, imports] of [
  ["plain and constrained, from 0", 30_000, 0, 0, false],
  ["plain and constrained, from 2^33 + 64 KiB", 30_000, 2 ** 33 + 65536, 0, false],
  ["plain and constrained, up to 2^52 − 1", 30_000, TOP, 0, false],
  ["with quantum caches, from 2^40", 30_000, 2 ** 40, 8, false],
  ["with quantum caches of one size, up to 2^52 − 1", 20_000, TOP, 1, false],
  ["imported, from 2^33 + 64 KiB", 30_000, 2 ** 33 + 65536, 0, true],
  ["imported with quantum caches, up to 2^52 − 1", 30_000, TOP, 5, true],
] as const) {
  test(`${operations} random operations ${what} agree with a list of used ranges`, () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => randomRun({ seed, operations, base, caches, imports })),
      { numRuns: 1, ...SEED },
    );
  });
}
