/**
 * Callouts: a plain handler that runs once at a virtual time.
 *
 * A callout belongs to a Softclock, whose interrupt thread runs the handlers in order of time. The
 * states, and what leads from one to the next (`pending` is true in the last two):
 *
 *   IDLE --reset--> ARMED --time has come--> DUE --softclock thread--> handler runs, IDLE
 *                   ARMED, DUE --stop, drain--> IDLE;  --reset--> ARMED
 *
 * A `direct` callout skips DUE: its handler runs from the timer event itself, outside of threads
 * and so also during DELAY. It is DUE after all when it cannot run there: its mutex is held by the
 * thread that busy-waits, or its own handler is what busy-waits.
 *
 * A handler runs with the callout's mutex held, if there is one, and cannot sleep. So a handler is
 * running only for itself and for what happens during its own DELAY; no thread ever finds one
 * running. A handler that calls `reset` is periodic; to end it, anybody calls `stop`. What a handler
 * throws leaves `pump` (or DELAY); the callout is then as if the handler had returned, and the
 * callouts that are due run next.
 *
 * Follows callout(9). Invariant: the timer event is pending if and only if the callout is ARMED; it
 * is on its softclock's queue if and only if it is DUE. Nothing but the constructors allocates.
 */
import type { Nanoseconds } from "@physio/kern";
import { panic, Tailq } from "@physio/kern";
import { isDelay, whyNoDelay } from "./clock.ts";
import type { Event } from "./events.ts";
import type { Mutex } from "./mutex.ts";
import { Priority } from "./priority.ts";
import type { Scheduler } from "./scheduler.ts";
import { SoftIntr } from "./softintr.ts";
import type { Sleeps } from "./thread.ts";

export interface CalloutOptions {
  /** Held while the handler runs; the caller of `reset` and `stop` holds it too. @bsd #Y callout_init_mtx */
  readonly mutex?: Mutex;
  /** Run the handler from the timer event, outside of threads. @bsd #Y C_DIRECT_EXEC */
  readonly direct?: boolean;
}

const IDLE = 0;
const ARMED = 1;
const DUE = 2;

/** The interrupt thread that runs callouts; whoever makes callouts owns one. @bsd #Y sys/kern/kern_timeout.c softclock_thread */
export class Softclock {
  readonly sched: Scheduler;
  /** Due callouts, in the order of their times. */
  readonly #due: Tailq<Callout>;
  readonly #interrupt: SoftIntr;

  constructor(sched: Scheduler, name = "softclock") {
    this.sched = sched;
    this.#due = new Tailq<Callout>();
    this.#interrupt = new SoftIntr(sched, name, () => this.#run(), Priority.SOFT);
  }

  /** Callouts whose time has come and whose handler has not run yet. */
  get due(): number {
    return this.#due.length;
  }

  /** => called by a callout that has become DUE. */
  expire(callout: Callout): void {
    this.#due.insertTail(callout);
    this.#interrupt.schedule();
  }

  /** => called by a callout that is DUE no longer. */
  withdraw(callout: Callout): void {
    this.#due.remove(callout);
  }

  /** Panic unless the queue and the callouts on it agree. */
  check(): void {
    let time = 0;
    for (const callout of this.#due) {
      callout.check();
      if (!(callout.time >= time)) {
        panic(`softclock: "${callout.name}" of ${callout.time} ns after one of ${time} ns`);
      }
      time = callout.time;
    }
  }

  #run(): void {
    try {
      for (let callout = this.#due.first; callout !== null; callout = this.#due.first) {
        this.#due.remove(callout);
        callout.run();
      }
    } finally {
      if (this.#due.first !== null) this.#interrupt.schedule(); // a handler has thrown
    }
  }
}

export class Callout {
  readonly name: string;
  readonly direct: boolean;
  /** When the handler is to run, or was to run: what the last `reset` said. */
  time: Nanoseconds;
  /** Times the handler has run. */
  count: number;
  /** Links of the softclock's queue. */
  next: Callout | null;
  prev: Callout | null;
  readonly #softclock: Softclock;
  readonly #sched: Scheduler;
  readonly #handler: () => void;
  readonly #mutex: Mutex | null;
  readonly #timer: Event;
  #state: number;
  #active: boolean;
  #running: boolean;

  /** @bsd #P[no shared locks, no CALLOUT_RETURNUNLOCKED, no precision] callout_init, callout_init_mtx */
  constructor(
    softclock: Softclock,
    name: string,
    handler: () => void,
    options: CalloutOptions = {},
  ) {
    this.name = name;
    this.direct = options.direct ?? false;
    this.time = 0;
    this.count = 0;
    this.next = null;
    this.prev = null;
    this.#softclock = softclock;
    this.#sched = softclock.sched;
    this.#handler = handler;
    this.#mutex = options.mutex ?? null;
    this.#timer = this.#sched.event(() => this.#expire());
    this.#state = IDLE;
    this.#active = false;
    this.#running = false;
  }

