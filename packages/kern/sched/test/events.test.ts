/** The clock: hardware events against a sorted list, DELAY, and software interrupts. */
import { Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { Scheduler, SoftIntr } from "@physio/sched";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

/** A scheduler with a log that its threads write to. */
function bench() {
  const sched = new Scheduler();
  const log: string[] = [];
  const say = (words: string) => log.push(`${sched.now} ${words}`);
  return { sched, log, say };
}

describe("hardware events", () => {
  test("happen at their time, equal times in the order in which they were set", () => {
    const { sched, log, say } = bench();
    for (const [name, delay] of [
      ["d", 30],
      ["a", 10],
      ["e", 30],
      ["b", 20],
      ["c", 20],
    ] as const) {
      sched.after(
        sched.event(() => say(name)),
        delay,
      );
    }
    sched.pump();
    expect(log).toEqual(["10 a", "20 b", "20 c", "30 d", "30 e"]);
  });

  test("can be called off and set anew, but not set twice", () => {
    const { sched, log, say } = bench();
    const event = sched.event(() => say("hit"));
    sched.cancel(event);
    sched.after(event, 10);
    expect(() => sched.after(event, 20)).toThrow(Panic);
    expect(() =>
      sched.after(
        sched.event(() => {}),
        -1,
      ),
    ).toThrow(Panic);
    sched.cancel(event);
    expect(event.pending).toBe(false);
    sched.after(event, 30);
    sched.pump();
    expect(log).toEqual(["30 hit"]);
  });

  test("fire like a sorted list, whatever is set and called off", () => {
    const step = fc.tuple(fc.nat(2), fc.nat(63), fc.nat(200));
    fc.assert(
      fc.property(fc.array(step, { minLength: 150, maxLength: 300 }), (steps) => {
        const sched = new Scheduler();
        const fired: number[] = [];
        const events = Array.from({ length: 64 }, (_, i) => sched.event(() => fired.push(i)));
        let model: { i: number; time: number }[] = [];
        for (const [op, i, delay] of steps) {
          if (op === 0) sched.cancel(events[i]);
          if (op === 0) model = model.filter((entry) => entry.i !== i);
          if (op === 0 || events[i].pending) continue;
          sched.after(events[i], delay);
          model.push({ i, time: delay });
        }
        sched.pump();
        expect(fired).toEqual(model.toSorted((a, b) => a.time - b.time).map((entry) => entry.i));
      }),
      { numRuns: 200, ...SEED },
    );
  });
});

describe("delay", () => {
  test("runs hardware events that fall due, never threads, never callouts", () => {
    const { sched, log, say } = bench();
    const sleeper = function* (): Sleeps<void> {
      yield* sched.pause("callout", 40);
      say("callout");
    };
    const main = function* (): Sleeps<void> {
      sched.spawn("sleeper", sleeper());
      yield* sched.preempt();
      for (const delay of [30, 100, 101]) {
        sched.after(
          sched.event(() => say(sched.current === null ? "hw" : "hw in a thread")),
          delay,
        );
      }
      say("before");
      sched.delay(100);
      say("after");
      expect(sched.current?.name).toBe("main");
    };
    sched.runSync(main());
    expect(log).toEqual(["0 before", "30 hw", "100 hw", "100 after"]);
    sched.pump();
    expect(log.slice(4)).toEqual(["100 callout", "101 hw"]);
  });

  test("runs events that an event sets, as long as they fall due", () => {
    const { sched, log, say } = bench();
    const tick = sched.event(() => {
      say("tick");
      sched.after(tick, 40);
    });
    sched.after(tick, 40);
    sched.delay(100);
    expect([log, sched.now]).toEqual([["40 tick", "80 tick"], 100]);
    expect(() => sched.delay(-1)).toThrow(Panic);
  });

  test("never turns the clock back, also when an event delays", () => {
    const { sched } = bench();
    sched.after(
      sched.event(() => sched.delay(200)),
      50,
    );
    sched.delay(100);
    expect(sched.now).toBe(250);
  });
});

describe("software interrupts", () => {
  test("calls before the handler runs count once; the handler may ask again", () => {
    const { sched, log, say } = bench();
    const swi: SoftIntr = new SoftIntr(sched, "swi", () => {
      say(`run ${swi.count} in ${sched.current?.name}`);
      if (swi.count === 2) swi.schedule();
    });
    swi.schedule();
    swi.schedule();
    sched.pump();
    sched.after(
      sched.event(() => swi.schedule()),
      10,
    );
    sched.after(
      sched.event(() => swi.schedule()),
      10,
    );
    sched.pump();
    swi.schedule();
    sched.pump();
    expect(log).toEqual([
      "0 run 1 in swi",
      "10 run 2 in swi",
      "10 run 3 in swi",
      "10 run 4 in swi",
      "10 run 5 in swi",
    ]);
  });
});
