/**
 * T5, T6: reads of resident pages against other packages' files in memory; P1, P2: a request for a resident page,
 * and the garbage of hits; T7: the scan for dirty pages.
 *
 * Ours over theirs, as everywhere: 0.5 is twice as fast.
 */
import { median, medianRatio } from "./arithmetic.ts";
import type { Rounds } from "./cases.ts";
import { ratioOf } from "./frame-rows.ts";
import { GARBAGE_FLAGS } from "./garbage.ts";
import { compileNative, haveTool } from "./native.ts";
import type { Outcome, Row } from "./row.ts";
import { value } from "./row.ts";
import type { ScanInput } from "./scan-worker.ts";
import { scratch } from "./scratch.ts";
import type { Measured, Suite } from "./suite.ts";
import { forAll } from "./suite.ts";
import { runWorker } from "./worker.ts";

const x = { unit: "x" } as const;
const published = { ...x, gate: null, goal: null } as const;
// Aims that are not reached yet, so that the gates are looser: T5 0.5, T5i 0.25, T6i 0.91, P1 2, T7 2.5. A quarter
// of a hit on this version of memfs, and almost all of its read of 64 KiB, is the copy, which nobody can do without.
const ROWS: readonly Row[] = Object.freeze([
  { id: "T5", title: "4 KiB hit to the host's memory over memfs", ...x, gate: 0.65, goal: 0.25 },
  { id: "T5i", title: "4 KiB hit to simulated memory over memfs", ...x, gate: 0.75, goal: 0.125 },
  { id: "T5z", title: "T5 over @zenfs/core", ...published },
  { id: "T5c", title: "T5 over the host's own copy of 4 KiB", ...published },
  {
    id: "T6",
    title: "64 KiB sequential read to the host's memory over memfs",
    ...x,
    gate: 1.43,
    goal: 0.83,
  },
  { id: "T6i", title: "T6 to simulated memory over memfs", ...x, gate: 1.2, goal: 0.67 },
  { id: "T6z", title: "T6 over @zenfs/core", ...published },
  {
    id: "P1",
    title: "request for a resident page over lookup + busy mark",
    ...x,
    gate: 3.5,
    goal: 2,
  },
]);
const GARBAGE_ROWS: readonly Row[] = Object.freeze([
  { id: "P2", title: "garbage per hit, the host's memory", unit: "B", gate: 1, goal: 0 },
  // A boxed number, 16 bytes, for an address above 2^31 where V8 does not inline the call that takes it.
  { id: "P2i", title: "garbage per hit, simulated memory", unit: "B", gate: 17, goal: 0 },
]);
const SCAN_ROWS: readonly Row[] = Object.freeze([
  { id: "T7", title: "410 dirty pages of 4096 over a C bitmap", ...x, gate: 3, goal: 1.5 },
  { id: "T7w", title: "T7 one page at a time", ...published },
]);

/** Ours over theirs, and how much faster that is. */
export function faster(rounds: Rounds, ours: string, theirs: string): Outcome {
  const over = medianRatio(rounds[ours], rounds[theirs]);
  const [ns, peer] = [ours, theirs].map((name) => median(rounds[name]).toFixed(0));
  return value(over, `${(1 / over).toFixed(2)} times as fast: ${ns} ns, ${theirs} ${peer} ns`);
}

function measure(): Measured {
  const rounds = runWorker<Rounds>("files", null);
  return {
    outcomes: new Map([
      ["T5", faster(rounds, "hit out", "hit memfs")],
      ["T5i", faster(rounds, "hit in", "hit memfs")],
      ["T5z", faster(rounds, "hit out", "hit zenfs")],
      ["T5c", ratioOf(rounds, "hit out", "copy", "the copy")],
      ["T6", faster(rounds, "read out", "read memfs")],
      ["T6i", faster(rounds, "read in", "read memfs")],
      ["T6z", faster(rounds, "read out", "read zenfs")],
      ["P1", ratioOf(rounds, "locked", "bare", "bare")],
    ]),
    charts: [],
  };
}

/** The worst of some cases; the note has all of them. */
function worst(found: Readonly<Record<string, number>>, names: readonly string[]): Outcome {
  const note = names.map((name) => `${name} ${found[name].toFixed(2)}`).join(", ");
  return value(Math.max(...names.map((name) => found[name])), note);
}

function measureGarbage(): Measured {
  const flags = { nodeFlags: GARBAGE_FLAGS };
  const found = runWorker<Record<string, number>>("file-garbage", null, flags);
  return {
    outcomes: new Map([
      ["P2", worst(found, ["hit out", "read out", "write out", "locked"])],
      ["P2i", worst(found, ["hit in", "read in", "write in"])],
    ]),
    charts: [],
  };
}

function measureScans(): Measured {
  if (!haveTool("gcc")) {
    const reason = "gcc is not installed, so there is no native peer";
    return forAll(SCAN_ROWS, { kind: "skipped", reason, tool: "gcc" });
  }
  return scratch((folder) => {
    const input: ScanInput = { native: compileNative(folder, "scan") };
    const rounds = runWorker<Rounds>("scans", input);
    return {
      outcomes: new Map([
        ["T7", ratioOf(rounds, "gather", "native", "C")],
        ["T7w", ratioOf(rounds, "walk", "native", "C")],
      ]),
      charts: [],
    };
  });
}

export const FILES: Suite = { rows: ROWS, measure };
export const FILE_GARBAGE: Suite = { rows: GARBAGE_ROWS, measure: measureGarbage };
export const SCANS: Suite = { rows: SCAN_ROWS, measure: measureScans };
