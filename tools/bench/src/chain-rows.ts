/**
 * T8: chains of mbufs against the package `bl`, which keeps packets as lists of the host's buffers.
 */
import { median, medianRatio } from "./arithmetic.ts";
import type { Rounds } from "./cases.ts";
import type { Outcome, Row } from "./row.ts";
import { value } from "./row.ts";
import type { Suite } from "./suite.ts";
import { runWorker } from "./worker.ts";

const ratio = { unit: "x" } as const;
const ROWS: readonly Row[] = Object.freeze([
  { id: "T8", title: "mbuf chain built + freed over bl", ...ratio, gate: 1 / 30, goal: 1 / 60 },
  { id: "T8l", title: "T8 over bl's list without a stream", ...ratio, gate: null, goal: null },
  { id: "T8c", title: "packet trimmed + copied out over bl", ...ratio, gate: 1 / 3, goal: 1 / 5 },
]);

/** Ours over theirs, and how much faster that is. */
export function fasterThan(rounds: Rounds, ours: string, theirs: string): Outcome {
  const over = medianRatio(rounds[ours], rounds[theirs]);
  const [ns, peer] = [ours, theirs].map((name) => median(rounds[name]).toFixed(1));
  return value(over, `${(1 / over).toFixed(1)} times as fast: ${ns} ns, bl ${peer} ns`);
}

export const CHAINS: Suite = {
  rows: ROWS,
  measure: () => {
    const rounds = runWorker<Rounds>("chains", null);
    const outcomes = new Map([
      ["T8", fasterThan(rounds, "build", "build, bl stream")],
      ["T8l", fasterThan(rounds, "build", "build, bl")],
      ["T8c", fasterThan(rounds, "receive", "receive, bl")],
    ]);
    return { outcomes, charts: [] };
  },
};
