/**
 * Random numbers that are the same in every run.
 */

/** Xorshift with 32 bits of state: whole numbers, evenly from 0 to 2^32 − 1. */
export class Random {
  #state: number;

  /** => `seed` is not 0. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  /** A whole number below `n`. */
  below(n: number): number {
    return this.next() % n;
  }

  /** 0 … `n` − 1, each once. */
  order(n: number): Int32Array {
    const all = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const kept = all[i];
      all[i] = all[j];
      all[j] = kept;
    }
    return all;
  }
}
