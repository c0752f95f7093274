/**
 * The scheduler with chance: an interleaving is named by its seed, seeds differ, and no seed breaks
 * a lock.
 */
import { Errno } from "@physio/kern";
import type { RandomSource, Sleeps } from "@physio/sched";
import { Mutex, RW_READER, RW_WRITER, RwLock, Scheduler } from "@physio/sched";
import { Ktr, Trace } from "@physio/trace";
import { describe, expect, test } from "vitest";
import { seeds, source } from "./chance.ts";

/** Four threads that take three steps each; the order of the steps. */
function order(random: RandomSource | null): string {
  const sched = random === null ? new Scheduler() : new Scheduler({ random });
  let log = "";
  for (const name of "abcd") {
    const body = function* (): Sleeps<void> {
      for (let i = 0; i < 3; i++) {
        log += name;
        yield* sched.preempt();
      }
    };
    sched.spawn(name, body());
  }
  sched.pump();
  return log;
}

describe("an interleaving", () => {
  test("is the same for the same seed", () => {
    for (const seed of seeds(50)) expect(order(source(seed))).toBe(order(source(seed)));
  });

  test("differs between seeds, and every thread is first under some seed", () => {
    const orders = new Set(seeds(50).map((seed) => order(source(seed))));
    expect(orders.size).toBeGreaterThan(40);
    expect(new Set([...orders].map((log) => log[0])).size).toBe(4);
  });

  test("is first come, first served without a source, and under one that gives zeros", () => {
    expect(order(null)).toBe("abcdabcdabcd");
    expect(order({ next: () => 0 })).toBe("abcdabcdabcd");
  });

  test("asks the source only when there is a choice", () => {
    const random: RandomSource = { next: () => expect.fail("one thread needs no choice") };
    const sched = new Scheduler({ random });
    sched.runSync(sched.pause("alone", 10));
    expect(sched.now).toBe(10);
  });
});

/** What a run of the rwlock workload saw. */
interface Outcome {
  readonly log: string;
  readonly hash: string;
  readonly most: number;
}

/** Six threads enter, hold, downgrade and leave a lock by chance; a broken promise fails the test. */
function lockWorkload(seed: number): Outcome {
  const trace = new Trace(1);
  trace.mask = Ktr.ALL;
  const random = source(seed);
  const sched = new Scheduler({ random: source(seed + 1000), trace });
  const lock = new RwLock(sched, "node");
  const log: string[] = [];
  let readers = 0;
  let writers = 0;
  let most = 0;
  const promise = () => {
    if (writers > 1 || (writers === 1 && readers > 0)) {
      expect.fail(`seed ${seed}: ${writers} writers and ${readers} readers`);
    }
    most = Math.max(most, readers);
  };
  const nap = function* (): Sleeps<void> {
    if (random.next() % 2 === 0) yield* sched.preempt();
    else yield* sched.pause("nap", 1 + (random.next() % 20));
    promise();
  };
  const read = function* (): Sleeps<void> {
    readers++;
    promise();
    yield* nap();
    readers--;
    lock.exit();
  };
  const worker = function* (name: string): Sleeps<void> {
    for (let i = 0; i < 12; i++) {
      yield* nap();
      const writing = random.next() % 3 === 0;
      const mode = writing ? RW_WRITER : RW_READER;
      if (random.next() % 4 !== 0) yield* lock.enter(mode);
      else if (!lock.tryEnter(mode)) continue;
      log.push(writing ? name.toUpperCase() : name);
      if (!writing && random.next() % 4 === 0 && lock.tryUpgrade()) {
        lock.assertHeld(RW_WRITER);
        expect(readers + writers, `seed ${seed}`).toBe(0);
        lock.downgrade();
      }
      lock.assertHeld(mode);
      if (!writing) {
        yield* read();
        continue;
      }
      writers++;
      promise();
      yield* nap();
      writers--;
      if (random.next() % 3 !== 0) lock.exit();
      else {
        lock.downgrade();
        yield* read();
      }
    }
  };
  for (const name of "abcdef") sched.spawn(name, worker(name));
  while (sched.step()) sched.check();
  expect([lock.held, sched.threads().length, readers, writers]).toEqual([false, 0, 0, 0]);
  return { log: log.join(""), hash: trace.hash(), most };
}

describe("a reader/writer lock under 200 seeds", () => {
  test("keeps its promise, starves nobody, and shares", () => {
    const outcomes = seeds(200).map(lockWorkload);
    expect(Math.max(...outcomes.map((outcome) => outcome.most))).toBeGreaterThan(2);
    expect(new Set(outcomes.map((outcome) => outcome.log)).size).toBeGreaterThan(190);
  });

  test("does the same again for the same seed, to the hash of its trace", () => {
    for (const seed of seeds(20)) expect(lockWorkload(seed)).toEqual(lockWorkload(seed));
  });
});

/** Producers and consumers over a bounded queue, guarded by a mutex and sleep(channel, mutex). */
function queueWorkload(seed: number): string {
  const random = source(seed);
  const sched = new Scheduler({ random: source(seed + 1000) });
  const mutex = new Mutex(sched, "queue");
  const queue: number[] = [];
  const taken: number[] = [];
  const notFull = {};
  const notEmpty = {};
  const producer = function* (id: number): Sleeps<void> {
    for (let i = 0; i < 15; i++) {
      mutex.enter();
      while (queue.length === 3) yield* sched.sleep(notFull, "full", mutex);
      queue.push(id * 100 + i);
      expect(queue.length).toBeLessThanOrEqual(3);
      sched.wakeupOne(notEmpty);
      mutex.exit();
      if (random.next() % 3 === 0) yield* sched.pause("make", 1 + (random.next() % 9));
    }
  };
  const consumer = function* (): Sleeps<void> {
    while (taken.length < 45) {
      mutex.enter();
      let result = Errno.OK;
      while (queue.length === 0 && result === Errno.OK) {
        result = yield* sched.sleep(notEmpty, "empty", mutex, 50);
        mutex.assertOwned();
      }
      const item = queue.shift();
      if (item !== undefined) taken.push(item);
      sched.wakeupOne(notFull);
      mutex.exit();
      if (random.next() % 3 === 0) yield* sched.pause("use", 1 + (random.next() % 9));
    }
  };
  for (const id of [0, 1, 2]) sched.spawn(`producer${id}`, producer(id));
  for (const id of [0, 1]) sched.spawn(`consumer${id}`, consumer());
  sched.pump();
  expect(sched.threads()).toEqual([]);
  for (const id of [0, 1, 2]) {
    const own = taken.filter((item) => Math.floor(item / 100) === id);
    expect(own).toEqual(Array.from({ length: 15 }, (_, i) => id * 100 + i));
  }
  return taken.join();
}

test("a bounded queue loses nothing and keeps each producer's order under 200 seeds", () => {
  const outcomes = seeds(200).map(queueWorkload);
  expect(new Set(outcomes).size).toBeGreaterThan(100);
});
