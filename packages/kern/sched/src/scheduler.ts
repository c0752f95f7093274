/**
 * The scheduler: threads, sleep and wakeup, on a virtual clock.
 *
 * One thread runs at a time, until it sleeps: nothing is preempted. Time stands still while threads
 * run; when none is runnable the clock jumps to the next event: the hardware's (a device finishes)
 * or the timeout of a thread. DELAY lets only the first kind happen, as on a real machine. A source
 * of choices may pick among the runnable threads of the best run queue and among events due together,
 * so a seed or a recorded schedule names an interleaving; without one it is first come, first served.
 *
 * Follows sleepqueue(9), sleep(9), DELAY(9) and kern_switch.c. Invariant: a thread is RUNNING if and
 * only if it is `current`; no thread yields while it holds a mutex.
 */
import type { Errno, Nanoseconds } from "@physio/kern";
import { Errno as E, panic } from "@physio/kern";
import type { Trace } from "@physio/trace";
import { Ktr } from "@physio/trace";
import { checkScheduler } from "./check.ts";
import type { Choices, RandomSource } from "./choices.ts";
import { ChoiceKind, seededChoices } from "./choices.ts";
import { Clock, choose } from "./clock.ts";
import type { Credentials } from "./cred.ts";
import { Event } from "./events.ts";
import { giveBackLocks, letGo, takeAgain } from "./held.ts";
import type { Mutex } from "./mutex.ts";
import type { SchedulerOptions } from "./options.ts";
import { OutsideCall } from "./outside.ts";
import { checkPriority, Priority } from "./priority.ts";
import { checkEnd, claimBody, refuseJoin, refusePump, refuseToken, refuseYield } from "./refuse.ts";
import { deadlockReport, waitReport } from "./report.ts";
import { queueOf, RunQueues } from "./runq.ts";
import type { Sleep, Sleeps, WaitChannel } from "./thread.ts";
import { Thread, ThreadState } from "./thread.ts";
import { ARRIVAL, giveClock, ISSUE, SWITCH, WAKEUP } from "./tracing.ts";
import { WaitQueues } from "./waits.ts";

const SLEEP: Sleep = Object.freeze({ sleep: true });

// Copies: V8 folds a constant that is private to its module (docs/decisions/0008-hot-constants.md).
const KTR_SCHED = Ktr.SCHED;
const OK = E.OK;
const { RUNNABLE, RUNNING, ASLEEP, DEAD } = ThreadState;

export class Scheduler {
  /** The thread that runs, or null: hardware events and the caller of `pump`. */
  current: Thread | null;
  /** Threads switched to since boot. */
  switches: number;
  /** Credentials of threads that no thread makes. */
  kernelCred: Credentials | null;
  /** Called when the host has answered the call that the clock is stalled on: `pump` or `advance` will go on. */
  onUnstalled: (() => void) | null;
  readonly random: RandomSource | null;
  readonly #choices: Choices | null;
  readonly #trace: Trace | null;
  readonly #clock: Clock;
  readonly #runnable: RunQueues;
  readonly #waits: WaitQueues;
  readonly #threads: Set<Thread>;
  /** Generators that threads have been made of. */
  readonly #bodies: WeakSet<Sleeps<unknown>>;
  readonly #onTimeout: (thread: Thread) => void;
  readonly #onSettled: (call: OutsideCall<unknown>) => void;
  readonly #onArrival: (call: OutsideCall<unknown>) => void;
  /** Whether an event happens, or a thread busy-waits for events. */
  #firing: boolean;
  #nextThreadId: number;
  #nextCallId: number;

  /** @throws {ErrnoError} EINVAL: the trace has the clock of another scheduler. */
  constructor(options: SchedulerOptions = {}) {
    const { random = null, trace = null } = options;
    this.current = null;
    this.switches = 0;
    this.kernelCred = null;
    this.onUnstalled = null;
    this.random = random;
    this.#choices = options.choices ?? (random === null ? null : seededChoices(random));
    this.#trace = trace;
    this.#clock = new Clock(this.#choices);
    this.#runnable = new RunQueues();
    this.#waits = new WaitQueues();
    this.#threads = new Set();
    this.#bodies = new WeakSet();
    this.#onTimeout = (thread) => this.#awaken(thread, E.ETIMEDOUT);
    this.#onSettled = (call) => {
      if (this.#clock.settled(call)) this.onUnstalled?.();
    };
    this.#onArrival = (call) => this.#trace?.record(ARRIVAL, call.id, call.failed ? 1 : 0);
    this.#firing = false;
    this.#nextThreadId = 1;
    this.#nextCallId = 1;
    if (trace !== null)
      giveClock(
        trace,
        () => this.now,
        () => this.current?.id ?? 0,
      );
  }

  /** Virtual time since boot. */
  get now(): Nanoseconds {
    return this.#clock.now;
  }

