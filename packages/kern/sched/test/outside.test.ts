/** Calls of the outside: when their answers arrive, what a stall is, and that the host's timing does not matter. */
import { Panic } from "@physio/kern";
import type { Choices, OutsideCall, Sleeps, Thread } from "@physio/sched";
import { Scheduler, SoftIntr } from "@physio/sched";
import { Ktr, Trace } from "@physio/trace";
import { describe, expect, test } from "vitest";
import { dice, seeds, source } from "./chance.ts";

/** A scheduler with a thread that makes one call of 100 ns and logs what comes of it. */
function bench() {
  const sched = new Scheduler();
  const log: string[] = [];
  const calls: OutsideCall<string>[] = [];
  const main = function* (): Sleeps<void> {
    const call = sched.outside<string>("fetch", 100);
    calls.push(call);
    try {
      log.push(`${yield* call.wait()} at ${sched.now}`);
    } catch (error) {
      if (error instanceof Panic) throw error;
      log.push(`${error} at ${sched.now}`);
    }
  };
  const thread = sched.start(main());
  sched.step();
  return { sched, log, call: calls[0], thread };
}

describe("an answer", () => {
  test("that is early waits for its time", () => {
    const { sched, log, call, thread } = bench();
    expect([call.completed, call.arrived, call.due]).toEqual([false, false, 100]);
    call.complete("page");
    expect([call.completed, call.arrived, log]).toEqual([true, false, []]);
    expect(sched.advance(thread, 100)).toBe(true);
    expect([log, call.arrived, sched.stalledOn]).toEqual([["page at 100"], true, null]);
  });

  test("that is late stalls the clock at its time", () => {
    const { sched, log, call, thread } = bench();
    let hooked = 0;
    sched.onUnstalled = () => hooked++;
    expect([sched.advance(thread, 100), sched.step(), sched.now]).toEqual([false, false, 100]);
    expect(sched.stalledOn).toBe(call);
    sched.pump();
    sched.check();
    expect([log, hooked]).toEqual([[], 0]);
    call.complete("page");
    expect([sched.stalledOn, hooked]).toEqual([null, 1]);
    sched.check();
    expect(sched.advance(thread, 100)).toBe(true);
    expect(log).toEqual(["page at 100"]);
  });

  test("that is a failure is thrown by wait", () => {
    const { sched, log, call } = bench();
    sched.pump();
    call.fail("no network");
    expect([call.completed, call.failed]).toEqual([true, true]);
    sched.pump();
    expect(log).toEqual(["no network at 100"]);
  });

  test("may be waited for later, by several, and by nobody", () => {
    const { sched, log, call } = bench();
    call.complete("page");
    sched.pump();
    const late = function* (): Sleeps<string> {
      return yield* call.wait();
    };
    expect(sched.runSync(late())).toBe("page");
    sched.outside<void>("unheard", 50).fail(new Error("lost"));
    sched.pump();
    expect([log, sched.now]).toEqual([["page at 100"], 150]);
  });

  test("given twice panics", () => {
    const { call } = bench();
    call.complete("page");
    expect(() => call.complete("page")).toThrow(
      '"fetch" is completed, but it was completed before',
    );
    expect(() => call.fail(0)).toThrow('"fetch" is failed, but it was completed before');
    const other = bench();
    other.call.fail(0);
    expect(() => other.call.complete("x")).toThrow("but it was failed before");
  });
});

describe("a stall", () => {
  test("comes after everything that is due before, and holds back what is due after", () => {
    const { sched, log, call } = bench();
    for (const time of [99, 100, 101]) {
      sched.after(
        sched.event(() => log.push(`hw ${sched.now}`)),
        time,
      );
    }
    sched.pump();
    expect(log).toEqual(["hw 99"]);
    call.complete("page");
    sched.pump();
    expect(log).toEqual(["hw 99", "page at 100", "hw 100", "hw 101"]);
  });

  test("ends with the answer to its own call only", () => {
    const { sched, call } = bench();
    const later = sched.outside<void>("later", 300);
    let hooked = 0;
    sched.onUnstalled = () => hooked++;
    sched.pump();
    later.complete();
    sched.check();
    expect([sched.stalledOn, hooked, sched.step()]).toEqual([call, 0, false]);
    call.complete("page");
    sched.pump();
    expect([hooked, sched.now, later.arrived]).toEqual([1, 300, true]);
  });

  test("keeps what was chosen, and asks for nothing again", () => {
    const asked: number[] = [];
    const choices: Choices = {
      choose: (_kind, count) => {
        asked.push(count);
        return count - 1;
      },
    };
    const sched = new Scheduler({ choices });
    const log: string[] = [];
    sched.after(
      sched.event(() => log.push("device")),
      100,
    );
    const call = sched.outside<void>("fetch", 100);
    for (let i = 0; i < 3; i++) sched.pump();
    expect([sched.stalledOn, log]).toEqual([call, []]);
    call.complete();
    sched.check();
    sched.spawn("waiter", call.wait());
    sched.delay(0); // the call, and then the device
    expect([call.arrived, log, asked]).toEqual([true, ["device"], [2]]);
    sched.pump();
    expect(sched.threads()).toEqual([]);
  });

  test("lets threads run that the host makes meanwhile", () => {
    const { sched, log, call } = bench();
    sched.pump();
    // biome-ignore lint/correctness/useYield: a thread that does not sleep
    const body = function* (): Sleeps<void> {
      log.push("other");
    };
    sched.spawn("other", body());
    sched.pump();
    expect([log, sched.stalledOn]).toEqual([["other"], call]);
    sched.check();
  });

  test("in runSync is a panic that says who waits for which call", () => {
    const { sched } = bench();
    const body = function* (): Sleeps<void> {
      yield* sched.outside<void>("second", 200).wait();
    };
    expect(() => sched.runSync(body(), "sync")).toThrow(
      [
        'runSync cannot wait for the host: outside call "fetch" of 0 ns, due at 100 ns, not answered yet',
        '  thread 2 "sync" sleeps on "second": outside call "second" of 0 ns, due at 200 ns, not answered yet',
        '  thread 1 "main" sleeps on "fetch": outside call "fetch" of 0 ns, due at 100 ns, not answered yet',
      ].join("\n"),
    );
  });

  test("in a busy-wait is a panic; an answered call arrives during one", () => {
    const { sched, call } = bench();
    sched.delay(99);
    expect(() => sched.delay(1)).toThrow(
      'DELAY of 1 ns reaches outside call "fetch", due at 100 ns and not answered',
    );
    call.complete("page");
    sched.delay(1);
    expect([call.arrived, sched.now]).toEqual([true, 100]);
    const other = bench();
    other.sched.pump();
    expect(() => other.sched.delay(5)).toThrow("reaches outside call");
  });

  test("does not keep a thread from having ended", () => {
    const { sched, thread, call } = bench();
    const quick = sched.start(sched.pause("nap", 10));
    expect([sched.advance(quick, 100), sched.stalledOn]).toEqual([true, null]);
    expect([sched.advance(thread, 100), sched.stalledOn]).toEqual([false, call]);
  });
});

