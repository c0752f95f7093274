/**
 * Threads: generators that sleep.
 *
 * Code that may sleep is a generator of type Sleeps<T>; each `yield*` marks a place where the world
 * may change. Code that cannot sleep is a plain function. A thread's generator is resumed only by
 * the scheduler. The states and what leads from one to the next:
 *
 *   RUNNABLE --picked--> RUNNING --sleep--> ASLEEP --wakeup, timeout--> RUNNABLE
 *                        RUNNING --return, throw--> DEAD
 *                        RUNNING --throw, of a thread with `again`--> RUNNABLE, with a new body
 */
import type { Errno } from "@physio/kern";
import { Errno as E } from "@physio/kern";
import type { Credentials } from "./cred.ts";
import { Event } from "./events.ts";
import type { Mutex } from "./mutex.ts";
import type { ThreadQueue } from "./runq.ts";
import type { RwLock } from "./rwlock.ts";

export { Priority } from "./priority.ts";

/** What a sleeping generator yields: nothing but the fact. */
export interface Sleep {
  readonly sleep: true;
}

/** Code that may sleep in virtual time and then returns T. */
export type Sleeps<T> = Generator<Sleep, T, void>;

/** What a thread sleeps on: any object. */
export type WaitChannel = object;

/** A wait channel that can tell the deadlock report what is waited for and who holds it. */
export interface DescribesWait {
  describeWait(): string;
  /** The threads that have to do something before the wait can end. */
  waitOwners?(): Iterable<Thread>;
  /** Whoever sleeps here has nothing to do, and nobody waits for it: the report says so in one line. */
  readonly idleWait?: boolean;
}

export const ThreadState = Object.freeze({ RUNNABLE: 0, RUNNING: 1, ASLEEP: 2, DEAD: 3 } as const);

export class Thread implements DescribesWait {
  readonly id: number;
  readonly name: string;
  /** Whose rights it acts with: those of the thread that made it, until somebody sets others. */
  cred: Credentials | null;
  /** What it runs with now; `sleep` may name another one. 0–255, lower is better. */
  priority: number;
  /** What `spawn` or `setPriority` said; `preempt` goes back to it. */
  basePriority: number;
  body: Sleeps<unknown>;
  /** Makes a new body when one has thrown; null: the thread ends with it. */
  readonly again: (() => Sleeps<unknown>) | null;
  state: number;
  /** The words for what the thread sleeps on. Valid while ASLEEP. */
  waitMessage: string;
  /** What its last sleep ended with: OK, or ETIMEDOUT. */
  wakeResult: Errno;
  /** The mutexes held, the newest first; null when the thread yields. */
  mutexes: Mutex | null;
  /** Let go of for the sleep, and entered again at its end. */
  sleepMutex: Mutex | null;
  /** The reader/writer locks held, one once for each time it was entered. The locks' own business. */
  readonly rwLocks: RwLock[];
  /** What the body returned or threw, once DEAD. */
  result: unknown;
  error: unknown;
  failed: boolean;
  /** Somebody takes the result; otherwise an exception of the body stops the scheduler's caller. */
  joined: boolean;
  readonly timeout: Event;
  /** The sleep queue it is on, and the links of that or of the run queue. */
  sleepQueue: ThreadQueue | null;
  /** Whether `timeout` may be pending. */
  timed: boolean;
  next: Thread | null;
  prev: Thread | null;

  constructor(
    id: number,
    name: string,
    cred: Credentials | null,
    priority: number,
    body: Sleeps<unknown>,
    again: (() => Sleeps<unknown>) | null,
    onTimeout: (thread: Thread) => void,
  ) {
    this.id = id;
    this.name = name;
    this.cred = cred;
    this.priority = priority;
    this.basePriority = priority;
    this.body = body;
    this.again = again;
    this.state = ThreadState.RUNNABLE;
    this.waitMessage = "";
    this.wakeResult = E.OK;
    this.mutexes = null;
    this.sleepMutex = null;
    this.rwLocks = [];
    this.result = undefined;
    this.error = undefined;
    this.failed = false;
    this.joined = false;
    this.timeout = new Event(() => onTimeout(this));
    this.sleepQueue = null;
    this.timed = false;
    this.next = null;
    this.prev = null;
  }

  /** What the thread sleeps on; null: time only, or not asleep. The queue knows it: a store less for each sleep. */
  get channel(): WaitChannel | null {
    return this.sleepQueue === null ? null : this.sleepQueue.channel;
  }

  /** Mutexes held; counted at each call. */
  get mutexesHeld(): number {
    let count = 0;
    for (let mutex = this.mutexes; mutex !== null; mutex = mutex.nextHeld) count++;
    return count;
  }

  describeWait(): string {
    return `the end of thread "${this.name}"`;
  }

  waitOwners(): Iterable<Thread> {
    return [this];
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const states = ["runnable", "running", `asleep on ${this.waitMessage}`, "dead"];
    return `Thread#${this.id}(${this.name}, ${states[this.state]})`;
  }
}
