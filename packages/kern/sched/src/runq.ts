/**
 * Queues of threads, and the 64 run queues with a bitmap that tells which have any.
 *
 * A thread is on at most one queue, a run queue or a sleep queue, and carries the links itself. The
 * queues are a class of their own rather than kern's Tailq: that one sees every element class of the
 * process, so its loads of `next` and `prev` become megamorphic, and with six other classes a switch
 * took 77 ns instead of 39.
 *
 * Follows sys/kern/kern_switch.c. Invariant: bit i of the bitmap is set exactly when queue i holds a
 * thread; a thread on run queue i is RUNNABLE and has a priority of that queue. For the scheduler.
 */
import { panic } from "@physio/kern";
import { PRIORITIES_A_QUEUE, RUN_QUEUES } from "./priority.ts";
import type { Thread } from "./thread.ts";
import { ThreadState } from "./thread.ts";

// Copies: V8 folds a constant that is private to its module (docs/decisions/0008-hot-constants.md).
const SHIFT = Math.log2(PRIORITIES_A_QUEUE);
const NONE = RUN_QUEUES;

/** Threads in the order of their coming. */
export class ThreadQueue {
  first: Thread | null;
  last: Thread | null;
  length: number;

  constructor() {
    this.first = null;
    this.last = null;
    this.length = 0;
  }

  /** => the thread is on no queue. */
  insertTail(thread: Thread): void {
    const last = this.last;
    thread.prev = last;
    if (last === null) this.first = thread;
    else last.next = thread;
    this.last = thread;
    this.length++;
  }

  /** => the thread is on this queue. */
  remove(thread: Thread): void {
    const { next, prev } = thread;
    if (prev === null) this.first = next;
    else prev.next = next;
    if (next === null) this.last = prev;
    else next.prev = prev;
    thread.next = null;
    thread.prev = null;
    this.length--;
  }

  /** The thread `index` places behind the first. => `index` < `length` */
  at(index: number): Thread {
    let thread = this.first;
    for (let skip = index; skip > 0 && thread !== null; skip--) thread = thread.next;
    if (thread === null) panic(`ThreadQueue: no thread ${index} among ${this.length}`);
    return thread;
  }

  /** Walk the links; panics on a broken one. @returns the threads. */
  check(what: string): Thread[] {
    const threads: Thread[] = [];
    for (let at = this.first, before: Thread | null = null; at !== null; at = at.next) {
      if (at.prev !== before) panic(`${what}: the links of thread "${at.name}" do not meet`);
      if (threads.length === this.length) panic(`${what}: more than ${this.length} threads`);
      threads.push(at);
      before = at;
    }
    if (threads.length !== this.length) {
      panic(`${what}: ${threads.length} threads, counted ${this.length}`);
    }
    if (this.last !== (threads.at(-1) ?? null)) panic(`${what}: the last thread is not the last`);
    return threads;
  }
}

/** The queue that a priority belongs to. */
export const queueOf = (priority: number): number => priority >> SHIFT;

/** @bsd #Y struct runq, runq_add, runq_remove, runq_choose, runq_check */
export class RunQueues {
  readonly #queues: readonly ThreadQueue[];
  /** The bitmap: queues 0–31 and 32–63. */
  #low: number;
  #high: number;

  constructor() {
    this.#queues = Array.from({ length: RUN_QUEUES }, () => new ThreadQueue());
    this.#low = 0;
    this.#high = 0;
  }

  /** => the thread is on no queue; its priority stays as it is while it is on this one. */
  insertTail(thread: Thread): void {
    const index = thread.priority >> SHIFT;
    this.#queues[index].insertTail(thread);
    if (index < 32) this.#low |= 1 << index;
    else this.#high |= 1 << index; // the count of a shift is taken modulo 32
  }

  remove(thread: Thread): void {
    const index = thread.priority >> SHIFT;
    const queue = this.#queues[index];
    queue.remove(thread);
    if (queue.length > 0) return;
    if (index < 32) this.#low &= ~(1 << index);
    else this.#high &= ~(1 << index);
  }

  /** Number of the best queue that holds a thread; 64 when none does. */
  bestIndex(): number {
    const low = this.#low;
    if (low !== 0) return 31 - Math.clz32(low & -low);
    const high = this.#high;
    return high === 0 ? NONE : 63 - Math.clz32(high & -high);
  }

  /** Take the first thread of the best queue, or null. @bsd #Y runq_choose */
  takeFirst(): Thread | null {
    const index = this.bestIndex();
    if (index === NONE) return null;
    const queue = this.#queues[index];
    const thread = queue.first!;
    queue.remove(thread);
    if (queue.length > 0) return thread;
    if (index < 32) this.#low &= ~(1 << index);
    else this.#high &= ~(1 << index);
    return thread;
  }

  /** The best queue that holds a thread, or null. */
  best(): ThreadQueue | null {
    const low = this.#low;
    if (low !== 0) return this.#queues[31 - Math.clz32(low & -low)];
    const high = this.#high;
    return high === 0 ? null : this.#queues[63 - Math.clz32(high & -high)];
  }

  /** Walk all queues; panics when the invariant is broken. @returns the threads on them. */
  check(): Set<Thread> {
    const all = new Set<Thread>();
    for (let index = 0; index < RUN_QUEUES; index++) {
      const word = index < 32 ? this.#low : this.#high;
      const bit = (word & (1 << index)) !== 0;
      const threads = this.#queues[index].check(`run queue ${index}`);
      if (bit !== threads.length > 0) {
        panic(`run queue ${index}: ${threads.length} threads, and its bit is ${bit}`);
      }
      for (const thread of threads) {
        if (queueOf(thread.priority) !== index || thread.state !== ThreadState.RUNNABLE) {
          panic(
            `run queue ${index}: thread "${thread.name}" in state ${thread.state} with priority ${thread.priority}`,
          );
        }
        all.add(thread);
      }
    }
    return all;
  }
}
