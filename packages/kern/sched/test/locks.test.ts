/** Mutexes as assertions and reader/writer locks: who gets in, in which order, and what panics. */
import { Errno, Panic } from "@physio/kern";
import type { RwMode, Sleeps } from "@physio/sched";
import { Mutex, RW_READER, RW_WRITER, RwLock, Scheduler } from "@physio/sched";
import { describe, expect, test } from "vitest";

/** Run `action` as a thread of its own, to its end. */
function inThread<T>(sched: Scheduler, action: () => T, name = "main"): T {
  // biome-ignore lint/correctness/useYield: a thread that does not sleep
  const body = function* (): Sleeps<T> {
    return action();
  };
  return sched.runSync(body(), name);
}

describe("a mutex", () => {
  const bench = () => {
    const sched = new Scheduler();
    return { sched, mutex: new Mutex(sched, "queue") };
  };

  test("is owned between enter and exit, in a thread and outside", () => {
    const { sched, mutex } = bench();
    const cycle = () => {
      expect(mutex.owned).toBe(false);
      mutex.assertNotOwned();
      expect(() => mutex.assertOwned()).toThrow('mutex "queue" is not held by the caller');
      mutex.enter();
      expect(mutex.owned).toBe(true);
      mutex.assertOwned();
      expect(() => mutex.assertNotOwned()).toThrow('mutex "queue" is held by the caller');
      mutex.exit();
    };
    cycle();
    inThread(sched, cycle);
    cycle();
  });

  test("entered twice panics and names the owner", () => {
    const { sched, mutex } = bench();
    const twice = () => {
      mutex.enter();
      mutex.enter();
    };
    expect(() => inThread(sched, twice, "th0")).toThrow('mutex "queue" is held by th0');
    const other = bench();
    other.mutex.enter();
    expect(() => other.mutex.enter()).toThrow('mutex "queue" is held by outside of threads');
  });

  test("left by somebody else, or by nobody's owner, panics", () => {
    const { sched, mutex } = bench();
    expect(() => mutex.exit()).toThrow('mutex "queue" is not held');
    mutex.enter();
    expect(() => inThread(sched, () => mutex.exit())).toThrow(Panic);
    mutex.exit();
  });

  test("an event during delay is not the thread that delays", () => {
    const { sched, mutex } = bench();
    sched.after(
      sched.event(() => mutex.exit()),
      5,
    );
    const main = () => {
      mutex.enter();
      sched.delay(10);
    };
    expect(() => inThread(sched, main)).toThrow('mutex "queue" is not held by the caller');
  });

  for (const how of ["sleep", "pause", "preempt"] as const) {
    test(`held over ${how} panics`, () => {
      const { sched, mutex } = bench();
      const body = function* (): Sleeps<void> {
        mutex.enter();
        if (how === "sleep") yield* sched.sleep({}, "chan");
        else if (how === "pause") yield* sched.pause("nap", 5);
        else yield* sched.preempt();
      };
      expect(() => sched.runSync(body(), "holder")).toThrow('"holder" sleeps with a mutex held');
    });
  }

  test("sleep lets go of the mutex it is given and takes it again", () => {
    const { sched, mutex } = bench();
    const log: string[] = [];
    const sleeper = function* (timeout: number): Sleeps<number> {
      mutex.enter();
      const result = yield* sched.sleep(mutex, "cond", mutex, timeout);
      mutex.assertOwned();
      mutex.exit();
      log.push(`woken ${result}`);
      return result;
    };
    const waker = function* (): Sleeps<void> {
      mutex.enter();
      log.push("entered");
      sched.wakeup(mutex);
      mutex.exit();
      yield* sched.preempt();
    };
    sched.spawn("sleeper", sleeper(0));
    sched.spawn("waker", waker());
    sched.pump();
    expect(log).toEqual(["entered", "woken 0"]);
    expect(sched.runSync(sleeper(10))).toBe(Errno.ETIMEDOUT);
    expect(mutex.owned).toBe(false);
  });

  test("sleep with a mutex that is not held panics", () => {
    const { sched, mutex } = bench();
    expect(() => sched.runSync(sched.sleep({}, "cond", mutex))).toThrow(Panic);
  });

  test("a second mutex held over sleep(channel, mutex) panics", () => {
    const { sched, mutex } = bench();
    const second = new Mutex(sched, "second");
    const body = function* (): Sleeps<void> {
      second.enter();
      mutex.enter();
      yield* sched.sleep({}, "cond", mutex);
    };
    expect(() => sched.runSync(body(), "two")).toThrow('"two" sleeps with a mutex held');
  });
});

