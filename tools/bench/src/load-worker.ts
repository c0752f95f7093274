/**
 * Worker of the T1 rows: five rounds of ours and of the native peer, one after the other.
 */
import { nativeRound } from "./native.ts";
import type { LoadCase, Scene, Sum } from "./scene.ts";
import { CALLBACKS, checkCase, loadLoop, makeScene } from "./scene.ts";
import { bestOf } from "./timing.ts";

const ROUNDS = 5;
const WARM_ROUNDS = 20;
/** Loads a slice: some milliseconds, less than a turn of the host's scheduler. */
const OPERATIONS = 20_000;
const NATIVE_OPERATIONS = 40_000;

export interface LoadInput {
  /** The native peer; null: ours alone. */
  readonly native: string | null;
}

/** Nanoseconds per load and unload, a round each, by case. */
export type Rounds = Record<string, number[]>;

export interface LoadOutput {
  readonly ours: Rounds;
  readonly native: Rounds;
}

function note(rounds: Rounds, name: string, ns: number): void {
  rounds[name] ??= [];
  rounds[name].push(ns);
}

/** Everybody loads, by turns; with `callbacks` above 1 not all through the same function. */
function warm(scene: Scene, sum: Sum, callbacks: number, rounds: number, n: number): void {
  for (let round = 0; round < rounds; round++) {
    const callback = CALLBACKS[round % callbacks];
    for (const c of [...scene.cases, ...scene.others]) loadLoop(c, sum, n, callback);
  }
}

function oursRound(cases: readonly LoadCase[], sum: Sum, into: Rounds, suffix: string): void {
  for (const c of cases) {
    const operations = c.name === "a" ? 4 * OPERATIONS : OPERATIONS;
    note(
      into,
      c.name + suffix,
      bestOf((n) => loadLoop(c, sum, n), operations),
    );
  }
}

export function measureLoads({ native }: LoadInput): LoadOutput {
  const scene = makeScene();
  for (const c of scene.cases) checkCase(c);
  const sum: Sum = { total: 0 };
  const output: LoadOutput = { ours: {}, native: {} };
  // First with one callback function in the process, then with several: see the rows.
  for (const [callbacks, suffix] of [
    [1, ""],
    [CALLBACKS.length, "*"],
  ] as const) {
    warm(scene, sum, callbacks, WARM_ROUNDS, 2000);
    for (let round = 0; round < ROUNDS; round++) {
      oursRound(scene.cases, sum, output.ours, suffix);
      const theirs = native === null ? {} : nativeRound(native, NATIVE_OPERATIONS);
      for (const [name, ns] of Object.entries(theirs)) note(output.native, name + suffix, ns);
      warm(scene, sum, callbacks, callbacks, 250);
    }
  }
  if (!(sum.total > 0)) throw new Error("the loads gave nothing");
  return output;
}
