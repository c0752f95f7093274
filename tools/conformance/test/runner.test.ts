/**
 * The runner notices: in 50 random scenarios one expected value is changed, and exactly those fail,
 * each at the step that was changed.
 */
import { expect, test } from "vitest";
import { OUR_DISPUTED, OUR_VECTORS } from "../src/command.ts";
import { readDisputed } from "../src/disputed.ts";
import { replay } from "../src/replay.ts";
import type { Op, Outcome, Scenario } from "../src/vectors.ts";
import { findVectorFiles, readVectors } from "../src/vectors.ts";
import { FIRST_SEED, randomNumbers } from "./random.ts";

const CHANGED = 50;
type Draw = (below: number) => number;
/** A place in an outcome: its holder and the key or index in there. */
interface Place {
  readonly holder: Record<string | number, unknown>;
  readonly key: string | number;
}

/** Every leaf of an outcome; empty lists count, as something can be put into them. */
function leaves(holder: Record<string | number, unknown>): Place[] {
  return Object.entries(holder).flatMap(([key, value]) => {
    if (key === "debugOnly") return []; // says which kernels of the original check, not what is done
    const isBranch = typeof value === "object" && value !== null && Object.keys(value).length > 0;
    return isBranch ? leaves(value as Record<string | number, unknown>) : [{ holder, key }];
  });
}

function otherThan(value: unknown, draw: Draw): unknown {
  if (typeof value === "number") return value + [1, -1, 4096, 0.5][draw(4)];
  if (typeof value === "boolean") return !value;
  if (value === null) return ["EINVAL", "ENOMEM", 0][draw(3)];
  if (Array.isArray(value)) return [[0, 1]];
  return [null, `${value as string}x`, ""][draw(3)];
}

/** The scenario with one expected value changed, added or left out, and the step where. */
function changed(
  scenario: Scenario,
  draw: Draw,
): { scenario: Scenario; step: number; what: string } {
  const copy = structuredClone(scenario);
  const step = draw(copy.ops.length);
  const expected = (copy.ops[step] as Op & { expect: Outcome }).expect;
  const places = leaves(expected);
  const at = places[draw(places.length)] as Place | undefined;
  const before = JSON.stringify(expected);
  if (at === undefined) expected.error = null;
  else if (draw(4) === 0 && !Array.isArray(at.holder)) delete at.holder[at.key];
  else at.holder[at.key] = otherThan(at.holder[at.key], draw);
  return { scenario: copy, step, what: `${before} -> ${JSON.stringify(expected)}` };
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
