/**
 * The scheduler: threads, the virtual clock, sleep and wakeup.
 *
 * One thread runs at a time, until it sleeps: nothing is preempted. Time stands still while threads
 * run; when none is runnable the clock jumps to the next event. Two kinds of events share the
 * clock: the hardware's (a device finishes) and the kernel's (timeouts, callouts). DELAY runs only
 * the first kind, as on a real machine.
 *
 * With a source of random numbers the scheduler picks among the runnable threads of the best
 * priority, so every interleaving that it can produce is named by a seed; without one it is first
 * come, first served.
 *
 * Follows sleepqueue(9), DELAY(9) and callout(9). Invariant: a thread is RUNNING if and only if it
 * is `current`; no thread yields while it holds a mutex.
 */
import type { Errno, Nanoseconds } from "@physio/kern";
import { Errno as E, panic, Tailq } from "@physio/kern";
import type { Trace } from "@physio/trace";
import { Ktr, traceEvent } from "@physio/trace";
import { Event, EventQueue } from "./events.ts";
import type { Mutex } from "./mutex.ts";
import { deadlockReport } from "./report.ts";
import type { Sleep, Sleeps, WaitChannel } from "./thread.ts";
import { Priority, Thread, ThreadState } from "./thread.ts";

/** Where choices come from: whole numbers, evenly from 0 to 2^32 − 1. */
export interface RandomSource {
  next(): number;
}

export interface SchedulerOptions {
  readonly trace?: Trace;
  /** Absent: runnable threads run in the order in which they became runnable. */
  readonly random?: RandomSource;
}

const SLEEP: Sleep = Object.freeze({ sleep: true });
const SWITCH = traceEvent(Ktr.SCHED, "switch", "thread");
const WAKEUP = traceEvent(Ktr.SCHED, "wakeup", "thread", "result");
const CLASSES = [Priority.ITHD, Priority.KERN];

export class Scheduler {
  /** Virtual time since boot. */
  now: Nanoseconds;
  /** The thread that runs, or null: hardware events and the caller of `pump`. */
  current: Thread | null;
  /** Threads switched to since boot. */
  switches: number;
  readonly random: RandomSource | null;
  readonly #trace: Trace | null;
  readonly #runnable: readonly Tailq<Thread>[];
  readonly #sleepers: Map<WaitChannel, Tailq<Thread>>;
  readonly #spareQueues: Tailq<Thread>[];
  readonly #hardware: EventQueue;
  readonly #callouts: EventQueue;
  readonly #threads: Set<Thread>;
  #nextThreadId: number;
  #eventOrder: number;

  constructor(options: SchedulerOptions = {}) {
    this.now = 0;
    this.current = null;
    this.switches = 0;
    this.random = options.random ?? null;
    this.#trace = options.trace ?? null;
    this.#runnable = CLASSES.map(() => new Tailq<Thread>());
    this.#sleepers = new Map();
    this.#spareQueues = [];
    this.#hardware = new EventQueue();
    this.#callouts = new EventQueue();
    this.#threads = new Set();
    this.#nextThreadId = 1;
    this.#eventOrder = 0;
    if (this.#trace !== null) {
      this.#trace.now = () => this.now;
      this.#trace.thread = () => this.current?.id ?? 0;
    }
  }

