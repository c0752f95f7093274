/**
 * Growth: curves, and of each curve one figure, the cost at its end over the cost at its start. The
 * curve of frames comes with M1: see frame-rows.ts.
 */
import type { Chart, Series } from "./chart.ts";
import type { CurveOutput } from "./curve-worker.ts";
import type { Outcome, Row } from "./row.ts";
import { value } from "./row.ts";
import type { Measured, Suite } from "./suite.ts";
import { runWorker } from "./worker.ts";

const published = { unit: "times", gate: null, goal: null } as const;
/** A cost that must not grow; what is above 1 is noise. */
const flat = { unit: "times", gate: 1.5, goal: 1.1 } as const;
const ROWS: readonly Row[] = Object.freeze([
  { id: "Gscattered", title: "load of 256 scattered pages over one page", ...published },
  { id: "Gcontiguous", title: "load of 256 contiguous pages over one page", ...published },
  { id: "Gmaps", title: "load of a page, 10^5 maps alive over one", ...flat },
  { id: "Gzones", title: "bounced load of a page, 4096 zones over one", ...flat },
]);

/** Cost at the end of a curve over the cost at its start. */
export function growth({ points }: Series): Outcome {
  const [first, last] = [points[0], points[points.length - 1]];
  return value(last[1] / first[1], `${first[1].toFixed(1)} ns to ${last[1].toFixed(1)} ns`);
}

function measure(): Measured {
  const { length, maps } = runWorker<CurveOutput>("curves", null);
  const y = "nanoseconds";
  const charts: Chart[] = [
    { name: "load-length", title: "Load + unload by length", x: "pages", y, series: length },
    { name: "maps", title: "Load + unload of a page", x: "maps or zones", y, series: maps },
  ];
  const outcomes = new Map([
    ["Gscattered", growth(length[0])],
    ["Gcontiguous", growth(length[1])],
    ["Gmaps", growth(maps[0])],
    ["Gzones", growth(maps[1])],
  ]);
  return { outcomes, charts };
}

export const CURVES: Suite = { rows: ROWS, measure };
