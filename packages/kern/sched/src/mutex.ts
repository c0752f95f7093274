/**
 * Mutexes as assertions.
 *
 * A thread runs until it sleeps and may not sleep with a mutex held, so nobody ever has to wait for
 * one; what a mutex does here is to prove that. `enter` panics if it is held, `exit` if it is not
 * held by the caller, and a holder that sleeps, yields or ends panics. `sleep(…, mutex)` is the one
 * way to let go of it. Follows mutex(9) (MTX_DEF; MTX_SPIN cannot be given to a sleep).
 *
 * Invariant: the mutexes that a thread holds are a chain from `thread.mutexes` along `nextHeld`.
 */
import { panic } from "@physio/kern";
import type { Scheduler } from "./scheduler.ts";
import type { Thread } from "./thread.ts";

/** Stands for everything outside of threads: hardware events and the code that calls `pump`. */
const OUTSIDE = Object.freeze({ name: "outside of threads" });

export interface MutexOptions {
  /** For interrupt filters: it cannot be given to `sleep`. @bsd #P[no interrupts are masked] MTX_SPIN */
  readonly spin?: boolean;
}

export class Mutex {
  readonly name: string;
  readonly spin: boolean;
  /** The mutex that the owner entered before this one, of those it holds. */
  nextHeld: Mutex | null;
  readonly #sched: Scheduler;
  #owner: Thread | typeof OUTSIDE | null;

  /** @bsd #Y mtx_init */
  constructor(sched: Scheduler, name: string, options: MutexOptions = {}) {
    this.name = name;
    this.spin = options.spin ?? false;
    this.nextHeld = null;
    this.#sched = sched;
    this.#owner = null;
  }

  /** => nobody holds it; above all not the caller. @bsd #Y mtx_lock, mtx_lock_spin */
  enter(): void {
    if (this.#owner !== null) panic(`mutex "${this.name}" is held by ${this.#owner.name}`);
    this.#take();
  }

  /** Take it if nobody holds it, the caller included. @bsd #Y mtx_trylock */
  tryEnter(): boolean {
    if (this.#owner !== null) return false;
    this.#take();
    return true;
  }

  /** => the caller holds it. @bsd #Y mtx_unlock, mtx_unlock_spin */
  exit(): void {
    const thread = this.#sched.current;
    if (this.#owner !== (thread ?? OUTSIDE)) this.assertOwned();
    this.#owner = null;
    if (thread === null) return;
    if (thread.mutexes === this) thread.mutexes = this.nextHeld;
    else unlink(thread, this);
    this.nextHeld = null;
  }

  /** Whether the running thread (or, outside of threads, its caller) holds it. @bsd #Y mtx_owned */
  get owned(): boolean {
    return this.#owner === (this.#sched.current ?? OUTSIDE);
  }

  /** Whether `thread` holds it. */
  ownedBy(thread: Thread): boolean {
    return this.#owner === thread;
  }

  /** @bsd #Y mtx_assert MA_OWNED */
  assertOwned(): void {
    if (!this.owned) panic(`mutex "${this.name}" is not held by the caller`);
  }

  /** @bsd #Y mtx_assert MA_NOTOWNED */
  assertNotOwned(): void {
    if (this.owned) panic(`mutex "${this.name}" is held by the caller`);
  }

  #take(): void {
    const thread = this.#sched.current;
    if (thread === null) {
      this.#owner = OUTSIDE;
      return;
    }
    this.#owner = thread;
    this.nextHeld = thread.mutexes;
    thread.mutexes = this;
  }
}

/** Take `mutex` out of the middle of the chain. */
function unlink(thread: Thread, mutex: Mutex): void {
  let at = thread.mutexes;
  while (at !== null && at.nextHeld !== mutex) at = at.nextHeld;
  if (at === null) panic(`mutex "${mutex.name}" is not among those of thread "${thread.name}"`);
  at.nextHeld = mutex.nextHeld;
}

/** The names of the mutexes that `thread` holds, the newest first, for a panic. */
export function heldNames(thread: Thread): string {
  const names: string[] = [];
  for (let at = thread.mutexes; at !== null; at = at.nextHeld) names.push(`"${at.name}"`);
  return names.join(", ");
}
