/**
 * M2, M4, M5: translations, switches and copies, each against the least that the host needs for it.
 */

import { median } from "./arithmetic.ts";
import type { Rounds } from "./cases.ts";
import { ratioOf } from "./frame-rows.ts";
import type { Outcome, Row } from "./row.ts";
import { value } from "./row.ts";
import type { Measured, Suite } from "./suite.ts";
import { runWorker } from "./worker.ts";

const x = { unit: "x" } as const;
const published = { ...x, gate: null, goal: null } as const;
/** 75 % of the bandwidth. */
const copy = { ...x, gate: 1.33, goal: 1.05 } as const;
const ROWS: readonly Row[] = Object.freeze([
  { id: "M2", title: "extract, 2^20 random mappings, over a plain table", ...x, gate: 3, goal: 2 },
  { id: "M4", title: "switch by block, over two bare resumptions", ...x, gate: 2, goal: 1.5 },
  { id: "M4s", title: "switch by yield* sleep, over two bare resumptions", ...published },
  { id: "M5", title: "copyin of 64 KiB over memcpy", ...copy },
  { id: "M5o", title: "copyout of 64 KiB over memcpy", ...copy },
  { id: "M5u", title: "M5 unaligned, in 17 scattered frames", ...published },
  { id: "M5uo", title: "M5o unaligned, in 17 scattered frames", ...published },
]);

/**
 * A new generation that stays in the cache: in a larger one the first touch of the memory for result
 * objects costs both sides of M4 5 ns now and none then, and hides what is to be compared.
 */
const FLAGS: readonly string[] = Object.freeze(["--max-semi-space-size=1"]);

/** A switch over two bare resumptions, each of which has `bare` ns. */
function switchRatio(rounds: Rounds, name: string): Outcome {
  const two = rounds.bare.map((ns) => 2 * ns);
  return ratioOf({ ...rounds, two }, name, "two", "two resumptions");
}

function copyRatio(rounds: Rounds, name: string): Outcome {
  const speed = (of: string) => `${(65536 / median(rounds[of])).toFixed(1)} GB/s`;
  const outcome = ratioOf(rounds, name, "memcpy", "memcpy");
  if (outcome.kind !== "value") return outcome;
  return value(outcome.value, `${speed(name)}, memcpy ${speed("memcpy")}`);
}

function measure(): Measured {
  const rounds = runWorker<Rounds>("paths", null, { nodeFlags: FLAGS });
  return {
    outcomes: new Map([
      ["M2", ratioOf(rounds, "extract a million", "plain table", "plain table")],
      ["M4", switchRatio(rounds, "block")],
      ["M4s", switchRatio(rounds, "sleep")],
      ["M5", copyRatio(rounds, "in")],
      ["M5o", copyRatio(rounds, "out")],
      ["M5u", copyRatio(rounds, "in, scattered")],
      ["M5uo", copyRatio(rounds, "out, scattered")],
    ]),
    charts: [],
  };
}

export const PATHS: Suite = { rows: ROWS, measure };
