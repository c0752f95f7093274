/**
 * Chrome trace JSON: tracks, instants and spans, with the times and arguments of the ring.
 */
import type { ChromeEvent } from "@physio/trace";
import { chromeTrace, Ktr, Trace, traceEvent, traceSpan } from "@physio/trace";
import { describe, expect, test } from "vitest";

const WAKE = traceEvent(Ktr.SCHED, "wakeup", "thread", "result");
const IO = traceSpan(Ktr.BUF, "transfer", ["blkno", "bcount"], ["blkno", "error"]);

function play(): Trace {
  const trace = new Trace(16);
  let now = 0;
  let thread = 0;
  trace.mask = Ktr.ALL;
  trace.now = () => now;
  trace.thread = () => thread;
  trace.threadNames.set(1, "main");
  trace.threadNames.set(2, "never ran");
  thread = 1;
  trace.record(IO.begin, 8, 4096);
  now = 2500;
  thread = 0;
  trace.record(WAKE, 1, 0);
  trace.record(IO.end, 8, 5);
  return trace;
}

const named = (events: readonly ChromeEvent[], ph: string) => events.filter((e) => e.ph === ph);

describe("chromeTrace", () => {
  const { traceEvents, otherData } = chromeTrace(play(), "toy");

  test("has a track for each thread that did something, and for the hardware", () => {
    expect(named(traceEvents, "M").map((e) => [e.name, e.tid, e.args.name])).toEqual([
      ["process_name", 0, "toy"],
      ["thread_name", 0, "hardware"],
      ["thread_name", 1, "main"],
    ]);
  });

  test("single events are instants on the track of their thread, in microseconds", () => {
    const [wake, ...others] = named(traceEvents, "i");
    expect(others).toEqual([]);
    expect(wake).toMatchObject({ name: "wakeup", cat: "SCHED", tid: 0, ts: 2.5, s: "t" });
    expect(wake.args).toEqual({ thread: 1, result: 0 });
  });

  test("a span is a pair with one name, category and id", () => {
    const [begin] = named(traceEvents, "b");
    const [end] = named(traceEvents, "e");
    expect([begin.name, begin.cat, begin.id]).toEqual([end.name, end.cat, end.id]);
    expect([begin.ts, end.ts, begin.tid, end.tid]).toEqual([0, 2.5, 1, 0]);
    expect([begin.args, end.args]).toEqual([
      { blkno: 8, bcount: 4096 },
      { blkno: 8, error: 5 },
    ]);
  });

  test("says how much of the stream it holds", () => {
    expect(otherData).toEqual({ recorded: 3, kept: 3, hash: play().hash() });
  });

  test("begin and end of a span are different events in the hash", () => {
    const one = new Trace();
    const two = new Trace();
    one.mask = Ktr.ALL;
    two.mask = Ktr.ALL;
    one.record(IO.begin, 1, 2);
    two.record(IO.end, 1, 2);
    expect(one.hash()).not.toBe(two.hash());
  });
});
