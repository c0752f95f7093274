/**
 * T9: what a million resident pages cost: bytes, time of the host's collector, time of a lookup.
 */
import { ratioOf } from "./frame-rows.ts";
import type { PageOutput } from "./page-worker.ts";
import type { Row } from "./row.ts";
import { value } from "./row.ts";
import type { Measured, Suite } from "./suite.ts";
import { runWorker } from "./worker.ts";

const COUNT = 1e6;
const ROWS: readonly Row[] = Object.freeze([
  { id: "T9", title: "metadata per page, 10^6 resident", unit: "B", gate: 40, goal: 32 },
  { id: "T9g", title: "full collection, 10^6 pages resident", unit: "ms", gate: 15, goal: 5 },
  { id: "T9l", title: "lookup of a page among 10^6 over 10^3", unit: "x", gate: 8, goal: 5 },
]);

function measure(): Measured {
  const found = runWorker<PageOutput>("pages", null, { nodeFlags: ["--expose-gc"] });
  const { grown, arrays, gcBefore, gcAfter, lookups } = found;
  const bytes = `${(arrays / COUNT).toFixed(1)} B in arrays, ${((grown - arrays) / COUNT).toFixed(1)} B on the heap`;
  const collections = `${gcAfter.toFixed(1)} ms, without the pages ${gcBefore.toFixed(1)} ms`;
  return {
    outcomes: new Map([
      ["T9", value(grown / COUNT, bytes)],
      ["T9g", value(gcAfter - gcBefore, collections)],
      ["T9l", ratioOf(lookups, "many", "few", "among 10^3")],
    ]),
    charts: [],
  };
}

export const PAGES: Suite = { rows: ROWS, measure };