describe("a mutex that is tried", () => {
  test("is taken if nobody holds it, and never twice", () => {
    const sched = new Scheduler();
    const mutex = new Mutex(sched, "queue");
    const cycle = () => {
      expect([mutex.tryEnter(), mutex.owned, mutex.tryEnter()]).toEqual([true, true, false]);
      mutex.exit();
      expect(mutex.owned).toBe(false);
    };
    cycle();
    inThread(sched, cycle);
    mutex.enter();
    expect(inThread(sched, () => mutex.tryEnter())).toBe(false);
    mutex.exit();
    cycle();
  });

  test("counts for the thread like one that was entered", () => {
    const sched = new Scheduler();
    const mutex = new Mutex(sched, "queue");
    const body = function* (): Sleeps<void> {
      mutex.tryEnter();
      yield* sched.pause("nap", 5);
    };
    expect(() => sched.runSync(body(), "holder")).toThrow(
      '"holder" sleeps with a mutex held: "queue"',
    );
  });
});

test("mutexes are left in any order, and a panic names those that are held", () => {
  const orders = [
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
    [1, 2, 0],
    [0, 2, 1],
    [2, 0, 1],
  ];
  for (const order of orders) {
    const sched = new Scheduler();
    const mutexes = ["a", "b", "c"].map((name) => new Mutex(sched, name));
    const leave = () => {
      for (const mutex of mutexes) mutex.enter();
      const thread = sched.current;
      for (const [done, at] of order.entries()) {
        expect(thread?.mutexesHeld).toBe(3 - done);
        mutexes[at].exit();
        expect(mutexes.map((mutex) => mutex.owned)).toEqual(
          mutexes.map((_, i) => !order.slice(0, done + 1).includes(i)),
        );
      }
      expect(thread?.mutexes).toBeNull();
      for (const mutex of mutexes) mutex.enter();
      mutexes[order[0]].exit();
    };
    const left = ["c", "b", "a"].filter((name) => name !== "abc"[order[0]]);
    expect(() => inThread(sched, leave, "t")).toThrow(
      `"t" ends with a mutex held: ${left.map((name) => `"${name}"`).join(", ")}`,
    );
    sched.check();
  }
});