  /** Live threads, in the order of their creation. */
  threads(): readonly Thread[] {
    return [...this.#threads];
  }

  /** Make a runnable thread. An exception that leaves `body` leaves `pump` too, unless it is joined. @bsd #Y kthread_add */
  spawn(name: string, body: Sleeps<unknown>, priority: number = Priority.KERN): Thread {
    const thread = new Thread(this.#nextThreadId++, name, priority, body, (t) =>
      this.#awaken(t, E.ETIMEDOUT),
    );
    this.#threads.add(thread);
    this.#trace?.threadNames.set(thread.id, name);
    this.#runnable[priority].insertTail(thread);
    return thread;
  }

  /**
   * Sleep until `wakeup(channel)` or until `timeout` ns have passed (0: no limit).
   * => `mutex`, if given, is held; it is released while asleep and held again on return.
   * @returns OK; ETIMEDOUT.   @bsd #Y sleep(9) msleep, tsleep
   */
  *sleep(
    channel: WaitChannel,
    message: string,
    mutex: Mutex | null = null,
    timeout: Nanoseconds = 0,
  ): Sleeps<Errno> {
    const thread = this.current;
    if (thread === null) panic(`sleep on "${message}" outside of a thread`);
    if (!(timeout >= 0)) panic(`sleep on "${message}" for ${timeout} ns`);
    if (mutex !== null) mutex.exit();
    thread.state = ThreadState.ASLEEP;
    thread.channel = channel;
    thread.waitMessage = message;
    this.#queueOf(channel).insertTail(thread);
    if (timeout > 0) this.#callouts.insert(thread.timeout, this.now + timeout, this.#eventOrder++);
    yield SLEEP;
    if (mutex !== null) mutex.enter();
    return thread.wakeResult;
  }

  /** Let `time` ns pass. @bsd #Y pause(9) */
  *pause(message: string, time: Nanoseconds): Sleeps<void> {
    if (!(time > 0)) panic(`pause of ${time} ns`);
    yield* this.sleep({}, message, null, time);
  }

  /** Stay runnable but let others run first. @bsd #Y preempt, kern_yield */
  *preempt(): Sleeps<void> {
    const thread = this.current;
    if (thread === null) panic("preempt outside of a thread");
    thread.state = ThreadState.RUNNABLE;
    this.#runnable[thread.priority].insertTail(thread);
    yield SLEEP;
  }

  /** Whether another thread waits for the processor. */
  shouldYield(): boolean {
    return this.#runnable.some((queue) => queue.length > 0);
  }

  /** Make every thread that sleeps on `channel` runnable. @bsd #Y wakeup(9) */
  wakeup(channel: WaitChannel): void {
    for (let q = this.#sleepers.get(channel); q !== undefined; q = this.#sleepers.get(channel)) {
      this.#awaken(q.first!, E.OK);
    }
  }

  /** Make the longest sleeper on `channel` runnable. @bsd #Y wakeup_one(9) */
  wakeupOne(channel: WaitChannel): void {
    const queue = this.#sleepers.get(channel);
    if (queue !== undefined) this.#awaken(queue.first!, E.OK);
  }

  /** Whether any thread sleeps on `channel`. */
  hasSleepers(channel: WaitChannel): boolean {
    return this.#sleepers.has(channel);
  }

  /** An event of a device, for `after`. => `action` runs outside of any thread and cannot sleep. */
  event(action: () => void): Event {
    return new Event(action);
  }

  /** Let a device's event happen `delay` ns from now. => the event is not pending. */
  after(event: Event, delay: Nanoseconds): void {
    if (!(delay >= 0)) panic(`event after ${delay} ns`);
    this.#hardware.insert(event, this.now + delay, this.#eventOrder++);
  }

  /** Call `event` off; no effect when it is not pending. */
  cancel(event: Event): void {
    this.#hardware.remove(event);
  }

  /** Busy-wait: time passes, hardware events run, threads and callouts do not. @bsd #Y DELAY(9) */
  delay(time: Nanoseconds): void {
    if (!(time >= 0)) panic(`DELAY of ${time} ns`);
    const end = this.now + time;
    const running = this.current;
    this.current = null;
    for (let e = this.#hardware.first(); e !== null && e.time <= end; e = this.#hardware.first()) {
      this.#fire(this.#hardware, e);
    }
    this.current = running;
    if (end > this.now) this.now = end; // an event may have delayed for longer
  }

  /**
   * Do one thing: run a thread until it sleeps, or else let the next event happen.
   * @returns false when there is nothing to do.
   */
  step(): boolean {
    if (this.current !== null) panic(`pump inside of thread "${this.current.name}"`);
    const thread = this.#pick();
    if (thread !== null) {
      this.#run(thread);
      return true;
    }
    const hw = this.#hardware.first();
    const soft = this.#callouts.first();
    if (hw === null && soft === null) return false;
    if (soft === null || (hw !== null && hw.time <= soft.time)) this.#fire(this.#hardware, hw!);
    else this.#fire(this.#callouts, soft);
    return true;
  }

  /** Run until nothing is runnable and no event is due. */
  pump(): void {
    while (this.step());
  }

  /** Make a thread whose end somebody waits for: `advance` and `resultOf`. */
  start(body: Sleeps<unknown>, name = "main"): Thread {
    const thread = this.spawn(name, body);
    thread.joined = true;
    return thread;
  }

  /** Run whatever is due, at most `steps` steps or until `thread` has ended. @returns whether it has ended. @throws {Panic} it can never end: who waits for what. */
  advance(thread: Thread, steps: number): boolean {
    for (let n = 0; n < steps && thread.state !== ThreadState.DEAD; n++) {
      if (!this.step()) panic(deadlockReport(this.#threads, `"${thread.name}" cannot go on`));
    }
    return thread.state === ThreadState.DEAD;
  }

  /** What an ended thread returned. @throws what it threw. */
  resultOf<T>(thread: Thread): T {
    if (thread.failed) throw thread.error;
    return thread.result as T;
  }

  /**
   * Run `body` as a thread, and everything else as needed, until it ends.
   * @returns what it returns.
   * @throws what it throws; {Panic} with a report of who waits for what when it can never end.
   */
  runSync<T>(body: Sleeps<T>, name = "main"): T {
    const thread = this.start(body, name);
    this.advance(thread, Number.POSITIVE_INFINITY);
    return this.resultOf<T>(thread);
  }

  #queueOf(channel: WaitChannel): Tailq<Thread> {
    let queue = this.#sleepers.get(channel);
    if (queue === undefined) {
      queue = this.#spareQueues.pop() ?? new Tailq<Thread>();
      this.#sleepers.set(channel, queue);
    }
    return queue;
  }

  #awaken(thread: Thread, result: Errno): void {
    const channel = thread.channel;
    const queue = channel === null ? undefined : this.#sleepers.get(channel);
    if (queue === undefined) panic(`wakeup of thread "${thread.name}", which is not asleep`);
    queue.remove(thread);
    if (queue.length === 0) {
      this.#sleepers.delete(channel!);
      this.#spareQueues.push(queue);
    }
    this.#callouts.remove(thread.timeout);
    thread.channel = null;
    thread.wakeResult = result;
    thread.state = ThreadState.RUNNABLE;
    this.#runnable[thread.priority].insertTail(thread);
    this.#trace?.record(WAKEUP, thread.id, result);
  }

  #pick(): Thread | null {
    let queue = this.#runnable[Priority.ITHD];
    if (queue.length === 0) queue = this.#runnable[Priority.KERN];
    if (queue.length === 0) return null;
    let thread = queue.first!;
    if (this.random !== null && queue.length > 1) {
      for (let skip = this.random.next() % queue.length; skip > 0; skip--) thread = thread.next!;
    }
    queue.remove(thread);
    return thread;
  }

  #run(thread: Thread): void {
    this.current = thread;
    thread.state = ThreadState.RUNNING;
    this.switches++;
    this.#trace?.record(SWITCH, thread.id);
    try {
      const { done, value } = thread.body.next();
      if (done === true) {
        if (thread.mutexesHeld > 0) panic(`"${thread.name}" ends with a mutex held`);
        this.#end(thread, value, undefined, false);
      } else if (thread.state === ThreadState.RUNNING)
        panic(`"${thread.name}" yields without a sleep`);
      else if (thread.mutexesHeld > 0) panic(`"${thread.name}" sleeps with a mutex held`);
    } catch (error) {
      this.#end(thread, undefined, error, true);
      if (!thread.joined) throw error;
    } finally {
      this.current = null;
    }
  }

  #end(thread: Thread, result: unknown, error: unknown, failed: boolean): void {
    thread.state = ThreadState.DEAD;
    thread.result = result;
    thread.error = error;
    thread.failed = failed;
    this.#threads.delete(thread);
    this.wakeup(thread);
  }

  #fire(queue: EventQueue, event: Event): void {
    queue.remove(event);
    if (event.time > this.now) this.now = event.time;
    event.action();
  }
}
