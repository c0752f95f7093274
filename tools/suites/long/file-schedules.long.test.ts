/**
 * The same as test/file-schedules.test.ts with many more seeds: PHYSIO_SCHEDULES of them (10,000), from
 * PHYSIO_SEED on (1,000,000). All failures are collected before the test fails.
 */
import { expect, test } from "vitest";
import { runSchedule } from "../src/file-schedule.ts";
import { watched } from "../src/watchdog.ts";

const FIRST = Number(process.env.PHYSIO_SEED ?? 1_000_000);
const COUNT = Number(process.env.PHYSIO_SCHEDULES ?? 10_000);
const HOURS = 3_600_000;

test(`${COUNT} schedules from ${FIRST} on`, { timeout: HOURS }, () => {
  console.log(`PHYSIO_SEED=${FIRST} PHYSIO_SCHEDULES=${COUNT}`);
  const failures: string[] = [];
  const sums = { operations: 0, failures: 0, pageouts: 0, switches: 0 };
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    try {
      const report = watched(seed, () => runSchedule(seed));
      sums.operations += report.operations;
      sums.failures += report.failures;
      sums.pageouts += report.pageouts;
      sums.switches += report.switches;
    } catch (error) {
      failures.push((error as Error).message);
    }
  }
  console.log(JSON.stringify(sums));
  expect(failures).toEqual([]);
  expect(sums.pageouts).toBeGreaterThan(0);
});