  /** Live threads, in the order of their creation. */
  threads(): readonly Thread[] {
    return [...this.#threads];
  }

  /**
   * Make a runnable thread with the credentials of the one that makes it. An exception that leaves
   * `body` leaves `pump` too, unless the thread is joined. With `again` the thread outlives that: it
   * gives back its locks and goes on, at its next turn, with the body that `again` makes.
   * => `body` is a generator that no thread has; `priority` is a whole number from 0 to 255.
   * @bsd #Y kthread_add
   */
  spawn(
    name: string,
    body: Sleeps<unknown>,
    priority: number = Priority.KERN,
    again: (() => Sleeps<unknown>) | null = null,
  ): Thread {
    checkPriority(priority, name);
    claimBody(this.#bodies, name, body);
    const cred = this.current?.cred ?? this.kernelCred;
    const id = this.#nextThreadId++;
    const thread = new Thread(id, name, cred, priority, body, again, this.#onTimeout);
    this.#threads.add(thread);
    this.#trace?.threadNames.set(id, name);
    this.#runnable.insertTail(thread);
    return thread;
  }

  /** Run `thread` with another priority from now on. @bsd #Y sched_prio, sched_user_prio */
  setPriority(thread: Thread, priority: number): void {
    checkPriority(priority, thread.name);
    const moves = thread.state === RUNNABLE && queueOf(priority) !== queueOf(thread.priority);
    if (moves) this.#runnable.remove(thread);
    thread.priority = priority;
    thread.basePriority = priority;
    if (moves) this.#runnable.insertTail(thread);
  }

  /**
   * Put the running thread to sleep until `wakeup(channel)` or until `timeout` ns have passed (0: no
   * limit). The caller yields what this returns, at once: `yield sched.block(…)`. `wakeResult` then
   * says how the sleep ended: OK; ETIMEDOUT. Nothing is allocated.
   * => `mutex`, if given, is held; it is released while asleep and held again afterwards. No other
   * mutex is. `priority` is what the thread has from its wakeup on, 1–255; 0: as before.
   * @bsd #P[no PCATCH, no PDROP] sleep(9) msleep, tsleep
   */
  block(
    channel: WaitChannel,
    message: string,
    mutex: Mutex | null = null,
    timeout: Nanoseconds = 0,
    priority = 0,
  ): Sleep {
    const thread = this.#fallAsleep(message, mutex, timeout, priority);
    const queue = this.#waits.of(channel);
    thread.sleepQueue = queue;
    queue.insertTail(thread);
    return SLEEP;
  }

  /** `block` for a time only: no channel, no wakeup. => `time` > 0, ns. @bsd #Y pause(9) */
  blockFor(message: string, time: Nanoseconds): Sleep {
    if (!(time > 0)) panic(`pause of ${time} ns`);
    this.#fallAsleep(message, null, time, 0);
    return SLEEP;
  }

  /** `preempt` as a token to yield. */
  giveWay(): Sleep {
    const thread = this.current;
    if (thread === null) panic("preempt outside of a thread");
    if (thread.state !== RUNNING || thread.mutexes !== null) refuseYield(thread, "preempt");
    thread.state = RUNNABLE;
    thread.priority = thread.basePriority;
    this.#runnable.insertTail(thread);
    return SLEEP;
  }

  /** How the last sleep of the running thread ended: OK; ETIMEDOUT. */
  get wakeResult(): Errno {
    const thread = this.current;
    if (thread === null) panic("wakeResult outside of a thread");
    return thread.wakeResult;
  }

  /** `block` as a generator: `yield* sched.sleep(…)`. @returns OK; ETIMEDOUT. @bsd #P[no PCATCH, no PDROP] sleep(9) msleep, tsleep */
  *sleep(
    channel: WaitChannel,
    message: string,
    mutex: Mutex | null = null,
    timeout: Nanoseconds = 0,
    priority = 0,
  ): Sleeps<Errno> {
    yield this.block(channel, message, mutex, timeout, priority);
    return this.wakeResult;
  }

  /** Let `time` ns pass. @bsd #Y pause(9) */
  *pause(message: string, time: Nanoseconds): Sleeps<void> {
    yield this.blockFor(message, time);
  }

  /** Stay runnable, with the base priority, but let others of equal or better priority run first. @bsd #Y kern_yield PRI_USER */
  *preempt(): Sleeps<void> {
    yield this.giveWay();
  }

  /** Whether another thread of equal or better priority (outside of threads: any) waits for the processor. @bsd #Y maybe_yield */
  shouldYield(): boolean {
    const own = this.current === null ? 63 : queueOf(this.current.priority);
    return this.#runnable.bestIndex() <= own;
  }

  /** Make every thread that sleeps on `channel` runnable. @bsd #Y wakeup(9) */
  wakeup(channel: WaitChannel): void {
    const queue = this.#waits.find(channel);
    if (queue === null) return;
    for (let thread = queue.first; thread !== null; thread = queue.first) this.#awaken(thread, OK);
  }

  /** Make the sleeper on `channel` with the best priority runnable; of equals the longest. @bsd #Y wakeup_one(9), sleepq_signal */
  wakeupOne(channel: WaitChannel): void {
    const queue = this.#waits.find(channel);
    if (queue === null) return;
    let best = queue.first;
    if (best === null) return;
    for (let at = best.next; at !== null; at = at.next) if (at.priority < best.priority) best = at;
    this.#awaken(best, OK);
  }

  /** Whether any thread sleeps on `channel`. @bsd #Y sleepq_sleepcnt */
  hasSleepers(channel: WaitChannel): boolean {
    const queue = this.#waits.find(channel);
    return queue !== null && queue.length > 0;
  }

  /** An event of a device, for `after`. => `action` runs outside of any thread and cannot sleep. */
  event(action: () => void): Event {
    return new Event(action);
  }

  /** Let a device's event happen `delay` ns from now. => the event is not pending. */
  after(event: Event, delay: Nanoseconds): void {
    this.#clock.after(event, delay);
  }

  /** Call `event` off; no effect when it is not pending. */
  cancel(event: Event): void {
    this.#clock.cancel(event);
  }

  /** Busy-wait: time passes, hardware events run, threads and timeouts do not. @bsd #Y DELAY(9) */
  delay(time: Nanoseconds): void {
    const running = this.current;
    const firing = this.#firing;
    this.current = null;
    this.#firing = true;
    try {
      this.#clock.delay(time);
    } finally {
      this.#firing = firing;
      this.current = running;
    }
  }

  /**
   * Ask the host for something that takes `latency` ns of virtual time, however long it really
   * takes. => `latency` >= 0; the host calls `complete` or `fail` of what is returned, once.
   */
  outside<T>(name: string, latency: Nanoseconds): OutsideCall<T> {
    const id = this.#nextCallId++;
    const call = new OutsideCall<T>(this, id, name, latency, this.#onSettled, this.#onArrival);
    this.#trace?.record(ISSUE, id, call.due);
    return call;
  }

  /** The call that the host has to answer before anything else can happen, or null. */
  get stalledOn(): OutsideCall<unknown> | null {
    return this.#clock.stalledOn;
  }

  /**
   * Do one thing: run a thread until it sleeps, or else let the next event happen.
   * => neither a thread nor an event is what calls this, or `pump`, `advance` or `runSync`.
   * @returns false when there is nothing to do, or nothing before the host has answered `stalledOn`.
   */
  step(): boolean {
    if (this.current !== null || this.#firing) refusePump(this.current);
    return this.#step();
  }

  /** Run until nothing is runnable and no event is due, or until the clock stalls. => as `step` */
  pump(): void {
    if (this.current !== null || this.#firing) refusePump(this.current);
    while (this.#step());
  }

  /** Make a thread whose end somebody waits for: `advance` and `resultOf`. */
  start(body: Sleeps<unknown>, name = "main"): Thread {
    const thread = this.spawn(name, body);
    thread.joined = true;
    return thread;
  }

  /**
   * Run whatever is due, at most `steps` steps or until `thread` has ended or the clock stalls.
   * => as `step`
   * @returns whether `thread` has ended. @throws {Panic} it can never end: who waits for what.
   */
  advance(thread: Thread, steps: number): boolean {
    if (this.current !== null || this.#firing) refusePump(this.current);
    for (let n = 0; n < steps && thread.state !== DEAD; n++) {
      if (this.#step()) continue;
      if (this.stalledOn !== null) return false;
      panic(deadlockReport(this.#threads, thread));
    }
    return thread.state === DEAD;
  }

  /** What an ended thread returned. @throws what it threw. */
  resultOf<T>(thread: Thread): T {
    if (thread.failed) throw thread.error;
    return thread.result as T;
  }

  /**
   * Sleep until `thread` has ended; what it throws from now on does not leave `pump`.
   * => the caller is another thread of this scheduler. @returns what it returned. @throws what it threw.
   */
  *join<T = unknown>(thread: Thread): Sleeps<T> {
    if (thread === this.current || !(thread.state === DEAD || this.#threads.has(thread))) {
      refuseJoin(thread, this.current);
    }
    thread.joined = true;
    while (thread.state !== DEAD) yield this.block(thread, "join");
    return this.resultOf<T>(thread);
  }

  /**
   * Run `body` as a thread, and everything else as needed, until it ends. => as `step`
   * @returns what it returns.
   * @throws what it throws; {Panic} with a report of who waits for what when it can never end, or
   * not before the host has answered a call.
   */
  runSync<T>(body: Sleeps<T>, name = "main"): T {
    if (this.current !== null || this.#firing) refusePump(this.current);
    const thread = this.start(body, name);
    if (!this.advance(thread, Number.POSITIVE_INFINITY)) {
      panic(
        `runSync cannot wait for the host: ${this.stalledOn?.describeWait()}\n${waitReport(this.#threads, thread)}`,
      );
    }
    return this.resultOf<T>(thread);
  }

  /** Who waits for what and who holds it: a tree, a line a thread. */
  report(): string {
    return waitReport(this.#threads);
  }

  /** Walk the run queues, the sleep queues and the clock; panics when an invariant is broken. */
  check(): void {
    this.#clock.check();
    checkScheduler(this.#threads, this.current, this.#runnable, this.#waits);
  }

  #fallAsleep(
    message: string,
    mutex: Mutex | null,
    timeout: Nanoseconds,
    priority: number,
  ): Thread {
    const thread = this.current;
    if (thread === null) panic(`sleep on "${message}" outside of a thread`);
    if (timeout !== 0) this.#clock.checkTimeout(message, timeout);
    if (mutex !== null) letGo(thread, mutex, message);
    if (thread.state !== RUNNING || thread.mutexes !== null) refuseYield(thread, message);
    if (priority !== 0) {
      checkPriority(priority, thread.name);
      thread.priority = priority;
    }
    thread.state = ASLEEP;
    thread.waitMessage = message;
    if (timeout !== 0) {
      thread.timed = true;
      this.#clock.setTimeout(thread.timeout, timeout);
    }
    return thread;
  }

  #awaken(thread: Thread, result: Errno): void {
    this.#takeOff(thread);
    thread.wakeResult = result;
    thread.state = RUNNABLE;
    this.#runnable.insertTail(thread);
    const trace = this.#trace;
    if (trace !== null && (trace.mask & KTR_SCHED) !== 0) trace.record(WAKEUP, thread.id, result);
  }

  /** Take a sleeping thread off its sleep queue and out of the clock. */
  #takeOff(thread: Thread): void {
    const queue = thread.sleepQueue;
    if (queue !== null) {
      queue.remove(thread);
      thread.sleepQueue = null;
    }
    if (thread.timed) {
      thread.timed = false;
      this.#clock.cancel(thread.timeout);
    }
  }

  #step(): boolean {
    const thread = this.#pick();
    if (thread === null) return this.#fireNext();
    this.#run(thread);
    return true;
  }

  #fireNext(): boolean {
    this.#firing = true;
    try {
      return this.#clock.fireNext();
    } finally {
      this.#firing = false;
    }
  }

  #pick(): Thread | null {
    const choices = this.#choices;
    if (choices === null) return this.#runnable.takeFirst();
    const queue = this.#runnable.best();
    if (queue === null || queue.length === 1) return this.#runnable.takeFirst();
    const thread = queue.at(choose(choices, ChoiceKind.THREAD, queue.length));
    this.#runnable.remove(thread);
    return thread;
  }

  #run(thread: Thread): void {
    this.current = thread;
    thread.state = RUNNING;
    this.switches++;
    const trace = this.#trace;
    if (trace !== null && (trace.mask & KTR_SCHED) !== 0) trace.record(SWITCH, thread.id);
    try {
      if (thread.sleepMutex !== null) takeAgain(thread, thread.sleepMutex);
      const result = thread.body.next();
      if (result.done === true) this.#finish(thread, result.value);
      else if (thread.state === RUNNING || thread.mutexes !== null) refuseToken(thread);
      this.current = null;
    } catch (error) {
      this.#fail(thread, error);
    }
  }

  #fail(thread: Thread, error: unknown): void {
    if (thread.again !== null) this.#restart(thread, thread.again);
    else {
      this.current = null;
      this.#end(thread, undefined, error, true);
      if (thread.joined) return;
    }
    throw error;
  }

  #finish(thread: Thread, result: unknown): void {
    checkEnd(thread);
    this.#end(thread, result, undefined, false);
  }

  /** Let `thread` begin anew. => it runs, and its body has thrown. */
  #restart(thread: Thread, make: () => Sleeps<unknown>): void {
    giveBackLocks(thread);
    this.current = null;
    if (thread.state === RUNNABLE) this.#runnable.remove(thread);
    else this.#takeOff(thread);
    thread.priority = thread.basePriority;
    thread.body = make();
    thread.state = RUNNABLE;
    this.#runnable.insertTail(thread);
  }

  #end(thread: Thread, result: unknown, error: unknown, failed: boolean): void {
    if (thread.state === RUNNABLE) this.#runnable.remove(thread);
    else this.#takeOff(thread);
    thread.state = DEAD;
    thread.result = result;
    thread.error = error;
    thread.failed = failed;
    this.#threads.delete(thread);
    this.wakeup(thread);
  }
}
