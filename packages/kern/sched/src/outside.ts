/**
 * Calls of the outside: what a host answers in its own time, at a fixed virtual time.
 *
 * A thread or a device issues a call and says how long it takes in virtual time. The host completes
 * it, or lets it fail, whenever it likes; the answer arrives at the virtual time issue + latency,
 * never earlier and never later. When the clock gets there and the host has not answered, the
 * scheduler stalls: nothing happens until the host has. So the order of things inside does not
 * depend on the host, and a run with the same answers is the same run.
 *
 * Made by `Scheduler.outside`. Invariant: `arrived` implies `completed`; the event is pending until
 * the answer has arrived.
 */
import type { Nanoseconds } from "@physio/kern";
import { panic } from "@physio/kern";
import { Event } from "./events.ts";
import type { Scheduler } from "./scheduler.ts";
import type { DescribesWait, Sleeps } from "./thread.ts";

const PENDING = 0;
const COMPLETED = 1;
const FAILED = 2;

export class OutsideCall<T> implements DescribesWait {
  /** Number of the call since boot, from 1. */
  readonly id: number;
  readonly name: string;
  /** Virtual times of the issue and of the answer. */
  readonly issued: Nanoseconds;
  readonly due: Nanoseconds;
  readonly #sched: Scheduler;
  readonly #onSettled: (call: OutsideCall<unknown>) => void;
  #state: number;
  #value: T | undefined;
  #error: unknown;
  #arrived: boolean;

  /** => called by `Scheduler.outside`, which also hears of the completion and of the arrival. */
  constructor(
    sched: Scheduler,
    id: number,
    name: string,
    latency: Nanoseconds,
    onSettled: (call: OutsideCall<unknown>) => void,
    onArrival: (call: OutsideCall<unknown>) => void,
  ) {
    this.id = id;
    this.name = name;
    this.issued = sched.now;
    this.due = sched.now + latency;
    this.#sched = sched;
    this.#onSettled = onSettled;
    this.#state = PENDING;
    this.#value = undefined;
    this.#error = undefined;
    this.#arrived = false;
    const arrive = new Event(() => {
      this.#arrived = true;
      onArrival(this);
      sched.wakeup(this);
    }, this);
    sched.after(arrive, latency);
  }

  /** Whether the host has answered. */
  get completed(): boolean {
    return this.#state !== PENDING;
  }

  /** Whether that was `fail`. */
  get failed(): boolean {
    return this.#state === FAILED;
  }

  /** Whether the answer has arrived inside. */
  get arrived(): boolean {
    return this.#arrived;
  }

  /** The host's answer. => once, and not after `fail`; at any moment, also before the due time. */
  complete(value: T): void {
    this.#checkPending("completed");
    this.#value = value;
    this.#state = COMPLETED;
    this.#onSettled(this);
  }

  /** The host has no answer; `wait` throws `error`. => as `complete` */
  fail(error: unknown): void {
    this.#checkPending("failed");
    this.#error = error;
    this.#state = FAILED;
    this.#onSettled(this);
  }

  /** Sleep until the answer has arrived. @returns it. @throws what `fail` was given. */
  *wait(): Sleeps<T> {
    while (!this.#arrived) yield this.#sched.block(this, this.name);
    if (this.#state === FAILED) throw this.#error;
    return this.#value as T;
  }

  describeWait(): string {
    const answer = this.completed ? "answered" : "not answered yet";
    return `outside call "${this.name}" of ${this.issued} ns, due at ${this.due} ns, ${answer}`;
  }

  #checkPending(what: string): void {
    if (this.#state === PENDING) return;
    const before = this.#state === FAILED ? "failed" : "completed";
    panic(`outside call "${this.name}" is ${what}, but it was ${before} before`);
  }
}
