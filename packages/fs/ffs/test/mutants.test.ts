/**
 * Damaged images never hang, crash or leak: mutants, each named by a seed.
 *
 * PHYSIO_SEED=<n> runs that one mutant; PHYSIO_ALL runs 200 of them.
 */
import { expect, test } from "vitest";
import { mutant } from "./mutate.ts";
import type { Outcome } from "./survive.ts";
import { survive } from "./survive.ts";

const GIVEN = process.env.PHYSIO_SEED;
const COUNT = process.env.PHYSIO_ALL === undefined ? 10 : 200;

if (GIVEN !== undefined) test(`mutant ${GIVEN}`, () => void survive(Number(GIVEN)));

test.skipIf(GIVEN !== undefined)(
  `mutants 0 to ${COUNT - 1} end in reports or an errno`,
  { timeout: 120_000 },
  () => {
    const seen: Outcome[] = [];
    for (let seed = 0; seed < COUNT; seed++) seen.push(survive(seed));
    for (const outcome of ["refused", "damaged", "as good"] as const) {
      expect(seen.filter((o) => o === outcome).length, outcome).toBeGreaterThan(COUNT / 50);
    }
    expect(seen.filter((o) => o === "as good").length).toBeLessThan((COUNT * 2) / 3);
  },
);

test("a seed names one mutant", () => {
  for (const seed of [0, 1, 17]) {
    const [one, two] = [mutant(seed), mutant(seed)];
    expect(two.note).toBe(one.note);
    expect(Buffer.compare(one.bytes, two.bytes)).toBe(0);
  }
});
