/**
 * The scheduler of a scenario: it is time to give way exactly when the scenario says so.
 *
 * Threads run in the order in which they became runnable. A thread that tests for ever whether it
 * should give way is taken to be in an endless loop.
 */
import type { Sleep } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import type { Events } from "./events.ts";
import type { Injections } from "./injections.ts";
import type { FaultSpec } from "./vectors.ts";

/** Tests for "should yield" in one step: each is one page looked at. */
const TESTS_MOST = 1_000_000;

export class ScenarioScheduler extends Scheduler {
  /** What another thread does while the running one gives way. */
  duringPreemption: (fault: FaultSpec) => void;
  /** Tests since the step began. */
  tests: number;
  readonly #events: Events;
  readonly #injections: Injections;

  constructor(events: Events, injections: Injections) {
    super();
    this.duringPreemption = () => {};
    this.tests = 0;
    this.#events = events;
    this.#injections = injections;
  }

  override shouldYield(): boolean {
    if (++this.tests > TESTS_MOST) throw new Error("the step goes on for ever");
    return this.#injections.shouldYield;
  }

  override giveWay(): Sleep {
    this.#events.preempts++;
    const fault = this.#injections.takePreemption();
    if (fault !== null) this.duringPreemption(fault);
    return super.giveWay();
  }
}
