/**
 * T8: chains of mbufs against the package `bl`, which keeps packets as lists of the host's buffers.
 */
import { median, medianRatio } from "./arithmetic.ts";
import type { Rounds } from "./cases.ts";
import { GARBAGE_FLAGS } from "./garbage.ts";
import type { Outcome, Row } from "./row.ts";
import { value } from "./row.ts";
import type { Suite } from "./suite.ts";
import { runWorker } from "./worker.ts";

const ratio = { unit: "x" } as const;
const published = { ...ratio, gate: null, goal: null } as const;
// T8 is against what the host's manual recommends for a buffer: Buffer.alloc, which zeroes it. An mbuf
// is not zeroed, which is no gift: what it holds is the machine's memory. T8u takes the zeroing away from
// bl, too: allocUnsafe gives whatever was there, and for a small buffer a part of one that it has.
// T8c is the same shape on both sides, a copy into an array that is there; T8s what bl's users call.
const ROWS: readonly Row[] = Object.freeze([
  {
    id: "T8",
    title: "packet of three mbufs built + freed over bl with Buffer.alloc",
    ...ratio,
    gate: 0.033,
    goal: 0.0167,
  },
  { id: "T8u", title: "T8 over bl with Buffer.allocUnsafe", ...published },
  { id: "T8l", title: "T8u over bl's list without a stream", ...published },
  {
    id: "T8k",
    title: "64 KiB in mbufs of 4 KiB built + freed over bl with allocUnsafe",
    ...published,
  },
  {
    id: "T8c",
    title: "packet trimmed + copied to an array over bl's copy",
    ...ratio,
    gate: null,
    goal: 0.33,
  },
  { id: "T8s", title: "T8c over bl's slice, which makes a buffer", ...published },
  {
    id: "T8g",
    title: "garbage per packet built, trimmed, copied out and freed",
    unit: "B",
    gate: 1,
    goal: 0,
  },
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
      ["T8", fasterThan(rounds, "build", "build, bl")],
      ["T8u", fasterThan(rounds, "build", "build, bl unsafe")],
      ["T8l", fasterThan(rounds, "build", "build, bl unsafe list")],
      ["T8k", fasterThan(rounds, "build long", "build long, bl unsafe")],
      ["T8s", fasterThan(rounds, "receive", "receive, bl slice")],
      ["T8c", fasterThan(rounds, "receive", "receive, bl")],
      ["T8g", value(runWorker<number>("chain-garbage", null, { nodeFlags: GARBAGE_FLAGS }))],
    ]);
    return { outcomes, charts: [] };
  },
};
