/**
 * The trace: the mask selects, the ring keeps the newest, the hash tells two different streams
 * apart and says of equal ones that they are equal.
 */
import { Panic } from "@physio/kern";
import { Ktr, Trace, TraceEvent, traceEvent } from "@physio/trace";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

const DONE = traceEvent(Ktr.BUF, "biodone", "blkno", "bcount", "error");
const START = traceEvent(Ktr.BUF, "start", "blkno");
const SWITCH = traceEvent(Ktr.SCHED, "switch", "thread");
const FULL = traceEvent(Ktr.DEV, "doorbell", "a", "b", "c", "d");
const EVENTS = [DONE, START, SWITCH, FULL];

/** One call of `record`: time, which event, four arguments. */
type Call = readonly [time: number, event: number, ...args: [number, number, number, number]];

function play(calls: readonly Call[], capacity?: number): Trace {
  const trace = new Trace(capacity);
  trace.mask = Ktr.ALL;
  let time = 0;
  trace.now = () => time;
  for (const [at, event, ...args] of calls) {
    time = at;
    trace.record(EVENTS[event], ...args);
  }
  return trace;
}

const number = fc.oneof(
  fc.nat(9),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.integer({ min: 0, max: 2 ** 53 - 1 }),
);
const call = fc.tuple(number, fc.nat(3), number, number, number, number);
const calls = fc.array(call, { minLength: 1, maxLength: 30 });

describe("the mask", () => {
  test("nothing is recorded until a class is on", () => {
    const trace = new Trace();
    const before = trace.hash();
    trace.record(DONE, 1, 2, 3);
    expect([trace.recorded, trace.entries().length, trace.hash()]).toEqual([0, 0, before]);
  });

  test("only the classes that are on are recorded", () => {
    const trace = new Trace();
    trace.mask = Ktr.SCHED | Ktr.DEV;
    for (const event of EVENTS) trace.record(event);
    expect(trace.entries().map((entry) => entry.event.name)).toEqual(["switch", "doorbell"]);
  });

  test("ALL holds every class, and no two classes share a bit", () => {
    const { ALL, ...classes } = Ktr;
    expect(Object.values(classes).reduce((sum, bit) => sum + bit, 0)).toBe(ALL);
    expect(Object.values(classes).reduce((set, bit) => set | bit, 0)).toBe(ALL);
  });
});

describe("the ring", () => {
  test("keeps the newest, oldest first, and goes on counting", () => {
    const trace = play(
      [1, 2, 3, 4, 5, 6, 7].map((n) => [n * 10, 1, n, 0, 0, 0]),
      3,
    );
    expect(trace.recorded).toBe(7);
    expect(trace.entries().map((entry) => [entry.time, ...entry.args])).toEqual([
      [50, 5],
      [60, 6],
      [70, 7],
    ]);
  });

  test("gives as many arguments as the event names", () => {
    const trace = play([[0, 3, 1, 2, 3, 4]]);
    trace.record(DONE, 9);
    expect(trace.entries().map((entry) => entry.args)).toEqual([
      [1, 2, 3, 4],
      [9, 0, 0],
    ]);
  });

  test("is the end of the stream, for any stream and any capacity", () => {
    fc.assert(
      fc.property(calls, fc.integer({ min: 1, max: 12 }), (stream, capacity) => {
        const expected = stream.slice(-capacity).map(([time, event, ...args]) => ({
          time,
          thread: 0,
          event: EVENTS[event],
          args: args.slice(0, EVENTS[event].args.length),
        }));
        expect(play(stream, capacity).entries()).toEqual(expected);
      }),
      { numRuns: 200, ...SEED },
    );
  });

  test("a capacity that is no count panics", () => {
    for (const bad of [0, -1, 1.5, Number.NaN]) expect(() => new Trace(bad)).toThrow(Panic);
  });
});

test("format: a line an entry, time in µs, arguments by name", () => {
  const trace = play([
    [1500, 0, 7, 4096, 0, 0],
    [2_000_000, 2, 3, 0, 0, 0],
  ]);
  trace.record(traceEvent(Ktr.VM, "pagedaemon"));
  expect(trace.format().split("\n")).toEqual([
    "1.500 biodone blkno=7 bcount=4096 error=0",
    "2000.000 switch thread=3",
    "2000.000 pagedaemon",
  ]);
});

describe("the identity of an event", () => {
  test("is its class and its name", () => {
    expect(traceEvent(Ktr.BUF, "start").id).toBe(START.id);
    expect(traceEvent(Ktr.DEV, "start").id).not.toBe(START.id);
    expect(traceEvent(Ktr.BUF, "stop").id).not.toBe(START.id);
    expect(START).toBeInstanceOf(TraceEvent);
  });
});

describe("the hash", () => {
  test("has 16 hex digits and is the same in every process", () => {
    expect(play([[0, 0, 1, 2, 3, 4]]).hash()).toMatch(/^[0-9a-f]{16}$/);
    expect(new Trace().hash()).toBe("811c9dc59747b28c");
  });

  test("equal streams hash alike, whatever the ring keeps", () => {
    fc.assert(
      fc.property(calls, (stream) => {
        expect(play(stream, 1).hash()).toBe(play(stream, 64).hash());
      }),
      { numRuns: 200, ...SEED },
    );
  });

  test("one changed time, event or value changes it", () => {
    fc.assert(
      fc.property(calls, fc.nat(1000), fc.nat(5), number, (stream, pick, field, value) => {
        const i = pick % stream.length;
        const changed = stream[i].with(field, field === 1 ? value % 4 : value) as unknown as Call;
        const other = stream.with(i, changed as (typeof stream)[number]);
        fc.pre(changed[field] !== stream[i][field]);
        expect(play(other).hash()).not.toBe(play(stream).hash());
      }),
      { numRuns: 1000, ...SEED },
    );
  });

  test("two neighbours in the other order change it", () => {
    fc.assert(
      fc.property(calls, call, call, (stream, a, b) => {
        fc.pre(a.join() !== b.join());
        expect(play([...stream, a, b]).hash()).not.toBe(play([...stream, b, a]).hash());
      }),
      { numRuns: 500, ...SEED },
    );
  });

  test("one more event changes it, even one of zeros", () => {
    const stream: Call[] = [[0, 1, 0, 0, 0, 0]];
    const hashes = Array.from({ length: 50 }, (_, n) => play(Array(n).fill(stream[0])).hash());
    expect(new Set(hashes).size).toBe(50);
  });

  test("a value above 2^32 counts with all its bits", () => {
    const hashes = Array.from({ length: 53 }, (_, n) => play([[0, 1, 2 ** n, 0, 0, 0]]).hash());
    expect(new Set(hashes).size).toBe(53);
  });
});
