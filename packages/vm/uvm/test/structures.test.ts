/** Page queues and object indexes against models; the pager map; what check() notices. */
import { NO_FRAME, PAGE_SIZE, Panic } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import type { Sleeps } from "@physio/sched";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PAGER_MAP_SIZE, PageQueue, PageQueues, PagerMap, UvmObject } from "../src/index.ts";
import { Chance, seeds, UvmMachine } from "./machine.ts";

const QUEUES = [PageQueue.ACTIVE, PageQueue.INACTIVE] as const;

describe("the page queues", () => {
  test("hold the same pages in the same order as arrays after 5,000 random moves", () => {
    for (const seed of seeds(2)) {
      const m = new UvmMachine(40);
      const queues = new PageQueues(m.mem);
      const frames = Array.from({ length: 24 }, () => m.mem.allocFrame());
      const model: Record<number, number[]> = { 1: [], 2: [] };
      const chance = new Chance(seed);
      const forget = (frame: number) => {
        for (const queue of QUEUES) model[queue] = model[queue].filter((f) => f !== frame);
      };
      for (let move = 0; move < 5000; move++) {
        const frame = frames[chance.below(frames.length)];
        const to = chance.below(4);
        forget(frame);
        if (to === 3) queues.remove(frame);
        else queues.move(frame, to as PageQueue);
        if (to === 1 || to === 2) model[to].push(frame);
        for (const queue of QUEUES) {
          expect(queues.length(queue)).toBe(model[queue].length);
          expect(queues.oldest(queue)).toBe(model[queue][0] ?? NO_FRAME);
        }
        if (move % 50 !== 0) continue;
        queues.check();
        for (const queue of QUEUES) {
          const seen: number[] = [];
          for (let f = queues.oldest(queue); f !== NO_FRAME; f = queues.after(f)) seen.push(f);
          expect(seen, `seed ${seed}, move ${move}`).toEqual(model[queue]);
        }
      }
    }
  });
});

describe("an object", () => {
  const indexes = fc.oneof(
    fc.nat({ max: 200 }),
    fc.integer({ min: 2 ** 20 - 3, max: 2 ** 20 + 3 }),
    fc.integer({ min: 2 ** 31 - 2, max: 2 ** 31 + 70 }),
    fc.integer({ min: 2 ** 40 - 70, max: 2 ** 40 }),
  );

  test("finds what a map finds at sparse indexes up to 2^40", () => {
    const moves = fc.array(fc.tuple(fc.boolean(), indexes, fc.nat({ max: 1 << 20 })), {
      maxLength: 300,
    });
    fc.assert(
      fc.property(moves, (list) => {
        const object = new UvmObject(1);
        const model = new Map<number, number>();
        for (const [add, index, frame] of list) {
          if (model.has(index)) {
            if (add) expect(() => object.insert(index, frame)).toThrow(Panic);
            else object.remove(index);
            if (!add) model.delete(index);
          } else if (add) {
            object.insert(index, frame);
            model.set(index, frame);
          } else expect(() => object.remove(index)).toThrow(Panic);
          expect(object.pageCount).toBe(model.size);
        }
        const ascending = (a: number, b: number) => a - b;
        expect([...object.indexes()].sort(ascending)).toEqual([...model.keys()].sort(ascending));
        for (const [, index] of list)
          expect(object.lookup(index)).toBe(model.get(index) ?? NO_FRAME);
      }),
      { numRuns: 150 },
    );
  });

  test("keeps page numbers near 2^40 exact in the frame's column", () => {
    const m = new UvmMachine();
    const object = m.object();
    for (const index of [2 ** 40, 2 ** 40 - 1, 2 ** 32, 2 ** 31]) {
      expect(m.pages.indexOf(m.resident(object, index))).toBe(index);
    }
    m.finish();
  });

  test("keeps one wait channel for a page until it is taken", () => {
    const object = new UvmObject(1);
    const channel = object.channel(5);
    expect(object.channel(5)).toBe(channel);
    expect(object.channel(6)).not.toBe(channel);
    expect(object.takeChannel(5)).toBe(channel);
    expect(object.channel(5)).not.toBe(channel);
  });
});

