/** What the tests of this package share: seeds, dice, a machine with RAM low, above 2^32 and at 2^52, a clock. */
import { GiB, KiB } from "@physio/kern";
import type { MembusConfig, RandomSource } from "@physio/membus";
import { Membus } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import { Trace } from "@physio/trace";

/** The seeds of a property test, or the one that PHYSIO_SEED names. */
export function seeds(count: number): number[] {
  const { PHYSIO_SEED } = process.env;
  return PHYSIO_SEED === undefined
    ? Array.from({ length: count }, (_, i) => i + 1)
    : [Number(PHYSIO_SEED)];
}

/** Whole numbers from 0 to 2^32 − 1, named by a seed. */
export function source(seed: number): RandomSource {
  let state = seed | 0;
  return {
    next: () => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      return (mixed ^ (mixed >>> 16)) >>> 0;
    },
  };
}

/** Whole numbers below `n`. */
export function dice(seed: number): (n: number) => number {
  const random = source(seed ^ 0x5bd1e995);
  return (n) => random.next() % n;
}

export const SIZE = 64 * KiB;
export const LOW = 0x1_0000;
export const HIGH = 8 * GiB;
export const TOP = 2 ** 52 - SIZE;
/** Where the banks begin. */
export const BASES = [LOW, HIGH, TOP] as const;

/** Three banks of 64 KiB. */
export function machine(config: Partial<MembusConfig> = {}) {
  const mem = new PhysMem({ banks: BASES.map((base) => ({ base, size: SIZE })) });
  const clock = new Clock();
  const bus = new Membus({ mem, trace: new Trace(), now: () => clock.now, ...config });
  const { cpu } = bus;
  return { mem, clock, bus, cpu, device: bus.devicePort({ name: "toy0" }) };
}

interface Timer {
  readonly action: () => void;
  time: number;
}

/** Virtual time with events, as little as membus asks for. */
export class Clock {
  now = 0;
  readonly #pending: Timer[] = [];

  event(action: () => void): object {
    return { action, time: -1 };
  }

  after(event: object, delay: number): void {
    const timer = event as Timer;
    if (this.#pending.includes(timer)) throw new Error("the event is pending");
    timer.time = this.now + delay;
    this.#pending.push(timer);
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** Let `ns` pass. */
  advance(ns: number): void {
    const end = this.now + ns;
    for (;;) {
      const due = this.#pending.filter((timer) => timer.time <= end);
      if (due.length === 0) break;
      const first = due.reduce((a, b) => (b.time < a.time ? b : a));
      this.#pending.splice(this.#pending.indexOf(first), 1);
      this.now = first.time;
      first.action();
    }
    this.now = end;
  }
}

export const bytes = (...list: number[]): Uint8Array => Uint8Array.from(list);

/** `count` bytes that tell their place: `from`, `from + 1`, … */
export const ramp = (count: number, from = 1): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => (from + i) & 0xff);
