/**
 * What the x86 backend does under SEED semantics is what the recorded FreeBSD runs did.
 *
 * `least` is how many scenarios were covered when the test was written: the number may only grow.
 */
import { expect, test } from "vitest";
import { missing, replay } from "./replay.ts";
import { readVectors } from "./vectors.ts";

const files = [
  { name: "tags", least: 1 },
  { name: "load-buffer", least: 1 },
  { name: "load-phys-lists", least: 1 },
  { name: "bounce-deferral", least: 1 },
  { name: "sync", least: 1 },
  { name: "keep-offset", least: 1 },
];

for (const { name, least } of files) {
  test(`x86 under SEED does what ${name}.jsonl recorded`, () => {
    const covered = readVectors(name).filter((scenario) => missing(scenario).size === 0);
    expect(covered.map(replay).filter((difference) => difference !== null)).toEqual([]);
    expect(covered.length).toBeGreaterThanOrEqual(least);
  });
}
