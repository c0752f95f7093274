/**
 * Worker of the T1, T3 and T4 rows: five rounds of ours and of the native peer, one after the other.
 */
import { boards } from "./board-scene.ts";
import type { Case } from "./cases.ts";
import { nativeRound } from "./native.ts";
import type { LoadCase, Scene, Sum } from "./scene.ts";
import { CALLBACKS, checkCase, loadLoop, makeScene } from "./scene.ts";
import { bestOf } from "./timing.ts";
import { bounceCase, copyCases, packetCase } from "./transfer-cases.ts";

const ROUNDS = 5;
const WARM_ROUNDS = 20;
/** Loads a slice: some milliseconds, less than a turn of the host's scheduler. */
const OPERATIONS = 20_000;
const NATIVE_OPERATIONS = 40_000;

export interface LoadInput {
  /** The native peer; null: ours alone. */
  readonly native: string | null;
  /** Whether machines with the two other backends are alive, too, and have loaded. */
  readonly boards: boolean;
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

/** What a process measures, and what else is alive in it. */
interface Work {
  readonly scene: Scene;
  /** d, e and the copies. */
  readonly transfers: readonly Case[];
  /** The same of other machines: for warming only. */
  readonly otherTransfers: readonly Case[];
}

function makeWork(withBoards: boolean, sum: Sum): Work {
  const scene = makeScene(withBoards ? boards() : []);
  for (const c of scene.cases) checkCase(c);
  return {
    scene,
    transfers: [packetCase(scene.machine, sum), bounceCase(sum), ...copyCases(sum)],
    otherTransfers: scene.otherMachines.map((m) => packetCase(m, sum)),
  };
}

/** Everybody loads, by turns; with `callbacks` above 1 not all through the same function. */
function warm(work: Work, sum: Sum, callbacks: number, rounds: number, n: number): void {
  const { scene, transfers, otherTransfers } = work;
  for (let round = 0; round < rounds; round++) {
    const callback = CALLBACKS[round % callbacks];
    for (const c of [...scene.cases, ...scene.others]) loadLoop(c, sum, n, callback);
    for (const c of [...transfers, ...otherTransfers]) c.body(Math.min(n, c.operations / 8));
  }
}

function oursRound(
  cases: readonly LoadCase[],
  transfers: readonly Case[],
  sum: Sum,
  into: Rounds,
  suffix: string,
): void {
  for (const c of cases) {
    const operations = c.name === "a" ? 4 * OPERATIONS : OPERATIONS;
    note(
      into,
      c.name + suffix,
      bestOf((n) => loadLoop(c, sum, n), operations),
    );
  }
  for (const c of transfers) note(into, c.name + suffix, bestOf(c.body, c.operations));
}

export function measureLoads({ native, boards: withBoards }: LoadInput): LoadOutput {
  const sum: Sum = { total: 0 };
  const work = makeWork(withBoards, sum);
  const { cases } = work.scene;
  const output: LoadOutput = { ours: {}, native: {} };
  // First with one callback function in the process, then with several: see the rows.
  for (const [callbacks, suffix] of [
    [1, ""],
    [CALLBACKS.length, "*"],
  ] as const) {
    warm(work, sum, callbacks, WARM_ROUNDS, 2000);
    for (let round = 0; round < ROUNDS; round++) {
      oursRound(cases, suffix === "" ? work.transfers : [], sum, output.ours, suffix);
      const theirs = native === null ? {} : nativeRound(native, NATIVE_OPERATIONS);
      for (const [name, ns] of Object.entries(theirs)) note(output.native, name + suffix, ns);
      warm(work, sum, callbacks, callbacks, 250);
    }
    if (withBoards) break; // the rows of several callbacks are for the PCs alone
  }
  if (!(sum.total > 0)) throw new Error("the loads gave nothing");
  return output;
}
