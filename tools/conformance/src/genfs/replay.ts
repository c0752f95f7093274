/**
 * Replays a recorded scenario of genfs: performs its steps and compares every outcome.
 *
 * Nothing is skipped: a step that cannot be done is a difference like any other. A step whose outcome
 * differs does not end the scenario; a panic of ours, a deadlock and any other exception do. The texts
 * of panics and deadlocks are for people: that there is one, at that step, is what counts.
 */
import { Panic } from "@physio/kern";
import type { Failure } from "../difference.ts";
import { differences } from "../difference.ts";
import { Observer } from "./outcome.ts";
import { Scene, WouldBlock } from "./scene.ts";
import { perform } from "./steps.ts";
import type { Outcome, Scenario, Step } from "./vectors.ts";

/** Perform a scenario. @returns its failing steps; none: it passes. */
export function replayGenfs(scenario: Scenario): Failure[] {
  let scene: Scene;
  let observer: Observer;
  try {
    scene = new Scene(scenario);
    observer = new Observer(scene, scenario);
  } catch (error) {
    return [{ step: 0, op: "scene", lines: [`cannot be built: ${error as Error}`] }];
  }
  const { steps } = scenario;
  const failures: Failure[] = [];
  for (const [number, step] of steps.entries()) {
    const outcome = outcomeOf(scene, observer, step);
    const lines = compare(step.out, outcome);
    const over = "panic" in outcome || "blocks" in outcome || "exception" in outcome;
    const left = steps.length - number - 1;
    if (over && left > 0) lines.push(`the scene stopped ${left} steps before the end`);
    if (lines.length > 0) failures.push({ step: number, op: step.op, lines });
    if (over) break;
  }
  return failures;
}

function outcomeOf(scene: Scene, observer: Observer, step: Step): Outcome {
  scene.events.clear();
  try {
    const outcome = { ...perform(scene, step) };
    observer.tell(outcome);
    return outcome;
  } catch (error) {
    if (error instanceof WouldBlock) return { blocks: error.message };
    if (error instanceof Panic) return { panic: error.message };
    return { exception: String(error) };
  }
}

/** How an outcome differs from the recorded one; an exception that is no panic of ours always does. */
function compare(expected: Outcome, outcome: Outcome): string[] {
  if ("exception" in outcome) return [`threw ${outcome.exception}`];
  for (const end of ["panic", "blocks"]) {
    if (!(end in expected && end in outcome)) continue;
    return differences({ ...expected, [end]: null }, { [end]: null });
  }
  return differences(named(expected), named(outcome));
}

/** What the places of an outcome's lists mean, so that a difference says it. */
const PLACES: ReadonlyMap<string, readonly string[]> = new Map([
  ["pages", ["first", "count", "flags", "mapping", "queue", "wired", "crc"]],
  ["io", ["number", "way", "blkno", "bytes", "offset", "async", "priority"]],
  ["rw", ["way", "offset", "bytes", "resid", "error"]],
]);

/** The same with names for places, where a list has as many as it should. */
function named(outcome: Outcome): Outcome {
  const fields = Object.entries(outcome).map(([field, value]) => {
    const places = PLACES.get(field);
    if (places === undefined || !Array.isArray(value)) return [field, value];
    return [field, value.map((item) => nameItem(places, item))];
  });
  return Object.fromEntries(fields);
}

function nameItem(places: readonly string[], item: unknown): unknown {
  if (!Array.isArray(item) || item.length !== places.length) return item;
  return Object.fromEntries(places.map((place, i) => [place, item[i]]));
}
