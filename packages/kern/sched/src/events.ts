/**
 * The event queue: what happens at a virtual time.
 *
 * A binary heap ordered by time and then by order of insertion, so equal times fire first come,
 * first served. The Event object belongs to whoever made it and is reused: scheduling allocates
 * nothing. The time is written into the event before it is queued, not passed: a double that crosses
 * a call is boxed.
 *
 * Invariant: an event that is not queued has index −1 and no queue.
 */
import type { Nanoseconds } from "@physio/kern";
import { panic } from "@physio/kern";
import type { OutsideCall } from "./outside.ts";

export class Event {
  /** Runs when the time has come, outside of any thread; must not sleep. */
  readonly action: () => void;
  /** What the host has to complete before the event can happen; null: nothing. */
  readonly call: OutsideCall<unknown> | null;
  time: Nanoseconds;
  order: number;
  index: number;
  queue: EventQueue | null;

  constructor(action: () => void, call: OutsideCall<unknown> | null = null) {
    this.action = action;
    this.call = call;
    this.time = 0;
    this.order = 0;
    this.index = -1;
    this.queue = null;
  }

  get pending(): boolean {
    return this.index >= 0;
  }
}

const before = (a: Event, b: Event): boolean =>
  a.time < b.time || (a.time === b.time && a.order < b.order);

export class EventQueue {
  readonly #heap: Event[];

  constructor() {
    this.#heap = [];
  }

  get size(): number {
    return this.#heap.length;
  }

  /** The event that is due first, or null. */
  first(): Event | null {
    return this.#heap.length === 0 ? null : this.#heap[0];
  }

  /** => the event is not queued, and has its time and an order that grows from call to call. */
  insert(event: Event): void {
    event.index = this.#heap.length;
    event.queue = this;
    this.#heap.push(event);
    this.#up(event);
  }

  /** Take an event out. => it is in this queue. */
  remove(event: Event): void {
    const at = event.index;
    const last = this.#heap.pop()!;
    event.index = -1;
    event.queue = null;
    if (last === event) return;
    this.#heap[at] = last;
    last.index = at;
    this.#up(last);
    this.#down(last);
  }

  /**
   * Write all events of the first event's time into `into`, from place `count` on, in the order of
   * their insertion. => the queue is not empty.
   * @returns the place after the last.
   */
  collectFirst(into: Event[], count: number): number {
    const end = this.#collect(0, this.#heap[0].time, into, count);
    for (let i = count + 1; i < end; i++) {
      const event = into[i];
      let at = i;
      for (; at > count && into[at - 1].order > event.order; at--) into[at] = into[at - 1];
      into[at] = event;
    }
    return end;
  }

  #collect(at: number, time: Nanoseconds, into: Event[], count: number): number {
    const heap = this.#heap;
    if (at >= heap.length || heap[at].time !== time) return count;
    into[count] = heap[at];
    return this.#collect(2 * at + 2, time, into, this.#collect(2 * at + 1, time, into, count + 1));
  }

  /** Walk the heap; panics when it is broken. */
  check(what: string): void {
    const heap = this.#heap;
    for (let at = 0; at < heap.length; at++) {
      const event = heap[at];
      if (event.index !== at || event.queue !== this) {
        panic(`${what}: the event at place ${at} says that it is at ${event.index}`);
      }
      if (!(event.time >= 0)) panic(`${what}: an event at ${event.time} ns`);
      if (at > 0 && before(event, heap[(at - 1) >> 1])) {
        panic(`${what}: the event at ${event.time} ns is due before its parent`);
      }
    }
  }

  #up(event: Event): void {
    const heap = this.#heap;
    let at = event.index;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent])) break;
      heap[at] = heap[parent];
      heap[at].index = at;
      at = parent;
    }
    heap[at] = event;
    event.index = at;
  }

  #down(event: Event): void {
    const heap = this.#heap;
    let at = event.index;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
      if (!before(heap[child], event)) break;
      heap[at] = heap[child];
      heap[at].index = at;
      at = child;
    }
    heap[at] = event;
    event.index = at;
  }
}
