/**
 * Software interrupts and interrupt threads: a handler that runs soon, in a thread of its own.
 *
 * `schedule` may be called from anywhere, also from hardware events; calls before the handler has
 * run count once. The handler is a plain function. Follows swi(9) and ithread(9).
 */
import type { Scheduler } from "./scheduler.ts";
import type { Sleeps } from "./thread.ts";
import { Priority } from "./thread.ts";

export class SoftIntr {
  readonly name: string;
  /** Times the handler has run. */
  count: number;
  readonly #sched: Scheduler;
  readonly #handler: () => void;
  #pending: boolean;

  constructor(sched: Scheduler, name: string, handler: () => void) {
    this.name = name;
    this.count = 0;
    this.#sched = sched;
    this.#handler = handler;
    this.#pending = false;
    sched.spawn(name, this.#loop(), Priority.ITHD);
  }

  /** Let the handler run as soon as the scheduler gets to it. @bsd #Y swi_sched */
  schedule(): void {
    if (this.#pending) return;
    this.#pending = true;
    this.#sched.wakeup(this);
  }

  *#loop(): Sleeps<never> {
    for (;;) {
      while (!this.#pending) yield* this.#sched.sleep(this, "idle");
      this.#pending = false;
      this.count++;
      this.#handler();
    }
  }
}
