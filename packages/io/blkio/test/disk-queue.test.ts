/** Which request comes next: the sweep, priorities, the bound on waiting, and what may be merged. */
import { BioCommand } from "@physio/carriers";
import { Panic } from "@physio/kern";
import { describe, expect, test } from "vitest";
import type { DiskQueue } from "../src/disk-queue.ts";
import { BATCH, DiskRequest, ElevatorQueue, FifoQueue, PATIENCE } from "../src/disk-queue.ts";
import { BufPriority } from "../src/index.ts";
import { Chance, seeds } from "./machine.ts";

const { READ, WRITE } = BioCommand;
const { NONCRITICAL, TIMELIMITED, TIMECRITICAL } = BufPriority;

/** A request of 10 bytes; its memory goes on where its place does, unless told. */
function request(offset: number, fields: Partial<DiskRequest> = {}): DiskRequest {
  return Object.assign(new DiskRequest(), { offset, bcount: 10, data: 1000 + offset }, fields);
}

function takeAll(queue: DiskQueue): number[] {
  const order: number[] = [];
  for (let r = queue.take(); r !== null; r = queue.take()) order.push(r.offset);
  return order;
}

function filled(queue: DiskQueue, requests: DiskRequest[]): DiskQueue {
  for (const r of requests) queue.insert(r);
  return queue;
}

test("fifo serves first come first, whatever the place and the urgency, and merges nothing", () => {
  const first = request(50);
  const queue = filled(new FifoQueue(), [
    first,
    request(60, { priority: TIMECRITICAL }),
    request(20),
  ]);
  expect(queue.length).toBe(3);
  expect(queue.take()).toBe(first);
  expect(queue.takeNext(first, 1000)).toBe(null);
  expect(takeAll(queue)).toEqual([60, 20]);
});

describe("the elevator", () => {
  test("sweeps upwards and begins again at the lowest", () => {
    const queue = filled(
      new ElevatorQueue(),
      [50, 20, 90, 70].map((at) => request(at)),
    );
    expect(queue.take()?.offset).toBe(20);
    expect(queue.take()?.offset).toBe(50);
    filled(
      queue,
      [30, 60, 80, 10].map((at) => request(at)),
    ); // 60 is just ahead of where 50 ended
    expect(takeAll(queue)).toEqual([60, 70, 80, 90, 10, 30]);
    expect([queue.length, queue.take()]).toEqual([0, null]);
  });

  test("keeps the order of requests for one place", () => {
    const same = [1, 2, 3].map((data) => request(40, { data }));
    const queue = filled(new ElevatorQueue(), [request(60), ...same, request(20)]);
    expect(queue.take()?.offset).toBe(20);
    expect(queue.take()).toBe(same[0]);
    const late = request(40);
    queue.insert(late); // the head is past it
    expect([queue.take(), queue.take()]).toEqual([same[1], same[2]]);
    expect(queue.take()?.offset).toBe(60);
    expect(queue.take()).toBe(late);
  });

  test("serves critical before limited before none, each in its sweep", () => {
    const queue = filled(new ElevatorQueue(), [
      request(10, { priority: NONCRITICAL }),
      request(20, { priority: TIMELIMITED }),
      request(90, { priority: TIMECRITICAL }),
      request(80, { priority: NONCRITICAL }),
      request(5, { priority: TIMELIMITED }),
      request(60, { priority: TIMECRITICAL }),
    ]);
    expect(takeAll(queue)).toEqual([60, 90, 5, 20, 10, 80]);
    expect(() => queue.insert(request(0, { priority: 3 }))).toThrow(Panic);
    expect(() => queue.insert(request(0, { priority: Number.NaN }))).toThrow(Panic);
  });

  const MERGES: { name: string; next: Partial<DiskRequest>; room?: number; merged: boolean }[] = [
    { name: "what goes on there and in memory", next: {}, merged: true },
    { name: "what just fits", next: {}, room: 10, merged: true },
    { name: "what does not fit", next: {}, room: 9, merged: false },
    { name: "memory elsewhere", next: { data: 0 }, merged: false },
    { name: "a gap on the disk", next: { offset: 61, data: 1060 }, merged: false },
    { name: "another direction", next: { command: WRITE }, merged: false },
    { name: "another urgency", next: { priority: TIMECRITICAL }, merged: false },
    { name: "a write that is to be lasting", next: { fua: true }, merged: false },
    { name: "what failed in company before", next: { alone: true }, merged: false },
  ];
  test.each(MERGES)("after 50 to 60, $name: merged is $merged", ({ next, room = 1000, merged }) => {
    const queue = new ElevatorQueue();
    const last = request(50, { command: READ });
    queue.insert(last);
    expect(queue.take()).toBe(last);
    const other = request(60, { command: READ, ...next });
    queue.insert(other);
    expect(queue.takeNext(request(50, { alone: true }), room)).toBe(null);
    expect(queue.takeNext(last, room)).toBe(merged ? other : null);
    expect(queue.length).toBe(merged ? 0 : 1);
  });

  test("does not let a flood of urgent or of nearer requests starve one for long", () => {
    const queue = new ElevatorQueue();
    const poor = request(10, { priority: NONCRITICAL });
    filled(queue, [request(20), poor]);
    queue.take(); // 10
    const low = request(5);
    queue.insert(low);
    let commands = 0;
    for (let at = 100; ; at += 10) {
      queue.insert(request(at, { priority: at % 20 === 0 ? TIMECRITICAL : NONCRITICAL }));
      commands++;
      if (queue.take() === low) break;
    }
    expect(commands).toBeGreaterThan(PATIENCE);
    expect(commands).toBeLessThanOrEqual(PATIENCE + 1 + 2 * (BATCH + 1) + 1);
  });

  test("sweeps also when all that wait are late", () => {
    const chance = new Chance(7);
    const queue = filled(
      new ElevatorQueue(),
      Array.from({ length: 2000 }, () => request(chance.below(100_000))),
    );
    const order = takeAll(queue);
    const back = order.filter((at, i) => i > 0 && at < order[i - 1]).length;
    expect(back).toBeLessThan(2000 / BATCH);
  });

  test("starts every request within its bound (any seed)", () => {
    for (const seed of seeds(20)) {
      const chance = new Chance(seed);
      const queue = new ElevatorQueue();
      const bounds = new Map<DiskRequest, number>();
      let commands = 0;
      const load = 1 + chance.below(60);
      for (let step = 0; step < 3000; step++) {
        while (queue.length < load) {
          const priority = chance.below(8) === 0 ? chance.below(2) : TIMECRITICAL;
          const r = request(chance.below(10_000), { priority });
          const n = queue.length;
          bounds.set(r, commands + PATIENCE + n + (n + 1) * (BATCH + 1));
          queue.insert(r);
        }
        commands++;
        const r = queue.take()!;
        if (commands > bounds.get(r)!) expect(commands, `seed ${seed}`).toBe(bounds.get(r));
        bounds.delete(r);
      }
      expect(bounds.size).toBe(queue.length);
    }
  });

  test("serves in the order of a model that looks at every request (any seed)", () => {
    for (const seed of seeds(20)) {
      const chance = new Chance(seed);
      const queue = new ElevatorQueue();
      const model = new SlowElevator();
      const load = 1 + chance.below(300);
      for (let step = 0; step < 500; step++) {
        while (queue.length < load && chance.below(4) > 0) {
          const r = request(chance.below(200) * 10, { priority: chance.below(3) });
          queue.insert(r);
          model.insert(r);
        }
        let taken = queue.take();
        const wanted = model.take();
        if (taken !== wanted) expect(taken, `seed ${seed}, step ${step}`).toBe(wanted);
        while (taken !== null) {
          const next = queue.takeNext(taken, 10);
          const joined = model.takeNext(taken);
          if (next !== joined) expect(next, `seed ${seed}, step ${step}`).toBe(joined);
          taken = next;
        }
        expect(queue.length).toBe(model.waiting.length);
      }
    }
  });
});

