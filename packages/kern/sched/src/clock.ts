/**
 * The virtual clock: what happens when, and which of two things that are due together.
 *
 * Two kinds of events share the clock: the hardware's (a device finishes, the host answers) and the
 * timeouts of sleeping threads. Of events due at the same time hardware comes first, then first
 * come, first served, unless a source of choices says otherwise. The clock stalls at an event of a
 * call that the host has not answered; what was chosen there stays chosen.
 *
 * Follows callout(9) and DELAY(9). For the scheduler. Invariants: the clock never goes back; times are
 * whole numbers up to 2^53 − 1; while it is stalled, `now` is the time of the event at which it is.
 */
import type { Nanoseconds } from "@physio/kern";
import { panic } from "@physio/kern";
import type { Choices } from "./choices.ts";
import { ChoiceKind } from "./choices.ts";
import type { Event } from "./events.ts";
import { EventQueue } from "./events.ts";
import type { OutsideCall } from "./outside.ts";

/** Ask `choices`, and check the answer. */
export function choose(choices: Choices, kind: ChoiceKind, count: number): number {
  const chosen = choices.choose(kind, count);
  if (!(Number.isInteger(chosen) && chosen >= 0 && chosen < count)) {
    panic(`the source of choices chose ${chosen} of ${count}`);
  }
  return chosen;
}

/** The last time that there is; sums beyond it are not exact. */
const LATEST = Number.MAX_SAFE_INTEGER;

/** Whether `delay` ns after `now` is a time: a whole number from now on, and exact. */
export function isDelay(delay: Nanoseconds, now: Nanoseconds): boolean {
  return Number.isInteger(delay) && delay >= 0 && now + delay <= LATEST;
}

/** Why it is none: the end of a message. */
export function whyNoDelay(delay: Nanoseconds, now: Nanoseconds): string {
  const given = typeof delay === "number" ? "" : ` (a ${typeof delay})`;
  return `${delay} ns${given} at ${now} ns: not a whole number, or past 2^53 - 1 ns`;
}

export class Clock {
  now: Nanoseconds;
  /** The call that the host has to answer before anything can happen, or null. */
  stalledOn: OutsideCall<unknown> | null;
  readonly #choices: Choices | null;
  readonly #hardware: EventQueue;
  readonly #timeouts: EventQueue;
  /** Where events due together are collected; places behind the last one are stale. */
  readonly #together: Event[];
  /** Chosen to happen next, but held back by a stall. */
  #chosen: Event | null;
  #order: number;

  constructor(choices: Choices | null) {
    this.now = 0;
    this.stalledOn = null;
    this.#choices = choices;
    this.#hardware = new EventQueue();
    this.#timeouts = new EventQueue();
    this.#together = [];
    this.#chosen = null;
    this.#order = 0;
  }

  /** Let a hardware event happen `delay` ns from now. */
  after(event: Event, delay: Nanoseconds): void {
    if (!isDelay(delay, this.now)) panic(`event after ${whyNoDelay(delay, this.now)}`);
    if (event.index >= 0) panic(`event after ${delay} ns: it is pending for ${event.time} ns`);
    event.time = this.now + delay;
    event.order = this.#order++;
    this.#hardware.insert(event);
  }

  /** Panics unless a sleep may last `timeout` ns. */
  checkTimeout(message: string, timeout: Nanoseconds): void {
    if (isDelay(timeout, this.now)) return;
    panic(`sleep on "${message}" for ${whyNoDelay(timeout, this.now)}`);
  }

  /** Let a thread's timeout happen `delay` ns from now. => it is not pending; `delay` is checked. */
  setTimeout(event: Event, delay: Nanoseconds): void {
    event.time = this.now + delay;
    event.order = this.#order++;
    this.#timeouts.insert(event);
  }

  /** Take an event out, whichever kind it is; no effect when it is not pending. */
  cancel(event: Event): void {
    if (event.queue !== null) event.queue.remove(event);
  }

  /** Let the next event happen. @returns false when none is due or the clock is stalled. */
  fireNext(): boolean {
    const event = this.#next();
    if (event === null) return false;
    if (event.call !== null && !event.call.completed) {
      this.#chosen = event;
      this.stalledOn = event.call;
      if (event.time > this.now) this.now = event.time;
      return false;
    }
    this.#fire(event);
    return true;
  }

  /** The host has answered. @returns whether the clock was stalled on that. */
  settled(call: OutsideCall<unknown>): boolean {
    if (this.stalledOn !== call) return false;
    this.stalledOn = null;
    return true;
  }

  /** Busy-wait: time passes and hardware events happen. @bsd #Y DELAY(9) */
  delay(time: Nanoseconds): void {
    if (!isDelay(time, this.now)) panic(`DELAY of ${whyNoDelay(time, this.now)}`);
    const end = this.now + time;
    for (let event = this.#hardwareUntil(end); event !== null; event = this.#hardwareUntil(end)) {
      if (event.call !== null && !event.call.completed) {
        panic(
          `DELAY of ${time} ns reaches outside call "${event.call.name}", due at ${event.time} ns and not answered: the host cannot answer while a thread busy-waits`,
        );
      }
      this.#fire(event);
    }
    if (end > this.now) this.now = end; // an event may have delayed for longer
  }

  /** Walk both heaps; panics when one is broken. */
  check(): void {
    this.#hardware.check("hardware events");
    this.#timeouts.check("timeouts");
    const stalled = this.stalledOn;
    if (stalled !== null && (stalled.completed || this.#chosen?.call !== stalled)) {
      panic(`the clock is stalled on "${stalled.name}", which is answered or not due`);
    }
    if (this.#chosen !== null && !this.#chosen.pending) panic("the event chosen is not pending");
  }

  #next(): Event | null {
    if (this.#chosen !== null) return this.#chosen;
    const hard = this.#hardware.first();
    const soft = this.#timeouts.first();
    if (hard === null && soft === null) return null;
    const hardFirst = soft === null || (hard !== null && hard.time <= soft.time);
    if (this.#choices === null) return hardFirst ? hard : soft;
    return this.#chooseEvent(
      this.#choices,
      hardFirst,
      soft !== null && (hard === null || soft.time <= hard.time),
    );
  }

  #hardwareUntil(end: Nanoseconds): Event | null {
    if (this.#chosen !== null) return this.#chosen;
    const first = this.#hardware.first();
    if (first === null || first.time > end) return null;
    return this.#choices === null ? first : this.#chooseEvent(this.#choices, true, false);
  }

  /** Choose among the first events of one queue, or of both when those are due together. */
  #chooseEvent(choices: Choices, hard: boolean, soft: boolean): Event {
    const together = this.#together;
    let count = hard ? this.#hardware.collectFirst(together, 0) : 0;
    if (soft) count = this.#timeouts.collectFirst(together, count);
    return together[count === 1 ? 0 : choose(choices, ChoiceKind.EVENT, count)];
  }

  #fire(event: Event): void {
    this.#chosen = null;
    this.cancel(event);
    if (event.time > this.now) this.now = event.time;
    event.action();
  }
}
