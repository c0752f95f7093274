/**
 * Cases of threads and of what happens later. An operation of most is one switch: somebody sleeps,
 * somebody else goes on.
 */
import type { Choices, SchedulerOptions, Sleeps } from "@physio/sched";
import { Callout, Mutex, Scheduler, Softclock, Task, TaskQueue } from "@physio/sched";
import type { Case } from "./cases.ts";
import { makeCase, sink } from "./cases.ts";
import { Random } from "./random.ts";

const OPERATIONS = 20_000;
const TICK = 1000;
/** A timeout that never comes. */
const LONG = 1e12;
/** Virtual time when it begins, ns: as after some minutes, too large for a small integer. */
const UPTIME = 1e11;
/** Threads beside those that are measured: they sleep. */
const IDLERS = 20;

/** What a thread sleeps on: any object. */
class Channel {}

type Body = (sched: Scheduler, own: Channel, other: Channel) => Sleeps<void>;

function* idler(sched: Scheduler): Sleeps<void> {
  for (;;) yield sched.block(new Channel(), "idle");
}

function newScheduler(options: SchedulerOptions = {}): Scheduler {
  const sched = new Scheduler(options);
  sched.delay(UPTIME);
  for (let i = 0; i < IDLERS; i++) sched.spawn(`idler${i}`, idler(sched));
  sched.pump();
  return sched;
}

function* block(sched: Scheduler, own: Channel, other: Channel): Sleeps<void> {
  for (;;) {
    sched.wakeup(other);
    yield sched.block(own, "block");
  }
}

function* sleep(sched: Scheduler, own: Channel, other: Channel): Sleeps<void> {
  for (;;) {
    sched.wakeup(other);
    yield* sched.sleep(own, "sleep");
  }
}

function* blockInTime(sched: Scheduler, own: Channel, other: Channel): Sleeps<void> {
  for (;;) {
    sched.wakeup(other);
    yield sched.block(own, "in time", null, LONG);
  }
}

function* blockTooLong(sched: Scheduler, own: Channel): Sleeps<void> {
  for (;;) yield sched.block(own, "too long", null, TICK);
}

function* pauseToken(sched: Scheduler): Sleeps<void> {
  for (;;) yield sched.blockFor("pause", TICK);
}

function* pause(sched: Scheduler): Sleeps<void> {
  for (;;) yield* sched.pause("pause", TICK);
}

function* withMutex(sched: Scheduler, own: Channel, other: Channel): Sleeps<void> {
  const mutex = new Mutex(sched, "bench");
  for (;;) {
    mutex.enter();
    sched.wakeup(other);
    yield sched.block(own, "mutex", mutex);
    mutex.exit();
  }
}

/** Choices without numbers that are too large for a small integer, as every other random one is. */
function byTurns(): Choices {
  let last = 0;
  return {
    choose: (_kind, count) => {
      last = (last + 1) % count;
      return last;
    },
  };
}

function* giveWay(sched: Scheduler): Sleeps<void> {
  for (;;) yield sched.giveWay();
}

/** Two threads of `body`. `steps`: how many steps of the scheduler one switch takes. */
function switchCase(name: string, body: Body, steps: number, options?: SchedulerOptions): Case {
  const sched = newScheduler(options);
  const [a, b] = [new Channel(), new Channel()];
  sched.spawn("a", body(sched, a, b));
  sched.spawn("b", body(sched, b, a));
  const run = (n: number) => {
    for (let i = n * steps; i > 0; i--) sched.step();
  };
  return makeCase(name, OPERATIONS, run, 1);
}

/** What the two threads do, and nothing else: generators that yield, by turns. */
function bareCase(): Case {
  const token = Object.freeze({ sleep: true });
  function* bare(): Generator<object, void, void> {
    for (;;) yield token;
  }
  const [a, b] = [bare(), bare()];
  const run = (n: number) => {
    let done = 0;
    for (let i = 0; i < n; i += 2) {
      if (a.next().done === true) done++;
      if (b.next().done === true) done++;
    }
    sink.total += done;
  };
  return makeCase("bare", OPERATIONS, run, 1);
}

function calloutCases(): Case[] {
  const sched = newScheduler();
  const clock = new Softclock(sched);
  let fired = 0;
  const callout = new Callout(clock, "bench", () => fired++);
  const direct = new Callout(clock, "direct", () => fired++, { direct: true });
  const fire = (c: Callout, n: number) => {
    for (let i = 0; i < n; i++) {
      c.reset(TICK);
      sched.pump();
    }
    sink.total += fired;
  };
  return [
    makeCase("callout stopped", OPERATIONS, (n) => {
      for (let i = 0; i < n; i++) {
        callout.reset(TICK);
        callout.stop();
      }
    }),
    makeCase("callout fired", OPERATIONS / 2, (n) => fire(callout, n), 1),
    makeCase("direct callout fired", OPERATIONS / 2, (n) => fire(direct, n)),
  ];
}

function taskCase(): Case {
  const sched = newScheduler();
  const queue = new TaskQueue(sched, "bench");
  let ran = 0;
  const task = new Task(0, (pending) => {
    ran += pending;
  });
  sched.pump();
  const run = (n: number) => {
    for (let i = 0; i < n; i++) {
      queue.enqueue(task);
      sched.pump();
    }
    sink.total += ran;
  };
  return makeCase("task", OPERATIONS / 2, run, 1);
}

export function timeCases(): Case[] {
  return [
    bareCase(),
    switchCase("block", block, 1),
    switchCase("sleep", sleep, 1),
    switchCase("block in time", blockInTime, 1),
    switchCase("block too long", blockTooLong, 2),
    switchCase("pause", pauseToken, 2),
    switchCase("yield* pause", pause, 2),
    switchCase("block with a mutex", withMutex, 1),
    switchCase("give way by choice", giveWay, 1, { choices: byTurns() }),
    switchCase("give way by chance", giveWay, 1, { random: new Random(3) }),
    ...calloutCases(),
    taskCase(),
  ];
}
