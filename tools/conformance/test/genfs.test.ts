/**
 * What genfs does under SEED semantics is what the recorded runs of NetBSD's did: every step of every
 * scenario of conformance/genfs, none left out but the disputed ones.
 *
 * And the runner notices: in 50 random scenarios one expected value is changed, and exactly those fail,
 * each at the step that was changed.
 */
import { basename } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { OUR_DISPUTED, OUR_GENFS_VECTORS } from "../src/command.ts";
import { readDisputed } from "../src/disputed.ts";
import { findVectorFiles } from "../src/files.ts";
import { replayGenfs } from "../src/genfs/replay.ts";
import type { Scenario } from "../src/genfs/vectors.ts";
import { readGenfsVectors } from "../src/genfs/vectors.ts";
import type { Draw } from "./changes.ts";
import { changeOne } from "./changes.ts";
import { FIRST_SEED, randomNumbers } from "./random.ts";

const CHANGED = 50;
/** Texts for people: that there is a panic, or a deadlock, is what counts. */
const NOT_COMPARED = ["panic", "blocks"];

interface Change {
  readonly scenario: Scenario;
  readonly step: number;
  readonly what: string;
}

function changed(scenario: Scenario, draw: Draw): Change {
  const copy = structuredClone(scenario);
  const step = draw(copy.steps.length);
  return { scenario: copy, step, what: changeOne(copy.steps[step].out, draw, NOT_COMPARED) };
}

const disputed = new Set(readDisputed(OUR_DISPUTED).map(({ id }) => id));
const files = findVectorFiles([OUR_GENFS_VECTORS]).map((path) => ({
  name: basename(path),
  scenarios: readGenfsVectors(path),
}));
const changes = new Map<string, Change>();

beforeAll(() => {
  const draw = randomNumbers(FIRST_SEED);
  const all = files.flatMap(({ scenarios }) => scenarios).filter(({ id }) => !disputed.has(id));
  while (changes.size < CHANGED) {
    const scenario = all[draw(all.length)];
    if (!changes.has(scenario.id)) changes.set(scenario.id, changed(scenario, draw));
  }
});

for (const { name, scenarios } of files) {
  test(`every step of ${name} gives what was recorded, and a changed value is noticed`, () => {
    for (const scenario of scenarios) {
      const { id } = scenario;
      const failures = replayGenfs(scenario);
      if (disputed.has(id)) expect(failures, id).not.toEqual([]);
      else expect(failures, id).toEqual([]);
      const change = changes.get(id);
      if (change === undefined) continue;
      const steps = replayGenfs(change.scenario).map(({ step }) => step);
      expect(steps, `PHYSIO_SEED=${FIRST_SEED} ${id} ${change.what}`).toEqual([change.step]);
    }
  });
}
