/**
 * Threads: generators that sleep.
 *
 * Code that may sleep is a generator of type Sleeps<T>; each `yield*` marks a place where the world
 * may change. Code that cannot sleep is a plain function. A thread's generator is resumed only by
 * the scheduler. The states and what leads from one to the next:
 *
 *   RUNNABLE --picked--> RUNNING --sleep--> ASLEEP --wakeup, timeout--> RUNNABLE
 *                        RUNNING --return, throw--> DEAD
 */
import type { Errno } from "@physio/kern";
import { Errno as E } from "@physio/kern";
import { Event } from "./events.ts";

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
}

export const ThreadState = Object.freeze({ RUNNABLE: 0, RUNNING: 1, ASLEEP: 2, DEAD: 3 } as const);

/** Scheduling classes, best first: interrupt threads run before everybody else. @bsd #P[two classes] sys/sys/priority.h */
export const Priority = Object.freeze({ ITHD: 0, KERN: 1 } as const);

export class Thread implements DescribesWait {
  readonly id: number;
  readonly name: string;
  readonly priority: number;
  readonly body: Sleeps<unknown>;
  state: number;
  /** What the thread sleeps on, and the words for it. Valid while ASLEEP. */
  channel: WaitChannel | null;
  waitMessage: string;
  /** What `sleep` will return: OK, or ETIMEDOUT. */
  wakeResult: Errno;
  /** Mutexes held; must be 0 when the thread yields. */
  mutexesHeld: number;
  /** What the body returned or threw, once DEAD. */
  result: unknown;
  error: unknown;
  failed: boolean;
  /** Somebody takes the result; otherwise an exception of the body stops the scheduler's caller. */
  joined: boolean;
  readonly timeout: Event;
  /** Links of the run queue or the sleep queue. */
  next: Thread | null;
  prev: Thread | null;

  constructor(
    id: number,
    name: string,
    priority: number,
    body: Sleeps<unknown>,
    onTimeout: (thread: Thread) => void,
  ) {
    this.id = id;
    this.name = name;
    this.priority = priority;
    this.body = body;
    this.state = ThreadState.RUNNABLE;
    this.channel = null;
    this.waitMessage = "";
    this.wakeResult = E.OK;
    this.mutexesHeld = 0;
    this.result = undefined;
    this.error = undefined;
    this.failed = false;
    this.joined = false;
    this.timeout = new Event(() => onTimeout(this));
    this.next = null;
    this.prev = null;
  }

  describeWait(): string {
    return `the end of thread "${this.name}"`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const states = ["runnable", "running", `asleep on ${this.waitMessage}`, "dead"];
    return `Thread#${this.id}(${this.name}, ${states[this.state]})`;
  }
}