/** The rule as the header says it, over one list in the order in which requests came. */
class SlowElevator {
  readonly waiting: { r: DiskRequest; turn: number; thisSweep: boolean }[] = [];
  readonly ends = [0, 0, 0];
  commands = 0;
  sinceLate = BATCH;

  insert(r: DiskRequest): void {
    const thisSweep = r.offset >= this.ends[r.priority];
    this.waiting.push({ r, turn: this.commands + this.waiting.length, thisSweep });
  }

  take(): DiskRequest | null {
    if (this.waiting.length === 0) return null;
    this.commands++;
    if (this.sinceLate >= BATCH && this.commands - this.waiting[0].turn > PATIENCE) {
      this.sinceLate = 0;
      return this.waiting.shift()!.r;
    }
    this.sinceLate++;
    const priority = Math.max(...this.waiting.map((w) => w.r.priority));
    const equals = this.waiting.filter((w) => w.r.priority === priority);
    if (!equals.some((w) => w.thisSweep)) for (const w of equals) w.thisSweep = true;
    return this.#remove(this.#lowest(priority)!);
  }

  /** All memory goes on where the disk does. */
  takeNext(last: DiskRequest): DiskRequest | null {
    const next = this.#lowest(last.priority);
    return next === null || next.offset !== last.offset + 10 ? null : this.#remove(next);
  }

  #lowest(priority: number): DiskRequest | null {
    const ahead = this.waiting.filter((w) => w.thisSweep && w.r.priority === priority);
    const offset = Math.min(...ahead.map((w) => w.r.offset));
    return ahead.find((w) => w.r.offset === offset)?.r ?? null;
  }

  #remove(r: DiskRequest): DiskRequest {
    this.waiting.splice(
      this.waiting.findIndex((w) => w.r === r),
      1,
    );
    this.ends[r.priority] = r.offset + r.bcount;
    return r;
  }
}
