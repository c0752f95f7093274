/**
 * Damaged images that are written to: a call may fail with an errno; nothing panics, nothing hangs, no frame is lost.
 * `PHYSIO_ALL` takes 500, `PHYSIO_SEED=n` the one.
 */
import { afterAll, expect, test } from "vitest";
import { ImageFolder, SHAPES } from "../src/e2fsck.ts";
import { makeBase, runHostile } from "../src/hostile-image.ts";
import { haveE2fsprogs } from "../src/make-image.ts";

const ONE = process.env.PHYSIO_SEED;
const FIRST = Number(ONE ?? 1);
const COUNT = ONE === undefined ? (process.env.PHYSIO_ALL === undefined ? 20 : 500) : 1;
const folder = new ImageFolder();
afterAll(() => folder.remove());

test.runIf(haveE2fsprogs())(
  `${COUNT} damaged images survive being written to`,
  { timeout: 300_000 },
  () => {
    const base = makeBase(folder, SHAPES[0]);
    let calls = 0;
    for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
      try {
        const result = runHostile(base, seed);
        if (result !== "refused") calls += result;
      } catch (error) {
        throw new Error(`PHYSIO_SEED=${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
    expect(calls).toBeGreaterThan(COUNT * 5);
  },
);
