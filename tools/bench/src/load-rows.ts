/**
 * T1: load and unload against native code of the same structure.
 *
 * Each row is a ratio: ours over the native peer's, the median of the rounds' own ratios. The gated
 * rows have one callback function in the process, as the native peer has; T1x is case a with
 * several, as with many drivers: V8 then calls it through a generic call.
 */
import { median, medianRatio } from "./arithmetic.ts";
import type { LoadInput, LoadOutput } from "./load-worker.ts";
import { compileNative, haveTool } from "./native.ts";
import type { Outcome, Row } from "./row.ts";
import { value } from "./row.ts";
import { scratch } from "./scratch.ts";
import type { Measured, Suite } from "./suite.ts";
import { forAll } from "./suite.ts";
import type { WorkerOptions } from "./worker.ts";
import { runWorker } from "./worker.ts";

const ratio = { unit: "x" } as const;
export const LOAD_ROWS: readonly Row[] = Object.freeze([
  { id: "T1a", title: "load + unload, 4 KiB aligned", ...ratio, gate: 2, goal: 1.3 },
  { id: "T1b", title: "load + unload, 64 KiB in 16 pages", ...ratio, gate: 1.5, goal: 1 },
  { id: "T1b2", title: "T1b with a 64 KiB boundary", ...ratio, gate: 1.5, goal: 1 },
  { id: "T1c", title: "load + unload, 64 KiB contiguous", ...ratio, gate: 1.5, goal: 1 },
  { id: "T1x", title: "T1a with several callbacks", ...ratio, gate: null, goal: null },
]);

/** Case of each row, as the worker names it. */
const CASES: Readonly<Record<string, string>> = Object.freeze({
  T1a: "a",
  T1b: "b",
  T1b2: "b2",
  T1c: "c",
  T1x: "a*",
});

/** Ratios of a run of the worker. */
export function loadOutcomes({ ours, native }: LoadOutput): Map<string, Outcome> {
  return new Map(
    Object.entries(CASES).map(([id, name]) => {
      const figures = [ours[name], native[name]].map((rounds) => median(rounds).toFixed(1));
      const note = `${figures[0]} ns, native ${figures[1]} ns`;
      return [id, value(medianRatio(ours[name], native[name]), note)];
    }),
  );
}

/** Run the worker, ours or a copy of it. => gcc is there. */
export function runLoads(options: WorkerOptions = {}): Map<string, Outcome> {
  return scratch((folder) => {
    const input: LoadInput = { native: compileNative(folder) };
    return loadOutcomes(runWorker<LoadOutput>("load", input, options));
  });
}

function measure(): Measured {
  if (!haveTool("gcc")) {
    const reason = "gcc is not installed, so there is no native peer";
    return forAll(LOAD_ROWS, { kind: "skipped", reason, tool: "gcc" });
  }
  return { outcomes: runLoads(), charts: [] };
}

export const LOADS: Suite = { rows: LOAD_ROWS, measure };
