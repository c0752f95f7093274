/**
 * The same as test/random.test.ts with many more operations: PHYSIO_OPS of them in all (10,000,000),
 * in runs of 100,000 with seeds from PHYSIO_SEED on (1).
 */
import { test } from "vitest";
import { Q, randomRun, UNITS } from "../test/model.ts";

const FIRST = Number(process.env.PHYSIO_SEED ?? 1);
const COUNT = Number(process.env.PHYSIO_OPS ?? 10_000_000);
const PER_RUN = 100_000;
const HOURS = 3_600_000;
const BASES = [0, 2 ** 33 + 65536, 2 ** 40, 2 ** 52 - UNITS * Q];

test(`${COUNT} random operations from seed ${FIRST} on agree with the model`, {
  timeout: HOURS,
}, () => {
  for (let done = 0, seed = FIRST; done < COUNT; done += PER_RUN, seed++) {
    randomRun({
      seed,
      operations: Math.min(PER_RUN, COUNT - done),
      base: BASES[seed % BASES.length],
      caches: [0, 8, 1, 5, 0, 16][seed % 6],
      imports: seed % 5 < 2,
    });
  }
});
