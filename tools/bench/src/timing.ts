/**
 * Timing loops on a machine that others use too.
 *
 * A figure is the best of several short slices: somebody else's turn only ever adds. The native
 * peer does the same with as many slices.
 */

const SLICES = 8;

/** Nanoseconds an operation; `body(n)` does it n times. */
export function bestOf(body: (n: number) => void, operations: number, slices = SLICES): number {
  body(Math.ceil(operations / 8));
  let best = Number.POSITIVE_INFINITY;
  for (let slice = 0; slice < slices; slice++) {
    const begin = performance.now();
    body(operations);
    best = Math.min(best, ((performance.now() - begin) * 1e6) / operations);
  }
  return best;
}
