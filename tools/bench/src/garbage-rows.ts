/**
 * T2: garbage per operation in the steady state.
 */
import { GARBAGE_FLAGS } from "./garbage.ts";
import type { GarbageOutput } from "./garbage-worker.ts";
import type { Row } from "./row.ts";
import { value } from "./row.ts";
import type { Measured, Suite } from "./suite.ts";
import { runWorker } from "./worker.ts";

const bytes = { unit: "B", gate: 1, goal: 0 } as const;
const ROWS: readonly Row[] = Object.freeze([
  { id: "T2", title: "garbage per load + unload, the worst of a, b, b2, c, d", ...bytes },
  { id: "T2s", title: "garbage per pair of syncs, nothing bounced", ...bytes },
  {
    id: "T2e",
    title: "garbage per 64 KiB bounced: load, both copies, unload",
    ...bytes,
  },
]);

function measure(): Measured {
  const found = runWorker<GarbageOutput>("garbage", null, { nodeFlags: GARBAGE_FLAGS });
  const cases = ["a", "b", "b2", "c", "d"];
  const note = cases.map((name) => `${name} ${found[name].toFixed(2)}`).join(", ");
  const worst = Math.max(...cases.map((name) => found[name]));
  return {
    outcomes: new Map([
      ["T2", value(worst, note)],
      ["T2s", value(found.sync)],
      ["T2e", value(found.bounced, `4 KiB ${found.page.toFixed(2)}`)],
    ]),
    charts: [],
  };
}

export const GARBAGE: Suite = { rows: ROWS, measure };
