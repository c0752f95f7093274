/**
 * The threads of a task queue: which there are, and which task each one is at.
 *
 * Follows struct taskqueue_busy of sys/kern/subr_taskqueue.c. Invariant: `task` is set exactly while
 * its handler runs or sleeps, and `task.running` counts the threads that are at it. Only TaskQueue
 * may call this.
 */
import { Errno, ErrnoError } from "@physio/kern";
import type { Task } from "./task.ts";
import type { Thread } from "./thread.ts";
import { ThreadState } from "./thread.ts";

const THREADS_MAX = 256;

/** What one thread of a task queue is at. */
export class TaskThread {
  /** Null until the thread has been made. */
  thread: Thread | null;
  /** The task whose handler runs, or null. */
  task: Task | null;
  /** The round of that task when it was taken. */
  round: number;

  constructor() {
    this.thread = null;
    this.task = null;
    this.round = 0;
  }

  /** => `task` has been taken off the list. */
  begin(task: Task): void {
    task.pending = 0;
    task.running++;
    this.task = task;
    this.round = task.round;
  }

  /** => `task` is what `begin` was given. */
  end(task: Task): void {
    task.running--;
    this.task = null;
  }
}

export class TaskThreads {
  readonly all: readonly TaskThread[];

  /** @throws {ErrnoError} EINVAL `count` is not a whole number from 1 to 256. */
  constructor(name: string, count: number) {
    if (!(Number.isInteger(count) && count >= 1 && count <= THREADS_MAX)) {
      throw new ErrnoError(
        Errno.EINVAL,
        `taskqueue "${name}": ${count} threads, not 1 to ${THREADS_MAX}`,
      );
    }
    this.all = Array.from({ length: count }, () => new TaskThread());
  }

  /** Threads that are at a task. */
  get busy(): number {
    let count = 0;
    for (const at of this.all) if (at.task !== null) count++;
    return count;
  }

  has(thread: Thread): boolean {
    for (const at of this.all) if (at.thread === thread) return true;
    return false;
  }

  /** Whether `thread` is at `task`. */
  runs(thread: Thread, task: Task): boolean {
    for (const at of this.all) if (at.thread === thread && at.task === task) return true;
    return false;
  }

  /** Whether a thread is at a task that was put on the list in `round` or earlier. */
  hasRound(round: number): boolean {
    for (const at of this.all) if (at.task !== null && at.round <= round) return true;
    return false;
  }

  /** Whether a thread without a task is awake, or all are at tasks: nobody idles who could help. */
  someoneLooks(): boolean {
    let idle = false;
    for (const { task, thread } of this.all) {
      if (task !== null || thread === null || thread.state === ThreadState.DEAD) continue;
      if (thread.state !== ThreadState.ASLEEP) return true;
      idle = true;
    }
    return !idle;
  }

  /** The threads that are at `task`, or at any task if it is null. For reports: makes an array. */
  runners(task: Task | null): Thread[] {
    const threads: Thread[] = [];
    for (const { task: at, thread } of this.all) {
      if (at !== null && thread !== null && (task === null || at === task)) threads.push(thread);
    }
    return threads;
  }
}
