/**
 * Tasks: what a task queue runs.
 *
 * A task is a handler with a priority. While it is queued, further calls to enqueue it only count
 * up `pending`; the handler is given the count once it runs. A handler is a plain function, or a
 * generator function if it may sleep; an async function is refused when it runs. The object belongs to whoever made it and is used again and
 * again; everything except `priority` and `handler` is its task queue's.
 *
 * Follows struct task and struct timeout_task of sys/sys/_task.h. Invariant: a task is on a queue's
 * list if and only if `pending` > 0; at one time it is pending on and run by one task queue only.
 */
import { Errno, ErrnoError } from "@physio/kern";
import type { Event } from "./events.ts";
import type { TaskQueue } from "./taskqueue.ts";
import type { DescribesWait, Sleeps, Thread } from "./thread.ts";

/** What a task does; `pending` is how often it has been enqueued since it last ran, at least 1. */
export type TaskHandler = ((pending: number) => void) | ((pending: number) => Sleeps<void>);

/** Whether a handler is a generator function, by what the call gave. */
export function isSleeps(result: unknown): result is Sleeps<void> {
  return (
    typeof result === "object" &&
    result !== null &&
    typeof (result as { next?: unknown }).next === "function" &&
    Symbol.iterator in result
  );
}

/** Whether a handler is an async function, or an async generator function, by what the call gave. */
export function isAsync(result: unknown): boolean {
  if (typeof result !== "object" || result === null) return false;
  const { then, next } = result as { then?: unknown; next?: unknown };
  return typeof then === "function" || (typeof next === "function" && !isSleeps(result));
}

/** The largest priority; it is the best. */
export const TASK_PRIORITY_MAX = 255;

/** One kind of work. @bsd #Y struct task, TASK_INIT */
export class Task implements DescribesWait {
  /** 0..255; tasks with a larger number run first. */
  readonly priority: number;
  readonly handler: TaskHandler;
  /** Times it has been enqueued since it was last taken from the list; 0: it is not on a list. */
  pending: number;
  /** Threads that run the handler. More than one if it was enqueued again while it slept. */
  running: number;
  /** What `pending` was when `cancel` last took the task back. */
  cancelled: number;
  /** Threads that sleep in `drain` of it. */
  watchers: number;
  /** The task queue that it is pending on or run by, or was last. */
  queue: TaskQueue | null;
  /** The round of the task queue in which it was put on the list; see TaskQueue. */
  round: number;
  /** Links of the task queue's list. */
  next: Task | null;
  prev: Task | null;

  /** @throws {ErrnoError} EINVAL `priority` is not a whole number from 0 to 255. */
  constructor(priority: number, handler: TaskHandler) {
    if (!(Number.isInteger(priority) && priority >= 0 && priority <= TASK_PRIORITY_MAX)) {
      throw new ErrnoError(Errno.EINVAL, `task: priority ${priority} is not from 0 to 255`);
    }
    this.priority = priority;
    this.handler = handler;
    this.pending = 0;
    this.running = 0;
    this.cancelled = 0;
    this.watchers = 0;
    this.queue = null;
    this.round = 0;
    this.next = null;
    this.prev = null;
  }

  describeWait(): string {
    const where = this.queue === null ? "no task queue" : `task queue "${this.queue.name}"`;
    return `a task of ${where}, pending ${this.pending}, running ${this.running}`;
  }

  /** The threads that run it; if none does, those that have something else to do first. */
  waitOwners(): Iterable<Thread> {
    if (this.queue === null) return [];
    return this.queue.runners(this.running > 0 ? this : null);
  }
}

/** A task that is enqueued when a time has passed. @bsd #Y struct timeout_task, TIMEOUT_TASK_INIT */
export class TimeoutTask {
  readonly queue: TaskQueue;
  readonly task: Task;
  /** Enqueues the task. Armed and called off by the task queue. */
  readonly timer: Event;

  /** @throws {ErrnoError} EINVAL `priority` is not a whole number from 0 to 255. */
  constructor(queue: TaskQueue, priority: number, handler: TaskHandler) {
    this.queue = queue;
    this.task = new Task(priority, handler);
    this.timer = queue.sched.event(() => queue.timeout(this));
  }

  /** Whether the time has not come yet. */
  get armed(): boolean {
    return this.timer.pending;
  }
}
