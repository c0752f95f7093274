/**
 * The campaigns of test/ext2-write.test.ts and test/ext2-hostile.test.ts with many more seeds: PHYSIO_CASES of them
 * (5,000), from PHYSIO_SEED on (1,000,000).
 */
import { afterAll, expect, test } from "vitest";
import { ImageFolder, SHAPES } from "../src/e2fsck.ts";
import { runCrash, runFull, runSequence } from "../src/ext2-campaign.ts";
import { makeBase, runHostile } from "../src/hostile-image.ts";

const FIRST = Number(process.env.PHYSIO_SEED ?? 1_000_000);
const COUNT = Number(process.env.PHYSIO_CASES ?? 5000);
const HOURS = 3_600_000;
const folder = new ImageFolder();
afterAll(() => folder.remove());
console.log(`PHYSIO_SEED=${FIRST} PHYSIO_CASES=${COUNT}`);

test(`${COUNT} sequences of calls`, { timeout: HOURS }, () => {
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const options = { seed, calls: 200, reach: seed % 5 === 0 ? 1_000_000 : 60_000 };
    expect(runSequence(folder, SHAPES[seed % SHAPES.length], options)).toBe("");
  }
});

test(`${COUNT / 5} full disks, and as many crashes`, { timeout: HOURS }, () => {
  for (let seed = FIRST; seed < FIRST + COUNT / 5; seed++) {
    const shape = SHAPES[seed % SHAPES.length];
    const options = { seed, calls: 150, reach: 60_000 };
    expect(runFull(folder, shape, seed % 100, options).wrong).toBe("");
    expect(runCrash(folder, shape, 5 + (seed % 400), { ...options, calls: 400 }).wrong).toBe("");
  }
});

test(`${COUNT} damaged images`, { timeout: HOURS }, () => {
  const base = makeBase(folder, SHAPES[0]);
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    try {
      runHostile(base, seed);
    } catch (error) {
      throw new Error(`PHYSIO_SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});
