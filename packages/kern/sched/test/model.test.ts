/**
 * The scheduler against a slow model: threads that follow random scripts of sleeps, wakeups, pauses,
 * timeouts, priorities, device events and busy-waiting must do the same things at the same times.
 * The model keeps plain lists and searches them.
 */
import { Errno } from "@physio/kern";
import type { Sleeps, Thread } from "@physio/sched";
import { Mutex, Scheduler, ThreadState } from "@physio/sched";
import { expect, test } from "vitest";
import { dice, seeds } from "./chance.ts";

const CHANNELS = 3;
const THREADS = 6;

/** What a thread does in one go. Numbers that an operation does not use are drawn anyway. */
interface Step {
  readonly op: "sleep" | "pause" | "preempt" | "wakeup" | "wakeupOne" | "prio" | "after" | "delay";
  readonly channel: number;
  readonly time: number;
  readonly thread: number;
  readonly priority: number;
  readonly plain: boolean;
}

const OPS: readonly Step["op"][] = [
  "sleep",
  "sleep",
  "sleep",
  "pause",
  "preempt",
  "wakeup",
  "wakeupOne",
  "wakeupOne",
  "prio",
  "after",
  "delay",
];

function drawScripts(roll: (limit: number) => number): Step[][] {
  const step = (): Step => ({
    op: OPS[roll(OPS.length)],
    channel: roll(CHANNELS),
    time: roll(3) === 0 ? 0 : 10 * (1 + roll(5)),
    thread: roll(THREADS),
    priority: roll(4) * 3 + 70,
    plain: roll(2) === 0,
  });
  return Array.from({ length: THREADS }, () => Array.from({ length: 14 }, step));
}

/** What happened, and the names of the threads that never ended. */
interface Outcome {
  readonly log: string[];
  readonly left: string[];
}

function runReal(scripts: Step[][], priorities: number[]): Outcome {
  const sched = new Scheduler();
  const channels = Array.from({ length: CHANNELS }, (_, i) => ({ i }));
  const mutex = new Mutex(sched, "m");
  const threads: Thread[] = [];
  const log: string[] = [];
  const body = function* (name: string, steps: Step[]): Sleeps<void> {
    for (const { op, channel, time, thread, priority, plain } of steps) {
      const raised = priority > 76 ? 0 : priority;
      let result = 0;
      if (op === "sleep" && plain) {
        mutex.enter();
        yield sched.block(channels[channel], op, mutex, time, raised);
        mutex.exit();
        result = sched.wakeResult;
      } else if (op === "sleep") {
        result = yield* sched.sleep(channels[channel], op, null, time, raised);
      } else if (op === "pause" && plain) yield sched.blockFor(op, time + 1);
      else if (op === "pause") yield* sched.pause(op, time + 1);
      else if (op === "preempt") yield* sched.preempt();
      else if (op === "wakeup") sched.wakeup(channels[channel]);
      else if (op === "wakeupOne") sched.wakeupOne(channels[channel]);
      else if (op === "delay") sched.delay(time);
      else if (op === "after") {
        const event = sched.event(() => {
          log.push(`${sched.now} event ${channel}`);
          sched.wakeup(channels[channel]);
        });
        sched.after(event, time);
      } else if (threads[thread].state !== ThreadState.DEAD) {
        sched.setPriority(threads[thread], priority);
      }
      log.push(`${sched.now} ${name} ${op} ${result} at ${sched.current?.priority}`);
    }
  };
  for (const [i, steps] of scripts.entries()) {
    threads.push(sched.spawn(`t${i}`, body(`t${i}`, steps), priorities[i]));
  }
  sched.check();
  while (sched.step()) sched.check();
  return { log, left: sched.threads().map((thread) => thread.name) };
}

/** A thread of the model. */
interface Actor {
  readonly name: string;
  readonly steps: Step[];
  at: number;
  priority: number;
  base: number;
  result: number;
}

/** Something that will happen: a device wakes a channel, or a sleeper's time is over. */
interface Due {
  readonly time: number;
  readonly actor: Actor | null;
  readonly channel: number;
}

class Model {
  readonly log: string[] = [];
  readonly actors: Actor[];
  now = 0;
  /** In the order of their coming, all of them. */
  runnable: Actor[];
  asleep: { actor: Actor; channel: number }[] = [];
  due: Due[] = [];

  constructor(scripts: Step[][], priorities: number[]) {
    this.actors = scripts.map((steps, i) => {
      const priority = priorities[i];
      return { name: `t${i}`, steps, at: 0, priority, base: priority, result: 0 };
    });
    this.runnable = [...this.actors];
  }

