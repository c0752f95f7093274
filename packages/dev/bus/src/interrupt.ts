/**
 * Interrupt lines: from a device model to a driver's handler.
 *
 * A device raises its line from a hardware event; the handler runs soon after in an interrupt
 * thread, never inside DELAY and never inside another thread. Follows bus_setup_intr(9) with an
 * ithread handler, and message-signalled (edge) interrupts.
 */
import { panic } from "@physio/kern";
import type { Scheduler } from "@physio/sched";
import { SoftIntr } from "@physio/sched";

export class InterruptLine {
  readonly name: string;
  /** Times that the device raised the line. */
  raised: number;
  readonly #sched: Scheduler;
  #thread: SoftIntr | null;

  constructor(sched: Scheduler, name: string) {
    this.name = name;
    this.raised = 0;
    this.#sched = sched;
    this.#thread = null;
  }

  /** => the line has no handler yet. @bsd #P[ithread handlers only] bus_setup_intr */
  setup(handler: () => void): void {
    if (this.#thread !== null) panic(`interrupt ${this.name} has a handler`);
    this.#thread = new SoftIntr(this.#sched, `intr: ${this.name}`, handler);
  }

  /** The device's side. Before a handler is set up an interrupt is lost, as on a real machine. */
  raise(): void {
    this.raised++;
    this.#thread?.schedule();
  }
}
