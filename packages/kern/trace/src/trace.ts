/**
 * The trace: a ring of the newest events and a hash of all of them.
 *
 * Off costs its caller one predictable branch: `if ((trace.mask & Ktr.BUF) !== 0) trace.record(…)`.
 * The hash covers every recorded event since boot, also those that have left the ring: two runs
 * with the same hash did the same things in the same order with the same values at the same
 * virtual times. Follows ktr(9).
 *
 * Invariant: `recorded` only grows; entry i of the ring is event number recorded − length + i.
 */
import type { Nanoseconds } from "@physio/kern";
import { panic } from "@physio/kern";
import type { Ktr, TraceEvent } from "./event.ts";

const ARGS = 4;
const WIDTH = ARGS + 2; // the time, the thread, then the arguments

/** One entry of the ring, copied out. */
export interface TraceEntry {
  readonly time: Nanoseconds;
  /** Id of the thread that ran; 0 is none: hardware, or the code that drives the machine. */
  readonly thread: number;
  readonly event: TraceEvent;
  readonly args: readonly number[];
}

export class Trace {
  /** Classes that are recorded; 0 is off. */
  mask: Ktr;
  /** Events recorded since boot. */
  recorded: number;
  /** Where the time of an entry comes from; the scheduler sets it. */
  now: () => Nanoseconds;
  /** Id of the thread that runs; the scheduler sets it. */
  thread: () => number;
  /** Names of threads by id, kept when they have ended. */
  readonly threadNames: Map<number, string>;
  readonly #capacity: number;
  readonly #events: (TraceEvent | null)[];
  readonly #values: Float64Array;
  #hashA: number;
  #hashB: number;

  /** @param capacity entries kept in the ring */
  constructor(capacity = 4096) {
    if (!(Number.isInteger(capacity) && capacity > 0)) panic(`Trace: capacity ${capacity}`);
    this.mask = 0;
    this.recorded = 0;
    this.now = () => 0;
    this.thread = () => 0;
    this.threadNames = new Map([[0, "hardware"]]);
    this.#capacity = capacity;
    this.#events = new Array<TraceEvent | null>(capacity).fill(null);
    this.#values = new Float64Array(capacity * WIDTH);
    this.#hashA = 0x811c9dc5;
    this.#hashB = 0x9747b28c;
  }

  /**
   * Record an event if its class is on.
   * => arguments are whole numbers below 2^53 (addresses, lengths, errnos, ids); order as in the event.
   */
  record(event: TraceEvent, a = 0, b = 0, c = 0, d = 0): void {
    if ((this.mask & event.cls) === 0) return;
    const time = this.now();
    const slot = this.recorded % this.#capacity;
    const values = this.#values;
    const at = slot * WIDTH;
    this.#events[slot] = event;
    values[at] = time;
    values[at + 1] = this.thread();
    values[at + 2] = a;
    values[at + 3] = b;
    values[at + 4] = c;
    values[at + 5] = d;
    this.recorded++;
    this.#mix(event.id);
    for (let i = 0; i < WIDTH; i++) this.#mix(values[at + i]);
  }

  #mix(value: number): void {
    const low = value >>> 0;
    const high = Math.floor(value / 2 ** 32) >>> 0;
    this.#hashA = Math.imul(this.#hashA ^ low, 0x01000193) ^ Math.imul(high, 0x85ebca6b);
    this.#hashB = Math.imul((this.#hashB << 5) ^ (this.#hashB >>> 27) ^ low ^ high, 0x9e3779b1);
  }

  /** Hash over all events recorded since boot: 16 hex digits. */
  hash(): string {
    const hex = (n: number) => (n >>> 0).toString(16).padStart(8, "0");
    return hex(this.#hashA) + hex(this.#hashB);
  }

  /** The newest entries, oldest first. */
  entries(): TraceEntry[] {
    const kept = Math.min(this.recorded, this.#capacity);
    const out: TraceEntry[] = [];
    for (let n = this.recorded - kept; n < this.recorded; n++) {
      const slot = n % this.#capacity;
      const event = this.#events[slot];
      if (event === null) panic(`Trace: entry ${n} is empty`);
      const at = slot * WIDTH;
      const args = Array.from(this.#values.subarray(at + 2, at + 2 + event.args.length));
      out.push({ time: this.#values[at], thread: this.#values[at + 1], event, args });
    }
    return out;
  }

  /** The newest entries as text, a line each: time in µs, event, named arguments. */
  format(): string {
    const line = (e: TraceEntry) => {
      const args = e.args.map((value, i) => `${e.event.args[i]}=${value}`).join(" ");
      const { name, phase } = e.event;
      const what = phase === "instant" ? name : `${name} ${phase}`;
      return `${(e.time / 1000).toFixed(3)} ${what} ${args}`.trimEnd();
    };
    return this.entries().map(line).join("\n");
  }
}
