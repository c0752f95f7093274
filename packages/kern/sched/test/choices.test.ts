/** Choices: ties between events, recorded schedules and their replay, and where a replay diverges. */
import { ErrnoError, Panic } from "@physio/kern";
import type { Choices, Sleeps } from "@physio/sched";
import {
  ChoiceKind,
  firstComeChoices,
  recordingChoices,
  replayChoices,
  Schedule,
  Scheduler,
  SoftIntr,
  seededChoices,
} from "@physio/sched";
import { Ktr, Trace } from "@physio/trace";
import { describe, expect, test } from "vitest";
import { dice, seeds, source } from "./chance.ts";

/** Choices from a list; the log says what there was to choose from. */
function scripted(answers: number[], log: string[]): Choices {
  return {
    choose(kind, count) {
      log.push(`${kind === ChoiceKind.THREAD ? "thread" : "event"} of ${count}`);
      return answers.shift() ?? 0;
    },
  };
}

describe("events due at the same time", () => {
  /** Three hardware events and two timeouts at 50 ns, one of each later. */
  function run(answers: number[]): { log: string; asked: string[] } {
    const asked: string[] = [];
    const sched = new Scheduler({ choices: scripted(answers, asked) });
    const log: string[] = [];
    const sleeper = function* (name: string, time: number): Sleeps<void> {
      yield* sched.pause("nap", time);
      log.push(name);
    };
    for (const name of ["s1", "s2"]) sched.spawn(name, sleeper(name, 50), name === "s1" ? 80 : 90);
    sched.spawn("s3", sleeper("s3", 60), 100);
    for (const [name, time] of [
      ["h1", 50],
      ["h2", 50],
      ["h3", 50],
      ["h4", 60],
    ] as const) {
      sched.after(
        sched.event(() => log.push(name)),
        time,
      );
    }
    while (sched.step()) sched.check();
    return { log: log.join(" "), asked };
  }

  const cases: { name: string; answers: number[]; log: string }[] = [
    { name: "are hardware first and then first come", answers: [], log: "h1 h2 h3 s1 s2 h4 s3" },
    { name: "happen as chosen", answers: [2, 3, 0, 1, 1], log: "h3 s2 h1 s1 h2 s3 h4" },
    {
      name: "are chosen among what is left",
      answers: [4, 3, 2, 1, 0],
      log: "s2 s1 h3 h2 h1 h4 s3",
    },
  ];
  for (const { name, answers, log } of cases) test(name, () => expect(run(answers).log).toBe(log));

  test("are asked about while there are two, and threads of one priority as well", () => {
    expect(run([]).asked).toEqual([
      "event of 5",
      "event of 4",
      "event of 3",
      "event of 2",
      "event of 2",
    ]);
    const asked: string[] = [];
    const sched = new Scheduler({ choices: scripted([], asked) });
    for (const [i, priority] of [80, 81, 82, 83, 84, 90].entries()) {
      sched.spawn(`${i}`, sched.pause("nap", 100 + i), priority);
    }
    sched.pump();
    expect(asked).toEqual(["thread of 4", "thread of 3", "thread of 2"]);
  });

  test("are chosen by DELAY too, among hardware only", () => {
    const asked: string[] = [];
    const sched = new Scheduler({ choices: scripted([0, 1], asked) });
    const log: string[] = [];
    const main = function* (): Sleeps<void> {
      sched.spawn("sleeper", sched.pause("nap", 50));
      yield* sched.preempt();
      for (const name of ["a", "b"]) {
        sched.after(
          sched.event(() => log.push(name)),
          50,
        );
      }
      sched.delay(40);
      sched.delay(20);
    };
    sched.runSync(main());
    expect([log, asked]).toEqual([
      ["b", "a"],
      ["thread of 2", "event of 2"],
    ]);
  });

  test("happen like a sorted list under a source that gives zeros, and once each under any seed", () => {
    for (const seed of seeds(100)) {
      const roll = dice(seed);
      const times = Array.from({ length: 60 }, () => roll(12));
      const runWith = (choices: Choices): number[] => {
        const sched = new Scheduler({ choices });
        const fired: number[] = [];
        for (const [i, time] of times.entries()) {
          sched.after(
            sched.event(() => {
              fired.push(i);
              expect(sched.now).toBe(time);
            }),
            time,
          );
        }
        while (sched.step()) sched.check();
        return fired;
      };
      const sorted = [...times.keys()].toSorted((a, b) => times[a] - times[b] || a - b);
      expect(runWith(firstComeChoices()), `replay: PHYSIO_SEED=${seed}`).toEqual(sorted);
      const chance = runWith(seededChoices(source(seed)));
      expect(chance.toSorted((a, b) => a - b)).toEqual([...times.keys()]);
      expect(chance).not.toEqual(sorted);
    }
  });
});