  /** Whether the handler is still to run. @bsd #Y callout_pending */
  get pending(): boolean {
    return this.#state !== IDLE;
  }

  /** Whether there was a `reset` and since then no `stop`, `drain` or `deactivate`. @bsd #Y callout_active */
  get active(): boolean {
    return this.#active;
  }

  /** Whether the handler is running: true only in the handler and in events during its DELAY. */
  get running(): boolean {
    return this.#running;
  }

  /** Take the mark `active` away: how a handler says that the callout is over. @bsd #Y callout_deactivate */
  deactivate(): void {
    this.#active = false;
  }

  /**
   * Let the handler run `delay` ns from now, instead of when it was to run.
   * => the caller holds the callout's mutex, if it has one. A handler that resets its own callout
   * gives more than 0, or else time stands still.
   * @returns whether the callout was pending.   @bsd #Y callout_reset, callout_reset_sbt
   */
  reset(delay: Nanoseconds): boolean {
    const { now } = this.#sched;
    if (!isDelay(delay, now)) {
      panic(`callout "${this.name}": reset to ${whyNoDelay(delay, now)}`);
    }
    const wasPending = this.#takeBack("reset");
    this.#state = ARMED;
    this.#active = true;
    this.time = now + delay;
    this.#sched.after(this.#timer, delay);
    return wasPending;
  }

  /** Like `reset`, for the virtual time `time`; a time that has passed means now. @bsd #Y C_ABSOLUTE */
  resetAt(time: Nanoseconds): boolean {
    const { now } = this.#sched;
    if (!isDelay(time, 0))
      panic(`callout "${this.name}": reset to the time ${whyNoDelay(time, now)}`);
    return this.reset(time < now ? 0 : time - now);
  }

  /**
   * Let the handler not run. A handler that is running goes on, but a `reset` that it made is undone.
   * => the caller holds the callout's mutex, if it has one.
   * @returns whether the callout was pending.   @bsd #P[true or false] callout_stop
   */
  stop(): boolean {
    this.#active = false;
    return this.#takeBack("stopped");
  }

  /**
   * `stop`, and the certainty that the handler is not running when this returns. As handlers do not
   * sleep there is nothing to wait for, but callers may not count on that.
   * => called by a thread, not from the callout's own handler; the callout's mutex is not held.
   * @returns whether the callout was pending.   @bsd #Y callout_drain
   */
  // biome-ignore lint/correctness/useYield: the type keeps callers ready for a wait
  *drain(): Sleeps<boolean> {
    if (this.#running) panic(`callout "${this.name}": drained while its handler runs`);
    if (this.#sched.current === null) panic(`callout "${this.name}": drained outside of a thread`);
    this.#mutex?.assertNotOwned();
    this.#active = false;
    return this.#disarm();
  }

  /** Run the handler. => called by the softclock's thread, which has taken it off the queue. */
  run(): void {
    this.#state = IDLE;
    if (this.#mutex !== null) this.#mutex.enter();
    this.#runHandler();
  }

  /** Panic unless the state agrees with the timer and the queue. */
  check(): void {
    const queued = this.next !== null || this.prev !== null;
    if (this.#timer.pending !== (this.#state === ARMED) || (queued && this.#state !== DUE)) {
      panic(
        `callout "${this.name}": state ${this.#state}, timer ${this.#timer.pending}, ${queued}`,
      );
    }
  }

  #takeBack(what: string): boolean {
    if (this.#mutex !== null && !this.#mutex.owned) {
      panic(`callout "${this.name}": ${what} without its mutex "${this.#mutex.name}"`);
    }
    return this.#disarm();
  }

  #disarm(): boolean {
    if (this.#state === IDLE) return false;
    if (this.#state === ARMED) this.#sched.cancel(this.#timer);
    else this.#softclock.withdraw(this);
    this.#state = IDLE;
    return true;
  }

  #expire(): void {
    if (this.direct && !this.#running && (this.#mutex === null || this.#mutex.tryEnter())) {
      this.#state = IDLE;
      this.#runHandler();
      return;
    }
    this.#state = DUE;
    this.#softclock.expire(this);
  }

  /** => the mutex is held; the state is IDLE. */
  #runHandler(): void {
    const mutex = this.#mutex;
    this.#running = true;
    this.count++;
    try {
      this.#handler();
    } catch (error) {
      this.#running = false;
      if (mutex?.owned === true) mutex.exit();
      throw error;
    }
    this.#running = false;
    if (mutex !== null) mutex.exit();
  }
}
