/**
 * What a thread and its sleeps refuse, and the mutex that a sleep lets go of.
 *
 * Apart from the code that calls it, to keep that small enough to be inlined: with the messages in
 * place a switch took 41 ns instead of 37. For the scheduler.
 */
import type { Nanoseconds } from "@physio/kern";
import { panic } from "@physio/kern";
import { whyNoDelay } from "./clock.ts";
import type { Mutex } from "./mutex.ts";
import { heldNames } from "./mutex.ts";
import type { Sleeps, Thread } from "./thread.ts";
import { ThreadState } from "./thread.ts";

const { RUNNING } = ThreadState;

/** Let go of the mutex that a sleep is given. */
export function letGo(thread: Thread, mutex: Mutex, message: string): void {
  if (mutex.spin) panic(`sleep on "${message}" with spin mutex "${mutex.name}"`);
  if (!mutex.ownedBy(thread)) refuseMutex(message, mutex);
  mutex.exit();
  thread.sleepMutex = mutex;
}

/** Hold the mutex again that a sleep let go of. => `thread` runs. */
export function takeAgain(thread: Thread, mutex: Mutex): void {
  thread.sleepMutex = null;
  mutex.enter();
}

function refuseMutex(message: string, mutex: Mutex): never {
  mutex.assertOwned();
  panic(`sleep on "${message}" with mutex "${mutex.name}" of another scheduler`);
}

/** Panics unless `body` is a generator that is not among `bodies`; then it is. */
export function claimBody(
  bodies: WeakSet<Sleeps<unknown>>,
  name: string,
  body: Sleeps<unknown>,
): void {
  const given: Partial<Sleeps<unknown>> | null | undefined = body;
  if (typeof given?.next !== "function") {
    const what = typeof given === "function" ? "a function that was not called" : String(given);
    panic(`thread "${name}": its body is no generator but ${what}`);
  }
  if (bodies.has(body)) panic(`thread "${name}": its generator is the body of another thread`);
  bodies.add(body);
}

/** A wait channel that is none. */
export function refuseChannel(channel: unknown): never {
  panic(`a wait channel is an object, not ${typeof channel} ${String(channel)}`);
}

/** Give back what a thread held when its body threw. => it is the one that runs. */
export function giveBackLocks(thread: Thread): void {
  while (thread.mutexes !== null) thread.mutexes.exit();
  for (let lock = thread.rwLocks.at(-1); lock !== undefined; lock = thread.rwLocks.at(-1)) {
    lock.exit();
  }
}

/** No thread, or no time to sleep for. */
export function refuseSleep(
  thread: Thread | null,
  message: string,
  timeout: Nanoseconds,
  now: Nanoseconds,
): never {
  if (thread === null) panic(`sleep on "${message}" outside of a thread`);
  panic(`sleep on "${message}" for ${whyNoDelay(timeout, now)}`);
}

/** A sleep before the last one was yielded, or with a mutex. */
export function refuseYield(thread: Thread, message: string): never {
  if (thread.state !== RUNNING) {
    panic(`"${thread.name}" sleeps on "${message}" before it has yielded its sleep`);
  }
  panic(`"${thread.name}" sleeps with a mutex held: ${heldNames(thread)}`);
}

/** A wait for one's own end, or for a thread whose end nobody will tell. */
export function refuseJoin(thread: Thread, current: Thread | null): never {
  if (thread === current) panic(`thread "${thread.name}" joins itself`);
  panic(`join of thread "${thread.name}" of another scheduler`);
}

/** A bare yield, or a mutex entered between `block` and its yield. */
export function refuseToken(thread: Thread): never {
  if (thread.state === RUNNING) panic(`"${thread.name}" yields without a sleep`);
  panic(`"${thread.name}" sleeps with a mutex held: ${heldNames(thread)}`);
}

/** The thread's body returned, and should not have: a lock, or a sleep that it did not yield. */
export function refuseEnd(thread: Thread): never {
  if (thread.mutexes !== null) {
    panic(`"${thread.name}" ends with a mutex held: ${heldNames(thread)}`);
  }
  if (thread.rwLocks.length > 0) {
    const names = thread.rwLocks.map((lock) => `"${lock.name}"`).join(", ");
    panic(`"${thread.name}" ends with an rwlock held: ${names}`);
  }
  panic(`"${thread.name}" ends with a sleep that it did not yield`);
}
