/**
 * Condition variables: wait until somebody says that a condition under a mutex has changed.
 *
 * The mutex is held by the caller, let go of while it waits and held again on return. There are no
 * wake-ups without a reason, but others may run between a signal and the return, so callers test
 * their condition again. `signal` and `broadcast` may be called with or without the mutex, from
 * anywhere.
 *
 * Follows condvar(9). Invariant: all threads that wait at one time do so under one mutex; the
 * condition variable itself is the wait channel.
 */
import type { Errno, Nanoseconds } from "@physio/kern";
import { panic } from "@physio/kern";
import { isDelay, whyNoDelay } from "./clock.ts";
import { Mutex } from "./mutex.ts";
import type { Scheduler } from "./scheduler.ts";
import type { DescribesWait, Sleeps } from "./thread.ts";

export class CondVar implements DescribesWait {
  /** What sleepers are said to wait for. @bsd #Y cv_description */
  readonly name: string;
  readonly #sched: Scheduler;
  /** The mutex of those who wait; what it is when nobody waits means nothing. */
  #mutex: Mutex | null;

  /** @bsd #Y cv_init */
  constructor(sched: Scheduler, name: string) {
    this.name = name;
    this.#sched = sched;
    this.#mutex = null;
  }

  /** Whether a thread waits that no signal has reached. @bsd #Y cv_has_waiters */
  get hasWaiters(): boolean {
    return this.#sched.hasSleepers(this);
  }

  /** Sleep until a signal. => the caller is a thread and holds `mutex`. @bsd #Y cv_wait */
  *wait(mutex: Mutex): Sleeps<void> {
    this.#begin(mutex);
    yield this.#sched.block(this, this.name, mutex);
  }

  /**
   * Sleep until a signal, or until `time` ns have passed.
   * => the caller is a thread and holds `mutex`; `time` > 0, a whole number.
   * @returns OK; ETIMEDOUT no signal came in time.   @bsd #P[ETIMEDOUT for EWOULDBLOCK] cv_timedwait
   */
  *timedWait(mutex: Mutex, time: Nanoseconds): Sleeps<Errno> {
    if (!(time > 0 && isDelay(time, this.#sched.now))) {
      panic(`condition "${this.name}": a wait of ${whyNoDelay(time, this.#sched.now)}`);
    }
    this.#begin(mutex);
    yield this.#sched.block(this, this.name, mutex, time);
    return this.#sched.wakeResult;
  }

  /** Let one thread go on, if one waits: the best priority, then the longest wait. @bsd #Y cv_signal */
  signal(): void {
    this.#sched.wakeupOne(this);
  }

  /** Let every thread go on that waits. @bsd #Y cv_broadcast */
  broadcast(): void {
    this.#sched.wakeup(this);
  }

  describeWait(): string {
    return `a signal, waited for under mutex "${this.#mutex?.name}"`;
  }

  #begin(mutex: Mutex): void {
    if (!(mutex instanceof Mutex)) {
      panic(`condition "${this.name}": waited for with ${typeof mutex}, not a mutex`);
    }
    if (!mutex.owned) panic(`condition "${this.name}": waited for without mutex "${mutex.name}"`);
    if (this.#mutex !== mutex && this.#mutex !== null && this.#sched.hasSleepers(this)) {
      panic(`condition "${this.name}": waited for under "${mutex.name}" and "${this.#mutex.name}"`);
    }
    this.#mutex = mutex;
  }
}
