/** Frame allocation against a map of frames: PHYSIO_OPS operations (10^7) in runs of 10^6 with seeds of their own. */
import { test } from "vitest";
import { longRun } from "../test/frame-map.ts";

const OPS = Number(process.env.PHYSIO_OPS ?? 1e7);
const SEED = Number(process.env.PHYSIO_SEED ?? 1);
const IN_ONE = 1e6;

for (let i = 0; i * IN_ONE < OPS; i++) {
  const steps = Math.min(IN_ONE, OPS - i * IN_ONE);
  const seed = SEED + i;
  test(`${steps} random operations with seed ${seed} agree with a map of frames`, () => {
    longRun(seed, steps);
  });
}
