/** Transactions: who gets in, who waits, and that a suspended mount stands still. */
import { Errno, Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import { describe, expect, test } from "vitest";
import type { TransMode } from "../src/index.ts";
import { Fstrans } from "../src/index.ts";
import { Chance, seeds } from "./memory-fs.ts";

class Scene {
  readonly sched: Scheduler;
  readonly trans: Fstrans;
  readonly log: string[] = [];

  constructor(seed?: number) {
    this.sched = new Scheduler(seed === undefined ? {} : { random: new Chance(seed) });
    this.trans = new Fstrans(this.sched, "fs");
  }

  /** A thread that is in a transaction from its turn on for `time` ns. */
  operation(name: string, mode: TransMode, time: number): void {
    const { sched, trans, log } = this;
    sched.spawn(
      name,
      (function* () {
        yield* trans.start(mode);
        log.push(`+${name}`);
        yield* sched.pause("work", time);
        log.push(`-${name}`);
        trans.done();
      })(),
    );
  }

  suspend(name: string, flush: () => Sleeps<void>): void {
    const { sched, trans, log } = this;
    sched.spawn(
      name,
      (function* () {
        yield* trans.suspend(flush);
        log.push(`still:${trans.open}`);
        yield* sched.pause("snapshot", 100);
        trans.resume();
        log.push("resumed");
      })(),
    );
  }
}

const nothing = function* (): Sleeps<void> {};

describe("suspend", () => {
  test("waits for open transactions and keeps new ones out until resume", () => {
    const s = new Scene();
    s.operation("a", "shared", 50);
    s.suspend("freeze", nothing);
    s.operation("b", "shared", 1);
    s.sched.pump();
    expect(s.log).toEqual(["+a", "-a", "still:0", "resumed", "+b", "-b"]);
    expect([s.trans.open, s.trans.state]).toEqual([0, "normal"]);
  });

  test("lets lazy transactions in while it flushes, and waits for those too", () => {
    const s = new Scene();
    s.operation("lazy", "lazy", 500); // is no reason not to flush
    s.suspend("freeze", function* () {
      s.log.push(`flush:${s.sched.now}`);
      s.operation("write-back", "lazy", 20);
      s.operation("reader", "shared", 1);
      yield* s.sched.pause("flush", 10);
      expect(s.trans.startNow("shared")).toBe(Errno.OK); // who suspends may do all
      s.trans.done();
    });
    s.sched.pump();
    expect(s.log).toEqual([
      "+lazy",
      "flush:0",
      "+write-back",
      "-write-back",
      "-lazy",
      "still:0",
      "resumed",
      "+reader",
      "-reader",
    ]);
  });

  test("lets a thread that is in a transaction begin others", () => {
    const s = new Scene();
    const { trans, sched } = s;
    sched.spawn(
      "outer",
      (function* () {
        yield* trans.start("shared");
        yield* sched.pause("work", 10); // the suspender is waiting now
        expect(trans.state).toBe("suspending");
        expect(trans.startNow("shared")).toBe(Errno.OK);
        yield* trans.start("lazy");
        trans.done();
        trans.done();
        expect(trans.open).toBe(1);
        s.log.push("outer");
        trans.done();
      })(),
    );
    s.suspend("freeze", nothing);
    sched.pump();
    expect(s.log).toEqual(["outer", "still:0", "resumed"]);
  });

  test("is one at a time, and ends when its flush throws", () => {
    const s = new Scene();
    s.suspend("first", nothing);
    s.suspend("second", nothing);
    const failing = s.sched.start(
      s.trans.suspend(function* () {
        yield* s.sched.pause("flush", 1);
        throw new Error("disk");
      }),
    );
    s.sched.pump();
    expect(s.log).toEqual(["still:0", "resumed", "still:0", "resumed"]);
    expect(() => s.sched.resultOf(failing)).toThrow("disk");
    expect(s.trans.state).toBe("normal");
    expect(s.trans.startNow("shared")).toBe(Errno.OK);
    s.trans.done();
  });

  test("refuses without sleeping, and names who is in the way in a deadlock", () => {
    const s = new Scene();
    s.sched.spawn(
      "holder",
      (function* () {
        yield* s.trans.start("shared");
        yield* s.sched.sleep({}, "for ever");
      })(),
    );
    const freeze = () => s.sched.runSync(s.trans.suspend(nothing), "freeze");
    expect(freeze).toThrow(/suspending, 1 open[\s\S]*"holder"/);
    expect(s.trans.startNow("shared")).toBe(Errno.EBUSY);
    expect(s.trans.startNow("lazy")).toBe(Errno.OK);
  });
});

test("broken contracts panic", () => {
  const { sched, trans } = new Scene();
  expect(() => trans.done()).toThrow(Panic);
  expect(() => trans.resume()).toThrow(Panic);
  const inside = function* (): Sleeps<void> {
    yield* trans.start("shared");
    yield* trans.suspend(nothing);
  };
  expect(() => sched.runSync(inside())).toThrow("in a transaction");
});

test.each(seeds(40))("seed %i: nobody is inside while the mount stands still", (seed) => {
  const s = new Scene(seed);
  const { sched, trans } = s;
  const chance = new Chance(seed + 1);
  let inside = 0;
  let frozen = false;
  const worker = function* (): Sleeps<void> {
    for (let round = 0; round < 6; round++) {
      const depth = 1 + chance.below(3);
      for (let i = 0; i < depth; i++) {
        yield* trans.start(chance.below(2) === 0 ? "shared" : "lazy");
        expect(frozen).toBe(false);
        inside++;
        yield* sched.pause("work", 1 + chance.below(30));
      }
      for (let i = 0; i < depth; i++) {
        inside--;
        trans.done();
        if (i < depth - 1) yield* sched.preempt();
      }
      yield* sched.pause("rest", 1 + chance.below(20));
    }
  };
  const freezer = function* (): Sleeps<void> {
    for (let round = 0; round < 4; round++) {
      yield* sched.pause("rest", 1 + chance.below(60));
      yield* trans.suspend(nothing);
      expect([inside, trans.open]).toEqual([0, 0]);
      frozen = true;
      yield* sched.pause("snapshot", 1 + chance.below(20));
      frozen = false;
      trans.resume();
    }
  };
  const threads = [worker(), worker(), worker(), freezer(), freezer()].map((b) => sched.start(b));
  sched.pump();
  for (const thread of threads) sched.resultOf(thread);
  expect([trans.open, trans.state, sched.threads().length]).toEqual([0, "normal", 0]);
});
