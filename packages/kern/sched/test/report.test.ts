/** The deadlock report: trees of who waits for whom, cycles, and who is left out. */
import { Panic } from "@physio/kern";
import type { Sleeps, Thread } from "@physio/sched";
import { RW_READER, RW_WRITER, RwLock, Scheduler, SoftIntr, ThreadState } from "@physio/sched";
import { describe, expect, test } from "vitest";

const DEADLOCK = 'deadlock: "main" cannot go on; nothing is runnable and no event is due';

/** What the panic of a deadlock says, a line each. */
function linesOf(sched: Scheduler, body: Sleeps<unknown>): string[] {
  try {
    sched.runSync(body);
  } catch (error) {
    expect(error).toBeInstanceOf(Panic);
    return (error as Panic).message.split("\n");
  }
  return expect.fail("no deadlock");
}

function* join(sched: Scheduler, thread: Thread): Sleeps<void> {
  while (thread.state !== ThreadState.DEAD) yield* sched.sleep(thread, "join");
}

/** Take the first lock, let others run, take the second. */
function* both(sched: Scheduler, first: RwLock, second: RwLock): Sleeps<void> {
  yield* first.enter(RW_WRITER);
  yield* sched.preempt();
  yield* second.enter(RW_WRITER);
}

describe("a deadlock report", () => {
  test("is a tree down to a cycle of two locks", () => {
    const sched = new Scheduler();
    const node = new RwLock(sched, "node");
    const node2 = new RwLock(sched, "node2");
    const main = function* (): Sleeps<void> {
      sched.spawn("idler", sched.sleep({}, "forever"));
      const b = sched.spawn("b", both(sched, node2, node));
      sched.spawn("c", both(sched, node, node2));
      yield* join(sched, b);
    };
    expect(linesOf(sched, main())).toEqual([
      DEADLOCK,
      '  thread 1 "main" sleeps on "join": the end of thread "b"',
      '    thread 3 "b" sleeps on "node": rwlock held for writing by "c"',
      '      thread 4 "c" sleeps on "node2": rwlock held for writing by "b"',
      '        -> thread 3 "b" again: a cycle',
      '  thread 2 "idler" sleeps on "forever"',
    ]);
  });

  test("names every reader that a writer waits for, each with what it waits for", () => {
    const sched = new Scheduler();
    const node = new RwLock(sched, "node");
    const reader = function* (channel: object): Sleeps<void> {
      yield* node.enter(RW_READER);
      yield* node.enter(RW_READER); // twice, and named once
      yield* sched.sleep(channel, "biowait");
    };
    const main = function* (): Sleeps<void> {
      for (const name of ["r1", "r2"]) sched.spawn(name, reader({ describeWait: () => name }));
      yield* sched.preempt();
      yield* node.enter(RW_WRITER);
    };
    expect(linesOf(sched, main())).toEqual([
      DEADLOCK,
      '  thread 1 "main" sleeps on "node": rwlock held by 4 readers',
      '    thread 2 "r1" sleeps on "biowait": r1',
      '    thread 3 "r2" sleeps on "biowait": r2',
    ]);
  });

  test("tells a thread that two wait for once, and a holder that has ended", () => {
    const sched = new Scheduler();
    const node = new RwLock(sched, "node");
    const failing = function* (): Sleeps<void> {
      yield* node.enter(RW_WRITER); // and never gives it back
      throw new Error("lost");
    };
    const main = function* (): Sleeps<void> {
      const a = sched.start(failing(), "a");
      yield* sched.preempt();
      const b = sched.spawn("b", node.enter(RW_READER));
      sched.spawn("c", join(sched, b));
      yield* join(sched, a);
      yield* join(sched, b);
    };
    expect(linesOf(sched, main())).toEqual([
      DEADLOCK,
      '  thread 1 "main" sleeps on "join": the end of thread "b"',
      '    thread 3 "b" sleeps on "node": rwlock held for writing by "a"',
      '      thread 2 "a" has ended',
      '  thread 4 "c" sleeps on "join": the end of thread "b"',
      '    -> thread 3 "b": see above',
    ]);
  });

  test("finds cycles that nobody else waits for", () => {
    const sched = new Scheduler();
    const node = new RwLock(sched, "node");
    const node2 = new RwLock(sched, "node2");
    sched.spawn("b", both(sched, node2, node));
    sched.spawn("c", both(sched, node, node2));
    expect(linesOf(sched, sched.sleep({}, "forever"))).toEqual([
      DEADLOCK,
      '  thread 3 "main" sleeps on "forever"',
      '  thread 1 "b" sleeps on "node": rwlock held for writing by "c"',
      '    thread 2 "c" sleeps on "node2": rwlock held for writing by "b"',
      '      -> thread 1 "b" again: a cycle',
    ]);
  });

  test("names a thread that waits for itself", () => {
    const sched = new Scheduler();
    const node = new RwLock(sched, "node");
    const main = function* (): Sleeps<void> {
      yield* node.enter(RW_READER);
      yield* node.enter(RW_WRITER);
    };
    expect(linesOf(sched, main()).slice(1)).toEqual([
      '  thread 1 "main" sleeps on "node": rwlock held by 1 readers',
      '    -> thread 1 "main" again: a cycle',
    ]);
  });

  test("keeps threads with nothing to do in one line, unless somebody waits for them", () => {
    const sched = new Scheduler();
    for (const name of ["swi", "intr: disk"]) new SoftIntr(sched, name, () => {});
    expect(linesOf(sched, sched.sleep({}, "forever")).slice(1)).toEqual([
      '  thread 3 "main" sleeps on "forever"',
      '  idle: thread 1 "swi", thread 2 "intr: disk"',
    ]);
    const main = join(sched, sched.threads()[0]);
    expect(linesOf(sched, main).slice(1)).toEqual([
      '  thread 4 "main" sleeps on "join": the end of thread "swi"',
      '    thread 1 "swi" sleeps on "idle": a call of "swi"',
      '  thread 3 "main" sleeps on "forever"',
      '  idle: thread 2 "intr: disk"',
    ]);
  });
});