describe("a reader/writer lock", () => {
  /** Threads that each hold the lock for a while; the log says who came in and went out. */
  function run(plan: [name: string, mode: RwMode, at: number, hold: number][]): string {
    const sched = new Scheduler();
    const lock = new RwLock(sched, "node");
    const log: string[] = [];
    for (const [name, mode, at, hold] of plan) {
      const body = function* (): Sleeps<void> {
        yield* sched.pause("start", at);
        yield* lock.enter(mode);
        log.push(`+${name}`);
        yield* sched.pause("hold", hold);
        log.push(`-${name}`);
        lock.exit();
      };
      sched.spawn(name, body());
    }
    sched.pump();
    expect([lock.held, sched.threads()]).toEqual([false, []]);
    return log.join(" ");
  }

  const cases: { name: string; plan: Parameters<typeof run>[0]; log: string }[] = [
    {
      name: "readers share",
      plan: [
        ["r1", RW_READER, 1, 50],
        ["r2", RW_READER, 2, 50],
      ],
      log: "+r1 +r2 -r1 -r2",
    },
    {
      name: "a writer keeps readers out",
      plan: [
        ["w", RW_WRITER, 1, 50],
        ["r1", RW_READER, 2, 50],
        ["r2", RW_READER, 3, 50],
      ],
      log: "+w -w +r1 +r2 -r1 -r2",
    },
    {
      name: "a writer waits for all readers",
      plan: [
        ["r1", RW_READER, 1, 50],
        ["r2", RW_READER, 2, 80],
        ["w", RW_WRITER, 3, 50],
      ],
      log: "+r1 +r2 -r1 -r2 +w -w",
    },
    {
      name: "writers take turns",
      plan: [
        ["w1", RW_WRITER, 1, 50],
        ["w2", RW_WRITER, 2, 50],
        ["w3", RW_WRITER, 3, 50],
      ],
      log: "+w1 -w1 +w2 -w2 +w3 -w3",
    },
    {
      name: "a reader does not pass a waiting writer",
      plan: [
        ["r1", RW_READER, 1, 50],
        ["w", RW_WRITER, 2, 50],
        ["r2", RW_READER, 3, 50],
      ],
      log: "+r1 -r1 +w -w +r2 -r2",
    },
    {
      name: "all waiting writers go before waiting readers",
      plan: [
        ["w1", RW_WRITER, 1, 50],
        ["r", RW_READER, 2, 50],
        ["w2", RW_WRITER, 3, 50],
      ],
      log: "+w1 -w1 +w2 -w2 +r -r",
    },
  ];
  for (const { name, plan, log } of cases) test(name, () => expect(run(plan)).toBe(log));

  test("tryEnter says at once, and a waiting writer turns readers away", () => {
    const sched = new Scheduler();
    const lock = new RwLock(sched, "node");
    expect([lock.tryEnter(RW_READER), lock.tryEnter(RW_READER)]).toEqual([true, true]);
    expect([lock.tryEnter(RW_WRITER), lock.held, lock.readable]).toEqual([false, true, true]);
    const w = function* (): Sleeps<void> {
      yield* lock.enter(RW_WRITER);
      yield* sched.pause("hold", 10);
      lock.exit();
    };
    sched.spawn("w", w());
    sched.step();
    expect([lock.readable, lock.tryEnter(RW_READER)]).toEqual([false, false]);
    lock.exit();
    sched.pump();
    lock.exit();
    sched.step();
    expect(lock.readable).toBe(false);
    expect([lock.tryEnter(RW_READER), lock.tryEnter(RW_WRITER)]).toEqual([false, false]);
    expect(lock.describeWait()).toBe('rwlock held for writing by "w"');
    sched.pump();
    expect([lock.held, lock.readable]).toEqual([false, true]);
  });

  test("downgrade lets waiting readers in without a gap for a writer", () => {
    const sched = new Scheduler();
    const lock = new RwLock(sched, "node");
    const log: string[] = [];
    const reader = function* (): Sleeps<void> {
      yield* lock.enter(RW_READER);
      log.push("reader in");
      lock.exit();
    };
    const main = function* (): Sleeps<void> {
      yield* lock.enter(RW_WRITER);
      sched.spawn("reader", reader());
      yield* sched.pause("hold", 10);
      lock.downgrade();
      expect(lock.tryEnter(RW_WRITER)).toBe(false);
      yield* sched.pause("share", 10);
      log.push("first out");
      lock.exit();
    };
    sched.runSync(main());
    expect([log, lock.held]).toEqual([["reader in", "first out"], false]);
  });

  test("a downgrade lets a waiting writer in only after the exit", () => {
    const sched = new Scheduler();
    const lock = new RwLock(sched, "node");
    let seen = "";
    const writer = function* (): Sleeps<void> {
      yield* lock.enter(RW_WRITER);
      seen = lock.describeWait();
      lock.exit();
    };
    const main = function* (): Sleeps<boolean> {
      yield* lock.enter(RW_WRITER);
      sched.spawn("writer", writer());
      yield* sched.pause("hold", 10);
      lock.downgrade();
      yield* sched.pause("share", 10);
      const still = lock.describeWait() === "rwlock held by 1 readers";
      lock.exit();
      return still;
    };
    expect(sched.runSync(main())).toBe(true);
    sched.pump();
    expect(seen).toBe('rwlock held for writing by "writer"');
  });

  test("tryUpgrade makes the only reader the writer, before writers that wait", () => {
    const sched = new Scheduler();
    const lock = new RwLock(sched, "node");
    const log: string[] = [];
    const writer = function* (): Sleeps<void> {
      yield* lock.enter(RW_WRITER);
      log.push("writer in");
      lock.exit();
    };
    const main = function* (): Sleeps<void> {
      yield* lock.enter(RW_READER);
      lock.tryEnter(RW_READER);
      expect(lock.tryUpgrade()).toBe(false);
      lock.exit();
      sched.spawn("writer", writer());
      yield* sched.preempt();
      expect(lock.tryUpgrade()).toBe(true);
      lock.assertHeld(RW_WRITER);
      log.push("upgraded");
      yield* sched.pause("hold", 10);
      lock.exit();
    };
    sched.runSync(main());
    sched.pump();
    expect([log, lock.held]).toEqual([["upgraded", "writer in"], false]);
  });

  test("owned and assertHeld tell what the caller holds", () => {
    const sched = new Scheduler();
    const lock = new RwLock(sched, "node");
    const says = (mode: RwMode): string => {
      try {
        lock.assertHeld(mode);
        return "held";
      } catch (error) {
        return (error as Panic).message;
      }
    };
    const seen = () => [lock.owned, says(RW_READER), says(RW_WRITER)];
    const not = (how: string, what: string) =>
      `rwlock "node" is not held by the caller for ${how}: rwlock held ${what}`;
    const other = (what: string) => [false, not("reading", what), not("writing", what)];
    const main = function* (): Sleeps<void> {
      expect(seen()).toEqual(other("by 0 readers"));
      lock.tryEnter(RW_READER);
      expect(seen()).toEqual([true, "held", not("writing", "by 1 readers")]);
      lock.tryUpgrade();
      expect(seen()).toEqual([true, "held", "held"]);
      yield* sched.pause("hold", 10);
      lock.exit();
    };
    sched.spawn("main", main());
    sched.step();
    expect(seen()).toEqual(other('for writing by "main"'));
    inThread(sched, () => expect(seen()).toEqual(other('for writing by "main"')), "other");
  });

  describe("panics", () => {
    test("when a reader that does not read leaves or upgrades", () => {
      const sched = new Scheduler();
      const lock = new RwLock(sched, "node");
      lock.tryEnter(RW_READER);
      expect(() => inThread(sched, () => lock.exit())).toThrow("exit by another thread");
      expect(() => inThread(sched, () => lock.tryUpgrade())).toThrow(
        'rwlock "node": upgrade without the read lock',
      );
      lock.tryUpgrade();
      expect(() => lock.tryUpgrade()).toThrow("upgrade without the read lock");
      lock.exit();
      expect(lock.held).toBe(false);
    });

    test("when it is entered with a mutex held, also when it is free", () => {
      const sched = new Scheduler();
      const lock = new RwLock(sched, "node");
      const body = function* (): Sleeps<void> {
        new Mutex(sched, "queue").enter();
        yield* lock.enter(RW_READER);
      };
      expect(() => sched.runSync(body())).toThrow(
        'rwlock "node" entered with a mutex held: "queue"',
      );
    });

    const written = () => {
      const sched = new Scheduler();
      const lock = new RwLock(sched, "node");
      const owner = function* (): Sleeps<void> {
        yield* lock.enter(RW_WRITER);
        yield* sched.sleep({}, "for ever");
      };
      sched.spawn("owner", owner());
      sched.pump();
      return { sched, lock };
    };

    test("when it is left by a thread that does not write", () => {
      const { sched, lock } = written();
      expect(() => inThread(sched, () => lock.exit())).toThrow("exit by another thread");
      expect(() => lock.exit()).toThrow(Panic);
    });

    test("when it is downgraded by a thread that does not write", () => {
      const { sched, lock } = written();
      expect(() => inThread(sched, () => lock.downgrade())).toThrow("by another thread");
      const free = new RwLock(sched, "free");
      free.tryEnter(RW_READER);
      expect(() => free.downgrade()).toThrow("downgrade without the write lock");
    });

    test("when it is left and nobody holds it", () => {
      const lock = new RwLock(new Scheduler(), "node");
      expect(() => lock.exit()).toThrow('rwlock "node" is not held');
    });

    for (const mode of [RW_READER, RW_WRITER] as const) {
      test(`when its writer enters again, mode ${mode}`, () => {
        const sched = new Scheduler();
        const lock = new RwLock(sched, "node");
        const body = function* (): Sleeps<void> {
          yield* lock.enter(RW_WRITER);
          yield* lock.enter(mode);
        };
        expect(() => sched.runSync(body())).toThrow("its writer enters again");
      });
    }

    test("with the owner's name in a deadlock", () => {
      const { sched, lock } = written();
      expect(() => sched.runSync(lock.enter(RW_READER), "reader")).toThrow(
        'thread 2 "reader" sleeps on "node": rwlock held for writing by "owner"',
      );
    });
  });
});