  run(): Outcome {
    for (;;) {
      const queue = (actor: Actor) => Math.floor(actor.priority / 4);
      const best = Math.min(...this.runnable.map(queue));
      const actor = this.runnable.find((one) => queue(one) === best);
      if (actor !== undefined) {
        this.runnable = this.runnable.filter((one) => one !== actor);
        this.act(actor);
        continue;
      }
      const first = Math.min(...this.due.map((due) => due.time));
      const now = this.due.filter((due) => due.time === first);
      if (now.length === 0) break;
      this.happen(now.find((due) => due.actor === null) ?? now[0]);
    }
    const left = this.actors.filter((actor) => actor.at < actor.steps.length || this.sleeps(actor));
    return { log: this.log, left: left.map((actor) => actor.name) };
  }

  sleeps(actor: Actor): boolean {
    return this.asleep.some((sleeper) => sleeper.actor === actor);
  }

  happen(due: Due): void {
    this.due = this.due.filter((one) => one !== due);
    this.now = Math.max(this.now, due.time);
    if (due.actor === null) {
      this.log.push(`${this.now} event ${due.channel}`);
      this.wakeAll(due.channel);
    } else this.wake(due.actor, Errno.ETIMEDOUT);
  }

  wake(actor: Actor, result: number): void {
    this.asleep = this.asleep.filter((sleeper) => sleeper.actor !== actor);
    this.due = this.due.filter((one) => one.actor !== actor);
    actor.result = result;
    this.runnable.push(actor);
  }

  wakeAll(channel: number): void {
    for (const { actor } of this.asleep.filter((one) => one.channel === channel)) {
      this.wake(actor, Errno.OK);
    }
  }

  /** Run `actor` until it yields; a step that yields is logged when the actor goes on. */
  act(actor: Actor): void {
    const say = (op: string, result: number) =>
      this.log.push(`${this.now} ${actor.name} ${op} ${result} at ${actor.priority}`);
    const before = actor.at === 0 ? null : actor.steps[actor.at - 1].op;
    if (before !== null) say(before, before === "sleep" ? actor.result : 0);
    while (actor.at < actor.steps.length) {
      const step = actor.steps[actor.at++];
      if (this.yields(actor, step)) return;
      say(step.op, 0);
    }
  }

  yields(actor: Actor, { op, channel, time, thread, priority }: Step): boolean {
    const other = this.actors[thread];
    if (op === "preempt") {
      actor.priority = actor.base;
      this.runnable.push(actor);
    } else if (op === "pause") {
      this.asleep.push({ actor, channel: -1 });
      this.due.push({ time: this.now + time + 1, actor, channel: -1 });
    } else if (op === "sleep") {
      if (priority <= 76) actor.priority = priority;
      this.asleep.push({ actor, channel });
      if (time > 0) this.due.push({ time: this.now + time, actor, channel: -1 });
    } else if (op === "wakeup") this.wakeAll(channel);
    else if (op === "wakeupOne") {
      const sleepers = this.asleep.filter((one) => one.channel === channel);
      const best = Math.min(...sleepers.map((one) => one.actor.priority));
      const chosen = sleepers.find((one) => one.actor.priority === best);
      if (chosen !== undefined) this.wake(chosen.actor, Errno.OK);
    } else if (op === "after") this.due.push({ time: this.now + time, actor: null, channel });
    else if (op === "delay") {
      const end = this.now + time;
      for (;;) {
        const devices = this.due.filter((due) => due.actor === null && due.time <= end);
        const first = Math.min(...devices.map((due) => due.time));
        const next = devices.find((due) => due.time === first);
        if (next === undefined) break;
        this.happen(next);
      }
      this.now = end;
    } else {
      const moves = Math.floor(other.priority / 4) !== Math.floor(priority / 4);
      other.priority = priority;
      other.base = priority;
      if (moves && this.runnable.includes(other)) {
        this.runnable = [...this.runnable.filter((one) => one !== other), other];
      }
    }
    return op === "preempt" || op === "pause" || op === "sleep";
  }
}

test("random scripts run like the model, with every invariant at every step", () => {
  let lines = 0;
  let left = 0;
  for (const seed of seeds(400)) {
    const roll = dice(seed);
    const scripts = drawScripts(roll);
    const priorities = scripts.map(() => 70 + roll(4) * 3);
    const real = runReal(scripts, priorities);
    expect(real, `replay: PHYSIO_SEED=${seed}`).toEqual(new Model(scripts, priorities).run());
    lines += real.log.length;
    left += real.left.length;
  }
  expect([lines > 15_000, left > 100]).toEqual([true, true]);
});
