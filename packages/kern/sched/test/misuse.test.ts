/** What the scheduler, its clock, its locks and its schedules are given and do not take. */
import { Errno, Panic } from "@physio/kern";
import type { Choices, Sleeps } from "@physio/sched";
import {
  Callout,
  CondVar,
  Mutex,
  RW_READER,
  RW_WRITER,
  RwLock,
  recordingChoices,
  replayChoices,
  Schedule,
  Scheduler,
  Softclock,
  TaskQueue,
  TimeoutTask,
} from "@physio/sched";
import { Trace } from "@physio/trace";
import { describe, expect, test } from "vitest";

/** What no type lets through and a caller without types gives. */
const any = (value: unknown): never => value as never;

/** Run `action` as a thread of its own, to its end. */
function inThread<T>(sched: Scheduler, action: () => T): T {
  // biome-ignore lint/correctness/useYield: a thread that does not sleep
  const body = function* (): Sleeps<T> {
    return action();
  };
  return sched.runSync(body());
}

describe("a thread is not made", () => {
  const bodies: [given: unknown, words: string][] = [
    [function* () {}, "a function that was not called"],
    [undefined, "undefined"],
    [null, "null"],
    [5, "number"],
    [Promise.resolve(), "object"],
  ];
  for (const [given, words] of bodies) {
    test(`of ${words}`, () => {
      const sched = new Scheduler();
      const say = `thread "x": its body is no generator but ${words}`;
      expect(() => sched.spawn("x", any(given))).toThrow(say);
      expect(() => sched.runSync(any(given), "x")).toThrow(say);
      expect(sched.threads()).toEqual([]);
    });
  }

  test("of a generator that another thread has or had", () => {
    const sched = new Scheduler();
    const body = sched.pause("nap", 5);
    sched.spawn("a", body);
    const say = 'thread "b": its generator is the body of another thread';
    expect(() => sched.spawn("b", body)).toThrow(say);
    sched.pump();
    expect(() => sched.spawn("b", body)).toThrow(say);
  });
});

describe("a wait channel is an object", () => {
  for (const bad of [undefined, null, 7, "biowait", true]) {
    const words = `a wait channel is an object, not ${typeof bad} ${String(bad)}`;
    test(`and not ${typeof bad} ${String(bad)}`, () => {
      const sched = new Scheduler();
      expect(() => sched.wakeup(any(bad))).toThrow(words);
      expect(() => sched.wakeupOne(any(bad))).toThrow(words);
      expect(() => sched.hasSleepers(any(bad))).toThrow(words);
      expect(() => sched.runSync(sched.sleep(any(bad), "x"))).toThrow(words);
      expect(() => inThread(sched, () => sched.block(any(bad), "x"))).toThrow(words);
      sched.check();
    });
  }

  test("or a function", () => {
    const sched = new Scheduler();
    const channel = () => {};
    sched.spawn("a", sched.sleep(channel, "x"));
    sched.pump();
    sched.wakeup(channel);
    sched.pump();
    expect(sched.threads()).toEqual([]);
  });
});

