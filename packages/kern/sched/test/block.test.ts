/** The plain forms of sleeping: `yield sched.block(…)` and its sisters, and their misuse. */
import { Errno, Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { Credentials, Mutex, ROOT_CRED, Scheduler, ThreadState } from "@physio/sched";
import { describe, expect, test } from "vitest";

describe("block", () => {
  test("sleeps until a wakeup or a timeout, and wakeResult tells which", () => {
    const sched = new Scheduler();
    const channel = {};
    const body = function* (): Sleeps<unknown[]> {
      const thread = sched.current;
      sched.after(
        sched.event(() => sched.wakeup(channel)),
        30,
      );
      yield sched.block(channel, "first", null, 100);
      const first = [sched.now, sched.wakeResult];
      yield sched.block(channel, "second", null, 100);
      return [...first, sched.now, sched.wakeResult, thread?.wakeResult];
    };
    const { OK, ETIMEDOUT } = Errno;
    expect(sched.runSync(body())).toEqual([30, OK, 130, ETIMEDOUT, ETIMEDOUT]);
    sched.check();
  });

  test("lets go of its mutex, and has it again when it goes on", () => {
    const sched = new Scheduler();
    const mutex = new Mutex(sched, "m");
    const body = function* (): Sleeps<void> {
      mutex.enter();
      yield sched.block(mutex, "cond", mutex);
      mutex.assertOwned();
      mutex.exit();
    };
    const thread = sched.start(body());
    sched.pump();
    expect([thread.mutexesHeld, mutex.tryEnter()]).toEqual([0, true]);
    mutex.exit();
    sched.wakeup(mutex);
    sched.check();
    expect(sched.advance(thread, 10)).toBe(true);
    expect(mutex.tryEnter()).toBe(true);
  });

  test("panics in the thread when somebody holds the mutex that it wants again", () => {
    const sched = new Scheduler();
    const mutex = new Mutex(sched, "m");
    const body = function* (): Sleeps<void> {
      mutex.enter();
      yield sched.block(mutex, "cond", mutex);
    };
    const thread = sched.start(body());
    sched.pump();
    mutex.enter();
    sched.wakeup(mutex);
    sched.pump();
    expect(() => sched.resultOf(thread)).toThrow('mutex "m" is held by outside of threads');
    sched.check();
  });

  test("forgets a channel that nobody sleeps on, and knows many at a time", () => {
    const sched = new Scheduler();
    const channels = Array.from({ length: 20 }, (_, i) => ({ i }));
    const log: number[] = [];
    const body = function* (channel: { i: number }): Sleeps<void> {
      for (;;) {
        yield sched.block(channel, "c");
        log.push(channel.i);
      }
    };
    for (const channel of channels) sched.spawn(`t${channel.i}`, body(channel));
    sched.pump();
    for (const i of [7, 3, 7, 19, 3, 0]) {
      expect(sched.hasSleepers(channels[i])).toBe(true);
      sched.wakeup(channels[i]);
      expect(sched.hasSleepers(channels[i])).toBe(false);
      sched.pump();
      sched.check();
    }
    expect(log).toEqual([7, 3, 7, 19, 3, 0]);
    expect(sched.hasSleepers({})).toBe(false);
  });
});

test("blockFor lets time pass and needs no channel; giveWay lets others run", () => {
  const sched = new Scheduler();
  const log: string[] = [];
  const body = function* (name: string): Sleeps<void> {
    yield sched.giveWay();
    log.push(`${name} ${sched.now}`);
    yield sched.blockFor("nap", 2 ** 40);
    log.push(`${name} ${sched.now - 2 ** 40}`);
    sched.check();
  };
  sched.spawn("a", body("a"));
  sched.spawn("b", body("b"));
  sched.pump();
  expect(log).toEqual(["a 0", "b 0", "a 0", "b 0"]);
});

describe("misuse panics:", () => {
  const misuse: { name: string; body: (sched: Scheduler) => Sleeps<void>; words: string }[] = [
    {
      name: "a token that is not yielded before the next",
      *body(sched) {
        sched.block({}, "first");
        yield sched.block({}, "second");
      },
      words: '"main" sleeps on "second" before it has yielded its sleep',
    },
    {
      name: "giving way with a token in hand",
      *body(sched) {
        sched.block({}, "first");
        yield sched.giveWay();
      },
      words: '"main" sleeps on "preempt" before',
    },
    {
      name: "an end with a token in hand",
      // biome-ignore lint/correctness/useYield: the point of the case
      *body(sched) {
        sched.block({}, "first", null, 50);
      },
      words: '"main" ends with a sleep that it did not yield',
    },
    {
      name: "an end with giveWay's token in hand",
      // biome-ignore lint/correctness/useYield: the point of the case
      *body(sched) {
        sched.giveWay();
      },
      words: '"main" ends with a sleep that it did not yield',
    },
    {
      name: "an end with mutexes",
      // biome-ignore lint/correctness/useYield: the point of the case
      *body(sched) {
        new Mutex(sched, "m1").enter();
        new Mutex(sched, "m2").enter();
      },
      words: '"main" ends with a mutex held: "m2", "m1"',
    },
    {
      name: "a mutex entered between the token and the yield",
      *body(sched) {
        const token = sched.block({}, "x", null, 10);
        new Mutex(sched, "late").enter();
        yield token;
      },
      words: '"main" sleeps with a mutex held: "late"',
    },
    {
      name: "a sleep with a mutex",
      *body(sched) {
        new Mutex(sched, "m").enter();
        yield sched.blockFor("nap", 5);
      },
      words: '"main" sleeps with a mutex held: "m"',
    },
    {
      name: "a sleep with a spin mutex",
      *body(sched) {
        const spin = new Mutex(sched, "icu", { spin: true });
        spin.enter();
        yield sched.block({}, "cond", spin);
      },
      words: 'sleep on "cond" with spin mutex "icu"',
    },
    {
      name: "a timeout below 0",
      *body(sched) {
        yield sched.block({}, "x", null, -1);
      },
      words: 'sleep on "x" for -1 ns',
    },
    {
      name: "a timeout that is no number",
      *body(sched) {
        yield sched.block({}, "x", null, Number.NaN);
      },
      words: 'sleep on "x" for NaN ns',
    },
    {
      name: "a pause without end",
      *body(sched) {
        yield sched.blockFor("x", Number.POSITIVE_INFINITY);
      },
      words: 'sleep on "x" for Infinity ns',
    },
  ];
  for (const { name, body, words } of misuse) {
    test(name, () => {
      const sched = new Scheduler();
      const thread = sched.start(body(sched));
      sched.pump();
      expect(thread.state).toBe(ThreadState.DEAD);
      expect(() => sched.resultOf(thread)).toThrow(words);
      sched.check();
    });
  }

  test("sleeping or asking for the result outside of a thread", () => {
    const sched = new Scheduler();
    expect(() => sched.block({}, "here")).toThrow('sleep on "here" outside of a thread');
    expect(() => sched.blockFor("here", 5)).toThrow(Panic);
    expect(() => sched.giveWay()).toThrow(Panic);
    expect(() => sched.wakeResult).toThrow(Panic);
  });

  test("an event or a busy-wait at no time", () => {
    const sched = new Scheduler();
    const event = sched.event(() => {});
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => sched.after(event, bad)).toThrow(`event after ${bad} ns`);
      expect(() => sched.delay(bad)).toThrow(`DELAY of ${bad} ns`);
    }
    sched.check();
  });
});

