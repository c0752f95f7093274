/** When no frame is free: what is reclaimed, what is not, and how waiters get on. */
import { NO_FRAME } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import type { Sleeps } from "@physio/sched";
import { describe, expect, test } from "vitest";
import type { UvmObject } from "../src/index.ts";
import { findPages, findPagesNow, PageQueue, Pg, Ufp } from "../src/index.ts";
import { Chance, seeds, UvmMachine } from "./machine.ts";

const FRAMES = 6;

/** All frames are pages of one object: 0 … FRAMES − 1, the even ones inactive. */
function full(seed: number | null = null): { m: UvmMachine; object: UvmObject } {
  const m = new UvmMachine(FRAMES, seed);
  const object = m.object();
  for (let i = 0; i < FRAMES; i++) {
    m.resident(object, i, i % 2 === 0 ? PageQueue.INACTIVE : PageQueue.ACTIVE);
  }
  expect(m.mem.freeFrames).toBe(0);
  return { m, object };
}

describe("a page is allocated when no frame is free", () => {
  test("from the inactive queue, oldest first, then from the active one", () => {
    const { m, object } = full();
    const other = m.object();
    const gone: number[] = [];
    for (let i = 0; i < FRAMES; i++) {
      const frame = m.pages.alloc(other, i); // stays busy and on no queue
      expect(frame).not.toBe(NO_FRAME);
      for (let k = 0; k < FRAMES; k++) {
        if (object.lookup(k) === NO_FRAME && !gone.includes(k)) gone.push(k);
      }
    }
    expect(gone).toEqual([0, 2, 4, 1, 3, 5]);
    expect(m.pages.reclaimed).toBe(FRAMES);
    expect(m.pages.alloc(other, FRAMES)).toBe(NO_FRAME);
    for (let i = 0; i < FRAMES; i++) m.pages.unbusy(other.lookup(i));
    m.finish();
  });

  const KEPT: [
    string,
    (m: UvmMachine, frame: number) => void,
    (m: UvmMachine, frame: number) => void,
  ][] = [
    ["busy", (m, f) => m.pages.setFlags(f, Pg.BUSY), (m, f) => m.pages.unbusy(f)],
    ["dirty", (m, f) => m.pages.markDirty(f), () => {}],
    [
      "wired",
      (m, f) => {
        m.mem.section(f).wireCount[f & ROW_MASK] = 1;
      },
      (m, f) => {
        m.mem.section(f).wireCount[f & ROW_MASK] = 0;
      },
    ],
    ["on no queue", (m, f) => m.pages.queues.remove(f), () => {}],
  ];
  test.each(KEPT)("but not from a page that is %s", (_name, hold, letGo) => {
    const { m, object } = full();
    const other = m.object();
    const held = object.lookup(2);
    hold(m, held);
    for (let i = 0; i < FRAMES - 1; i++) expect(m.pages.alloc(other, i)).not.toBe(NO_FRAME);
    expect(object.lookup(2)).toBe(held);
    expect(m.pages.alloc(other, FRAMES)).toBe(NO_FRAME);
    letGo(m, held);
    for (let i = 0; i < FRAMES - 1; i++) m.pages.unbusy(other.lookup(i));
    m.finish();
  });
});

test("pages leave a few frames to kernel memory as long as others can be reclaimed", () => {
  const m = new UvmMachine(128);
  const object = m.object();
  for (let i = 0; i < 500; i++) m.resident(object, i);
  expect(m.mem.freeFrames).toBe(4);
  const va = m.kmem.alloc(4 * 4096);
  expect(m.mem.freeFrames).toBe(0);
  m.resident(object, 1000);
  expect(m.mem.freeFrames).toBe(4);
  m.kmem.free(va, 4 * 4096);
  m.finish();
});

describe("findPages with all frames busy", () => {
  function* want(m: UvmMachine, object: UvmObject, index: number, log: number[]): Sleeps<void> {
    const pages = new Int32Array(1);
    expect(yield* findPages(m.pages, object, index, pages, 0, 1, Ufp.ALL)).toBe(1);
    log.push(index);
    m.pages.activate(pages[0]);
    m.pages.unbusy(pages[0]);
  }

  function allBusy(): { m: UvmMachine; object: UvmObject; log: number[] } {
    const { m, object } = full();
    for (let i = 0; i < FRAMES; i++) m.pages.setFlags(object.lookup(i), Pg.BUSY);
    const log: number[] = [];
    m.sched.spawn("want", want(m, object, 100, log));
    m.sched.pump();
    expect(log).toEqual([]);
    return { m, object, log };
  }

  test("goes on when a page is freed", () => {
    const { m, object, log } = allBusy();
    m.pages.free(object.lookup(3));
    m.sched.pump();
    expect(log).toEqual([100]);
    m.pages.unbusyAll(
      Int32Array.from([0, 1, 2, 4, 5], (i) => object.lookup(i)),
      0,
      5,
    );
    m.finish();
  });

  test("goes on when a clean page becomes idle, which is then reclaimed", () => {
    const { m, object, log } = allBusy();
    m.pages.unbusy(object.lookup(1));
    m.sched.pump();
    expect(log).toEqual([100]);
    expect(object.lookup(1)).toBe(NO_FRAME);
    m.pages.unbusyAll(
      Int32Array.from([0, 2, 3, 4, 5], (i) => object.lookup(i)),
      0,
      5,
    );
    m.finish();
  });

  test("skips the missing page with NOWAIT", () => {
    const { m, object } = full();
    for (let i = 0; i < FRAMES; i++) m.pages.setFlags(object.lookup(i), Pg.BUSY);
    const pages = new Int32Array(1);
    expect(findPagesNow(m.pages, object, 100, pages, 0, 1, Ufp.NOWAIT)).toBe(0);
    expect(pages[0]).toBe(NO_FRAME);
    m.pages.unbusyAll(
      Int32Array.from([0, 1, 2, 3, 4, 5], (i) => object.lookup(i)),
      0,
      6,
    );
    m.finish();
  });

  test("lets many threads share few frames under any seed", () => {
    for (const seed of seeds(40)) {
      const { m } = full(seed);
      const chance = new Chance(seed);
      let done = 0;
      const body = function* (object: UvmObject): Sleeps<void> {
        const pages = new Int32Array(1);
        for (let turn = 0; turn < 12; turn++) {
          yield* findPages(m.pages, object, chance.below(30), pages, 0, 1, Ufp.ALL);
          yield* m.sched.preempt();
          if (chance.below(3) > 0) m.pages.activate(pages[0]);
          else m.pages.deactivate(pages[0]);
          m.pages.clearFlags(pages[0], Pg.FAKE);
          m.pages.unbusy(pages[0]);
          done++;
        }
      };
      for (let i = 0; i < 9; i++) m.sched.spawn(`t${i}`, body(m.object()));
      m.sched.pump();
      expect(done, `seed ${seed}`).toBe(9 * 12);
      m.finish();
    }
  });
});
