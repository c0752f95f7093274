/**
 * T1, T3: load and unload, plain and bounced, against native code of the same structure; T4: the
 * copies of a bounced load against the host's own.
 *
 * Each row is a ratio: ours over the native peer's, the median of the rounds' own ratios. The gated
 * rows have one callback function in the process, as the native peer has; T1x is case a with
 * several, as with many drivers: V8 then calls it through a generic call. The rows that end in `m`
 * are of a process in which three backends have loaded.
 */
import { median, medianRatio } from "./arithmetic.ts";
import type { LoadInput, LoadOutput, Rounds } from "./load-worker.ts";
import { compileNative, haveTool } from "./native.ts";
import type { Outcome, Row } from "./row.ts";
import { value } from "./row.ts";
import { scratch } from "./scratch.ts";
import type { Measured, Suite } from "./suite.ts";
import { forAll } from "./suite.ts";
import type { WorkerOptions } from "./worker.ts";
import { runWorker } from "./worker.ts";

const KiB64 = 65536;
const ratio = { unit: "x" } as const;
export const LOAD_ROWS: readonly Row[] = Object.freeze([
  { id: "T1a", title: "load + unload, 4 KiB aligned", ...ratio, gate: 2, goal: 1.3 },
  { id: "T1b", title: "load + unload, 64 KiB in 16 pages", ...ratio, gate: 1.5, goal: 1 },
  { id: "T1b2", title: "T1b with a 64 KiB boundary", ...ratio, gate: 1.5, goal: 1 },
  { id: "T1c", title: "load + unload, 64 KiB contiguous", ...ratio, gate: 1.5, goal: 1 },
  { id: "T1d", title: "packet of three mbufs, 1500 bytes", ...ratio, gate: 1.5, goal: 1 },
  { id: "T1x", title: "T1a with several callbacks", ...ratio, gate: null, goal: null },
  { id: "T3", title: "64 KiB bounced: load, both copies, unload", ...ratio, gate: 1.5, goal: 1.1 },
  // The bandwidth is at least 75 % of the host's own; the goal is 95 %.
  { id: "T4", title: "bounce copy of 64 KiB over a host's copy", ...ratio, gate: 1.33, goal: 1.05 },
]);
/** T1 again, with three backends in the process. */
const MANY_ROWS: readonly Row[] = Object.freeze(
  LOAD_ROWS.filter(({ id }) => /^T1[abcd]/.test(id)).map((row) => ({
    ...row,
    id: `${row.id}m`,
    title: `${row.id}, three backends`,
    // 1.48 to 1.51 times the peer: at its limit, so not yet a gate.
    ...(row.id === "T1d" ? { gate: null, goal: row.gate } : {}),
  })),
);

/** Case of each row, as the worker names it. */
const CASES: Readonly<Record<string, string>> = Object.freeze({
  T1a: "a",
  T1b: "b",
  T1b2: "b2",
  T1c: "c",
  T1d: "d",
  T1x: "a*",
  T3: "e",
});

/** Ratios of a run of the worker, of the rows whose cases it measured. */
export function loadOutcomes({ ours, native }: LoadOutput): Map<string, Outcome> {
  const outcomes = new Map(
    Object.entries(CASES)
      .filter(([, name]) => ours[name] !== undefined)
      .map(([id, name]): [string, Outcome] => {
        const figures = [ours[name], native[name]].map((rounds) => median(rounds).toFixed(1));
        const note = `${figures[0]} ns, native ${figures[1]} ns`;
        return [id, value(medianRatio(ours[name], native[name]), note)];
      }),
  );
  if (ours["copy out"] !== undefined) outcomes.set("T4", copyOutcome(ours));
  return outcomes;
}

/** The worse of the two directions. */
function copyOutcome(ours: Rounds): Outcome {
  const [out, back] = ["copy out", "copy in"].map((name) => medianRatio(ours[name], ours.memcpy));
  const speed = (name: string) => `${(KiB64 / median(ours[name])).toFixed(1)} GB/s`;
  const note = `out ${speed("copy out")}, back ${speed("copy in")}, host ${speed("memcpy")}`;
  return value(Math.max(out, back), note);
}

/** Run the worker, ours or a copy of it. => gcc is there. */
export function runLoads(options: WorkerOptions = {}, boards = false): Map<string, Outcome> {
  return scratch((folder) => {
    const input: LoadInput = { native: compileNative(folder), boards };
    return loadOutcomes(runWorker<LoadOutput>("load", input, options));
  });
}

function measureRows(rows: readonly Row[], outcomes: () => Map<string, Outcome>): Measured {
  if (haveTool("gcc")) return { outcomes: outcomes(), charts: [] };
  const reason = "gcc is not installed, so there is no native peer";
  return forAll(rows, { kind: "skipped", reason, tool: "gcc" });
}

function manyOutcomes(): Map<string, Outcome> {
  return new Map([...runLoads({}, true)].map(([id, outcome]) => [`${id}m`, outcome]));
}

export const LOADS: Suite = {
  rows: LOAD_ROWS,
  measure: () => measureRows(LOAD_ROWS, () => runLoads()),
};
export const MANY_LOADS: Suite = {
  rows: MANY_ROWS,
  measure: () => measureRows(MANY_ROWS, manyOutcomes),
};