describe("the pager map", () => {
  test("maps frames in a row of addresses, and unmaps them", () => {
    const m = new UvmMachine();
    const frames = Int32Array.from({ length: 3 }, () => m.mem.allocFrame());
    const va = m.pager.tryMapIn(frames, 3);
    expect([0, 1, 2].map((i) => m.kmem.pmap.frameAt(va + i * PAGE_SIZE))).toEqual([...frames]);
    expect(m.pager.mappedPages).toBe(3);
    m.pager.mapOut(va, 3);
    expect([0, 1, 2].map((i) => m.kmem.pmap.frameAt(va + i * PAGE_SIZE))).toEqual([-1, -1, -1]);
    for (const frame of frames) m.mem.freeFrame(frame);
    m.finish();
  });

  test("makes threads wait when its addresses are used up, and wakes them", () => {
    for (const seed of seeds(30)) {
      const m = new UvmMachine(64, seed, 8);
      const frames = Int32Array.from({ length: 8 }, () => m.mem.allocFrame());
      let done = 0;
      const body = function* (count: number): Sleeps<void> {
        for (let turn = 0; turn < 4; turn++) {
          const va = yield* m.pager.mapIn(frames, count);
          expect(m.pager.mappedPages).toBeLessThanOrEqual(8);
          yield* m.sched.preempt();
          m.pager.mapOut(va, count);
        }
        done++;
      };
      for (const count of [8, 3, 5, 1, 8, 2]) m.sched.spawn(`map ${count}`, body(count));
      m.sched.pump();
      expect(done, `seed ${seed}`).toBe(6);
      expect(m.pager.waits).toBeGreaterThan(0);
      for (const frame of frames) m.mem.freeFrame(frame);
      m.finish();
    }
  });

  test("says −1 to those who must not wait, and panics for what never fits", () => {
    const m = new UvmMachine();
    const frames = Int32Array.from({ length: 9 }, () => m.mem.allocFrame());
    const va = m.pager.tryMapIn(frames, 8);
    expect(m.pager.tryMapIn(frames, 1)).toBe(-1);
    m.pager.mapOut(va, 8);
    expect(() => m.sched.runSync(m.pager.mapIn(frames, 9))).toThrow(Panic);
    expect(new PagerMap(m.kmem, m.sched).tryMapIn(frames, 9)).toBeGreaterThan(0);
    expect(PAGER_MAP_SIZE % PAGE_SIZE).toBe(0);
    for (const frame of frames) m.mem.freeFrame(frame);
  });
});

describe("check", () => {
  type Damage = (m: UvmMachine, frame: number) => void;
  const rowOf = (frame: number) => frame & ROW_MASK;
  const DAMAGE: [string, Damage][] = [
    [
      "a page whose frame names another number",
      (m, f) => {
        m.mem.section(f).index[rowOf(f)]++;
      },
    ],
    [
      "a page whose frame names nobody",
      (m, f) => {
        m.mem.section(f).owner[rowOf(f)] = 0;
      },
    ],
    [
      "a page count that is off",
      (m) => {
        m.objects[0].index.count++;
      },
    ],
    [
      "a total that is off",
      (m) => {
        m.pages.resident--;
      },
    ],
    [
      "a frame that names another queue",
      (m, f) => {
        m.mem.section(f).queue[rowOf(f)] = 2;
      },
    ],
    [
      "a broken back link",
      (m, f) => {
        m.mem.section(f).prev[rowOf(f)] = f;
      },
    ],
    [
      "a queue that ends early",
      (m, f) => {
        m.mem.section(f).next[rowOf(f)] = NO_FRAME;
      },
    ],
  ];
  test.each(DAMAGE)("notices %s", (_name, damage) => {
    const m = new UvmMachine();
    const object = m.object();
    const frames = [0, 1, 2].map((index) => m.resident(object, index));
    m.pages.check();
    damage(m, frames[1]);
    expect(() => m.pages.check()).toThrow(Panic);
  });
});

describe("the pager map's reserve", () => {
  test("is one window of 16 pages for the daemon, when the others are used up", () => {
    const m = new UvmMachine(64, null, 8);
    const frames = Int32Array.from({ length: 16 }, () => m.mem.allocFrame());
    const all = m.pager.tryMapIn(frames, 8);
    const window = m.pager.tryReserve(frames, 16);
    expect(window).toBeGreaterThan(0);
    expect(m.pager.frameAt(window, 15)).toBe(frames[15]);
    expect(m.pager.tryReserve(frames, 1)).toBe(-1);
    m.pager.mapOut(window, 16);
    expect(m.sched.runSync(m.pager.mapIn(frames, 4, true))).toBe(window);
    m.pager.mapOut(window, 4);
    expect(m.pager.waits).toBe(0);
    m.pager.mapOut(all, 8);
    expect(m.sched.runSync(m.pager.mapIn(frames, 4, true))).not.toBe(window); // not needed
    m.pager.mapOut(all, 4);
    expect(() => m.pager.tryReserve(Int32Array.from({ length: 17 }), 17)).toThrow(Panic);
    for (const frame of frames) m.mem.freeFrame(frame);
    m.finish();
  });

  test("lets the daemon get on while others wait, who are woken afterwards", () => {
    const m = new UvmMachine(64, null, 8);
    const frames = Int32Array.from({ length: 8 }, () => m.mem.allocFrame());
    const all = m.pager.tryMapIn(frames, 8);
    const log: string[] = [];
    const body = function* (name: string, daemon: boolean): Sleeps<void> {
      const va = yield* m.pager.mapIn(frames, 2, daemon);
      log.push(name);
      yield* m.sched.preempt();
      m.pager.mapOut(va, 2);
    };
    m.sched.spawn("a", body("a", false));
    m.sched.spawn("daemon", body("daemon", true));
    m.sched.pump();
    expect(log).toEqual(["daemon"]);
    m.pager.mapOut(all, 8);
    m.sched.pump();
    expect(log).toEqual(["daemon", "a"]);
    for (const frame of frames) m.mem.freeFrame(frame);
    m.finish();
  });
});
