/**
 * T9b: what a sparse machine costs its host, over an empty Node.
 */
import { fileURLToPath } from "node:url";
import { median } from "./arithmetic.ts";
import type { Row } from "./row.ts";
import { value } from "./row.ts";
import type { Measured, Suite } from "./suite.ts";
import { runNode } from "./worker.ts";

const WORKER = fileURLToPath(new URL("memory-worker.mjs", import.meta.url));
const REPEATS = 3;
const MiB = 2 ** 20;
const GiB = 2 ** 30;

const unit = "MiB";
const ROWS: readonly Row[] = Object.freeze([
  { id: "T9b", title: "8 GiB machine, 64 MiB touched", unit, gate: 120, goal: 90 },
  { id: "T9b1", title: "1 TiB machine booted", unit, gate: 64, goal: 32 },
]);

/** Resident size of a process, the median of some. */
function resident(ram: number, touched: number): number {
  const args = [WORKER, String(ram), String(touched)];
  return median(Array.from({ length: REPEATS }, () => runNode<{ rss: number }>(args).rss));
}

function measure(): Measured {
  const empty = resident(0, 0);
  const over = (ram: number, touched: number) => {
    const rss = resident(ram, touched);
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
