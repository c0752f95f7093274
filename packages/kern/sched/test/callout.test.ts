/** Callouts: small runs by hand, a sorted list as the model of any mix, and broken contracts. */
import { Panic } from "@physio/kern";
import type { CalloutOptions, Sleeps } from "@physio/sched";
import { Callout, Mutex, Scheduler, Softclock } from "@physio/sched";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

/** A softclock, and callouts that log when and where they run. */
function bench() {
  const sched = new Scheduler();
  const softclock = new Softclock(sched);
  const log: string[] = [];
  const say = (words: string) => log.push(`${sched.now} ${words}`);
  const make = (name: string, options: CalloutOptions = {}, action = () => {}) => {
    const where = () => sched.current?.name ?? "event";
    const handler = () => {
      say(`${name} in ${where()}`);
      action();
    };
    return new Callout(softclock, name, handler, options);
  };
  return { sched, softclock, log, say, make };
}

describe("a callout", () => {
  test("runs once, in order of time, equal times in the order of the resets", () => {
    const { sched, log, make } = bench();
    for (const [name, delay] of [
      ["d", 30],
      ["a", 0],
      ["e", 30],
      ["b", 20],
    ] as const) {
      expect(make(name).reset(delay)).toBe(false);
    }
    make("c", { direct: true }).reset(20);
    sched.pump();
    expect(log).toEqual([
      "0 a in softclock",
      "20 b in softclock",
      "20 c in event",
      "30 d in softclock",
      "30 e in softclock",
    ]);
  });

  test("moves when it is reset, and says whether it was pending", () => {
    const { sched, log, make } = bench();
    const a = make("a");
    expect([a.reset(10), a.reset(50), a.time]).toEqual([false, true, 50]);
    sched.delay(20);
    expect([a.reset(5), a.time, a.pending]).toEqual([true, 25, true]);
    sched.pump();
    expect([a.pending, a.count, log]).toEqual([false, 1, ["25 a in softclock"]]);
    expect(a.reset(5)).toBe(false);
  });

  test("takes a time as well as a delay; a time that has passed means now", () => {
    const { sched, log, make } = bench();
    sched.delay(100);
    const a = make("a");
    const b = make("b");
    a.resetAt(130);
    b.resetAt(70);
    sched.pump();
    expect(log).toEqual(["100 b in softclock", "130 a in softclock"]);
    expect([a.time, b.time]).toEqual([130, 100]);
  });

  test("can be stopped before its time, and after it as long as the softclock has not run", () => {
    const { sched, softclock, log, make } = bench();
    const a = make("a");
    const b = make("b");
    expect(a.stop()).toBe(false);
    a.reset(10);
    expect([a.stop(), a.stop(), a.pending]).toEqual([true, false, false]);
    a.reset(10);
    b.reset(10);
    sched.delay(20); // no thread runs
    expect([softclock.due, a.pending, a.stop(), softclock.due]).toEqual([2, true, true, 1]);
    softclock.check();
    sched.pump();
    expect(log).toEqual(["20 b in softclock"]);
  });

  test("that is due and is reset waits for its new time", () => {
    const { sched, log, make } = bench();
    const a = make("a");
    a.reset(10);
    sched.delay(20);
    expect(a.reset(10)).toBe(true);
    sched.pump();
    expect(log).toEqual(["30 a in softclock"]);
  });

  test("is active from a reset until a stop, a drain or a deactivate, not until it runs", () => {
    const { sched, make } = bench();
    const a = make("a");
    const active = (action: () => void) => {
      action();
      return a.active;
    };
    expect(a.active).toBe(false);
    expect(active(() => a.reset(1))).toBe(true);
    expect(active(() => sched.pump())).toBe(true);
    expect(active(() => a.deactivate())).toBe(false);
    expect(active(() => a.reset(1))).toBe(true);
    expect(active(() => a.deactivate())).toBe(false);
    expect(a.pending).toBe(true);
    expect(active(() => a.reset(1))).toBe(true);
    expect(active(() => a.stop())).toBe(false);
    expect(active(() => a.reset(1))).toBe(true);
    expect(active(() => sched.runSync(a.drain()))).toBe(false);
  });

  test("is periodic by resetting itself, without drift by adding to its time", () => {
    for (const direct of [false, true]) {
      const { sched, log, make } = bench();
      const a: Callout = make("a", { direct }, () => {
        expect(a.running).toBe(true);
        sched.delay(3);
        if (a.count < 4) a.resetAt(a.time + 10);
        else a.deactivate();
      });
      a.reset(10);
      sched.pump();
      expect(log.map((line) => line.split(" ")[0])).toEqual(["10", "20", "30", "40"]);
      expect([a.active, a.pending, a.running, sched.now]).toEqual([false, false, false, 43]);
    }
  });

  test("that stops itself undoes its own reset", () => {
    const { sched, make } = bench();
    const a: Callout = make("a", {}, () => {
      expect([a.pending, a.stop(), a.reset(5), a.stop()]).toEqual([false, false, false, true]);
    });
    a.reset(10);
    sched.pump();
    expect([a.count, sched.now]).toEqual([1, 10]);
  });

  test("keeps its order beyond 2^32 ns, and at 2^52 − 1", () => {
    const { sched, log, make } = bench();
    const last = 2 ** 52 - 1;
    make("b").resetAt(last);
    make("a").resetAt(last - 1);
    make("0").reset(2 ** 32 + 1);
    sched.pump();
    expect(log.map((line) => line.slice(0, -" in softclock".length))).toEqual([
      "4294967297 0",
      `${last - 1} a`,
      `${last} b`,
    ]);
  });
});

