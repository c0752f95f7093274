/**
 * The same as test/mutants.test.ts with many more seeds: PHYSIO_MUTANTS of them (20,000), from
 * PHYSIO_SEED on (1,000,000).
 *
 * All failures are collected before the test fails, so that one run shows them all.
 */
import { expect, test } from "vitest";
import { survive } from "../src/survive.ts";

const FIRST = Number(process.env.PHYSIO_SEED ?? 1_000_000);
const COUNT = Number(process.env.PHYSIO_MUTANTS ?? 20_000);
const HOURS = 3_600_000;

test(`${COUNT} mutants from ${FIRST} on end in a report or an errno`, { timeout: HOURS }, () => {
  const begin = performance.now();
  const outcomes: Record<string, number> = {};
  const failed: string[] = [];
  let slowestMs = 0;
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const start = performance.now();
    try {
      const outcome = survive(seed);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    } catch (error) {
      failed.push((error as Error).message);
    }
    slowestMs = Math.max(slowestMs, Math.round(performance.now() - start));
  }
  const seconds = ((performance.now() - begin) / 1000).toFixed(0);
  console.log(JSON.stringify({ outcomes, failed: failed.length, seconds, slowestMs }));
  expect(failed).toEqual([]);
});
