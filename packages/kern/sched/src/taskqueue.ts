/**
 * Task queues: threads that run what others put off.
 *
 * `enqueue` may be called from anywhere, also from hardware events and from handlers. A thread of
 * the queue takes the first task of the list and runs its handler. A handler that sleeps keeps its
 * thread, and the other threads go on; plain handlers run one after the other, without a switch.
 *
 * The wait channels are the task (`drain`), `#idle` (threads with nothing to do) and `#progress`
 * (`drainAll`, `quiesce`, `shutdown`).
 *
 * What a handler throws leaves `pump`; the task counts as done, and its thread takes the next one.
 *
 * Follows taskqueue(9). Invariant: if the list is not empty and not blocked, then a thread without a
 * task is awake and will look at it, or all threads are at tasks. Enqueuing and running a plain handler allocate nothing.
 */
import type { Nanoseconds } from "@physio/kern";
import { Errno, panic } from "@physio/kern";
import { isDelay, whyNoDelay } from "./clock.ts";
import { Priority } from "./priority.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Task, TimeoutTask } from "./task.ts";
import { isAsync, isSleeps } from "./task.ts";
import { TaskList } from "./tasklist.ts";
import type { TaskThread } from "./taskthreads.ts";
import { TaskThreads } from "./taskthreads.ts";
import type { DescribesWait, Sleeps, Thread } from "./thread.ts";

export interface TaskQueueOptions {
  /** Threads that run tasks, 1..256; 1 when absent. */
  readonly threads?: number;
  /** Their scheduling priority; Priority.KERN when absent. */
  readonly priority?: number;
}

/** A wait channel that says what is waited for: something to do, or the threads that do it. */
class Channel implements DescribesWait {
  readonly idleWait: boolean;
  readonly #queue: TaskQueue;

  constructor(queue: TaskQueue, idleWait: boolean) {
    this.idleWait = idleWait;
    this.#queue = queue;
  }

  describeWait(): string {
    const what = this.idleWait ? "a task for" : "the tasks of";
    return `${what} task queue "${this.#queue.name}"`;
  }

  waitOwners(): Iterable<Thread> {
    return this.idleWait ? [] : this.#queue.runners(null);
  }
}

export class TaskQueue {
  readonly name: string;
  readonly sched: Scheduler;
  readonly #list: TaskList;
  readonly #threads: TaskThreads;
  readonly #idle: Channel;
  readonly #progress: Channel;
  /** Threads that sleep on #progress. */
  #watchers: number;
  #blocked: boolean;
  #stopping: boolean;
  /** Threads that have not ended. */
  #alive: number;
  /** Timeout tasks whose time has not come. */
  #armed: number;

