/**
 * What the scheduler tells a trace, and the clock that it gives it.
 *
 * A trace has one clock and one "thread that runs", so it serves one scheduler: a second one would
 * let the first one's entries carry the wrong times without a word. For the scheduler.
 */
import type { Nanoseconds } from "@physio/kern";
import { Errno, ErrnoError } from "@physio/kern";
import type { Trace } from "@physio/trace";
import { Ktr, traceEvent } from "@physio/trace";

export const SWITCH = traceEvent(Ktr.SCHED, "switch", "thread");
export const WAKEUP = traceEvent(Ktr.SCHED, "wakeup", "thread", "result");
export const ISSUE = traceEvent(Ktr.SCHED, "outside", "call", "due");
export const ARRIVAL = traceEvent(Ktr.SCHED, "arrival", "call", "failed");

/** Marks a clock that a scheduler has given. */
const GIVEN = Symbol("the clock of a scheduler");

/**
 * Let entries of `trace` have the time that `now` gives and the thread that `thread` gives.
 * @throws {ErrnoError} EINVAL: another scheduler has given it a clock, and nobody has set `now` since.
 */
export function giveClock(trace: Trace, now: () => Nanoseconds, thread: () => number): void {
  if (GIVEN in trace.now) {
    throw new ErrnoError(Errno.EINVAL, "Scheduler: the trace has the clock of another scheduler");
  }
  trace.now = Object.assign(now, { [GIVEN]: true });
  trace.thread = thread;
}
