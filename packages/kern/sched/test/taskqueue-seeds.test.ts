/** Task queues by chance: the order against a sorted array, and every enqueue accounted for once. */
import { Errno } from "@physio/kern";
import type { RandomSource, Sleeps } from "@physio/sched";
import { Scheduler, Task, TaskQueue, TimeoutTask } from "@physio/sched";
import fc from "fast-check";
import { expect, test } from "vitest";
import { seeds, source } from "./chance.ts";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

/** What is on the list, as an array that is sorted when it is run. */
class Model {
  list: { i: number; priority: number; round: number; order: number; pending: number }[] = [];
  round = 0;
  order = 0;
  readonly log: string[] = [];

  enqueue(i: number, priority: number): void {
    const found = this.list.find((entry) => entry.i === i);
    if (found !== undefined) found.pending++;
    else this.list.push({ i, priority, round: this.round, order: this.order++, pending: 1 });
  }

  cancel(i: number): number {
    const found = this.list.find((entry) => entry.i === i);
    this.list = this.list.filter((entry) => entry !== found);
    return found === undefined ? 0 : found.pending;
  }

  run(): void {
    const sorted = this.list.toSorted(
      (a, b) => a.round - b.round || b.priority - a.priority || a.order - b.order,
    );
    for (const { i, pending } of sorted) this.log.push(`${i} x${pending}`);
    this.list = [];
  }
}

const TASKS = 10;
const step = fc.tuple(
  fc.constantFrom("enqueue", "enqueue", "enqueue", "cancel", "round", "run", "hold"),
  fc.nat(TASKS - 1),
);

test("plain tasks run in the order of a sorted array, each as often as it was enqueued", () => {
  const priorities = fc.array(fc.constantFrom(0, 1, 7, 255), {
    minLength: TASKS,
    maxLength: TASKS,
  });
  fc.assert(
    fc.property(priorities, fc.array(step, { minLength: 40, maxLength: 90 }), (prios, steps) => {
      const sched = new Scheduler();
      const queue = new TaskQueue(sched, "q");
      const model = new Model();
      const log: string[] = [];
      const tasks = prios.map(
        (p, i) => new Task(p, (pending) => void log.push(`${i} x${pending}`)),
      );
      queue.block();
      for (const [op, i] of steps) {
        if (op === "enqueue") {
          queue.enqueue(tasks[i]);
          model.enqueue(i, prios[i]);
        } else if (op === "cancel") {
          expect(queue.cancel(tasks[i])).toBe(Errno.OK);
          expect(tasks[i].cancelled).toBe(model.cancel(i));
        } else if (op === "round") {
          sched.spawn("drainer", queue.drainAll());
          sched.pump();
          model.round++;
        } else {
          queue.unblock();
          if (op === "hold")
            queue.block(); // before the thread has run
          else model.run();
          sched.pump();
          queue.block();
        }
        queue.check();
        expect(queue.length).toBe(model.list.length);
        for (const entry of model.list) expect(tasks[entry.i].pending).toBe(entry.pending);
      }
      sched.runSync(queue.shutdown());
      model.run();
      expect([log, sched.threads()]).toEqual([model.log, []]);
    }),
    { numRuns: 150, ...SEED },
  );
});

/** What the threads of a workload share. */
interface World {
  readonly sched: Scheduler;
  readonly queue: TaskQueue;
  readonly random: RandomSource;
  readonly tasks: Task[];
  readonly timeouts: TimeoutTask[];
  /** For each task: enqueues, enqueues called off, those that a handler was told, and those done. */
  readonly asked: number[];
  readonly takenBack: number[];
  readonly begun: number[];
  readonly done: number[];
  readonly log: string[];
  most: number;
}

/** Tasks 0–2 are plain, 3–5 sleep, 6 and 7 belong to timeouts and sleep. */
function makeWorld(seed: number): World {
  const random = source(seed);
  const sched = new Scheduler({ random: source(seed + 1000) });
  const queue = new TaskQueue(sched, "q", { threads: 1 + (seed % 4) });
  const zeros = () => Array.from({ length: 8 }, () => 0);
  const world: World = {
    ...{ sched, queue, random, tasks: [], timeouts: [], log: [], most: 0 },
    ...{ asked: zeros(), takenBack: zeros(), begun: zeros(), done: zeros() },
  };
  const plain = (i: number) => (pending: number) => {
    world.begun[i] += pending;
    world.done[i] += pending;
    world.log.push(`${i} x${pending}`);
  };
  const slow = (i: number) =>
    function* (pending: number): Sleeps<void> {
      world.begun[i] += pending;
      world.most = Math.max(world.most, queue.busy);
      if (random.next() % 2 === 0) yield* sched.preempt();
      else yield* sched.pause("work", 1 + (random.next() % 15));
      world.done[i] += pending;
      world.log.push(`${i} x${pending}`);
    };
  for (let i = 0; i < 6; i++) world.tasks.push(new Task(i % 3, i < 3 ? plain(i) : slow(i)));
  for (let i = 6; i < 8; i++) {
    const timeout = new TimeoutTask(queue, i % 3, slow(i));
    world.timeouts.push(timeout);
    world.tasks.push(timeout.task);
  }
  return world;
}