describe("a time is a whole number of nanoseconds up to 2^53 - 1", () => {
  const NOW = 1000;
  const LAST = Number.MAX_SAFE_INTEGER - NOW;
  const calls: Record<string, (sched: Scheduler, delay: number) => void> = {
    after: (sched, delay) =>
      sched.after(
        sched.event(() => {}),
        delay,
      ),
    delay: (sched, delay) => sched.delay(delay),
    outside: (sched, delay) => void sched.outside("host", delay),
    reset: (sched, delay) => void new Callout(new Softclock(sched), "c", () => {}).reset(delay),
    enqueueTimeout(sched, delay) {
      const queue = new TaskQueue(sched, "q");
      queue.enqueueTimeout(new TimeoutTask(queue, 0, () => {}), delay);
    },
    sleep: (sched, delay) => void inThread(sched, () => sched.block({}, "x", null, delay)),
    pause: (sched, delay) => void inThread(sched, () => sched.blockFor("x", delay)),
    timedWait(sched, delay) {
      const mutex = new Mutex(sched, "m");
      const cv = new CondVar(sched, "cv");
      inThread(sched, () => {
        mutex.enter();
        cv.timedWait(mutex, delay).next();
      });
    },
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const bad of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, LAST + 1, "5", true]) {
      test(`${name} refuses ${typeof bad} ${String(bad)}`, () => {
        const sched = new Scheduler();
        sched.delay(NOW);
        expect(() => call(sched, any(bad))).toThrow(Panic);
        expect(() => call(sched, any(bad))).toThrow(`${String(bad)} ns`);
        expect(sched.now).toBe(NOW);
        sched.check();
      });
    }
  }

  test("and the last one can be reached, but not passed", () => {
    const sched = new Scheduler();
    sched.delay(NOW);
    expect(() =>
      sched.after(
        sched.event(() => {}),
        LAST + 1,
      ),
    ).toThrow(`event after ${LAST + 1} ns at 1000 ns: not a whole number, or past 2^53 - 1 ns`);
    sched.runSync(sched.pause("long", LAST));
    expect(sched.now).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => sched.delay(1)).toThrow(Panic);
    sched.delay(0);
  });

  test("resetAt takes a whole number, past or not", () => {
    const sched = new Scheduler();
    const callout = new Callout(new Softclock(sched), "c", () => {});
    for (const bad of [0.5, "5", -1, Number.NaN, 2 ** 53]) {
      expect(() => callout.resetAt(any(bad))).toThrow(Panic);
    }
    expect(callout.pending).toBe(false);
  });
});

describe("a reader/writer lock", () => {
  for (const mode of [RW_READER, RW_WRITER] as const) {
    test(`held in mode ${mode} by a thread that ends is a panic with its name`, () => {
      const sched = new Scheduler();
      const [a, b] = [new RwLock(sched, "a"), new RwLock(sched, "b")];
      const body = function* (): Sleeps<void> {
        yield* a.enter(RW_READER);
        yield* b.enter(mode);
        a.exit();
      };
      expect(() => sched.runSync(body(), "t")).toThrow('"t" ends with an rwlock held: "b"');
    });
  }

  test("that was upgraded, downgraded and left in any order is held no more", () => {
    const sched = new Scheduler();
    const locks = ["a", "b", "c"].map((name) => new RwLock(sched, name));
    inThread(sched, () => {
      for (const lock of [...locks, locks[0]]) expect(lock.tryEnter(RW_READER)).toBe(true);
      expect(locks[1].tryUpgrade()).toBe(true);
      locks[1].downgrade();
      for (const i of [0, 2, 1, 0]) locks[i].exit();
      expect(sched.current?.rwLocks).toEqual([]);
    });
  });

  test("knows two modes", () => {
    const sched = new Scheduler();
    const lock = new RwLock(sched, "node");
    for (const held of [false, true]) {
      if (held) lock.tryEnter(RW_WRITER);
      for (const mode of [2, undefined, "1"]) {
        const words = `rwlock "node": mode ${mode} is neither RW_READER nor RW_WRITER`;
        expect(() => lock.tryEnter(any(mode))).toThrow(words);
        expect(() => lock.assertHeld(any(mode))).toThrow(words);
        expect(() => sched.runSync(lock.enter(any(mode)))).toThrow(words);
      }
    }
  });

  test("is not entered again by a reader behind a writer that waits for it", () => {
    const sched = new Scheduler();
    const lock = new RwLock(sched, "node");
    const writer = function* (): Sleeps<void> {
      yield* lock.enter(RW_WRITER);
      lock.exit();
    };
    const reader = function* (): Sleeps<void> {
      yield* lock.enter(RW_READER);
      sched.spawn("w", writer());
      yield* sched.pause("nap", 1);
      yield* lock.enter(RW_READER);
    };
    expect(() => sched.runSync(reader(), "r")).toThrow(
      'rwlock "node": its reader "r" enters again behind a writer that waits for it',
    );
  });
});

