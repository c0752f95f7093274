/**
 * The same random cases as test/backends.test.ts with many more seeds: PHYSIO_CASES of them (1,000,000),
 * from PHYSIO_SEED on (1,000,000), one backend after the other.
 */
import { checkCase, randomCase } from "@physio/busdma/testing";
import { test } from "vitest";
import { BACKENDS, source } from "../src/backends.ts";

const FIRST = Number(process.env.PHYSIO_SEED ?? 1_000_000);
const COUNT = Number(process.env.PHYSIO_CASES ?? 1_000_000);
const HOURS = 3_600_000;

test(`${COUNT} random cases from ${FIRST} on`, { timeout: HOURS }, () => {
  console.log(`PHYSIO_SEED=${FIRST} PHYSIO_CASES=${COUNT}`);
  const makes = Object.entries(BACKENDS);
  const report = new Map<string, number>();
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const [name, make] = makes[seed % makes.length];
    try {
      checkCase(make, randomCase(source(seed)), report);
    } catch (error) {
      throw new Error(`backend ${name}, PHYSIO_SEED=${seed}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
  console.log(JSON.stringify(Object.fromEntries(report)));
});
