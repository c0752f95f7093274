/** Handlers that throw: the error leaves `pump`, and the machine is in order and goes on. */
import { Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import {
  Callout,
  Mutex,
  RW_WRITER,
  RwLock,
  Scheduler,
  Softclock,
  SoftIntr,
  Task,
  TaskQueue,
} from "@physio/sched";
import { describe, expect, test } from "vitest";
import { dice, seeds } from "./chance.ts";

/** What `action` throws, as words; "" if it does not. */
function wordsOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

describe("a handler that throws", () => {
  test("of a software interrupt leaves pump, and the next call runs it again", () => {
    const sched = new Scheduler();
    const mutex = new Mutex(sched, "m");
    let bad = true;
    const swi: SoftIntr = new SoftIntr(sched, "swi", () => {
      mutex.enter();
      if (bad) throw new Error(`lost ${swi.count}`);
      mutex.exit();
    });
    sched.pump();
    for (const round of [1, 2]) {
      swi.schedule();
      expect(wordsOf(() => sched.pump())).toBe(`lost ${round}`);
      sched.check();
      expect([sched.current, mutex.tryEnter()]).toEqual([null, true]); // it was given back
      mutex.exit();
    }
    bad = false;
    swi.schedule();
    sched.pump();
    expect([swi.count, sched.threads().length]).toEqual([3, 1]);
    sched.check();
  });

  test("of a software interrupt that asked for another call gets that call", () => {
    const sched = new Scheduler();
    const swi: SoftIntr = new SoftIntr(sched, "swi", () => {
      if (swi.count > 1) return;
      swi.schedule();
      throw new Error("once");
    });
    swi.schedule();
    expect(wordsOf(() => sched.pump())).toBe("once");
    sched.pump();
    expect(swi.count).toBe(2);
  });

  for (const direct of [false, true]) {
    test(`of a ${direct ? "direct " : ""}callout gives its mutex back, and those behind it run`, () => {
      const sched = new Scheduler();
      const softclock = new Softclock(sched);
      const mutex = new Mutex(sched, "m");
      const log: string[] = [];
      const bad = () => {
        throw new Error("lost");
      };
      const a = new Callout(softclock, "a", bad, { mutex, direct });
      const b = new Callout(softclock, "b", () => log.push("b"), { mutex });
      mutex.enter();
      for (const callout of [a, b]) callout.reset(10);
      mutex.exit();
      expect(wordsOf(() => sched.pump())).toBe("lost");
      softclock.check();
      sched.check();
      expect([a.running, a.pending, a.count, mutex.tryEnter()]).toEqual([false, false, 1, true]);
      expect([a.reset(5), a.stop()]).toEqual([false, true]);
      mutex.exit();
      sched.pump();
      expect([log, softclock.due]).toEqual([["b"], 0]);
      softclock.check();
      sched.check();
    });
  }

  test("of one of several callouts that are due leaves the others to be run", () => {
    const sched = new Scheduler();
    const softclock = new Softclock(sched);
    const log: string[] = [];
    const make = (name: string) =>
      new Callout(softclock, name, () => {
        log.push(name);
        if (name !== "c") throw new Error(name);
      });
    for (const [i, name] of ["a", "b", "c"].entries()) make(name).reset(10 + i);
    sched.delay(20);
    for (const left of [2, 1]) {
      expect(wordsOf(() => sched.pump())).toBe(left === 2 ? "a" : "b");
      expect(softclock.due).toBe(left);
      softclock.check();
      sched.check();
    }
    sched.pump();
    expect([log, softclock.due]).toEqual([["a", "b", "c"], 0]);
  });

  test("ends the priority that a sleep has lent", () => {
    const sched = new Scheduler();
    const queue = new TaskQueue(sched, "q", { priority: 100 });
    const [thread] = sched.threads();
    const seen: number[] = [];
    const task = new Task(0, function* (): Sleeps<void> {
      yield* sched.sleep(task, "nap", null, 5, 20);
      seen.push(thread.priority);
      throw new Error("lost");
    });
    queue.enqueue(task);
    expect(wordsOf(() => sched.pump())).toBe("lost");
    expect([seen, thread.priority]).toEqual([[20], 100]);
    sched.check();
  });

  test("of a callout that has left its mutex is what is thrown, not the mutex", () => {
    const sched = new Scheduler();
    const mutex = new Mutex(sched, "m");
    const leave = () => {
      mutex.exit();
      throw new Error("lost");
    };
    const a = new Callout(new Softclock(sched), "a", leave, { mutex });
    mutex.enter();
    a.reset(1);
    mutex.exit();
    expect(wordsOf(() => sched.pump())).toBe("lost");
    expect(mutex.owned).toBe(false);
  });

  test("a callout whose mutex the host holds panics, and can be reset", () => {
    const sched = new Scheduler();
    const softclock = new Softclock(sched);
    const mutex = new Mutex(sched, "m");
    const a = new Callout(softclock, "a", () => {}, { mutex });
    mutex.enter();
    a.reset(1);
    expect(wordsOf(() => sched.pump())).toBe('mutex "m" is held by outside of threads');
    expect([a.pending, a.stop(), a.reset(1)]).toEqual([false, false, false]);
    mutex.exit();
    sched.pump();
    expect(a.count).toBe(1);
    softclock.check();
  });

  test("of a task, plain or asleep, counts as done: the next one runs, and drains end", () => {
    const sched = new Scheduler();
    const queue = new TaskQueue(sched, "q");
    const node = new RwLock(sched, "node");
    const log: string[] = [];
    const plain = new Task(0, () => {
      throw new Error("plain");
    });
    const sleeper = new Task(0, function* (): Sleeps<void> {
      yield* node.enter(RW_WRITER);
      yield* sched.pause("nap", 10);
      throw new Error("sleeper");
    });
    const good = new Task(0, () => log.push(`good ${sched.now}`));
    const drainer = function* (): Sleeps<void> {
      yield* queue.drain(sleeper);
      log.push(`drained ${sched.now}`);
      yield* queue.shutdown();
      log.push("shut down");
    };
    for (const task of [plain, sleeper, good]) queue.enqueue(task);
    sched.spawn("drainer", drainer());
    for (const words of ["plain", "sleeper"]) {
      expect(wordsOf(() => sched.pump())).toBe(words);
      queue.check();
      sched.check();
      expect([plain.running, queue.busy]).toEqual([0, 0]);
    }
    expect([sleeper.running, sleeper.pending, node.held]).toEqual([0, 0, false]);
    sched.pump();
    expect(log.toSorted()).toEqual(["drained 10", "good 10", "shut down"]);
    expect(sched.threads()).toEqual([]);
  });

  test("a handler that returns a promise panics", () => {
    const sched = new Scheduler();
    const queue = new TaskQueue(sched, "q");
    const words = "a handler returned a promise: a handler is a function or a generator function";
    async function* generator(): AsyncGenerator<number> {
      yield 1;
    }
    for (const handler of [async () => {}, generator]) {
      queue.enqueue(new Task(0, handler as unknown as () => void));
      expect(wordsOf(() => sched.pump())).toBe(`taskqueue "q": ${words}`);
      expect([queue.length, queue.busy]).toEqual([0, 0]);
      queue.check();
      sched.check();
    }
  });

  test("a handler that has slept without yielding begins anew, on no queue twice", () => {
    const sched = new Scheduler();
    const swi = new SoftIntr(sched, "swi", () => {
      sched.block(sched, "mistake", null, 50);
      throw new Error("lost");
    });
    swi.schedule();
    expect(wordsOf(() => sched.pump())).toBe("lost");
    sched.check();
    expect(sched.hasSleepers(sched)).toBe(false);
    swi.schedule();
    expect(wordsOf(() => sched.pump())).toBe("lost");
    sched.check();
  });

  test("any mix of them: what is called runs, and every invariant holds after each error", () => {
    for (const seed of seeds(60)) {
      const roll = dice(seed);
      const sched = new Scheduler();
      const softclock = new Softclock(sched);
      const queue = new TaskQueue(sched, "q", { threads: 1 + roll(3) });
      const mutex = new Mutex(sched, "m");
      let ran = 0;
      let threw = 0;
      const handler = () => {
        ran++;
        if (roll(3) > 0) return;
        threw++;
        throw new Error("chance");
      };
      const napper = function* (): Sleeps<void> {
        yield* sched.pause("nap", 1 + roll(20));
        handler();
      };
      const callouts = Array.from({ length: 6 }, (_, i) => {
        const options = { direct: i % 2 === 0, ...(i < 3 ? { mutex } : {}) };
        return new Callout(softclock, `c${i}`, handler, options);
      });
      let expected = 0;
      mutex.enter();
      for (const callout of callouts) callout.reset(roll(10));
      mutex.exit();
      for (let i = 0; i < 8; i++)
        queue.enqueue(new Task(roll(4), roll(2) === 0 ? handler : napper));
      expected += 6 + 8;
      for (let errors = 0; ; errors++) {
        const words = wordsOf(() => sched.pump());
        sched.check();
        softclock.check();
        queue.check();
        if (words === "") {
          expect([ran, threw, mutex.owned], `seed ${seed}`).toEqual([expected, errors, false]);
          break;
        }
        expect(words, `seed ${seed}`).toBe("chance");
      }
    }
  });
});

describe("an event that throws", () => {
  test("in DELAY leaves the thread the running one", () => {
    const sched = new Scheduler();
    const event = sched.event(() => {
      throw new Error("device");
    });
    const body = function* (): Sleeps<unknown[]> {
      sched.after(event, 5);
      const words = wordsOf(() => sched.delay(10));
      return [words, sched.current?.name, sched.now];
    };
    expect(sched.runSync(body())).toEqual(["device", "main", 5]);
    sched.check();
    sched.pump();
  });

  test("in pump leaves it, and others go on", () => {
    const sched = new Scheduler();
    const event = sched.event(() => {
      throw new Error("device");
    });
    sched.after(event, 5);
    sched.spawn("nap", sched.pause("nap", 9));
    expect(wordsOf(() => sched.pump())).toBe("device");
    sched.pump();
    expect([sched.now, sched.threads()]).toEqual([9, []]);
  });
});

describe("no step is made", () => {
  const inside = {
    pump: (sched: Scheduler) => sched.pump(),
    step: (sched: Scheduler) => sched.step(),
    runSync: (sched: Scheduler) => sched.runSync(sched.pause("nap", 1)),
    advance: (sched: Scheduler) => sched.advance(sched.threads()[0], 1),
  };
  for (const [name, call] of Object.entries(inside)) {
    test(`by ${name} inside of an event, in DELAY or not`, () => {
      const sched = new Scheduler();
      const log: string[] = [];
      const event = sched.event(() => log.push(wordsOf(() => call(sched))));
      // biome-ignore lint/correctness/useYield: a thread that does not sleep
      const other = function* (): Sleeps<void> {
        log.push("other");
      };
      // biome-ignore lint/correctness/useYield: a thread that does not sleep
      const main = function* (): Sleeps<void> {
        sched.spawn("other", other());
        sched.after(event, 5);
        sched.delay(10);
        sched.after(event, 5);
      };
      sched.runSync(main());
      sched.pump();
      const words = "pump inside of an event";
      expect(log).toEqual([words, "other", words]);
      expect(sched.threads()).toEqual([]);
      sched.check();
    });
  }

  test("of DELAY inside of an event's DELAY, either", () => {
    const sched = new Scheduler();
    const log: string[] = [];
    const late = sched.event(() => log.push(wordsOf(() => sched.pump())));
    const early = sched.event(() => {
      sched.delay(10);
      log.push(wordsOf(() => sched.pump()));
    });
    sched.after(early, 1);
    sched.after(late, 3);
    sched.pump();
    expect(log).toEqual(["pump inside of an event", "pump inside of an event"]);
    expect(() => sched.pump()).not.toThrow(Panic);
  });
});