describe("join", () => {
  test("gives what the thread returned, at once when it has ended", () => {
    const sched = new Scheduler();
    const worker = function* (): Sleeps<number> {
      yield* sched.pause("work", 500);
      return 7;
    };
    const main = function* (): Sleeps<number[]> {
      const thread = sched.spawn("worker", worker());
      const first = yield* sched.join<number>(thread);
      return [first, sched.now, yield* sched.join<number>(thread)];
    };
    expect(sched.runSync(main())).toEqual([7, 500, 7]);
  });

  test("throws what the thread threw, which then does not leave pump", () => {
    const sched = new Scheduler();
    const worker = function* (): Sleeps<void> {
      yield* sched.pause("work", 500);
      throw new Error("lost");
    };
    const main = function* (): Sleeps<string> {
      try {
        yield* sched.join(sched.spawn("worker", worker()));
      } catch (error) {
        return (error as Error).message;
      }
      return "nothing";
    };
    expect(sched.runSync(main())).toBe("lost");
  });

  test("of oneself, or of another scheduler's thread, panics", () => {
    const sched = new Scheduler();
    const self = function* (): Sleeps<void> {
      if (sched.current !== null) yield* sched.join(sched.current);
    };
    expect(() => sched.runSync(self(), "t")).toThrow('thread "t" joins itself');
    const other = new Scheduler();
    const foreign = other.spawn("far", other.pause("nap", 5));
    expect(() => sched.runSync(sched.join(foreign))).toThrow(
      'join of thread "far" of another scheduler',
    );
  });
});

describe("what belongs to another scheduler", () => {
  test("is no mutex to sleep with", () => {
    const sched = new Scheduler();
    const mutex = new Mutex(new Scheduler(), "far");
    mutex.enter();
    expect(() => sched.runSync(sched.sleep({}, "x", mutex))).toThrow(
      'sleep on "x" with mutex "far" of another scheduler',
    );
    expect(mutex.owned).toBe(true);
  });

  test("is no trace, until its clock is somebody else's", () => {
    const trace = new Trace();
    trace.now = () => 5;
    const first = new Scheduler({ trace });
    first.delay(9);
    expect(trace.now()).toBe(9);
    expect(() => new Scheduler({ trace })).toThrow(
      expect.objectContaining({ errno: Errno.EINVAL }),
    );
    expect(trace.now()).toBe(9);
    trace.now = () => 0;
    new Scheduler({ trace }).delay(4);
    expect(trace.now()).toBe(4);
  });
});

test("a condition is waited for with a mutex", () => {
  const sched = new Scheduler();
  const cv = new CondVar(sched, "cv");
  for (const bad of [null, undefined, "m", {}]) {
    const words = `condition "cv": waited for with ${typeof bad}, not a mutex`;
    expect(() => sched.runSync(cv.wait(any(bad)))).toThrow(words);
    expect(() => sched.runSync(cv.timedWait(any(bad), 5))).toThrow(words);
  }
});

describe("a schedule", () => {
  const run = (choices: Choices, threads: number) => {
    const sched = new Scheduler({ choices });
    for (let i = 0; i < threads; i++) sched.spawn(`t${i}`, sched.preempt());
    sched.pump();
  };

  test("is done when all its choices have been taken", () => {
    const recording = recordingChoices({ choose: () => 1 });
    run(recording, 4);
    const { length } = recording.schedule;
    const replay = replayChoices(recording.schedule);
    expect(() => replay.assertDone()).toThrow(`has ${length} choices, and 0 were taken`);
    run(replay, 4);
    replay.assertDone();
    expect(replay.position).toBe(length);
  });

  test("of a short text stands for a million choices at most", () => {
    const read = (choices: string) => Schedule.fromJSON({ version: 1, choices });
    expect(read("t2:0*1000000").length).toBe(1_000_000);
    for (const text of ["t2:0*1000001", "t2:1 t2:0*999999 e3:1", "t2:0*999999999"]) {
      expect(() => read(text)).toThrow(expect.objectContaining({ errno: Errno.EINVAL }));
    }
    expect(() => read("t2:0*1000001")).toThrow('"t2:0*1000001" after 0, over 1000000');
  });

  test("of a long text stands for as many choices as it has characters", () => {
    const words = Array.from({ length: 200_000 }, (_, i) => `t2:${i % 2}*6`).join(" ");
    expect(Schedule.fromJSON({ version: 1, choices: words }).length).toBe(1_200_000);
  });
});
