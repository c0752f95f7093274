/**
 * File system transactions: operations that change a mount, and those that must stop it.
 *
 * An operation starts a transaction, shared or lazy; whoever wants the mount to stand still suspends
 * it. First new shared transactions wait, and those that are open end; lazy ones (write-back, which the
 * suspender needs to get its pages out) still begin. Then these wait and end too. A thread that is in a
 * transaction may start another inside it without waiting; what its first one is counts. Follows fstrans(9).
 *
 * Invariant: a thread is counted once for each transaction that it has not ended.
 */
import type { Errno } from "@physio/kern";
import { Errno as E, panic } from "@physio/kern";
import type { DescribesWait, Scheduler, Sleeps, Thread } from "@physio/sched";

/** @bsd #Y FSTRANS_SHARED, FSTRANS_LAZY */
export type TransMode = "shared" | "lazy";

/** What a mount needs of its transactions. */
export interface Transactions {
  /** Begin one, asleep while the mount is suspended. @bsd #Y fstrans_start */
  start(mode: TransMode): Sleeps<void>;
  /** The same without sleeping. @returns OK; EBUSY: it would have to wait. @bsd #Y fstrans_start_nowait */
  startNow(mode: TransMode): Errno;
  /** End the last one that the thread began. @bsd #Y fstrans_done */
  done(): void;
}

/** How far a mount is suspended. @bsd #Y enum fstrans_state */
export type TransState = "normal" | "suspending" | "suspended";

/** The transactions of one thread: how many, and what the outermost is. */
interface Nest {
  mode: TransMode;
  count: number;
}

export class Fstrans implements Transactions, DescribesWait {
  state: TransState;
  readonly #sched: Scheduler;
  readonly #name: string;
  /** Of each thread that has some; null is outside of threads. */
  readonly #open: Map<Thread | null, Nest>;
  /** Records that are not in use: an operation makes no garbage. */
  readonly #spare: Nest[];
  /** Who suspends it. */
  #owner: Thread | null;

  constructor(sched: Scheduler, name: string) {
    this.state = "normal";
    this.#sched = sched;
    this.#name = name;
    this.#open = new Map();
    this.#spare = [];
    this.#owner = null;
  }

  *start(mode: TransMode): Sleeps<void> {
    while (this.startNow(mode) !== E.OK) yield* this.#sched.sleep(this, "fstrans");
  }

  startNow(mode: TransMode): Errno {
    const thread = this.#sched.current;
    const nest = this.#open.get(thread);
    if (nest !== undefined) {
      nest.count++;
      return E.OK;
    }
    if (!this.#grants(mode, thread)) return E.EBUSY;
    const first = this.#spare.pop() ?? { mode, count: 0 };
    first.mode = mode;
    first.count = 1;
    this.#open.set(thread, first);
    return E.OK;
  }

  done(): void {
    const thread = this.#sched.current;
    const nest = this.#open.get(thread);
    if (nest === undefined) panic(`fstrans of ${this.#name}: done without a start`);
    nest.count--;
    if (nest.count > 0) return;
    this.#open.delete(thread);
    this.#spare.push(nest);
    if (this.state !== "normal") this.#sched.wakeup(this);
  }

  /** Transactions that are open. */
  get open(): number {
    let sum = 0;
    for (const { count } of this.#open.values()) sum += count;
    return sum;
  }

  /**
   * Wait until nobody but the caller is in a transaction, and let nobody in. Between the two steps `flush`
   * runs: shared transactions have ended then, and lazy ones still get in. What `flush` throws ends
   * the suspension.
   * => the caller is a thread, has no transaction, and calls `resume`.
   * @bsd #Y fstrans_setstate FSTRANS_SUSPENDING, FSTRANS_SUSPENDED; vfs_suspend
   */
  *suspend(flush: () => Sleeps<void>): Sleeps<void> {
    const { current } = this.#sched;
    if (current === null) panic(`fstrans of ${this.#name}: suspended outside of a thread`);
    if (this.#open.has(current)) panic(`fstrans of ${this.#name}: suspended in a transaction`);
    while (this.state !== "normal") yield* this.#sched.sleep(this, "fstchg");
    this.state = "suspending";
    this.#owner = current;
    try {
      while (this.#others("shared")) yield* this.#sched.sleep(this, "fstcnt");
      yield* flush();
      this.state = "suspended";
      while (this.#others("lazy")) yield* this.#sched.sleep(this, "fstcnt");
    } catch (error) {
      this.resume();
      throw error;
    }
  }

  /** Let everybody in again. => the caller has suspended it. @bsd #Y vfs_resume */
  resume(): void {
    if (this.state === "normal") panic(`fstrans of ${this.#name}: resumed, not suspended`);
    if (this.#owner !== this.#sched.current) {
      panic(`fstrans of ${this.#name}: resumed, but suspended by "${this.#owner?.name}"`);
    }
    this.state = "normal";
    this.#owner = null;
    this.#sched.wakeup(this);
  }

  describeWait(): string {
    return `transactions of ${this.#name}: ${this.state}, ${this.open} open`;
  }

  /** Who suspends it, and who is in a transaction meanwhile. */
  waitOwners(): Iterable<Thread> {
    const threads = new Set([this.#owner, ...this.#open.keys()]);
    return [...threads].filter((thread) => thread !== null);
  }

  #grants(mode: TransMode, thread: Thread | null): boolean {
    if (this.state === "normal" || (thread !== null && thread === this.#owner)) return true;
    return this.state === "suspending" && mode === "lazy";
  }

  /** Whether somebody else is in a transaction of this kind; "lazy": of any. */
  #others(mode: TransMode): boolean {
    for (const [thread, nest] of this.#open) {
      if (thread !== this.#owner && (mode === "lazy" || nest.mode === "shared")) return true;
    }
    return false;
  }
}