test("a thread has the credentials of the one that makes it, or the kernel's", () => {
  const sched = new Scheduler();
  expect(sched.spawn("first", sched.pause("nap", 5)).cred).toBeNull();
  sched.kernelCred = ROOT_CRED;
  const user = Credentials.of({ uid: 7, gid: 7 });
  const body = function* (): Sleeps<unknown[]> {
    const own = sched.current?.cred;
    if (sched.current !== null) sched.current.cred = user;
    yield* sched.preempt();
    return [own, sched.spawn("child", sched.pause("nap", 5)).cred];
  };
  expect(sched.runSync(body())).toEqual([ROOT_CRED, user]);
  expect(sched.spawn("last", sched.pause("nap", 5)).cred).toBe(ROOT_CRED);
});

describe("check panics on", () => {
  /** A scheduler with a sleeper, a pausing thread and runnable ones. */
  function machine() {
    const sched = new Scheduler();
    const channel = {};
    const sleeper = sched.spawn("sleeper", sched.sleep(channel, "chan", null, 50));
    const second = sched.spawn("second", sched.sleep(channel, "chan"));
    const napper = sched.spawn("napper", sched.pause("nap", 50));
    for (let i = 0; i < 3; i++) sched.step();
    const ready = sched.spawn("ready", sched.pause("nap", 5));
    sched.spawn("also ready", sched.pause("nap", 5)); // one alone is on no run queue
    const event = sched.event(() => {});
    sched.after(event, 70);
    sched.check();
    return { sched, sleeper, second, napper, ready, event };
  }

  const faults: { name: string; plant: (m: ReturnType<typeof machine>) => void; words: string }[] =
    [
      {
        name: "a thread that says it runs",
        plant: ({ sleeper }) => (sleeper.state = ThreadState.RUNNING),
        words: 'thread "sleeper": state 1, and "undefined" runs',
      },
      {
        name: "a runnable thread on no run queue",
        plant: ({ sleeper }) => (sleeper.state = ThreadState.RUNNABLE),
        words: 'thread "sleeper": state 0, on a run queue: false',
      },
      {
        name: "a sleeping thread on a run queue",
        plant: ({ ready }) => (ready.state = ThreadState.ASLEEP),
        words: 'thread "ready" in state 2',
      },
      {
        name: "a runnable thread on the queue of another priority",
        plant: ({ ready }) => (ready.priority = 3),
        words: 'run queue 21: thread "ready" in state 0 with priority 3',
      },
      {
        name: "a runnable thread with a timeout",
        plant: ({ ready, napper }) => Object.assign(ready, { timeout: napper.timeout }),
        words: 'thread "ready": state 0, on a sleep queue or with a timeout',
      },
      {
        name: "a pause that never ends",
        plant: ({ sched, napper }) => sched.cancel(napper.timeout),
        words: 'thread "napper" sleeps on "nap" and nothing can wake it',
      },
      {
        name: "a sleeper that does not know its queue",
        plant: ({ sleeper }) => (sleeper.sleepQueue = null),
        words: 'thread "sleeper" is on the sleep queue of "second" and should not be',
      },
      {
        name: "links that do not meet",
        plant: ({ second }) => (second.prev = null),
        words: 'the links of thread "second" do not meet',
      },
      {
        name: "a thread that is lost from its sleep queue",
        plant: ({ sleeper }) => (sleeper.next = null),
        words: "1 threads, counted 2",
      },
      {
        name: "an event that is due before its parent in the heap",
        plant: ({ event, sched }) => {
          sched.after(
            sched.event(() => {}),
            80,
          );
          event.time = 90;
        },
        words: "hardware events: the event at 80 ns is due before its parent",
      },
      {
        name: "an event at no time",
        plant: ({ event }) => (event.time = Number.NaN),
        words: "hardware events: an event at NaN ns",
      },
      {
        name: "an event that does not know its place",
        plant: ({ event }) => (event.index = 4),
        words: "hardware events: the event at place 0 says that it is at 4",
      },
      {
        name: "a mutex held by a thread that does not run",
        plant: ({ sched, napper }) => (napper.mutexes = new Mutex(sched, "m")),
        words: 'thread "napper" does not run and holds mutex "m"',
      },
    ];
  for (const { name, plant, words } of faults) {
    test(name, () => {
      const m = machine();
      plant(m);
      expect(() => m.sched.check()).toThrow(words);
    });
  }
});