test("alternatives are in the order of their coming, hardware first, whatever the heap looks like", () => {
  for (const seed of seeds(50)) {
    const roll = dice(seed);
    const sched = new Scheduler({ choices: { choose: (_kind, count) => count - 1 } });
    const happened: string[] = [];
    const expected: { name: string; time: number; rank: number }[] = [];
    const sleeper = function* (name: string, time: number): Sleeps<void> {
      yield* sched.pause("nap", time);
      happened.push(name);
    };
    const add = (kind: string, i: number): number => {
      const time = 1 + roll(4);
      expected.push({ name: `${kind}${i}`, time, rank: kind === "s" ? 100 + i : i });
      return time;
    };
    for (let i = 0; i < 10; i++) {
      sched.spawn(`s${i}`, sleeper(`s${i}`, add("s", i)));
      sched.step();
    }
    for (let i = 0; i < 30; i++) {
      const event = sched.event(() => happened.push(`h${i}`));
      const time = add("h", i);
      if (roll(3) === 0) {
        sched.after(event, 1 + roll(4));
        sched.cancel(event);
      }
      sched.after(event, time);
    }
    while (sched.step()) sched.check();
    const last = expected.toSorted((a, b) => a.time - b.time || b.rank - a.rank);
    expect(happened, `replay: PHYSIO_SEED=${seed}`).toEqual(last.map(({ name }) => name));
  }
});

test("a choice that is none panics", () => {
  for (const bad of [2, -1, 0.5, Number.NaN]) {
    const sched = new Scheduler({ choices: { choose: () => bad } });
    for (const name of "ab") sched.spawn(name, sched.pause("nap", 5));
    expect(() => sched.pump()).toThrow(`chose ${bad} of 2`);
  }
});

/** Threads, timeouts and devices that meet by chance; the hash says what happened. */
function workload(seed: number, choices: Choices): string {
  const trace = new Trace(1);
  trace.mask = Ktr.ALL;
  const sched = new Scheduler({ choices, trace });
  const roll = dice(seed);
  const box = { full: 0 };
  const swi = new SoftIntr(sched, "swi", () => sched.wakeup(box));
  const ring = function* (): Sleeps<void> {
    for (let i = 0; i < 6; i++) {
      const event = sched.event(() => {
        box.full++;
        swi.schedule();
      });
      sched.after(event, 10 * roll(4));
      yield* sched.sleep(box, "box", null, 10 * (1 + roll(3)), roll(2) * 80);
      if (roll(3) === 0) yield* sched.preempt();
    }
  };
  for (const name of "abcde") sched.spawn(name, ring());
  sched.pump();
  sched.check();
  return `${trace.hash()} ${box.full}`;
}

describe("a recorded run", () => {
  test("is replayed to the hash of its trace, from the seed and from the schedule", () => {
    const hashes = new Set<string>();
    for (const seed of seeds(60)) {
      const recording = recordingChoices(seededChoices(source(seed)));
      const hash = workload(7, recording);
      const text = JSON.stringify(recording.schedule);
      const replay = replayChoices(Schedule.fromJSON(JSON.parse(text)));
      const message = `replay: PHYSIO_SEED=${seed}`;
      expect(workload(7, seededChoices(source(seed))), message).toBe(hash);
      expect(workload(7, replay), message).toBe(hash);
      expect([replay.position, recording.schedule.length > 20]).toEqual([
        recording.schedule.length,
        true,
      ]);
      hashes.add(hash);
    }
    expect(hashes.size).toBe(60);
  });

  test("of first come, first served is all zeros", () => {
    const recording = recordingChoices(firstComeChoices());
    const hash = workload(3, recording);
    expect(recording.schedule.toJSON().choices).toMatch(/^([te]\d+:0(\*\d+)? ?)+$/);
    expect(workload(3, replayChoices(recording.schedule))).toBe(hash);
  });

  test("panics at the first choice that another program does not have", () => {
    const recording = recordingChoices(seededChoices(source(1)));
    workload(7, recording);
    expect(() => workload(8, replayChoices(recording.schedule))).toThrow(
      /^the schedule has \d+ (runnable threads|events due) at choice \d+, there are \d+ /,
    );
  });
});

