/**
 * Mutexes as assertions.
 *
 * A thread runs until it sleeps and may not sleep with a mutex held, so nobody ever has to wait for
 * one; what a mutex does here is to prove that. `enter` panics if it is held, `exit` if it is not
 * held by the caller, and the scheduler panics when a holder yields. `sleep(…, mutex)` is the one
 * way to let go of it. Follows mutex(9) (MTX_DEF).
 */
import { panic } from "@physio/kern";
import type { Scheduler } from "./scheduler.ts";
import type { Thread } from "./thread.ts";

/** Stands for everything outside of threads: hardware events and the code that calls `pump`. */
const OUTSIDE = Object.freeze({ name: "outside of threads" });

export class Mutex {
  readonly name: string;
  readonly #sched: Scheduler;
  #owner: Thread | typeof OUTSIDE | null;

  constructor(sched: Scheduler, name: string) {
    this.name = name;
    this.#sched = sched;
    this.#owner = null;
  }

  /** => the caller does not hold it. @bsd #Y mtx_lock */
  enter(): void {
    const thread = this.#sched.current;
    if (this.#owner !== null) panic(`mutex "${this.name}" is held by ${this.#owner.name}`);
    this.#owner = thread ?? OUTSIDE;
    if (thread !== null) thread.mutexesHeld++;
  }

  /** => the caller holds it. @bsd #Y mtx_unlock */
  exit(): void {
    this.assertOwned();
    const thread = this.#sched.current;
    this.#owner = null;
    if (thread !== null) thread.mutexesHeld--;
  }

  /** Whether the running thread (or, outside of threads, its caller) holds it. @bsd #Y mtx_owned */
  get owned(): boolean {
    return this.#owner === (this.#sched.current ?? OUTSIDE);
  }

  /** @bsd #Y mtx_assert MA_OWNED */
  assertOwned(): void {
    if (!this.owned) panic(`mutex "${this.name}" is not held by the caller`);
  }

  /** @bsd #Y mtx_assert MA_NOTOWNED */
  assertNotOwned(): void {
    if (this.owned) panic(`mutex "${this.name}" is held by the caller`);
  }
}
