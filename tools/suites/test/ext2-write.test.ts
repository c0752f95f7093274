/**
 * ext2 written to: random sequences of calls against a model, and what e2fsck and debugfs say of the image; also
 * on disks that are full or fail. `PHYSIO_ALL` runs 300 sequences and every point of failure, long/ 5,000,
 * `PHYSIO_SEED=n` the one.
 */
import { afterAll, describe, expect, test } from "vitest";
import { ImageFolder, SHAPES } from "../src/e2fsck.ts";
import { runCrash, runFailing, runFull, runSequence } from "../src/ext2-campaign.ts";
import { haveE2fsprogs } from "../src/make-image.ts";

const ONE = process.env.PHYSIO_SEED;
const ALL = process.env.PHYSIO_ALL !== undefined; // CI sets it
const FIRST = Number(ONE ?? 1);
const COUNT = ONE === undefined ? (ALL ? 300 : 7) : 1;
const HAVE = haveE2fsprogs();
const MINUTES = 300_000;
if (!HAVE) console.warn("ext2-write: skipped, e2fsprogs are not installed");

const folder = new ImageFolder();
afterAll(() => folder.remove());

describe.runIf(HAVE)("ext2, written to", { timeout: MINUTES }, () => {
  test(`${COUNT} random sequences from ${FIRST} on agree with the model, and e2fsck is content`, () => {
    for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
      const shape = SHAPES[seed % SHAPES.length];
      const options = { seed, calls: 120, reach: seed % 5 === 0 ? 500_000 : 60_000 };
      expect(runSequence(folder, shape, options), `PHYSIO_SEED=${seed}`).toBe("");
    }
  });

  test("on a full disk every call does all or nothing, wherever the room ends", () => {
    let refused = 0;
    for (let free = 0; free < 60; free += ALL ? 2 : 22) {
      const shape = SHAPES[free % 4 === 0 ? 0 : 2];
      const result = runFull(folder, shape, free, { seed: FIRST + free, calls: 80, reach: 60_000 });
      expect(result.wrong).toBe("");
      refused += result.refused;
    }
    expect(refused).toBeGreaterThan(ALL ? 40 : 3);
  });

  test("on a disk that fails one write, the error is told and nothing is lost", () => {
    const options = { seed: FIRST, calls: 60, reach: 40_000 };
    const { writes } = runFailing(folder, SHAPES[0], 0, options);
    expect(writes).toBeGreaterThan(30);
    const step = ALL ? 1 : Math.ceil(writes / 4);
    let times = 0;
    for (let which = 1; which <= writes; which += step) {
      const { wrong, told } = runFailing(folder, SHAPES[0], which, options);
      expect(wrong).toBe("");
      times += told; // a write that nobody waited for is tried again, and only an fsync would have told
    }
    expect(times).toBeGreaterThan(0);
  });

  test("what was synced is there after a crash at any write, and e2fsck's repair", () => {
    let safe = 0;
    for (let i = 0; i < (ALL ? 100 : 3); i++) {
      const options = { seed: FIRST + i, calls: 300, reach: 40_000 };
      const result = runCrash(folder, SHAPES[i % SHAPES.length], 20 + ((i * 37) % 300), options);
      expect(result.wrong).toBe("");
      safe += result.safe;
    }
    expect(safe).toBeGreaterThan(ALL ? 100 : 2);
  });
});
