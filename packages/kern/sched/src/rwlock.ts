/**
 * Reader/writer locks that may be held while asleep, with preference for writers.
 *
 * A reader that finds a writer waiting waits too, so writers do not starve. Follows NetBSD's
 * rwlock(9), whose rw_tryenter/rw_enter pair genfs uses. `tryEnter` is the plain function that
 * callers try first; only a real wait pays for the generator.
 */
import { panic } from "@physio/kern";
import type { Scheduler } from "./scheduler.ts";
import type { DescribesWait, Sleeps, Thread } from "./thread.ts";

export const RW_READER = 0;
export const RW_WRITER = 1;
export type RwMode = typeof RW_READER | typeof RW_WRITER;

export class RwLock implements DescribesWait {
  readonly name: string;
  readonly #sched: Scheduler;
  #readers: number;
  #writing: boolean;
  #writer: Thread | null;
  #writersWaiting: number;

  constructor(sched: Scheduler, name: string) {
    this.name = name;
    this.#sched = sched;
    this.#readers = 0;
    this.#writing = false;
    this.#writer = null;
    this.#writersWaiting = 0;
  }

  /** Take the lock if that needs no wait. @bsd #Y rw_tryenter */
  tryEnter(mode: RwMode): boolean {
    if (this.#writing) return false;
    if (mode === RW_READER) {
      if (this.#writersWaiting > 0) return false;
      this.#readers++;
      return true;
    }
    if (this.#readers > 0) return false;
    this.#writing = true;
    this.#writer = this.#sched.current;
    return true;
  }

  /** Take the lock, asleep until it is free. @bsd #Y rw_enter */
  *enter(mode: RwMode): Sleeps<void> {
    if (this.tryEnter(mode)) return;
    if (this.#writing && this.#writer === this.#sched.current) {
      panic(`rwlock "${this.name}": its writer enters again`);
    }
    if (mode === RW_READER) {
      do yield* this.#sched.sleep(this, this.name);
      while (!this.tryEnter(mode));
      return;
    }
    this.#writersWaiting++;
    do yield* this.#sched.sleep(this, this.name);
    while (!this.tryEnter(mode));
    this.#writersWaiting--;
  }

  /** Give the lock back. => the caller holds it. @bsd #Y rw_exit */
  exit(): void {
    if (this.#writing) {
      if (this.#writer !== this.#sched.current)
        panic(`rwlock "${this.name}": exit by another thread`);
      this.#writing = false;
      this.#writer = null;
    } else {
      if (this.#readers === 0) panic(`rwlock "${this.name}" is not held`);
      this.#readers--;
    }
    if (this.#readers === 0) this.#sched.wakeup(this);
  }

  /** From writer to reader without a gap. @bsd #Y rw_downgrade */
  downgrade(): void {
    if (!this.#writing) panic(`rwlock "${this.name}": downgrade without the write lock`);
    if (this.#writer !== this.#sched.current)
      panic(`rwlock "${this.name}": downgrade by another thread`);
    this.#writing = false;
    this.#writer = null;
    this.#readers = 1;
    this.#sched.wakeup(this);
  }

  get held(): boolean {
    return this.#writing || this.#readers > 0;
  }

  describeWait(): string {
    if (!this.#writing) return `rwlock held by ${this.#readers} readers`;
    return `rwlock held for writing by ${this.#writer === null ? "nobody in a thread" : `"${this.#writer.name}"`}`;
  }
}
