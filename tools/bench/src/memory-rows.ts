/**
 * T9b: what a sparse machine costs its host, over an empty Node.
 */
import { median } from "./arithmetic.ts";
import type { MemoryInput, MemoryOutput } from "./memory-worker.ts";
import type { Row } from "./row.ts";
import { value } from "./row.ts";
import type { Measured, Suite } from "./suite.ts";
import { runWorker } from "./worker.ts";

const REPEATS = 3;
const MiB = 2 ** 20;
const GiB = 2 ** 30;

const unit = "MiB";
const ROWS: readonly Row[] = Object.freeze([
  { id: "T9b", title: "8 GiB machine, 64 MiB touched", unit, gate: 120, goal: 90 },
  { id: "T9b1", title: "1 TiB machine booted", unit, gate: 64, goal: 32 },
]);

/** Resident size of a process, the median of some. */
function resident(input: MemoryInput): number {
  const sizes = Array.from({ length: REPEATS }, () => runWorker<MemoryOutput>("memory", input).rss);
  return median(sizes);
}

function measure(): Measured {
  const empty = resident({ ram: 0, touched: 0 });
  const over = (ram: number, touched: number) => {
    const rss = resident({ ram, touched });
    const note = `${(rss / MiB).toFixed(0)} MiB, an empty Node ${(empty / MiB).toFixed(0)} MiB`;
    return value((rss - empty) / MiB, note);
  };
  return {
    outcomes: new Map([
      ["T9b", over(8 * GiB, 64 * MiB)],
      ["T9b1", over(1024 * GiB, 0)],
    ]),
    charts: [],
  };
}

export const MEMORY: Suite = { rows: ROWS, measure };
