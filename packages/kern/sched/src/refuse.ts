/**
 * What a sleep refuses, and the mutex that it lets go of.
 *
 * Apart from the code that calls it, to keep that small enough to be inlined: with the messages in
 * place a switch took 41 ns instead of 37. For the scheduler.
 */
import type { Nanoseconds } from "@physio/kern";
import { panic } from "@physio/kern";
import type { Mutex } from "./mutex.ts";
import { heldNames } from "./mutex.ts";
import type { Thread } from "./thread.ts";
import { ThreadState } from "./thread.ts";

const { RUNNING } = ThreadState;

/** Let go of the mutex that a sleep is given. */
export function letGo(thread: Thread, mutex: Mutex, message: string): void {
  if (mutex.spin) panic(`sleep on "${message}" with spin mutex "${mutex.name}"`);
  mutex.exit();
  thread.sleepMutex = mutex;
}

/** No thread, or no time to sleep for. */
export function refuseSleep(thread: Thread | null, message: string, timeout: Nanoseconds): never {
  if (thread === null) panic(`sleep on "${message}" outside of a thread`);
  panic(`sleep on "${message}" for ${timeout} ns`);
}

/** A sleep before the last one was yielded, or with a mutex. */
export function refuseYield(thread: Thread, message: string): never {
  if (thread.state !== RUNNING) {
    panic(`"${thread.name}" sleeps on "${message}" before it has yielded its sleep`);
  }
  panic(`"${thread.name}" sleeps with a mutex held: ${heldNames(thread)}`);
}

/** A bare yield, or a mutex entered between `block` and its yield. */
export function refuseToken(thread: Thread): never {
  if (thread.state === RUNNING) panic(`"${thread.name}" yields without a sleep`);
  panic(`"${thread.name}" sleeps with a mutex held: ${heldNames(thread)}`);
}

/** The thread's body returned, and should not have: a mutex, or a sleep that it did not yield. */
export function refuseEnd(thread: Thread): never {
  if (thread.mutexes !== null) {
    panic(`"${thread.name}" ends with a mutex held: ${heldNames(thread)}`);
  }
  panic(`"${thread.name}" ends with a sleep that it did not yield`);
}