describe("a schedule", () => {
  const { THREAD, EVENT } = ChoiceKind;
  const written = (choices: string) => Schedule.fromJSON({ version: 1, choices });

  test("is a line of text, with repetitions counted", () => {
    const schedule = new Schedule();
    for (let i = 0; i < 3; i++) schedule.add(THREAD, 3, 1);
    schedule.add(EVENT, 2, 0);
    schedule.add(THREAD, 2, 0);
    schedule.add(EVENT, 1000, 999);
    expect(JSON.stringify(schedule)).toBe('{"version":1,"choices":"t3:1*3 e2:0 t2:0 e1000:999"}');
    expect(JSON.stringify(Schedule.fromJSON(schedule.toJSON()))).toBe(JSON.stringify(schedule));
    expect([
      schedule.length,
      schedule.kindAt(3),
      schedule.countAt(5),
      schedule.chosenAt(5),
    ]).toEqual([6, EVENT, 1000, 999]);
    expect(written("").length).toBe(0);
  });

  test("survives text for any choices", () => {
    for (const seed of seeds(100)) {
      const roll = dice(seed);
      const schedule = new Schedule();
      const list: number[][] = [];
      for (let i = roll(60); i > 0; i--) {
        const count = 2 + roll(3);
        const chosen = roll(count);
        const kind = roll(2) === 0 ? THREAD : EVENT;
        schedule.add(kind, count, chosen);
        list.push([kind, count, chosen]);
      }
      const back = Schedule.fromJSON(JSON.parse(JSON.stringify(schedule)));
      const read = list.map((_, i) => [back.kindAt(i), back.countAt(i), back.chosenAt(i)]);
      expect([back.length, read], `replay: PHYSIO_SEED=${seed}`).toEqual([list.length, list]);
    }
  });

  test("refuses what toJSON never gives", () => {
    const bad: unknown[] = [null, undefined, 5, "t2:0", {}, { version: 2, choices: "" }];
    for (const choices of [
      "t2",
      "x2:0",
      "t2:2",
      "t1:0",
      "t0:0",
      "t2:0*0",
      " ",
      "t2:0  t2:0",
      "t2:-1",
      "t2:0*999999999",
      7,
    ]) {
      bad.push({ version: 1, choices });
    }
    for (const json of bad) {
      expect(() => Schedule.fromJSON(json), JSON.stringify(json)).toThrow(ErrnoError);
    }
  });

  test("takes only choices that were choices", () => {
    const schedule = new Schedule();
    expect(() => schedule.add(THREAD, 1, 0)).toThrow(Panic);
    expect(() => schedule.add(THREAD, 2, 2)).toThrow(Panic);
    expect(() => schedule.add(THREAD, 2, Number.NaN)).toThrow(Panic);
    expect(() => schedule.add(2, 2, 0)).toThrow("alternative 0 of 2, kind 2");
  });

  test("that is replayed tells another count, another kind and one choice too many", () => {
    const replay = () => {
      const choices = replayChoices(written("t3:1*17 t3:2 e4:3"));
      for (let i = 0; i < 17; i++) expect(choices.choose(THREAD, 3)).toBe(1);
      return choices;
    };
    expect(() => replay().choose(THREAD, 2)).toThrow(
      "the schedule has 3 runnable threads at choice 17, there are 2 runnable threads",
    );
    expect(() => replay().choose(EVENT, 3)).toThrow(
      "the schedule has 3 runnable threads at choice 17, there are 3 events due",
    );
    const whole = replay();
    expect([whole.choose(THREAD, 3), whole.choose(EVENT, 4), whole.position]).toEqual([2, 3, 19]);
    expect(() => whole.choose(EVENT, 2)).toThrow(
      "the schedule ends after choice 18, and there are 2 events due",
    );
    expect(() => replayChoices(new Schedule()).choose(THREAD, 2)).toThrow(
      "the schedule is empty, and there are 2 runnable threads",
    );
  });
});
