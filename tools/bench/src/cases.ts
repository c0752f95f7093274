/**
 * Cases: what can be done over and over, with its steady state in the closure.
 *
 * A worker warms all cases of all kinds before it measures one of them, so that the functions of the
 * packages have met every kind of caller: a process with one case in it flatters two- to threefold.
 */
import { bestOf } from "./timing.ts";

export interface Case {
  readonly name: string;
  /** Does it n times. */
  readonly body: (n: number) => void;
  /** Times that take some milliseconds at most. */
  readonly operations: number;
  /** Resumptions of generators in one operation: each leaves the host's own result object. */
  readonly resumptions: number;
}

export function makeCase(
  name: string,
  operations: number,
  body: (n: number) => void,
  resumptions = 0,
): Case {
  return { name, body, operations, resumptions };
}

/** What the loops of the cases add to, so that none is for nothing. */
export const sink = { total: 0 };

/**
 * Addresses as a field of an object holds them: an array of doubles makes a number anew whenever one
 * is passed on, 16 bytes of garbage that are not the callee's.
 */
export function boxed(addresses: readonly number[]): readonly number[] {
  const all: unknown[] = [sink]; // an object makes it an array of anything, and it stays one
  all.push(...addresses);
  all.shift();
  return all as number[];
}

/** Everybody runs, by turns. */
export function warm(cases: readonly Case[], rounds = 8): void {
  for (let round = 0; round < rounds; round++) {
    for (const c of cases) c.body(Math.ceil(c.operations / 2));
  }
}

/** Nanoseconds an operation, a round each, by case. */
export type Rounds = Record<string, number[]>;

/** Measure by turns: a round of every case, then the next; between two rounds the others run. */
export function measureRounds(
  cases: readonly Case[],
  others: readonly Case[],
  rounds = 5,
  slices = 8,
): Rounds {
  const all: Rounds = Object.fromEntries(cases.map((c) => [c.name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const c of cases) all[c.name].push(bestOf(c.body, c.operations, slices));
    for (const c of others) c.body(Math.ceil(c.operations / 8));
  }
  return all;
}
