/**
 * What a map takes of the host's memory, and what dmacheck costs a load.
 */
import { ratioOf } from "./frame-rows.ts";
import { GARBAGE_FLAGS } from "./garbage.ts";
import type { MapOutput } from "./map-worker.ts";
import type { Row } from "./row.ts";
import { value } from "./row.ts";
import type { Suite } from "./suite.ts";
import { runWorker } from "./worker.ts";

const ROWS: readonly Row[] = Object.freeze([
  // Segments are the tag's or the driver's list; what a map keeps of them is what must be maintained.
  {
    id: "D1",
    title: "memory of a map, the worst of three kinds",
    unit: "B",
    gate: 256,
    goal: 192,
  },
  {
    id: "D1s",
    title: "arm64's map with 16 segments to maintain",
    unit: "B",
    gate: 512,
    goal: 448,
  },
  { id: "D2", title: "load of 16 pages under dmacheck over none", unit: "x", gate: 5, goal: 3 },
]);

export const MAPS: Suite = {
  rows: ROWS,
  measure: () => {
    const { bytes, rounds } = runWorker<MapOutput>("maps", null, { nodeFlags: GARBAGE_FLAGS });
    const { plain, bouncing, arm64, loaded } = bytes;
    const note = `plain ${plain.toFixed(0)}, bouncing ${bouncing.toFixed(0)}, arm64 ${arm64.toFixed(0)}`;
    const outcomes = new Map([
      ["D1", value(Math.max(plain, bouncing, arm64), note)],
      ["D1s", value(loaded)],
      ["D2", ratioOf(rounds, "checked load", "load", "without")],
    ]);
    return { outcomes, charts: [] };
  },
};
