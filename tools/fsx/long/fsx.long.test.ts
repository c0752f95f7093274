/** Five million operations over all flag sets, block sizes and profiles: `PHYSIO_FSX_OPS=n` for another number. */
import { expect, test } from "vitest";
import { campaign } from "../src/campaign.ts";
import { FLAG_SETS } from "../src/ops.ts";

const OPS = Number(process.env.PHYSIO_FSX_OPS ?? 5_000_000);
const SEED = Number(process.env.PHYSIO_SEED ?? 1);
const BLOCK_SIZES = [1024, 2048, 4096];
const PROFILES = ["pc", "pc-32bit-dma", "arm64"];
const SETS = Object.keys(FLAG_SETS);
const SHARE = Math.ceil(OPS / (SETS.length * BLOCK_SIZES.length * PROFILES.length));

for (const [i, set] of SETS.entries()) {
  for (const [j, blockSize] of BLOCK_SIZES.entries()) {
    for (const [k, profile] of PROFILES.entries()) {
      const threads = 1 + ((i + j + k) % 4);
      const what = `${set}, blocks of ${blockSize}, ${profile}, ${threads} threads`;
      test(`${SHARE} operations agree with an array: ${what}`, { timeout: 3_600_000 }, () => {
        const seed = 100 + SEED;
        const result = campaign({ seed, ops: SHARE, profile, blockSize, threads, set });
        expect(result.failure, `PHYSIO_SEED=${SEED}, ${what}`).toBeNull();
      });
    }
  }
}
