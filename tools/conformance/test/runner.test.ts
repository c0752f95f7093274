/**
 * The runner notices: in 50 random scenarios one expected value is changed, and exactly those fail,
 * each at the step that was changed.
 */
import { expect, test } from "vitest";
import { OUR_DISPUTED, OUR_VECTORS } from "../src/command.ts";
import { readDisputed } from "../src/disputed.ts";
import { findVectorFiles } from "../src/files.ts";
import { replay } from "../src/replay.ts";
import type { Op, Outcome, Scenario } from "../src/vectors.ts";
import { readVectors } from "../src/vectors.ts";
import type { Draw } from "./changes.ts";
import { changeOne } from "./changes.ts";
import { FIRST_SEED, randomNumbers } from "./random.ts";

const CHANGED = 50;
/** Says which kernels of the original check, not what is done. */
const NOT_COMPARED = ["debugOnly"];

/** The scenario with one expected value changed, added or left out, and the step where. */
function changed(
  scenario: Scenario,
  draw: Draw,
): { scenario: Scenario; step: number; what: string } {
  const copy = structuredClone(scenario);
  const step = draw(copy.ops.length);
  const expected = (copy.ops[step] as Op & { expect: Outcome }).expect;
  return { scenario: copy, step, what: changeOne(expected, draw, NOT_COMPARED) };
}

test(`one changed value in each of ${CHANGED} scenarios fails exactly those, at the changed step`, () => {
  const draw = randomNumbers(FIRST_SEED);
  const disputed = new Set(readDisputed(OUR_DISPUTED).map(({ id }) => id));
  const scenarios = findVectorFiles([OUR_VECTORS])
    .flatMap(readVectors)
    .filter(({ id }) => !disputed.has(id));
  const planted = new Map<number, ReturnType<typeof changed>>();
  while (planted.size < CHANGED) {
    const index = draw(scenarios.length);
    if (!planted.has(index)) planted.set(index, changed(scenarios[index], draw));
  }
  for (const [index, scenario] of scenarios.entries()) {
    const plant = planted.get(index);
    const steps = replay(plant?.scenario ?? scenario).map(({ step }) => step);
    const hint = `PHYSIO_SEED=${FIRST_SEED} ${scenario.id} ${plant?.what ?? ""}`;
    expect(steps, hint).toEqual(plant === undefined ? [] : [plant.step]);
  }
});
