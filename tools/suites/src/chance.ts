/** Whole numbers that a seed names, for tests: the same seed, the same numbers. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x27d4eb2f);
  }

  /** 0 … 2^32 − 1. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  }

  /** 0 … `limit` − 1. => `limit` > 0 */
  below(limit: number): number {
    return this.next() % limit;
  }

  /** Whether the die with `sides` sides shows its first. */
  oneIn(sides: number): boolean {
    return this.below(sides) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }
}
