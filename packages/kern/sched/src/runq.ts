/**
 * Queues of threads, and the 64 run queues with a bitmap that tells which have any.
 *
 * A thread is on at most one queue, a run queue or a sleep queue, and carries the links itself. The
 * queues are a class of their own rather than kern's Tailq: that one sees every element class of the
 * process, so its loads of `next` and `prev` become megamorphic, and with six other classes a switch
 * took 77 ns instead of 39.
 *
 * A runnable thread that is the only one is on no run queue at all: that is how most switches are, and
 * saves the bitmap (29 ns a switch, not 35).
 *
 * Follows sys/kern/kern_switch.c. Invariant: bit i of the bitmap is set exactly when queue i holds a
 * thread; a thread on run queue i is RUNNABLE and has a priority of that queue. For the scheduler.
 */
import { panic } from "@physio/kern";
import { PRIORITIES_A_QUEUE, RUN_QUEUES } from "./priority.ts";
import type { Thread, WaitChannel } from "./thread.ts";
import { ThreadState } from "./thread.ts";

// Copies: V8 folds a constant that is private to its module (docs/decisions/0008-hot-constants.md).
const SHIFT = Math.log2(PRIORITIES_A_QUEUE);
const NONE = RUN_QUEUES;

/**
 * Threads in the order of their coming. Most queues hold one thread or none, so one thread alone is
 * `first` and nothing else: a switch makes 5 stores of objects instead of 13, and each costs V8 a
 * look whether the collector must know (34 ns a switch, not 42).
 */
export class ThreadQueue {
  /** What its threads sleep on; null: it is a run queue. */
  readonly channel: WaitChannel | null;
  first: Thread | null;
  length: number;
  /** The last thread, when there are at least two. */
  #last: Thread | null;

  constructor(channel: WaitChannel | null) {
    this.channel = channel;
    this.first = null;
    this.length = 0;
    this.#last = null;
  }

  /** => the thread is on no queue. */
  insertTail(thread: Thread): void {
    if (this.length++ === 0) this.first = thread;
    else this.#append(thread);
  }

  /** => the thread is on this queue. */
  remove(thread: Thread): void {
    if (this.length-- === 1) this.first = null;
    else this.#unlink(thread);
  }

  /** The last thread, or null. */
  get last(): Thread | null {
    return this.length > 1 ? this.#last : this.first;
  }

  /** The thread `index` places behind the first. => `index` < `length` */
  at(index: number): Thread {
    let thread = this.first;
    for (let skip = index; skip > 0 && thread !== null; skip--) thread = thread.next;
    if (thread === null) panic(`ThreadQueue: no thread ${index} among ${this.length}`);
    return thread;
  }

  /** => `length` counts the thread, and there are others. */
  #append(thread: Thread): void {
    const last = this.length === 2 ? this.first : this.#last;
    if (last === null) panic(`ThreadQueue: no last of ${this.length} threads`);
    thread.prev = last;
    last.next = thread;
    this.#last = thread;
  }

  /** => `length` does not count the thread any more, and there are others. */
  #unlink(thread: Thread): void {
    const { next, prev } = thread;
    if (prev === null) this.first = next;
    else prev.next = next;
    if (next === null) this.#last = prev;
    else next.prev = prev;
    thread.next = null;
    thread.prev = null;
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
  #only: Thread | null;
  /** The bitmap: queues 0–31 and 32–63. */
  #low = 0; // here, not in the constructor: a private field is undefined before, and stays slow
  #high = 0;

  constructor() {
    this.#only = null;
    this.#queues = Array.from({ length: RUN_QUEUES }, () => new ThreadQueue(null));
  }

  /** => the thread is on no queue; its priority stays as it is while it is on this one. */
  insertTail(thread: Thread): void {
    if (this.#only === null && this.#low === 0 && this.#high === 0) this.#only = thread;
    else this.#insert(thread);
  }

  #insert(thread: Thread): void {
    const only = this.#only;
    if (only !== null) {
      this.#only = null;
      this.#enqueue(only);
    }
    this.#enqueue(thread);
  }

  #enqueue(thread: Thread): void {
    const index = thread.priority >> SHIFT;
    this.#queues[index].insertTail(thread);
    if (index < 32) this.#low |= 1 << index;
    else this.#high |= 1 << index; // the count of a shift is taken modulo 32
  }

  remove(thread: Thread): void {
    if (thread === this.#only) this.#only = null;
    else this.#dequeue(thread);
  }

  #dequeue(thread: Thread): void {
    const index = thread.priority >> SHIFT;
    const queue = this.#queues[index];
    queue.remove(thread);
    if (queue.length > 0) return;
    if (index < 32) this.#low &= ~(1 << index);
    else this.#high &= ~(1 << index);
  }

  /** Number of the best queue that holds a thread; 64 when none does. */
  bestIndex(): number {
    if (this.#only !== null) return this.#only.priority >> SHIFT;
    const low = this.#low;
    if (low !== 0) return 31 - Math.clz32(low & -low);
    const high = this.#high;
    return high === 0 ? NONE : 63 - Math.clz32(high & -high);
  }

  /** Take the first thread of the best queue, or null. @bsd #Y runq_choose */
  takeFirst(): Thread | null {
    const only = this.#only;
    if (only !== null) {
      this.#only = null;
      return only;
    }
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

  /** The best queue that holds a thread, or null when at most one thread is runnable. */
  best(): ThreadQueue | null {
    if (this.#only !== null) return null;
    const low = this.#low;
    if (low !== 0) return this.#queues[31 - Math.clz32(low & -low)];
    const high = this.#high;
    return high === 0 ? null : this.#queues[63 - Math.clz32(high & -high)];
  }

  /** Walk all queues; panics when the invariant is broken. @returns the threads on them. */
  check(): Set<Thread> {
    const all = new Set<Thread>();
    const only = this.#only;
    if (only !== null) {
      if (this.#low !== 0 || this.#high !== 0 || only.state !== ThreadState.RUNNABLE) {
        panic(`run queues: thread "${only.name}" in state ${only.state} is not alone`);
      }
      all.add(only);
    }
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
