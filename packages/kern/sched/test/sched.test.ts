/**
 * The scheduler without chance: who runs when, sleep, wakeup and timeouts, and how things end.
 */
import { Errno, Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { Priority, Scheduler, ThreadState } from "@physio/sched";
import { Ktr, Trace } from "@physio/trace";
import { describe, expect, test } from "vitest";

/** A scheduler with a log that its threads write to. */
function bench() {
  const sched = new Scheduler();
  const log: string[] = [];
  const say = (words: string) => log.push(`${sched.now} ${words}`);
  return { sched, log, say };
}

describe("order", () => {
  test("threads run in the order in which they became runnable", () => {
    const { sched, log } = bench();
    for (const name of ["a", "b", "c"]) {
      const body = function* (): Sleeps<void> {
        for (let i = 0; i < 3; i++) {
          log.push(name + i);
          yield* sched.preempt();
        }
      };
      sched.spawn(name, body());
    }
    sched.pump();
    expect(log.join(" ")).toBe("a0 b0 c0 a1 b1 c1 a2 b2 c2");
    expect([sched.threads().length, sched.switches]).toEqual([0, 12]);
  });

  test("interrupt threads run before all others", () => {
    const { sched, log } = bench();
    const body = function* (name: string): Sleeps<void> {
      log.push(name);
      yield* sched.preempt();
      log.push(name);
    };
    sched.spawn("kern", body("kern"));
    sched.spawn("ithd", body("ithd"), Priority.ITHD);
    sched.pump();
    expect(log).toEqual(["ithd", "ithd", "kern", "kern"]);
  });

  test("shouldYield tells whether another thread waits for the processor", () => {
    const { sched } = bench();
    const seen: boolean[] = [];
    const body = function* (): Sleeps<void> {
      seen.push(sched.shouldYield());
      yield* sched.preempt();
    };
    sched.spawn("a", body());
    sched.spawn("b", body());
    sched.pump();
    expect(seen).toEqual([true, true]);
    expect(sched.shouldYield()).toBe(false);
  });
});

describe("sleep and wakeup", () => {
  function sleepers() {
    const { sched, log, say } = bench();
    const channel = {};
    for (const name of ["a", "b", "c"]) {
      const body = function* (): Sleeps<void> {
        expect(yield* sched.sleep(channel, "chan")).toBe(Errno.OK);
        say(name);
      };
      sched.spawn(name, body());
    }
    sched.pump();
    return { sched, log, channel };
  }

  test("wakeup wakes all that sleep on the channel, the first first", () => {
    const { sched, log, channel } = sleepers();
    expect([sched.hasSleepers(channel), log]).toEqual([true, []]);
    sched.wakeup({});
    sched.pump();
    expect(log).toEqual([]);
    sched.wakeup(channel);
    expect(sched.hasSleepers(channel)).toBe(false);
    sched.pump();
    expect(log).toEqual(["0 a", "0 b", "0 c"]);
  });

  test("wakeupOne wakes the longest sleeper only", () => {
    const { sched, log, channel } = sleepers();
    for (const expected of ["0 a", "0 b", "0 c"]) {
      sched.wakeupOne(channel);
      sched.pump();
      expect(log.at(-1)).toBe(expected);
    }
    sched.wakeupOne(channel);
    expect(log.length).toBe(3);
  });

  test("a timeout wakes with ETIMEDOUT when its time has come, and not after a wakeup", () => {
    const { sched, say, log } = bench();
    const channel = {};
    const body = function* (name: string, timeout: number): Sleeps<void> {
      say(`${name} ${yield* sched.sleep(channel, name, null, timeout)}`);
      say(`${name} ${yield* sched.sleep(channel, name, null, 1000)}`);
    };
    sched.spawn("short", body("short", 50));
    sched.spawn("long", body("long", 200));
    sched.after(
      sched.event(() => sched.wakeup(channel)),
      100,
    );
    sched.pump();
    const { ETIMEDOUT: late } = Errno;
    expect(log).toEqual([`50 short ${late}`, "100 long 0", "100 short 0", `1100 long ${late}`]);
    expect(sched.now).toBe(1100);
  });

  test("a wakeup at the very time of the timeout comes first: the hardware is asked first", () => {
    const { sched } = bench();
    const channel = {};
    sched.after(
      sched.event(() => sched.wakeup(channel)),
      70,
    );
    const body = function* (): Sleeps<number> {
      return yield* sched.sleep(channel, "tie", null, 70);
    };
    expect([sched.runSync(body()), sched.now]).toEqual([Errno.OK, 70]);
  });

  test("pause lets exactly its time pass", () => {
    const { sched } = bench();
    const body = function* (): Sleeps<void> {
      yield* sched.pause("a", 10);
      yield* sched.pause("b", 2 ** 33);
    };
    sched.runSync(body());
    expect(sched.now).toBe(2 ** 33 + 10);
    expect(() => sched.runSync(sched.pause("bad", 0))).toThrow(Panic);
  });

  test("sleeping outside of a thread panics", () => {
    const { sched } = bench();
    expect(() => sched.sleep({}, "here").next()).toThrow('sleep on "here" outside of a thread');
    expect(() => sched.preempt().next()).toThrow(Panic);
  });
});

describe("how a thread ends", () => {
  test("runSync returns what the body returns, with others run as needed", () => {
    const { sched } = bench();
    const box = { full: false };
    const producer = function* (): Sleeps<void> {
      yield* sched.pause("work", 500);
      box.full = true;
      sched.wakeup(box);
    };
    const main = function* (): Sleeps<string> {
      const thread = sched.spawn("producer", producer());
      while (!box.full) yield* sched.sleep(box, "box");
      while (thread.state !== ThreadState.DEAD) yield* sched.sleep(thread, "join");
      return `done at ${sched.now}`;
    };
    expect(sched.runSync(main())).toBe("done at 500");
  });

  test("runSync throws what the body throws", () => {
    const { sched } = bench();
    const boom = new Error("boom");
    const main = function* (): Sleeps<void> {
      yield* sched.pause("a", 1);
      throw boom;
    };
    expect(() => sched.runSync(main())).toThrow(boom);
    expect([sched.current, sched.threads()]).toEqual([null, []]);
  });

  test("an exception of a thread that nobody joins leaves pump, and the others go on", () => {
    const { sched, log, say } = bench();
    const bad = function* (): Sleeps<void> {
      yield* sched.pause("a", 10);
      throw new Error("lost");
    };
    const good = function* (): Sleeps<void> {
      yield* sched.pause("b", 20);
      say("good");
    };
    sched.spawn("bad", bad());
    sched.spawn("good", good());
    expect(() => sched.pump()).toThrow("lost");
    expect(sched.threads().map((thread) => thread.name)).toEqual(["good"]);
    sched.pump();
    expect(log).toEqual(["20 good"]);
  });

  test("a bare yield panics", () => {
    const { sched } = bench();
    const body = function* (): Sleeps<void> {
      yield { sleep: true };
    };
    expect(() => sched.runSync(body(), "bare")).toThrow('"bare" yields without a sleep');
  });

  test("pumping inside of a thread panics", () => {
    const { sched } = bench();
    // biome-ignore lint/correctness/useYield: a thread that does not sleep
    const body = function* (): Sleeps<void> {
      sched.pump();
    };
    expect(() => sched.runSync(body(), "nested")).toThrow('pump inside of thread "nested"');
  });

  test("a deadlock is reported with every thread and what it waits for", () => {
    const { sched } = bench();
    const wait = function* (message: string, channel: object): Sleeps<void> {
      yield* sched.sleep(channel, message);
    };
    const stuck = sched.spawn("pagedaemon", wait("pgfree", {}));
    sched.spawn("waiter", wait("join", stuck));
    let text = "";
    try {
      sched.runSync(wait("biowait", {}), "reader");
    } catch (error) {
      expect(error).toBeInstanceOf(Panic);
      text = (error as Panic).message;
    }
    expect(text.split("\n")).toEqual([
      'deadlock: "reader" cannot go on; nothing is runnable and no event is due',
      '  thread 3 "reader" sleeps on "biowait"',
      '  thread 2 "waiter" sleeps on "join": the end of thread "pagedaemon"',
      '    thread 1 "pagedaemon" sleeps on "pgfree"',
    ]);
  });
});

test("two schedulers in one process share nothing", () => {
  const a = bench();
  const b = bench();
  const channel = {};
  for (const { sched, say } of [a, b]) {
    const body = function* (): Sleeps<void> {
      say(`${yield* sched.sleep(channel, "shared", null, 100)}`);
    };
    sched.spawn("t", body());
    while (sched.threads()[0].state !== ThreadState.ASLEEP) sched.step();
  }
  a.sched.wakeup(channel);
  a.sched.pump();
  expect([a.log, b.log, a.sched.now, b.sched.now]).toEqual([["0 0"], [], 0, 0]);
  b.sched.pump();
  expect([b.log, b.sched.now, a.sched.now]).toEqual([[`100 ${Errno.ETIMEDOUT}`], 100, 0]);
});

test("a trace sees switches and wakeups at the virtual time", () => {
  const trace = new Trace();
  trace.mask = Ktr.SCHED;
  const sched = new Scheduler({ trace });
  sched.runSync(sched.pause("nap", 2500));
  expect(trace.format().split("\n")).toEqual([
    "0.000 switch thread=1",
    `2.500 wakeup thread=1 result=${Errno.ETIMEDOUT}`,
    "2.500 switch thread=1",
  ]);
});
