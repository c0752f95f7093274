/**
 * Signals that ask a command to stop: what writes goes on to the next safe point, and ends the image well.
 *
 * The second signal ends the process at once, as it would have without us.
 */
import { constants } from "node:os";

const STOPPING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type Stopping = (typeof STOPPING)[number];

/** A command was stopped; what it had done is on the disk. */
export class Interrupted extends Error {
  readonly signal: Stopping;

  constructor(signal: Stopping) {
    super(`stopped by ${signal}`);
    this.signal = signal;
  }

  /** As a shell counts it. */
  get exitCode(): number {
    return 128 + constants.signals[this.signal];
  }
}

export class Signals {
  #caught: Stopping | null;

  constructor() {
    this.#caught = null;
    for (const signal of STOPPING) process.on(signal, this.#onSignal);
  }

  /** A safe point. @throws {Interrupted} */
  check(): void {
    if (this.#caught !== null) throw new Interrupted(this.#caught);
  }

  /** Back to how it was. */
  dispose(): void {
    for (const signal of STOPPING) process.off(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#caught = signal as Stopping;
    this.dispose();
  };
}