  /**
   * Make a task queue and its threads.
   * @throws {ErrnoError} EINVAL `threads` is not a whole number from 1 to 256.
   * @bsd #Y taskqueue_create, taskqueue_start_threads
   */
  constructor(sched: Scheduler, name: string, options: TaskQueueOptions = {}) {
    const { threads = 1, priority = Priority.KERN } = options;
    this.name = name;
    this.sched = sched;
    this.#list = new TaskList();
    this.#threads = new TaskThreads(name, threads);
    this.#idle = new Channel(this, true);
    this.#progress = new Channel(this, false);
    this.#watchers = 0;
    this.#blocked = false;
    this.#stopping = false;
    this.#alive = threads;
    this.#armed = 0;
    for (const [i, at] of this.#threads.all.entries()) {
      const title = threads === 1 ? `${name} taskq` : `${name} taskq ${i}`;
      at.thread = sched.spawn(title, this.#work(at), priority, () => this.#work(at));
    }
  }

  /** Tasks on the list. */
  get length(): number {
    return this.#list.length;
  }

  /** Threads that run a handler. */
  get busy(): number {
    return this.#threads.busy;
  }

  /** Between `block` and `unblock`. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Whether `thread` is one of those that run this queue's tasks. @bsd #Y taskqueue_member */
  member(thread: Thread): boolean {
    return this.#threads.has(thread);
  }

  /** The threads that run `task`, or any task if it is null. For reports: makes an array. */
  runners(task: Task | null): Thread[] {
    return this.#threads.runners(task);
  }

  /**
   * Let `task` be run, once; if it is on the list already it keeps its place and counts up.
   * => the task is not pending on or run by another task queue. Once `shutdown` has begun only this
   * queue's own handlers enqueue.
   * @bsd #P[the count has no limit] taskqueue_enqueue
   */
  enqueue(task: Task): void {
    if (task.queue !== this) this.#checkFree(task);
    if (this.#stopping && !this.#calledByMember()) {
      panic(`taskqueue "${this.name}": enqueue after shutdown`);
    }
    if (task.pending++ > 0) return;
    task.queue = this;
    this.#list.insert(task);
    if (!this.#blocked) this.sched.wakeupOne(this.#idle);
  }

  /**
   * Take `task` off the list; `task.cancelled` is then how often it was pending, maybe 0.
   * @returns OK; EBUSY a thread runs its handler, which goes on.   @bsd #Y taskqueue_cancel
   */
  cancel(task: Task): Errno {
    if (task.queue !== this) this.#checkFree(task);
    task.cancelled = task.pending;
    if (task.pending > 0) {
      this.#list.remove(task);
      task.pending = 0;
      this.#settled(task);
    }
    return task.running > 0 ? Errno.EBUSY : Errno.OK;
  }

  /**
   * Enqueue the task of `timeout` when `delay` ns have passed, instead of when it was to be; at once
   * if `delay` is 0.
   * => `timeout` was made for this queue; `delay` is a whole number.   @bsd #Y taskqueue_enqueue_timeout
   */
  enqueueTimeout(timeout: TimeoutTask, delay: Nanoseconds): void {
    const { now } = this.sched;
    if (!isDelay(delay, now)) {
      panic(`taskqueue "${this.name}": a task in ${whyNoDelay(delay, now)}`);
    }
    this.#checkOwn(timeout);
    if (this.#stopping) panic(`taskqueue "${this.name}": timeout after shutdown`);
    this.#disarm(timeout);
    if (delay === 0) {
      this.enqueue(timeout.task);
      return;
    }
    this.#armed++;
    this.sched.after(timeout.timer, delay);
  }

  /**
   * Call off the timeout and take its task off the list. `timeout.task.cancelled` is how often the
   * task was pending, plus 1 if the time had not come.
   * @returns OK; EBUSY as `cancel`.   @bsd #Y taskqueue_cancel_timeout
   */
  cancelTimeout(timeout: TimeoutTask): Errno {
    this.#checkOwn(timeout);
    const early = this.#disarm(timeout) ? 1 : 0;
    const result = this.cancel(timeout.task);
    timeout.task.cancelled += early;
    return result;
  }

  /** => called by the timer of `timeout`. */
  timeout(timeout: TimeoutTask): void {
    this.#armed--;
    this.enqueue(timeout.task);
  }

  /** Start no further task until `unblock`; those that run go on. => before `shutdown`. @bsd #Y taskqueue_block */
  block(): void {
    if (this.#stopping) panic(`taskqueue "${this.name}": block after shutdown`);
    this.#blocked = true;
  }

  /** @bsd #Y taskqueue_unblock */
  unblock(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    for (let n = Math.min(this.#list.length, this.#alive); n > 0; n--) {
      this.sched.wakeupOne(this.#idle);
    }
  }

  /**
   * Sleep until `task` is neither on the list nor run.
   * => called by a thread that does not run the task's handler.   @bsd #Y taskqueue_drain
   */
  *drain(task: Task): Sleeps<void> {
    if (task.queue !== this) this.#checkFree(task);
    const thread = this.sched.current;
    if (thread !== null && this.#threads.runs(thread, task)) {
      panic(`taskqueue "${this.name}": a task drains itself`);
    }
    while (task.pending > 0 || task.running > 0) {
      task.watchers++;
      yield this.sched.block(task, "tq_drain");
      task.watchers--;
    }
  }

  /** Call off the timeout, then `drain` its task. @bsd #P[arming it anew meanwhile is not refused] taskqueue_drain_timeout */
  *drainTimeout(timeout: TimeoutTask): Sleeps<void> {
    this.#checkOwn(timeout);
    this.#disarm(timeout);
    yield* this.drain(timeout.task);
  }

  /**
   * Sleep until everything that is on the list or run at the call is done. What is enqueued later
   * is not waited for.
   * => called by a thread that is not one of the queue's.   @bsd #Y taskqueue_drain_all
   */
  *drainAll(): Sleeps<void> {
    this.#checkOutsider("drainAll");
    const round = this.#list.round++;
    while (!this.#roundIsOver(round)) yield* this.#watch("tq_drainall");
  }

  /**
   * Sleep until the list is empty and no handler runs.
   * => called by a thread that is not one of the queue's.   @bsd #Y taskqueue_quiesce
   */
  *quiesce(): Sleeps<void> {
    this.#checkOutsider("quiesce");
    while (!this.#roundIsOver(this.#list.round)) yield* this.#watch("tq_quiesce");
  }

  /**
   * Run what is on the list, also if blocked, and end the threads.
   * => called once, by a thread that is not one of the queue's; no timeout is armed.
   * @bsd #Y taskqueue_free
   */
  *shutdown(): Sleeps<void> {
    this.#checkOutsider("shutdown");
    if (this.#stopping) panic(`taskqueue "${this.name}": shut down twice`);
    if (this.#armed > 0) panic(`taskqueue "${this.name}": shut down with ${this.#armed} timeouts`);
    this.#stopping = true;
    this.#blocked = false;
    this.sched.wakeup(this.#idle);
    while (this.#alive > 0) yield* this.#watch("tq_destroy");
  }

  /** Panic unless the list is in order and a thread will look at it. */
  check(): void {
    this.#list.check();
    if (this.#list.first !== null && !this.#blocked && !this.#threads.someoneLooks()) {
      panic(`taskqueue "${this.name}": ${this.#list.length} tasks, and idle threads that sleep`);
    }
  }

  *#work(at: TaskThread): Sleeps<void> {
    for (;;) {
      if (this.#list.first === null || this.#blocked) {
        if (this.#stopping) break;
        yield this.sched.block(this.#idle, "idle");
        continue;
      }
      const task = this.#list.first;
      const pending = task.pending;
      this.#list.remove(task);
      at.begin(task);
      try {
        const result: unknown = task.handler(pending);
        if (isAsync(result)) this.#refuseAsync();
        if (isSleeps(result)) yield* result;
      } finally {
        at.end(task);
        this.#settled(task);
      }
    }
    this.#alive--;
    if (this.#watchers > 0) this.sched.wakeup(this.#progress);
  }

  /** Tell those who wait that `task` has left the list or a thread. */
  #settled(task: Task): void {
    if (task.watchers > 0 && task.pending === 0 && task.running === 0) this.sched.wakeup(task);
    if (this.#watchers > 0) this.sched.wakeup(this.#progress);
  }

  /** Whether all tasks that were put on the list in `round` or earlier are done. */
  #roundIsOver(round: number): boolean {
    return !this.#list.hasRound(round) && !this.#threads.hasRound(round);
  }

  *#watch(message: string): Sleeps<void> {
    this.#watchers++;
    yield this.sched.block(this.#progress, message);
    this.#watchers--;
  }

  #disarm(timeout: TimeoutTask): boolean {
    if (!timeout.armed) return false;
    this.sched.cancel(timeout.timer);
    this.#armed--;
    return true;
  }

  /** => `task` is another queue's, or nobody's. */
  #checkFree(task: Task): void {
    if (task.pending > 0 || task.running > 0) {
      panic(`taskqueue "${this.name}": given ${task.describeWait()}`);
    }
  }

  #checkOwn(timeout: TimeoutTask): void {
    if (timeout.queue !== this) {
      panic(`taskqueue "${this.name}": a timeout of task queue "${timeout.queue.name}"`);
    }
  }

  #refuseAsync(): never {
    panic(
      `taskqueue "${this.name}": a handler returned a promise: a handler is a function or a generator function`,
    );
  }

  #calledByMember(): boolean {
    const thread = this.sched.current;
    return thread !== null && this.member(thread);
  }

  #checkOutsider(what: string): void {
    if (this.#calledByMember()) panic(`taskqueue "${this.name}": ${what} by its own thread`);
  }
}
