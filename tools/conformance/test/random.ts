/** Random numbers of a seed: a linear congruential generator, for choices that must be repeatable. */

/** PHYSIO_SEED replays a run. */
export const FIRST_SEED = Number(process.env.PHYSIO_SEED ?? 1);

/** @returns a function that draws a whole number from 0 to `below` − 1. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = (Math.imul(seed, 2654435761) + 12345) >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
