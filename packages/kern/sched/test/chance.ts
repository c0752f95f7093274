/** Chance for tests: seeds and what they stand for. */
import type { RandomSource } from "@physio/sched";

const FIRST = Number(process.env.PHYSIO_SEED ?? 1);

/** `count` seeds; PHYSIO_SEED names the first. */
export const seeds = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => FIRST + i);

/** Whole numbers from 0 to 2^32 − 1, named by a seed. */
export function source(seed: number): RandomSource {
  let state = Math.imul(seed, 0x27d4eb2f);
  return {
    next: () => {
      state = (state + 0x9e3779b9) | 0;
      const mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
      return (mixed ^ (mixed >>> 13)) >>> 0;
    },
  };
}

/** Whole numbers below a limit, named by a seed. */
export function dice(seed: number): (limit: number) => number {
  const random = source(seed);
  return (limit) => random.next() % limit;
}
