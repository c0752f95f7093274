/**
 * What a thread and its sleeps refuse.
 *
 * Apart from the code that calls it, to keep that small enough to be inlined: with the messages in
 * place a switch took 41 ns instead of 37. For the scheduler.
 */
import { panic } from "@physio/kern";
import { heldNames } from "./mutex.ts";
import type { Sleeps, Thread } from "./thread.ts";
import { ThreadState } from "./thread.ts";

const { RUNNING } = ThreadState;

const kindOf = (value: unknown): string => (value === null ? "null" : typeof value);

/** Panics unless `body` is a generator that is not among `bodies`; then it is. */
export function claimBody(
  bodies: WeakSet<Sleeps<unknown>>,
  name: string,
  body: Sleeps<unknown>,
): void {
  const given: Partial<Sleeps<unknown>> | null | undefined = body;
  if (typeof given?.next !== "function") {
    const what = typeof given === "function" ? "a function that was not called" : kindOf(given);
    panic(`thread "${name}": its body is no generator but ${what}`);
  }
  if (bodies.has(body)) panic(`thread "${name}": its generator is the body of another thread`);
  bodies.add(body);
}

/** A wait channel that is none. */
export function refuseChannel(channel: unknown): never {
  panic(`a wait channel is an object, not ${typeof channel} ${String(channel)}`);
}

/** A step by what runs in a step. */
export function refusePump(current: Thread | null): never {
  if (current !== null) panic(`pump inside of thread "${current.name}"`);
  panic("pump inside of an event");
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

/** Panics if a thread may not end as it is: with a lock held, or with a sleep that it did not yield. */
export function checkEnd(thread: Thread): void {
  if (thread.mutexes !== null) {
    panic(`"${thread.name}" ends with a mutex held: ${heldNames(thread)}`);
  }
  if (thread.state !== RUNNING) panic(`"${thread.name}" ends with a sleep that it did not yield`);
  if (thread.rwLocks.length > 0) {
    const names = thread.rwLocks.map((lock) => `"${lock.name}"`).join(", ");
    panic(`"${thread.name}" ends with an rwlock held: ${names}`);
  }
}
