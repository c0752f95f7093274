/** Condition variables: a table of small runs, a bounded buffer under seeds, and broken contracts. */
import { Errno, Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { CondVar, Mutex, Scheduler } from "@physio/sched";
import { describe, expect, test } from "vitest";
import { seeds, source } from "./chance.ts";

/** A condition variable with its mutex, and a log that its threads write to. */
function bench() {
  const sched = new Scheduler();
  const mutex = new Mutex(sched, "m");
  const cv = new CondVar(sched, "cv");
  const log: string[] = [];
  const say = (words: string) => log.push(`${sched.now} ${words}`);
  /** A thread that waits once, for `time` ns if that is more than 0. */
  const waiter = function* (name: string, time: number): Sleeps<void> {
    mutex.enter();
    say(`${name} waits`);
    let result = Errno.OK;
    if (time > 0) result = yield* cv.timedWait(mutex, time);
    else yield* cv.wait(mutex);
    mutex.assertOwned();
    say(`${name} ${result === Errno.OK ? "ok" : "late"}`);
    mutex.exit();
  };
  return { sched, mutex, cv, log, say, waiter };
}

describe("a condition variable", () => {
  test("lets one go on by a signal, the longest waiter first, and all by a broadcast", () => {
    const { sched, mutex, cv, log, say, waiter } = bench();
    for (const name of "abcd") sched.spawn(name, waiter(name, 0));
    const main = function* (): Sleeps<void> {
      yield* sched.pause("settle", 10);
      mutex.enter();
      cv.signal();
      say("signalled");
      mutex.exit();
      yield* sched.pause("settle", 10);
      cv.broadcast(); // the mutex is not needed for that
      expect(cv.hasWaiters).toBe(false);
    };
    sched.spawn("main", main());
    sched.pump();
    const waits = ["0 a waits", "0 b waits", "0 c waits", "0 d waits"];
    expect(log).toEqual([...waits, "10 signalled", "10 a ok", "20 b ok", "20 c ok", "20 d ok"]);
  });

  test("forgets a signal that nobody waits for", () => {
    const { sched, cv, log, waiter } = bench();
    cv.signal();
    cv.broadcast();
    sched.spawn("a", waiter("a", 5));
    sched.pump();
    expect(log).toEqual(["0 a waits", "5 a late"]);
  });

  test("ends a timed wait at its time or by a signal, whichever is first", () => {
    const { sched, cv, log, waiter } = bench();
    for (const [name, time] of [
      ["a", 30],
      ["b", 10],
      ["c", 30],
    ] as const) {
      sched.spawn(name, waiter(name, time));
    }
    sched.after(
      sched.event(() => cv.signal()),
      20,
    );
    sched.pump();
    expect(log.slice(3)).toEqual(["10 b late", "20 a ok", "30 c late"]);
    expect(sched.now).toBe(30);
  });

  test("counts a signalled thread no longer, even before it has run", () => {
    const { sched, cv, waiter } = bench();
    expect(cv.hasWaiters).toBe(false);
    sched.spawn("a", waiter("a", 0));
    sched.pump();
    expect(cv.hasWaiters).toBe(true);
    cv.signal();
    expect(cv.hasWaiters).toBe(false);
    sched.pump();
    expect(sched.threads()).toEqual([]);
  });

  test("may change its mutex when nobody waits", () => {
    const { sched, cv, waiter, log } = bench();
    sched.spawn("a", waiter("a", 7));
    sched.pump();
    const other = new Mutex(sched, "other");
    const body = function* (): Sleeps<Errno> {
      other.enter();
      const result = yield* cv.timedWait(other, 3);
      other.exit();
      return result;
    };
    expect([sched.runSync(body()), sched.now]).toEqual([Errno.ETIMEDOUT, 10]);
    expect(log).toEqual(["0 a waits", "7 a late"]);
  });

  test("is named in the report of a deadlock", () => {
    const { sched, waiter } = bench();
    expect(() => sched.runSync(waiter("main", 0))).toThrow(
      /"main" sleeps on "cv": a signal, waited for under mutex "m"/,
    );
  });
});

describe("a broken contract panics:", () => {
  test("waiting without the mutex, or with another thread's", () => {
    const { sched, mutex, cv } = bench();
    expect(() => sched.runSync(cv.wait(mutex))).toThrow(
      'condition "cv": waited for without mutex "m"',
    );
    expect(() => sched.runSync(cv.timedWait(mutex, 5))).toThrow(Panic);
    mutex.enter(); // by the host, not by the thread
    expect(() => sched.runSync(cv.wait(mutex))).toThrow(Panic);
  });

  test("waiting under two mutexes at one time", () => {
    const { sched, cv, waiter } = bench();
    sched.spawn("a", waiter("a", 0));
    sched.pump();
    const other = new Mutex(sched, "other");
    const body = function* (): Sleeps<void> {
      other.enter();
      yield* cv.wait(other);
    };
    expect(() => sched.runSync(body())).toThrow('condition "cv": waited for under "other" and "m"');
  });

  test("waiting for a time that is none", () => {
    for (const time of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const { sched, mutex, cv } = bench();
      const body = function* (): Sleeps<Errno> {
        mutex.enter();
        return yield* cv.timedWait(mutex, time);
      };
      expect(() => sched.runSync(body())).toThrow(`condition "cv": a wait of ${time} ns`);
    }
  });

  test("waiting outside of a thread", () => {
    const { mutex, cv } = bench();
    mutex.enter();
    expect(() => cv.wait(mutex).next()).toThrow(Panic);
  });
});

/** Producers and consumers over a buffer of three; what was taken, in order. */
function bufferWorkload(seed: number): string {
  const random = source(seed);
  const sched = new Scheduler({ random: source(seed + 1000) });
  const mutex = new Mutex(sched, "buffer");
  const notFull = new CondVar(sched, "not full");
  const notEmpty = new CondVar(sched, "not empty");
  const buffer: number[] = [];
  const taken: number[] = [];
  let late = 0;
  const producer = function* (id: number): Sleeps<void> {
    for (let i = 0; i < 12; i++) {
      mutex.enter();
      while (buffer.length === 3) yield* notFull.wait(mutex);
      buffer.push(id * 100 + i);
      if (random.next() % 2 === 0) notEmpty.signal();
      else notEmpty.broadcast();
      mutex.exit();
      if (random.next() % 3 === 0) yield* sched.pause("make", 1 + (random.next() % 9));
    }
  };
  const consumer = function* (): Sleeps<void> {
    for (;;) {
      mutex.enter();
      while (buffer.length === 0 && taken.length < 36) {
        if ((yield* notEmpty.timedWait(mutex, 1 + (random.next() % 20))) !== Errno.OK) late++;
      }
      if (taken.length === 36) break;
      taken.push(buffer.shift()!);
      notFull.signal();
      mutex.exit();
      if (random.next() % 3 === 0) yield* sched.pause("use", 1 + (random.next() % 9));
    }
    mutex.exit();
  };
  for (const id of [0, 1, 2]) sched.spawn(`producer${id}`, producer(id));
  for (const id of [0, 1]) sched.spawn(`consumer${id}`, consumer());
  sched.pump();
  const stuck = [sched.threads().length, notFull.hasWaiters, notEmpty.hasWaiters];
  expect(stuck, `seed ${seed}`).toEqual([0, false, false]);
  for (const id of [0, 1, 2]) {
    const own = taken.filter((item) => Math.floor(item / 100) === id);
    expect(own, `seed ${seed}`).toEqual(Array.from({ length: 12 }, (_, i) => id * 100 + i));
  }
  return `${taken.join()} ${late}`;
}

test("a bounded buffer loses nothing and wakes everybody under 150 seeds", () => {
  const outcomes = seeds(150).map(bufferWorkload);
  expect(new Set(outcomes).size).toBeGreaterThan(100);
  expect(bufferWorkload(seeds(1)[0])).toBe(outcomes[0]);
});