test("report tells of all threads at any time", () => {
  const sched = new Scheduler();
  expect(sched.report()).toBe("");
  sched.spawn("napper", sched.pause("nap", 500));
  sched.spawn("timed", sched.sleep({}, "biowait", null, 700));
  const main = function* (): Sleeps<string> {
    yield* sched.preempt();
    sched.spawn("new", sched.pause("nap", 5));
    return sched.report();
  };
  expect(sched.runSync(main()).split("\n")).toEqual([
    '  thread 1 "napper" sleeps on "nap" until 500 ns',
    '  thread 2 "timed" sleeps on "biowait" until 700 ns',
    '  thread 3 "main" runs',
    '  thread 4 "new" is runnable',
  ]);
});

describe("a report of many threads", () => {
  /** Threads that wait for each other in a chain, and at the end for themselves or for nothing. */
  function chain(sched: Scheduler, count: number, end: (threads: Thread[]) => Sleeps<unknown>) {
    const threads: Thread[] = [];
    const link = function* (i: number): Sleeps<void> {
      yield* i === count - 1 ? end(threads) : sched.sleep(threads[i + 1], "join");
    };
    for (let i = 0; i < count; i++) threads.push(sched.start(link(i), `t${i}`));
    return threads[0];
  }

  test("names 64 levels of a deep chain, counts the others, and still tells of a cycle", () => {
    for (const cycle of [false, true]) {
      const sched = new Scheduler();
      const first = chain(sched, 20_000, (threads) => sched.sleep(cycle ? threads[7] : {}, "end"));
      const lines = linesOf(sched, sched.sleep(first, "join"));
      expect(lines[1]).toBe('  thread 20001 "main" sleeps on "join": the end of thread "t0"');
      expect(lines[64].trim()).toMatch(/^thread 63 "t62" sleeps on "join"/);
      const last = ["… 19937 more", '-> thread 8 "t7" again: a cycle'];
      expect(lines.slice(65).map((line) => line.trim())).toEqual(last.slice(0, cycle ? 2 : 1));
    }
  });

  test("tells nothing of who waits, too, for a thread named above, when that is far in", () => {
    const sched = new Scheduler();
    const side = sched.start(sched.sleep({}, "forever"), "side");
    const first = chain(sched, 100, () => sched.sleep(side, "join"));
    const both = { waitOwners: () => [side, first] };
    const lines = linesOf(sched, sched.sleep(both, "both"));
    expect(lines[2]).toBe('    thread 1 "side" sleeps on "forever"');
    expect(lines.length).toBe(3 + 63 + 1);
    expect(lines.at(-1)?.trim()).toBe("… 37 more");
  });

  test("has 256 lines at most, and says how many threads it does not name", () => {
    const sched = new Scheduler();
    for (let i = 0; i < 5000; i++) sched.spawn(`t${i}`, sched.sleep({}, "forever"));
    for (let i = 0; i < 100; i++) new SoftIntr(sched, `swi${i}`, () => {});
    const lines = linesOf(sched, sched.sleep({}, "forever"));
    expect(lines.length).toBe(1 + 256 + 2);
    expect(lines.at(-2)).toBe("  … 4745 more");
    expect(lines.at(-1)).toMatch(/^ {2}idle: thread 5001 "swi0", .*, … 36 more$/);
  });

  test("is made quickly when thousands wait for thousands", () => {
    const sched = new Scheduler();
    const node = new RwLock(sched, "node");
    const reader = function* (): Sleeps<void> {
      yield* node.enter(RW_READER);
      yield* sched.sleep({}, "forever");
    };
    for (let i = 0; i < 4000; i++) sched.spawn(`r${i}`, reader());
    sched.pump();
    for (let i = 0; i < 4000; i++) sched.spawn(`w${i}`, node.enter(RW_WRITER));
    const lines = linesOf(sched, sched.sleep({}, "forever"));
    expect(lines.at(-1)).toBe("  … 7745 more");
  });
});