describe("during DELAY", () => {
  test("direct callouts run, the others when the thread sleeps", () => {
    const { sched, log, say, make } = bench();
    make("soft").reset(10);
    make("direct", { direct: true }).reset(20);
    const main = function* (): Sleeps<void> {
      sched.delay(50);
      say("delayed");
      yield* sched.pause("sleep", 1);
    };
    sched.runSync(main());
    expect(log).toEqual(["20 direct in event", "50 delayed", "50 soft in softclock"]);
  });

  test("a direct callout whose handler busy-waits does not run within itself", () => {
    const { sched, softclock, log, make } = bench();
    const a: Callout = make("a", { direct: true }, () => {
      if (a.count > 1) return;
      a.reset(5);
      sched.delay(20);
      expect([a.pending, softclock.due, a.count]).toEqual([true, 1, 1]);
    });
    a.reset(10);
    sched.pump();
    expect(log).toEqual(["10 a in event", "30 a in softclock"]);
  });
});

describe("a callout with a mutex", () => {
  test("runs with it held, and leaves it free", () => {
    for (const direct of [false, true]) {
      const { sched, log, make } = bench();
      const mutex = new Mutex(sched, "m");
      const a: Callout = make("a", { mutex, direct }, () => {
        mutex.assertOwned();
        if (a.count < 3) a.reset(10);
      });
      mutex.enter();
      a.reset(10);
      mutex.exit();
      sched.pump();
      mutex.enter();
      expect(log.length).toBe(3);
    }
  });

  test("does not run once its owner has stopped it under the mutex, even if its time has come", () => {
    const { sched, log, make } = bench();
    const mutex = new Mutex(sched, "m");
    const a = make("a", { mutex });
    const main = function* (): Sleeps<void> {
      mutex.enter();
      a.reset(10);
      sched.delay(20);
      expect(a.stop()).toBe(true);
      mutex.exit();
      yield* sched.pause("sleep", 100);
    };
    sched.runSync(main());
    expect(log).toEqual([]);
  });

  test("that is direct goes to the softclock if a thread busy-waits with it held", () => {
    const { sched, log, say, make } = bench();
    const mutex = new Mutex(sched, "m");
    const a = make("a", { mutex, direct: true }, () => mutex.assertOwned());
    const main = function* (): Sleeps<void> {
      mutex.enter();
      a.reset(10);
      sched.delay(20);
      say(a.pending ? "pending" : "idle");
      mutex.exit();
      yield* sched.pause("sleep", 5);
      mutex.enter();
      a.reset(10);
      mutex.exit();
      sched.delay(20);
    };
    sched.runSync(main());
    expect(log).toEqual(["20 pending", "20 a in softclock", "35 a in event"]);
  });

  test("must be reset and stopped with it, and drained without it", () => {
    const { sched, make } = bench();
    const mutex = new Mutex(sched, "m");
    const a = make("a", { mutex });
    expect(() => a.reset(1)).toThrow('callout "a": reset without its mutex "m"');
    expect(() => a.resetAt(1)).toThrow(Panic);
    expect(() => a.stop()).toThrow('callout "a": stopped without its mutex "m"');
    expect([a.pending, a.active]).toEqual([false, false]);
    mutex.enter();
    a.reset(1);
    mutex.exit();
    expect(sched.runSync(a.drain())).toBe(true);
    const holder = function* (): Sleeps<void> {
      mutex.enter();
      yield* a.drain();
    };
    expect(() => sched.runSync(holder())).toThrow('mutex "m" is held by the caller');
  });
});

describe("drain", () => {
  test("calls off what is pending or due, and says whether there was anything", () => {
    const { sched, log, make } = bench();
    const a = make("a");
    const main = function* (): Sleeps<void> {
      expect(yield* a.drain()).toBe(false);
      a.reset(10);
      expect(yield* a.drain()).toBe(true);
      a.reset(10);
      sched.delay(20);
      expect(yield* a.drain()).toBe(true);
      yield* sched.pause("sleep", 100);
      expect(a.pending).toBe(false);
    };
    sched.runSync(main());
    expect(log).toEqual([]);
  });

  test("panics in the callout's own handler, and outside of threads", () => {
    const { sched, make } = bench();
    const a: Callout = make("a", {}, () => a.drain().next());
    expect(() => a.drain().next()).toThrow('callout "a": drained outside of a thread');
    a.reset(10);
    expect(() => sched.pump()).toThrow('callout "a": drained while its handler runs');
  });
});

