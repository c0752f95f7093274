/**
 * What is owed for each byte of a mapping, kept as runs of bytes that are alike.
 *
 * Bytes are counted along the segments from 0 on. A state is four bits; an operation is a table of
 * the 16 states that follow them. A transfer that is moved and synced as a whole is one run all the
 * time, and a ring has a few.
 *
 * Invariant: runs are in order, none is empty, and neighbours differ.
 */
import type { Bytes } from "@physio/kern";
import { panic } from "@physio/kern";

/** The CPU wrote it, or nobody has said PREWRITE since the load: the device must not read it. */
export const CPU_WROTE = 1;
/** PREREAD was said: the device may write it. */
export const ARMED = 2;
/** The device wrote it, and nobody has said POSTREAD since. */
export const DEVICE_WROTE = 4;
/** The device read it, and nobody has said POSTWRITE since. */
export const DEVICE_READ = 8;

const STATES = 16;

const table = (next: (state: number) => number): Uint8Array =>
  Uint8Array.from({ length: STATES }, (_, state) => next(state));

export const PREWRITE = table((s) => s & ~CPU_WROTE);
export const PREREAD = table((s) => s | ARMED);
/** What the device did not write stays its to write: a ring is read while the device fills it. */
export const POSTREAD = table((s) => ((s & DEVICE_WROTE) === 0 ? s : s & ~(DEVICE_WROTE | ARMED)));
export const POSTWRITE = table((s) => s & ~DEVICE_READ);
export const BY_DEVICE_READ = table((s) => (s & ~CPU_WROTE) | DEVICE_READ);
export const BY_DEVICE_WRITE = table((s) => (s & ~CPU_WROTE) | ARMED | DEVICE_WROTE);
export const BY_CPU_READ = table((s) => s & ~DEVICE_WROTE);
/** A line that the CPU has dirtied may go over what the device writes: another PREREAD is due. */
export const BY_CPU_WRITE = table(() => CPU_WROTE);

export class ByteStates {
  total: Bytes;
  /** Runs: where each begins, and its state. `count` of them are in use. */
  count: number;
  readonly #start: number[];
  readonly #state: number[];

  constructor() {
    this.total = 0;
    this.count = 0;
    this.#start = [];
    this.#state = [];
  }

  /** `total` bytes, all in `state`. */
  reset(total: Bytes, state: number): void {
    this.total = total;
    this.count = total > 0 ? 1 : 0;
    this.#start[0] = 0;
    this.#state[0] = state;
  }

  /** Let all bytes go from state s to `to[s]`. */
  applyAll(to: Uint8Array): void {
    for (let i = 0; i < this.count; i++) this.#state[i] = to[this.#state[i]];
    if (this.count > 1) this.#merge(1, this.count);
  }

  /** The same for the bytes of [`from`, `end`). => they lie in the mapping. */
  apply(from: Bytes, end: Bytes, to: Uint8Array): void {
    if (!(from >= 0 && end <= this.total))
      panic(`dmacheck: bytes ${from} to ${end} of ${this.total}`);
    if (from >= end) return;
    const first = this.#split(from);
    const last = end === this.total ? this.count : this.#split(end);
    for (let i = first; i < last; i++) this.#state[i] = to[this.#state[i]];
    this.#merge(Math.max(first, 1), Math.min(last + 1, this.count));
  }

  /** The first byte of [`from`, `end`) of whose state `state & mask` is `wanted`, or −1. */
  find(from: Bytes, end: Bytes, mask: number, wanted: number): Bytes {
    if (from >= end) return -1;
    for (let i = this.#runAt(from); i < this.count && this.#start[i] < end; i++) {
      if ((this.#state[i] & mask) === wanted) return Math.max(from, this.#start[i]);
    }
    return -1;
  }

  /** How many bytes from `at` on, before `end`, are as `find` wants them. */
  alike(at: Bytes, end: Bytes, mask: number, wanted: number): Bytes {
    let i = this.#runAt(at);
    while (i < this.count && this.#start[i] < end && (this.#state[i] & mask) === wanted) i++;
    return Math.min(end, i < this.count ? this.#start[i] : this.total) - at;
  }

  /** [first byte, state] of each run, for tests. */
  runs(): [number, number][] {
    return Array.from({ length: this.count }, (_, i) => [this.#start[i], this.#state[i]]);
  }

  /** The run that holds byte `at`. */
  #runAt(at: Bytes): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#start[middle] <= at) low = middle;
      else high = middle - 1;
    }
    return Math.max(low, 0);
  }

  /** Make a run begin at `at`. @returns which it is. */
  #split(at: Bytes): number {
    const i = this.#runAt(at);
    if (this.#start[i] === at) return i;
    this.#start.length = this.count;
    this.#state.length = this.count;
    this.#start.splice(i + 1, 0, at);
    this.#state.splice(i + 1, 0, this.#state[i]);
    this.count++;
    return i + 1;
  }

  /** Join what is alike among the runs `from` − 1 to `end` − 1. => from > 0. */
  #merge(from: number, end: number): void {
    let kept = from - 1;
    for (let i = from; i < this.count; i++) {
      if (i < end && this.#state[i] === this.#state[kept]) continue;
      kept++;
      this.#start[kept] = this.#start[i];
      this.#state[kept] = this.#state[i];
    }
    this.count = Math.min(this.count, kept + 1);
  }
}
