/**
 * M6: garbage per operation on memory and time in the steady state; what generators leave behind by
 * themselves is not counted.
 */
import type { CoreGarbageInput, CoreGarbageOutput, Garbage } from "./core-garbage-worker.ts";
import { GARBAGE_FLAGS } from "./garbage.ts";
import type { Outcome, Row } from "./row.ts";
import { value } from "./row.ts";
import type { Measured, Suite } from "./suite.ts";
import type { WorkerOptions } from "./worker.ts";
import { runWorker } from "./worker.ts";

const bytes = { unit: "B", gate: 1, goal: 0 } as const;
const published = { unit: "B", gate: null, goal: null } as const;
export const M6: Row = { id: "M6", title: "garbage per operation on memory, the worst", ...bytes };
const ROWS: readonly Row[] = Object.freeze([
  M6,
  // A boxed number, 16 bytes, for each call that V8 does not inline: one that gives it, one that takes it.
  { id: "M6a", title: "garbage per address allocated + freed, the worst", ...bytes, gate: 33 },
  { id: "M6b", title: "garbage per copy or access, the worst", ...bytes },
  { id: "M6t", title: "garbage per switch, timeout or task, the worst", ...bytes },
  { id: "M6g", title: "garbage per resumption of a bare generator", ...published },
  { id: "M6u", title: "garbage per copyout of 64 KiB in 17 scattered frames", ...published },
]);

/**
 * Garbage that the host makes: a `yield*` makes a generator, a random number above 2^31 is an object.
 */
const HOSTS: readonly string[] = Object.freeze(["sleep", "yield* pause", "give way by chance"]);
/** Every piece of an array that is copied by itself needs a view of it. */
const PIECES: readonly string[] = Object.freeze(["copyin scattered", "copyout scattered"]);
/** Calls that hand out addresses, which are numbers above 2^31: which of them V8 inlines differs from process to process. */
const GIVES_ADDRESS = /^(vmem|zone|kmem)/;
/** Published beside. The bare generator is what the others are over. */
const BESIDE: readonly string[] = Object.freeze(["bare", ...HOSTS, ...PIECES]);

/** The worst of those cases that nothing excuses; the note has all of them. */
export function worst(found: Garbage): Outcome {
  const own = Object.entries(found).filter(([name]) => !BESIDE.includes(name));
  const note = own.map(([name, b]) => `${name} ${Math.abs(b).toFixed(2)}`).join(", ");
  return value(Math.max(...own.map(([, b]) => b)), note);
}

export function runCoreGarbage(input: CoreGarbageInput, options: WorkerOptions = {}) {
  const flags = { ...options, nodeFlags: GARBAGE_FLAGS };
  return runWorker<CoreGarbageOutput>("core-garbage", input, flags);
}

function measure(): Measured {
  const { memory, bytes: moved, time, resumption } = runCoreGarbage({ only: null });
  const more = HOSTS.map((name) => `${name} ${time[name].toFixed(0)}`).join(", ");
  const note = `result objects; over that a generator or a random number: ${more}`;
  const cases = Object.entries(memory);
  const some = (gives: boolean) =>
    worst(Object.fromEntries(cases.filter(([name]) => GIVES_ADDRESS.test(name) === gives)));
  return {
    outcomes: new Map([
      ["M6", some(false)],
      ["M6a", some(true)],
      ["M6b", worst(moved)],
      ["M6t", worst(time)],
      ["M6g", value(resumption, note)],
      [
        "M6u",
        value(moved[PIECES[1]], `a view for each piece; copyin ${moved[PIECES[0]].toFixed(0)}`),
      ],
    ]),
    charts: [],
  };
}

export const CORE_GARBAGE: Suite = { rows: ROWS, measure };
