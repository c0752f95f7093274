/**
 * Reader/writer locks that may be held while asleep, with preference for writers.
 *
 * A reader that finds a writer waiting waits too, so writers do not starve. Follows NetBSD's
 * rwlock(9), whose rw_tryenter/rw_enter pair genfs uses. `tryEnter` is the plain function that
 * callers try first; only a real wait pays for the generator. Entering may sleep, so it panics
 * with a mutex held, also when the lock is free.
 *
 * Invariants: there are no readers while there is a writer; a thread's `rwLocks` has the lock once for
 * each time that the thread holds it. Outside of threads counts as one holder. A thread that ends
 * with a lock held panics.
 */
import { panic } from "@physio/kern";
import { heldNames } from "./mutex.ts";
import type { Scheduler } from "./scheduler.ts";
import type { DescribesWait, Sleeps, Thread } from "./thread.ts";

export const RW_READER = 0;
export const RW_WRITER = 1;
export type RwMode = typeof RW_READER | typeof RW_WRITER;

export class RwLock implements DescribesWait {
  readonly name: string;
  readonly #sched: Scheduler;
  /** Who reads, a thread once for each time it entered; null is outside of threads. */
  readonly #readers: (Thread | null)[];
  #writing: boolean;
  #writer: Thread | null;
  #writersWaiting: number;

  /** @bsd #Y rw_init */
  constructor(sched: Scheduler, name: string) {
    this.name = name;
    this.#sched = sched;
    this.#readers = [];
    this.#writing = false;
    this.#writer = null;
    this.#writersWaiting = 0;
  }

  /** Take the lock if that needs no wait. @bsd #Y rw_tryenter */
  tryEnter(mode: RwMode): boolean {
    if (this.#writing) {
      if (mode !== RW_READER && mode !== RW_WRITER) this.#refuseMode(mode);
      return false;
    }
    if (mode === RW_READER) {
      if (this.#writersWaiting > 0) return false;
      this.#beginReading();
      return true;
    }
    if (mode !== RW_WRITER) this.#refuseMode(mode);
    if (this.#readers.length > 0) return false;
    this.#beginWriting();
    return true;
  }

  /**
   * Take the lock, asleep until it is free. => the caller holds no mutex, and does not read already
   * when a writer waits: they would wait for each other.   @bsd #Y rw_enter
   */
  *enter(mode: RwMode): Sleeps<void> {
    const thread = this.#sched.current;
    if (thread !== null && thread.mutexes !== null) {
      panic(`rwlock "${this.name}" entered with a mutex held: ${heldNames(thread)}`);
    }
    if (this.tryEnter(mode)) return;
    if (this.#writing && this.#writer === thread) {
      panic(`rwlock "${this.name}": its writer enters again`);
    }
    if (mode === RW_READER) {
      if (thread !== null && this.#readers.includes(thread)) {
        panic(
          `rwlock "${this.name}": its reader "${thread.name}" enters again behind a writer that waits for it`,
        );
      }
      do yield this.#sched.block(this, this.name);
      while (!this.tryEnter(mode));
      return;
    }
    this.#writersWaiting++;
    do yield this.#sched.block(this, this.name);
    while (!this.tryEnter(mode));
    this.#writersWaiting--;
  }

  /** Give the lock back. => the caller holds it. @bsd #Y rw_exit */
  exit(): void {
    if (this.#writing) this.#endWriting("exit");
    else this.#removeReader("exit");
    if (this.#readers.length === 0) this.#sched.wakeup(this);
  }

  /** From writer to reader without a gap. => the caller writes. @bsd #Y rw_downgrade */
  downgrade(): void {
    if (!this.#writing) panic(`rwlock "${this.name}": downgrade without the write lock`);
    this.#endWriting("downgrade");
    this.#beginReading();
    this.#sched.wakeup(this);
  }

  /**
   * From reader to writer without a gap, if the caller is the only reader; it goes before writers
   * that wait. => the caller reads.
   * @returns false: it reads as before.   @bsd #Y rw_tryupgrade
   */
  tryUpgrade(): boolean {
    if (this.#writing || !this.#readers.includes(this.#sched.current)) {
      panic(`rwlock "${this.name}": upgrade without the read lock`);
    }
    if (this.#readers.length > 1) return false;
    this.#removeReader("upgrade");
    this.#beginWriting();
    return true;
  }

  /** Whether a reader could take it now. Those who would give it back at once ask this: 2 ns, not 18. */
  get readable(): boolean {
    return !this.#writing && this.#writersWaiting === 0;
  }

  /** Whether anybody holds it. @bsd #Y rw_lock_held */
  get held(): boolean {
    return this.#writing || this.#readers.length > 0;
  }

  /** Whether the caller holds it, in either mode. */
  get owned(): boolean {
    const caller = this.#sched.current;
    return this.#writing ? this.#writer === caller : this.#readers.includes(caller);
  }

  /** Panics unless the caller writes, or for RW_READER reads or writes. @bsd #Y rw_read_held, rw_write_held */
  assertHeld(mode: RwMode): void {
    if (mode !== RW_READER && mode !== RW_WRITER) this.#refuseMode(mode);
    if (this.owned && (mode === RW_READER || this.#writing)) return;
    const how = mode === RW_READER ? "reading" : "writing";
    panic(`rwlock "${this.name}" is not held by the caller for ${how}: ${this.describeWait()}`);
  }

  describeWait(): string {
    if (!this.#writing) return `rwlock held by ${this.#readers.length} readers`;
    return `rwlock held for writing by ${this.#writer === null ? "nobody in a thread" : `"${this.#writer.name}"`}`;
  }

  /** The writer, or each thread that reads. */
  waitOwners(): Iterable<Thread> {
    const holders = this.#writing ? [this.#writer] : this.#readers;
    return new Set(holders.filter((thread) => thread !== null));
  }

  #beginReading(): void {
    const thread = this.#sched.current;
    this.#readers.push(thread);
    if (thread !== null) thread.rwLocks.push(this);
  }

  #beginWriting(): void {
    const thread = this.#sched.current;
    this.#writing = true;
    this.#writer = thread;
    if (thread !== null) thread.rwLocks.push(this);
  }

  #endWriting(what: string): void {
    const thread = this.#sched.current;
    if (this.#writer !== thread) {
      panic(`rwlock "${this.name}": ${what} by another thread`);
    }
    if (thread !== null) forget(thread, this);
    this.#writing = false;
    this.#writer = null;
  }

  #removeReader(what: string): void {
    const readers = this.#readers;
    if (readers.length === 0) panic(`rwlock "${this.name}" is not held`);
    const thread = this.#sched.current;
    const at = readers.lastIndexOf(thread);
    if (at < 0) panic(`rwlock "${this.name}": ${what} by another thread, which does not read`);
    if (thread !== null) forget(thread, this);
    readers[at] = readers[readers.length - 1];
    readers.pop();
  }

  #refuseMode(mode: unknown): never {
    panic(`rwlock "${this.name}": mode ${String(mode)} is neither RW_READER nor RW_WRITER`);
  }
}

/** Take `lock` off what `thread` holds, once. => it is there. */
function forget(thread: Thread, lock: RwLock): void {
  const locks = thread.rwLocks;
  const last = locks.length - 1;
  if (locks[last] !== lock) locks[locks.lastIndexOf(lock)] = locks[last];
  locks.pop();
}
