/**
 * M1, M3: frames, one at a time on machines of 10^3 to 10^7 of them, and 2 MiB at a time on a machine
 * that is broken into pieces.
 */
import { median, medianRatio } from "./arithmetic.ts";
import type { Rounds } from "./cases.ts";
import type { Chart } from "./chart.ts";
import type { FrameOutput } from "./frame-worker.ts";
import type { Outcome, Row } from "./row.ts";
import { value } from "./row.ts";
import type { Measured, Suite } from "./suite.ts";
import { runWorker } from "./worker.ts";

const ratio = { unit: "x", gate: null, goal: null } as const;
const ROWS: readonly Row[] = Object.freeze([
  { id: "M1", title: "alloc + free of a frame, 10^7 frames over 10^3", ...ratio, gate: 2 },
  { id: "M1l", title: "M1, 256 frames before the first is freed", ...ratio },
  { id: "M3", title: "2 MiB in a row, aligned, over one frame", ...ratio, gate: 100 },
  { id: "M3b", title: "2 MiB in a row that only a scan finds, over one frame", ...ratio },
]);

/** Frames of the machines of M1 that are compared. */
const [SMALLEST, LARGEST] = [1e3, 1e7];

/** `20.2 ns`, `1.56 ms`. */
function time(ns: number): string {
  if (ns < 1e4) return `${ns.toFixed(1)} ns`;
  return ns < 1e6 ? `${(ns / 1e3).toFixed(1)} µs` : `${(ns / 1e6).toFixed(2)} ms`;
}

/** `a` over `b` by rounds, with both figures. */
export function ratioOf(rounds: Rounds, a: string, b: string, note: string): Outcome {
  const [ours, theirs] = [a, b].map((name) => time(median(rounds[name])));
  return value(medianRatio(rounds[a], rounds[b]), `${ours}, ${note} ${theirs}`);
}

function curveOf({ sizes, rounds }: FrameOutput): Chart {
  const series = [
    { name: "one", prefix: "one" },
    { name: "256 at once", prefix: "many" },
  ].map(({ name, prefix }) => ({
    name,
    points: sizes.map((frames) => [frames, median(rounds[`${prefix} ${frames}`])] as const),
  }));
  return {
    name: "frames",
    title: "A frame by size of memory",
    x: "frames",
    y: "nanoseconds",
    series,
  };
}

function measure(): Measured {
  const found = runWorker<FrameOutput>("frames", null);
  const { rounds, freeBlocks } = found;
  const small = `with ${SMALLEST} frames`;
  return {
    outcomes: new Map([
      ["M1", ratioOf(rounds, `one ${LARGEST}`, `one ${SMALLEST}`, small)],
      ["M1l", ratioOf(rounds, `many ${LARGEST}`, `many ${SMALLEST}`, small)],
      ["M3", ratioOf(rounds, "aligned", "one, broken", `${freeBlocks} such free; one frame`)],
      ["M3b", ratioOf(rounds, "scan", "one, dense", "one frame")],
    ]),
    charts: [curveOf(found)],
  };
}

export const FRAMES: Suite = { rows: ROWS, measure };
