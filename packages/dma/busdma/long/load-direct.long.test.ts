/** Fast loads against slow ones: PHYSIO_OPS random loads (200,000), half of them of mbuf chains, in runs with seeds of their own. */
import { test } from "vitest";
import { chainsAgree, rangesAgree } from "../test/load-cases.ts";

const OPS = Number(process.env.PHYSIO_OPS ?? 200_000);
const SEED = Number(process.env.PHYSIO_SEED ?? 1);
const IN_ONE = 10_000;

console.log(`PHYSIO_SEED=${SEED} PHYSIO_OPS=${OPS}`);

for (let i = 0; i * IN_ONE < OPS; i++) {
  const runs = Math.min(IN_ONE, OPS - i * IN_ONE) / 2;
  const seed = SEED + i;
  test(`${runs} ranges and ${runs} chains with seed ${seed} agree with a page at a time`, () => {
    rangesAgree(runs, seed);
    chainsAgree(runs, seed);
  });
}
