/**
 * Software interrupts and interrupt threads: a handler that runs soon, in a thread of its own.
 *
 * `schedule` may be called from anywhere, also from hardware events; calls before the handler has
 * run count once. The handler is a plain function. What it throws leaves `pump`, and the thread goes
 * on with the next call. Follows swi(9) and ithread(9).
 */
import { Priority } from "./priority.ts";
import type { Scheduler } from "./scheduler.ts";
import type { DescribesWait, Sleeps } from "./thread.ts";

export class SoftIntr implements DescribesWait {
  readonly name: string;
  /** Times the handler has run. */
  count: number;
  readonly idleWait: boolean;
  readonly #sched: Scheduler;
  readonly #handler: () => void;
  #pending: boolean;

  /** @bsd #Y swi_add, ithread_create */
  constructor(
    sched: Scheduler,
    name: string,
    handler: () => void,
    priority: number = Priority.ITHD,
  ) {
    this.name = name;
    this.count = 0;
    this.idleWait = true;
    this.#sched = sched;
    this.#handler = handler;
    this.#pending = false;
    sched.spawn(name, this.#loop(), priority, () => this.#loop());
  }

  /** Let the handler run as soon as the scheduler gets to it. @bsd #Y swi_sched */
  schedule(): void {
    if (this.#pending) return;
    this.#pending = true;
    this.#sched.wakeup(this);
  }

  describeWait(): string {
    return `a call of "${this.name}"`;
  }

  *#loop(): Sleeps<never> {
    for (;;) {
      while (!this.#pending) yield this.#sched.block(this, "idle");
      this.#pending = false;
      this.count++;
      this.#handler();
    }
  }
}
