/**
 * What the x86 backend does under SEED semantics is what the recorded FreeBSD runs did.
 *
 * `least` is how many scenarios were covered when the test was written: the number may only grow.
 */
import { expect, test } from "vitest";
import { missing, replay } from "./replay.ts";
import { readVectors } from "./vectors.ts";

const files = [
  { name: "tags", least: 46 },
  { name: "load-buffer", least: 66 },
  { name: "load-phys-lists", least: 41 },
  { name: "bounce-deferral", least: 76 },
  { name: "sync", least: 35 },
  { name: "keep-offset", least: 7 },
];

/** What scenarios may use that does not exist here; anything else missing is a slip of the harness. */
const UNCOVERED = new Set([
  "filter",
  "load_uio",
  "load_mbuf",
  "load_mbuf_sg",
  "load_ccb",
  "load_mem UIO",
  "load_mem MBUF",
  "load_mem CCB",
]);

for (const { name, least } of files) {
  test(`x86 under SEED does what ${name}.jsonl recorded`, () => {
    const scenarios = readVectors(name);
    const covered = scenarios.filter((scenario) => missing(scenario).size === 0);
    const kinds = scenarios.flatMap((scenario) => [...missing(scenario)]);
    expect(kinds.filter((kind) => !UNCOVERED.has(kind))).toEqual([]);
    expect(covered.map(replay).filter((difference) => difference !== null)).toEqual([]);
    expect(covered.length).toBeGreaterThanOrEqual(least);
  });
}
