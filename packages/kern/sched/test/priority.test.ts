/** Priorities: who runs first, how a sleep or setPriority changes it, and who is woken. */
import { Panic } from "@physio/kern";
import type { Sleeps, Thread } from "@physio/sched";
import { Priority, Scheduler } from "@physio/sched";
import { describe, expect, test } from "vitest";

function bench() {
  const sched = new Scheduler();
  const log: string[] = [];
  /** A thread that logs its name and ends. */
  const once = (name: string, priority: number): Thread => {
    // biome-ignore lint/correctness/useYield: a thread that does not sleep
    const body = function* (): Sleeps<void> {
      log.push(name);
    };
    return sched.spawn(name, body(), priority);
  };
  return { sched, log, once };
}

test("the names stand for the numbers of sys/sys/priority.h", () => {
  expect(Priority).toMatchObject({ REALTIME: 0, NET: 16, DISK: 20, SOFT: 36, PSWP: 64, PVM: 68 });
  expect(Priority).toMatchObject({ PINOD: 72, PRIBIO: 76, PVFS: 80, PZERO: 84, KERN: 84 });
  expect(Priority).toMatchObject({ PLOCK: 100, TIMESHARE: 160, IDLE: 224 });
});

describe("the order of running", () => {
  const cases: { name: string; priorities: number[]; order: string }[] = [
    { name: "is by priority", priorities: [224, 84, 20, 160, 0], order: "4 2 1 3 0" },
    {
      name: "is that of coming within a run queue of four",
      priorities: [87, 84, 86],
      order: "0 1 2",
    },
    {
      name: "knows the queues on both sides of a word",
      priorities: [128, 127, 124, 123, 131],
      order: "3 1 2 0 4",
    },
    {
      name: "reaches from the first queue to the last",
      priorities: [255, 252, 3, 0],
      order: "2 3 0 1",
    },
  ];
  for (const { name, priorities, order } of cases) {
    test(name, () => {
      const { sched, log, once } = bench();
      for (const [i, priority] of priorities.entries()) once(`${i}`, priority);
      sched.check();
      sched.pump();
      sched.check();
      expect(log.join(" ")).toBe(order);
    });
  }

  test("every one of the 256 priorities has its place", () => {
    const { sched, log, once } = bench();
    for (let i = 0; i < 256; i++) once(`${(i * 37) % 256}`, (i * 37) % 256);
    sched.pump();
    const queues = log.map((name) => Math.floor(Number(name) / 4));
    expect(queues).toEqual(queues.toSorted((a, b) => a - b));
    expect(new Set(log).size).toBe(256);
  });
});

describe("setPriority", () => {
  test("moves a runnable thread to its new queue, at the end", () => {
    const { sched, log, once } = bench();
    const a = once("a", 100);
    once("b", 100);
    once("c", 80);
    sched.setPriority(a, 80);
    sched.check();
    sched.pump();
    expect(log).toEqual(["c", "a", "b"]);
  });

  test("within the same queue keeps the place", () => {
    const { sched, log, once } = bench();
    const a = once("a", 100);
    once("b", 100);
    sched.setPriority(a, 103);
    sched.pump();
    expect([log, a.priority, a.basePriority]).toEqual([["a", "b"], 103, 103]);
  });

  test("of a sleeping thread counts from its wakeup on", () => {
    const { sched, log } = bench();
    const channel = {};
    const body = function* (name: string): Sleeps<void> {
      yield sched.block(channel, "c");
      log.push(name);
    };
    sched.spawn("a", body("a"));
    const b = sched.spawn("b", body("b"));
    sched.pump();
    sched.setPriority(b, 10);
    sched.wakeup(channel);
    sched.pump();
    expect(log).toEqual(["b", "a"]);
  });

  test("and spawn refuse what is no priority", () => {
    const { sched, once } = bench();
    for (const bad of [-1, 256, 1.5, Number.NaN]) {
      expect(() => once("x", bad)).toThrow(`priority ${bad}`);
      expect(() => sched.setPriority(once("y", 9), bad)).toThrow(Panic);
    }
    sched.check();
  });
});

describe("a sleep with a priority", () => {
  test("gives the thread that priority from its wakeup until preempt", () => {
    const { sched, log } = bench();
    const channel = {};
    const plain = function* (): Sleeps<void> {
      yield* sched.sleep(channel, "c");
      log.push("plain");
    };
    const raised = function* (): Sleeps<void> {
      yield* sched.sleep(channel, "c", null, 0, Priority.PRIBIO);
      log.push("raised");
      expect([sched.current?.priority, sched.current?.basePriority]).toEqual([76, 84]);
      yield* sched.sleep(channel, "again");
      expect(sched.current?.priority).toBe(Priority.PRIBIO);
      yield* sched.preempt();
      expect(sched.current?.priority).toBe(84);
    };
    sched.spawn("plain", plain());
    sched.spawn("raised", raised());
    for (let round = 0; round < 2; round++) {
      sched.pump();
      sched.check();
      sched.wakeup(channel);
    }
    sched.pump();
    expect([log, sched.threads()]).toEqual([["raised", "plain"], []]);
  });

  test("refuses what is no priority", () => {
    const { sched } = bench();
    expect(() => sched.runSync(sched.sleep({}, "c", null, 0, 300))).toThrow("priority 300");
    expect(() => sched.runSync(sched.sleep({}, "c", null, 0, Number.NaN))).toThrow(Panic);
    sched.check();
  });
});

test("wakeupOne wakes the best priority, and of equals the longest sleeper", () => {
  const { sched, log } = bench();
  const channel = {};
  const body = function* (name: string): Sleeps<void> {
    yield sched.block(channel, "c");
    log.push(name);
  };
  for (const [name, priority] of [
    ["a", 100],
    ["b", 80],
    ["c", 81],
    ["d", 80],
  ] as const) {
    sched.spawn(name, body(name), priority);
  }
  sched.pump();
  log.length = 0;
  for (let i = 0; i < 4; i++) {
    sched.wakeupOne(channel);
    sched.check();
    sched.pump();
  }
  expect(log).toEqual(["b", "d", "c", "a"]);
});

test("shouldYield looks for equal or better priority only", () => {
  const { sched, once } = bench();
  const body = function* (): Sleeps<boolean[]> {
    const seen = [sched.shouldYield()];
    once("worse", 100);
    seen.push(sched.shouldYield());
    once("equal", 86);
    seen.push(sched.shouldYield());
    yield* sched.preempt();
    seen.push(sched.shouldYield());
    once("better", 0);
    seen.push(sched.shouldYield());
    return seen;
  };
  expect(sched.runSync(body())).toEqual([false, false, true, false, true]);
  expect(sched.shouldYield()).toBe(true); // outside of threads: anybody
  sched.pump();
  expect(sched.shouldYield()).toBe(false);
});

test("preempt lets equals run, and worse ones not", () => {
  const { sched, log, once } = bench();
  const body = function* (): Sleeps<void> {
    once("worse", 100);
    once("equal", 84);
    yield* sched.preempt();
    log.push("main");
  };
  sched.runSync(body());
  sched.pump();
  expect(log).toEqual(["equal", "main", "worse"]);
});