test("a trace sees the issue and the arrival, and not the host's answer", () => {
  const trace = new Trace();
  trace.mask = Ktr.SCHED;
  const sched = new Scheduler({ trace });
  sched.outside<void>("a", 2000).complete();
  sched.outside<void>("b", 1000).fail("no");
  sched.pump();
  expect(trace.format().split("\n")).toEqual([
    "0.000 outside call=1 due=2000",
    "0.000 outside call=2 due=1000",
    "1.000 arrival call=2 failed=1",
    "2.000 arrival call=1 failed=0",
  ]);
});

test("a call below 0 ns, or of no time, panics", () => {
  const sched = new Scheduler();
  for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => sched.outside("x", bad)).toThrow(Panic);
  }
});

/** A host that answers calls when it likes. */
class Host {
  readonly open: OutsideCall<number>[];
  readonly roll: (limit: number) => number;
  stalls: number;

  constructor(seed: number) {
    this.open = [];
    this.roll = dice(seed);
    this.stalls = 0;
  }

  /** Answer any open call, with what the call says and not with what the host thinks. */
  answer(): void {
    const at = this.roll(this.open.length);
    const [call] = this.open.splice(at, 1);
    if (call.id % 5 === 0) call.fail(call.id);
    else call.complete(call.id * 10);
  }

  /** Run to the end, in slices of any length, answering in between in any order. */
  drive(sched: Scheduler, threads: Thread[]): void {
    const eager = this.roll(4);
    while (threads.some((thread) => !sched.advance(thread, 1 + this.roll(6)))) {
      if (sched.stalledOn !== null) {
        this.stalls++;
        while (this.open.includes(sched.stalledOn as OutsideCall<number>)) this.answer();
      }
      while (this.open.length > 0 && this.roll(4) < eager) this.answer();
      sched.check();
    }
  }
}

/** Threads that make calls, wait for some of them later, and mix with timeouts and interrupts. */
function workload(
  hostSeed: number,
  seed: number | null,
): { log: string; hash: string; stalls: number } {
  const trace = new Trace(1);
  trace.mask = Ktr.ALL;
  const sched = new Scheduler(seed === null ? { trace } : { trace, random: source(seed) });
  const host = new Host(hostSeed);
  const log: string[] = [];
  const swi = new SoftIntr(sched, "swi", () => log.push(`swi ${sched.now}`));
  const worker = function* (name: string, roll: (limit: number) => number): Sleeps<void> {
    for (let i = 0; i < 6; i++) {
      const first = sched.outside<number>(`${name}${i}`, 10 * roll(5));
      const second = sched.outside<number>(`${name}${i}'`, 10 * roll(5));
      host.open.push(first, second);
      if (roll(2) === 0) yield* sched.pause("nap", 10 * (1 + roll(3)));
      for (const call of [second, first]) {
        try {
          log.push(`${name} ${yield* call.wait()} ${sched.now}`);
        } catch (error) {
          if (error instanceof Panic) throw error;
          log.push(`${name} failed ${error} ${sched.now}`);
        }
        swi.schedule();
      }
    }
  };
  const threads = ["a", "b", "c"].map((name, i) => sched.start(worker(name, dice(100 + i)), name));
  host.drive(sched, threads);
  for (const thread of threads) sched.resultOf(thread);
  sched.check();
  return { log: log.join("\n"), hash: trace.hash(), stalls: host.stalls };
}

test("whatever the host's order and moments, a run is the same to the hash of its trace", () => {
  for (const seed of [null, ...seeds(12)]) {
    const first = workload(1, seed);
    let stalls = 0;
    for (const hostSeed of seeds(25)) {
      const run = workload(hostSeed, seed);
      stalls += run.stalls;
      expect({ ...run, stalls: 0 }, `scheduler seed ${seed}, host seed ${hostSeed}`).toEqual({
        ...first,
        stalls: 0,
      });
    }
    expect(stalls).toBeGreaterThan(20);
  }
});
