/**
 * The locks that a thread holds, when it sleeps and when it fails.
 *
 * Apart from the code that calls it, to keep that small enough to be inlined (see refuse.ts). For the
 * scheduler. Invariant: a thread that sleeps holds no mutex; at most one waits for it in `sleepMutex`.
 */
import { panic } from "@physio/kern";
import type { Mutex } from "./mutex.ts";
import type { Thread } from "./thread.ts";

/** Let go of the mutex that a sleep is given. */
export function letGo(thread: Thread, mutex: Mutex, message: string): void {
  if (mutex.spin) panic(`sleep on "${message}" with spin mutex "${mutex.name}"`);
  if (!mutex.ownedBy(thread)) refuseMutex(message, mutex);
  mutex.exit();
  thread.sleepMutex = mutex;
}

function refuseMutex(message: string, mutex: Mutex): never {
  mutex.assertOwned();
  panic(`sleep on "${message}" with mutex "${mutex.name}" of another scheduler`);
}

/** Hold the mutex again that a sleep let go of. => `thread` runs. */
export function takeAgain(thread: Thread, mutex: Mutex): void {
  thread.sleepMutex = null;
  mutex.enter();
}

/** Give back what a thread held when its body threw. => it is the one that runs. */
export function giveBackLocks(thread: Thread): void {
  thread.sleepMutex = null;
  while (thread.mutexes !== null) thread.mutexes.exit();
  for (let lock = thread.rwLocks.at(-1); lock !== undefined; lock = thread.rwLocks.at(-1)) {
    lock.exit();
  }
}