test("a delay or a time that is none panics and changes nothing", () => {
  const { sched, make } = bench();
  const a = make("a");
  a.reset(10);
  for (const delay of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => a.reset(delay)).toThrow(
      `callout "a": reset to ${delay} ns at 0 ns: not a whole number`,
    );
  }
  for (const time of [Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => a.resetAt(time)).toThrow(Panic);
  }
  expect([a.time, a.pending, a.active]).toEqual([10, true, true]);
  sched.pump();
  expect(a.count).toBe(1);
});

/** What a callout of the property does besides logging: to whom, how often. */
interface Effect {
  readonly kind: "nothing" | "stop" | "reset";
  readonly target: number;
  readonly delay: number;
  readonly direct: boolean;
}

/** Callouts as a list that is sorted by time at each look; the softclock as an array. */
class Model {
  now = 0;
  order = 0;
  armed: { i: number; time: number; order: number }[] = [];
  due: number[] = [];
  readonly log: string[] = [];
  readonly #effects: readonly Effect[];
  readonly #left: number[];

  constructor(effects: readonly Effect[]) {
    this.#effects = effects;
    this.#left = effects.map(() => 4);
  }

  pending(i: number): boolean {
    return this.due.includes(i) || this.armed.some((entry) => entry.i === i);
  }

  stop(i: number): boolean {
    const was = this.pending(i);
    this.armed = this.armed.filter((entry) => entry.i !== i);
    this.due = this.due.filter((other) => other !== i);
    return was;
  }

  reset(i: number, time: number): boolean {
    const was = this.stop(i);
    this.armed.push({ i, time: Math.max(time, this.now), order: this.order++ });
    return was;
  }

  /** Let time pass until `end`, with the softclock's thread or without. */
  advance(end: number, threads: boolean): void {
    for (;;) {
      while (threads && this.due.length > 0) this.#run(this.due.shift()!);
      this.armed = this.armed.toSorted((a, b) => a.time - b.time || a.order - b.order);
      if (this.armed.length === 0 || this.armed[0].time > end) break;
      const { i, time } = this.armed.shift()!;
      this.now = time;
      if (this.#effects[i].direct) this.#run(i);
      else this.due.push(i);
    }
    this.now = Math.max(this.now, end);
  }

  #run(i: number): void {
    this.log.push(`${this.now} ${i}`);
    const { kind, target, delay } = this.#effects[i];
    if (kind === "stop") this.stop(target);
    if (kind === "reset" && this.#left[i]-- > 0) this.reset(target, this.now + delay);
  }
}

const CALLOUTS = 12;
const callout = fc.nat(CALLOUTS - 1);
const time = fc.nat(60);
const effect: fc.Arbitrary<Effect> = fc.record({
  kind: fc.constantFrom("nothing", "nothing", "stop", "reset"),
  target: callout,
  delay: time,
  direct: fc.boolean(),
});
const step = fc.tuple(
  fc.constantFrom("reset", "reset", "resetAt", "stop", "drain", "DELAY", "pause"),
  callout,
  time,
);

/** The callouts of a run, which do what `effects` says. */
function callouts(sched: Scheduler, softclock: Softclock, effects: readonly Effect[]) {
  const log: string[] = [];
  const left = effects.map(() => 4);
  const all: Callout[] = effects.map(({ kind, target, delay, direct }, i) => {
    const handler = () => {
      log.push(`${sched.now} ${i}`);
      if (kind === "stop") all[target].stop();
      if (kind === "reset" && left[i]-- > 0) all[target].reset(delay);
    };
    return new Callout(softclock, `${i}`, handler, { direct });
  });
  return { all, log };
}

test("any mix of resets, stops, drains and busy-waiting runs the callouts that a sorted list runs", () => {
  const effects = fc.array(effect, { minLength: CALLOUTS, maxLength: CALLOUTS });
  fc.assert(
    fc.property(effects, fc.array(step, { minLength: 60, maxLength: 120 }), (what, steps) => {
      const sched = new Scheduler();
      const softclock = new Softclock(sched);
      const { all, log } = callouts(sched, softclock, what);
      const model = new Model(what);
      const main = function* (): Sleeps<void> {
        for (const [op, i, time] of steps) {
          if (op === "reset") expect(all[i].reset(time)).toBe(model.reset(i, model.now + time));
          if (op === "resetAt") expect(all[i].resetAt(8 * time)).toBe(model.reset(i, 8 * time));
          if (op === "stop") expect(all[i].stop()).toBe(model.stop(i));
          if (op === "drain") expect(yield* all[i].drain()).toBe(model.stop(i));
          if (op === "DELAY") sched.delay(time);
          else if (op === "pause") yield* sched.pause("sleep", time + 1);
          if (op === "DELAY" || op === "pause") {
            model.advance(model.now + time + (op === "pause" ? 1 : 0), op === "pause");
          }
          softclock.check();
          for (const [n, one] of all.entries()) {
            one.check();
            expect(one.pending).toBe(model.pending(n));
          }
          expect([sched.now, softclock.due, log]).toEqual([model.now, model.due.length, model.log]);
        }
      };
      sched.runSync(main());
      sched.pump();
      model.advance(2 ** 40, true);
      expect(log).toEqual(model.log);
    }),
    { numRuns: 120, ...SEED },
  );
});
