/**
 * The scheduler's invariants, walked: every live thread is where its state says that it is.
 *
 * RUNNING: it is the current one, on no queue. RUNNABLE: on the run queue of its priority. ASLEEP: on
 * the sleep queue of its channel, or on none with a timeout pending. For `Scheduler.check`.
 */
import { panic } from "@physio/kern";
import type { RunQueues } from "./runq.ts";
import type { Thread } from "./thread.ts";
import { ThreadState } from "./thread.ts";
import type { WaitQueues } from "./waits.ts";

const { RUNNABLE, RUNNING, ASLEEP } = ThreadState;

/** Panics when a thread is not where it belongs. */
export function checkScheduler(
  threads: ReadonlySet<Thread>,
  current: Thread | null,
  runnable: RunQueues,
  waits: WaitQueues,
): void {
  const queued = runnable.check();
  for (const thread of queued) {
    if (!threads.has(thread)) panic(`thread "${thread.name}" is on a run queue and has ended`);
  }
  for (const thread of threads) {
    const { name, state } = thread;
    if ((state === RUNNING) !== (thread === current)) {
      panic(`thread "${name}": state ${state}, and "${current?.name}" runs`);
    }
    if ((state === RUNNABLE) !== queued.has(thread)) {
      panic(`thread "${name}": state ${state}, on a run queue: ${queued.has(thread)}`);
    }
    if (state === ASLEEP) checkSleeper(thread, threads, waits);
    else if (thread.sleepQueue !== null || thread.timeout.pending) {
      panic(`thread "${name}": state ${state}, on a sleep queue or with a timeout`);
    }
    if (thread !== current && thread.mutexes !== null) {
      panic(`thread "${name}" does not run and holds mutex "${thread.mutexes.name}"`);
    }
  }
}

function checkSleeper(thread: Thread, threads: ReadonlySet<Thread>, waits: WaitQueues): void {
  const { name, channel, sleepQueue } = thread;
  if (channel === null || sleepQueue === null) {
    if (!thread.timeout.pending) {
      panic(`thread "${name}" sleeps on "${thread.waitMessage}" and nothing can wake it`);
    }
    return;
  }
  if (waits.find(channel) !== sleepQueue) panic(`thread "${name}" sleeps on another queue`);
  const sleepers = sleepQueue.check(`sleep queue of "${thread.waitMessage}"`);
  if (!sleepers.includes(thread)) panic(`thread "${name}" is not on its sleep queue`);
  for (const sleeper of sleepers) {
    if (sleeper.channel !== channel || !threads.has(sleeper) || sleeper.state !== ASLEEP) {
      panic(`thread "${sleeper.name}" is on the sleep queue of "${name}" and should not be`);
    }
  }
}
