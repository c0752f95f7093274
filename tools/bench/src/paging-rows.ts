/**
 * P3 to P5: misses, write-back and fsync. What the first two do beside copying is to take no longer than the
 * copies, so twice the copies is their aim; P3 is at it (1.9 to 2.1), and its gate a little above.
 */
import { median, medianRatio } from "./arithmetic.ts";
import type { Rounds } from "./cases.ts";
import { ratioOf } from "./frame-rows.ts";
import type { Outcome, Row } from "./row.ts";
import { value } from "./row.ts";
import type { Measured, Suite } from "./suite.ts";
import { runWorker } from "./worker.ts";

const x = { unit: "x" } as const;
const ROWS: readonly Row[] = Object.freeze([
  {
    id: "P3",
    title: "16 MiB of misses, 64 KiB a request, over the copies",
    ...x,
    gate: 2.25,
    goal: 2,
  },
  { id: "P3r", title: "the same read by a program, over both copies", ...x, gate: null, goal: 2 },
  { id: "P4", title: "16 MiB written back in 64 KiB over the copies", ...x, gate: 2, goal: 1.5 },
  {
    id: "P5",
    title: "fsync of a dirty page in a cached GiB over a MiB",
    ...x,
    gate: 1.5,
    goal: 1.1,
  },
]);

const BYTES = 16 * 2 ** 20;

/** `ours` over the copies of the same round, all of which it contains. */
export function overCopies(rounds: Rounds, ours: string, ...copies: readonly string[]): Outcome {
  const alone = rounds[ours].map((_, i) => copies.reduce((sum, name) => sum + rounds[name][i], 0));
  const speed = (times: readonly number[]) => `${(BYTES / median(times)).toFixed(1)} GB/s`;
  const note = `${speed(rounds[ours])}, copies ${speed(alone)}`;
  return value(medianRatio(rounds[ours], alone), note);
}

function measure(): Measured {
  const rounds = runWorker<Rounds>("paging", null);
  return {
    outcomes: new Map([
      ["P3", overCopies(rounds, "request", "disk to memory")],
      ["P3r", overCopies(rounds, "read", "disk to memory", "memory to reader")],
      ["P4", overCopies(rounds, "write", "memory to disk")],
      ["P5", ratioOf(rounds, "sync of a GiB", "sync of a MiB", "a MiB")],
    ]),
    charts: [],
  };
}

export const PAGING: Suite = { rows: ROWS, measure };