/** Enqueue and take back, at once or by time. */
function poke({ queue, random, tasks, timeouts, asked, takenBack }: World): void {
  const i = random.next() % 8;
  const kind = random.next() % 8;
  if (i >= 6) {
    const timeout = timeouts[i - 6];
    if (kind > 2) {
      if (!timeout.armed) asked[i]++; // arming anew counts once
      queue.enqueueTimeout(timeout, random.next() % 20);
      return;
    }
    const running = timeout.task.running > 0;
    expect(queue.cancelTimeout(timeout)).toBe(running ? Errno.EBUSY : Errno.OK);
    takenBack[i] += timeout.task.cancelled;
  } else if (kind > 0) {
    asked[i]++;
    queue.enqueue(tasks[i]);
  } else {
    const running = tasks[i].running > 0;
    expect(queue.cancel(tasks[i])).toBe(running ? Errno.EBUSY : Errno.OK);
    takenBack[i] += tasks[i].cancelled;
  }
}

/** Wait in one of the four ways, and look whether the wait was long enough. */
function* await_({ queue, random, tasks, timeouts, asked, takenBack, done }: World): Sleeps<void> {
  const i = random.next() % 8;
  const before = asked.map((count, n) => count - (timeouts[n - 6]?.armed === true ? 1 : 0));
  const kind = random.next() % 4;
  if (kind === 0) {
    yield* queue.drain(tasks[i]);
    expect([tasks[i].pending, tasks[i].running]).toEqual([0, 0]);
  } else if (kind === 1) {
    yield* queue.quiesce();
    expect([queue.length, queue.busy]).toEqual([0, 0]);
  } else if (kind === 2) {
    yield* queue.drainAll();
    const settled = done.map((count, n) => count + takenBack[n]);
    for (const [n, count] of settled.entries()) expect(count).toBeGreaterThanOrEqual(before[n]);
  } else {
    const timeout = timeouts[i % 2];
    if (timeout.armed) takenBack[6 + (i % 2)]++;
    yield* queue.drainTimeout(timeout);
    expect([timeout.task.pending, timeout.task.running]).toEqual([0, 0]);
  }
}

/** Four threads enqueue, take back, block and wait by chance; what happened, in order. */
function workload(seed: number): World {
  const world = makeWorld(seed);
  const { sched, queue, random } = world;
  const driver = function* (): Sleeps<void> {
    for (let n = 0; n < 40; n++) {
      const kind = random.next() % 10;
      if (kind < 6) poke(world);
      else if (kind < 8) yield* sched.pause("idle", 1 + (random.next() % 12));
      else if (kind === 8) yield* await_(world);
      else {
        queue.block();
        yield* sched.pause("blocked", 1 + (random.next() % 12));
        queue.unblock();
      }
      queue.check();
    }
  };
  const main = function* (): Sleeps<void> {
    const drivers = [1, 2, 3, 4].map((n) => sched.spawn(`driver${n}`, driver()));
    for (const thread of drivers) {
      while (sched.threads().includes(thread)) yield* sched.sleep(thread, "join");
    }
    for (const [i, timeout] of world.timeouts.entries()) {
      if (timeout.armed) world.takenBack[6 + i]++;
      yield* queue.drainTimeout(timeout);
    }
    yield* queue.shutdown();
  };
  sched.runSync(main());
  expect(sched.threads()).toEqual([]);
  return world;
}

test("under 150 seeds every enqueue is done or called off exactly once, and every wait is long enough", () => {
  const logs = new Set<string>();
  let most = 0;
  for (const seed of seeds(150)) {
    let world: World;
    try {
      world = workload(seed);
    } catch (error) {
      throw new Error(`replay: PHYSIO_SEED=${seed}`, { cause: error });
    }
    const { asked, takenBack, begun, done } = world;
    const settled = done.map((count, i) => count + takenBack[i]);
    expect([settled, begun], `replay: PHYSIO_SEED=${seed}`).toEqual([asked, done]);
    expect(world.most, `replay: PHYSIO_SEED=${seed}`).toBeLessThanOrEqual(1 + (seed % 4));
    most = Math.max(most, world.most);
    logs.add(world.log.join());
  }
  expect([logs.size, most]).toEqual([150, 4]);
  const [first] = seeds(1);
  expect(workload(first).log).toEqual(workload(first).log);
});
