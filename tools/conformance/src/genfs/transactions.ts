/**
 * The transactions of a scenario's mount: counted, never refused but where the scenario says so.
 *
 * Another thread may change the file in the middle of a start; what it does is not counted.
 */
import { Errno } from "@physio/kern";
import type { Scheduler, Sleeps, Thread } from "@physio/sched";
import type { Journal, Transactions, TransMode } from "@physio/vfs";
import type { Events } from "./events.ts";
import type { Injections } from "./injections.ts";

/** Places of the counts. */
const START = 0;
const DONE = 1;
const BEGIN = 2;
const END = 3;

export class ScenarioTransactions implements Transactions, Journal {
  /** What the other thread does in the middle of a start. */
  resize: (size: number) => Sleeps<unknown>;
  readonly #sched: Scheduler;
  readonly #events: Events;
  readonly #injections: Injections;
  #uncounted: Thread | null;

  constructor(sched: Scheduler, events: Events, injections: Injections) {
    this.resize = () => {
      throw new Error("there is no file yet");
    };
    this.#sched = sched;
    this.#events = events;
    this.#injections = injections;
    this.#uncounted = null;
  }

  *start(_mode: TransMode): Sleeps<void> {
    const size = this.#injections.takeResize();
    if (size >= 0) {
      this.#uncounted = this.#sched.spawn("resize", this.resize(size));
      yield* this.#sched.join(this.#uncounted);
    }
    this.#count(START);
  }

  startNow(_mode: TransMode): Errno {
    if (this.#injections.takeTransBusy()) return Errno.EBUSY;
    this.#count(START);
    return Errno.OK;
  }

  done(): void {
    this.#count(DONE);
  }

  // biome-ignore lint/correctness/useYield: another journal may sleep
  *begin(): Sleeps<Errno> {
    if (this.#injections.takeJournalFailure()) return Errno.EROFS;
    this.#count(BEGIN);
    return Errno.OK;
  }

  end(): void {
    this.#count(END);
  }

  #count(what: number): void {
    const { current } = this.#sched;
    if (current === null || current !== this.#uncounted) this.#events.trans[what]++;
  }
}
