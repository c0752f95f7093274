/**
 * Damaged images never hang, crash or leak: hundreds of mutants, each named by a seed.
 *
 * PHYSIO_SEED=<n> runs that one mutant.
 */
import { expect, test } from "vitest";
import { mutant } from "../src/mutate.ts";
import type { Outcome } from "../src/survive.ts";
import { survive } from "../src/survive.ts";

const GIVEN = process.env.PHYSIO_SEED;
const BATCH = 20;
const FIRST_SEEDS =
  GIVEN === undefined
    ? Array.from({ length: process.env.PHYSIO_ALL === undefined ? 2 : 12 }, (_, i) => i * BATCH)
    : [];
const seen: Outcome[] = [];

if (GIVEN !== undefined) test(`mutant ${GIVEN}`, () => void survive(Number(GIVEN)));

for (const first of FIRST_SEEDS) {
  const last = first + BATCH - 1;
  test(`mutants ${first} to ${last} end in a report or an errno`, { timeout: 60_000 }, () => {
    for (let seed = first; seed <= last; seed++) seen.push(survive(seed));
  });
}

test.skipIf(GIVEN !== undefined)("the mutants are of all sorts", () => {
  expect(seen.length).toBe(FIRST_SEEDS.length * BATCH);
  for (const outcome of ["refused", "failures", "agrees"] as const)
    expect(seen.filter((o) => o === outcome).length, outcome).toBeGreaterThan(seen.length / 50);
  expect(seen.filter((o) => o === "agrees").length).toBeLessThan(seen.length / 2);
});

test("a seed names one mutant", () => {
  for (const seed of [0, 1, 17]) {
    const [one, two] = [mutant(seed), mutant(seed)];
    expect(two.note).toBe(one.note);
    expect(Buffer.compare(one.bytes, two.bytes)).toBe(0);
    const same =
      one.bytes.length === one.of.bytes.length && Buffer.compare(one.bytes, one.of.bytes) === 0;
    expect(same, one.note).toBe(false);
  }
});
