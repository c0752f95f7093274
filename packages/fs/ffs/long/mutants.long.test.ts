/**
 * The same as test/mutants.test.ts with many more seeds: PHYSIO_MUTANTS of them (5,000), from PHYSIO_SEED
 * on (1,000,000). All failures are collected before the test fails.
 */
import { expect, test } from "vitest";
import { survive } from "../test/survive.ts";

const FIRST = Number(process.env.PHYSIO_SEED ?? 1_000_000);
const COUNT = Number(process.env.PHYSIO_MUTANTS ?? 5000);
const HOURS = 3_600_000;

test(`${COUNT} mutants from ${FIRST} on end in reports or an errno`, { timeout: HOURS }, () => {
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
  console.log(JSON.stringify({ outcomes, failed: failed.length, slowestMs }));
  expect(failed).toEqual([]);
});
