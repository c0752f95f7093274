/**
 * The event queue: what happens at a virtual time.
 *
 * A binary heap ordered by time and then by order of insertion, so equal times fire first come,
 * first served. The Event object belongs to whoever made it and is reused: scheduling allocates
 * nothing.
 *
 * Invariant: an event that is not queued has index −1.
 */
import type { Nanoseconds } from "@physio/kern";
import { panic } from "@physio/kern";

export class Event {
  /** Runs when the time has come, outside of any thread; must not sleep. */
  readonly action: () => void;
  time: Nanoseconds;
  order: number;
  index: number;

  constructor(action: () => void) {
    this.action = action;
    this.time = 0;
    this.order = 0;
    this.index = -1;
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

  /** => the event is not queued; `order` grows from call to call. */
  insert(event: Event, time: Nanoseconds, order: number): void {
    if (event.index >= 0) panic("EventQueue: the event is queued already");
    event.time = time;
    event.order = order;
    event.index = this.#heap.length;
    this.#heap.push(event);
    this.#up(event);
  }

  /** Take an event out; no effect when it is not queued. */
  remove(event: Event): void {
    const at = event.index;
    if (at < 0) return;
    const last = this.#heap.pop()!;
    event.index = -1;
    if (last === event) return;
    this.#heap[at] = last;
    last.index = at;
    this.#up(last);
    this.#down(last);
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
