/** Pages: what a new one is, what findPages takes, skips and waits for, and who is woken. */
import { NO_FRAME, Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { describe, expect, test } from "vitest";
import type { UvmObject } from "../src/index.ts";
import { DONTCARE, findPages, findPagesNow, PageQueue, Pg, Ufp } from "../src/index.ts";
import { seeds, UvmMachine } from "./machine.ts";

describe("a page", () => {
  test("is busy, fake and clean and on no queue when it is new", () => {
    const m = new UvmMachine();
    const object = m.object();
    const frame = m.pages.alloc(object, 7);
    expect(m.pages.flags(frame)).toBe(Pg.BUSY | Pg.FAKE | Pg.CLEAN | Pg.TABLED);
    expect(object.lookup(7)).toBe(frame);
    expect(m.pages.objectOf(frame)).toBe(object);
    expect(m.pages.indexOf(frame)).toBe(7);
    expect(object.pageCount).toBe(1);
    expect(m.pages.busyCount()).toBe(1);
    m.pages.enqueue(frame);
    expect(m.pages.queues.oldest(PageQueue.ACTIVE)).toBe(frame);
    m.pages.unbusy(frame);
    m.finish();
  });

  test("is not found after it was freed, and its frame is free", () => {
    const m = new UvmMachine();
    const object = m.object();
    const frame = m.resident(object, 3);
    const free = m.mem.freeFrames;
    m.pages.free(frame);
    expect(object.lookup(3)).toBe(NO_FRAME);
    expect(m.mem.freeFrames).toBe(free + 1);
    expect(() => m.pages.objectOf(frame)).toThrow(Panic);
    m.finish();
  });

  test("keeps its other flags when some are set or cleared", () => {
    const m = new UvmMachine();
    const frame = m.resident(m.object(), 0);
    const other = m.resident(m.objects[0], 1);
    m.pages.setFlags(frame, Pg.RDONLY | Pg.PAGEOUT);
    expect(m.pages.flags(frame)).toBe(Pg.CLEAN | Pg.TABLED | Pg.RDONLY | Pg.PAGEOUT);
    m.pages.clearFlags(frame, Pg.PAGEOUT);
    expect(m.pages.flags(frame)).toBe(Pg.CLEAN | Pg.TABLED | Pg.RDONLY);
    expect(m.pages.flags(other)).toBe(Pg.CLEAN | Pg.TABLED);
    m.finish();
  });

  test("cannot be unbusied twice, and an object with pages cannot be destroyed", () => {
    const m = new UvmMachine();
    const frame = m.resident(m.object(), 0);
    expect(() => m.pages.unbusy(frame)).toThrow(Panic);
    expect(() => m.pages.destroyObject(m.objects[0])).toThrow("1 pages");
    m.finish();
  });

  test("is zeroed as a whole, and no more than it", () => {
    const m = new UvmMachine();
    const [a, b, c] = [0, 1, 2].map((index) => m.resident(m.objects[0] ?? m.object(), index));
    for (const frame of [a, b, c]) {
      const at = m.mem.byteOffset(frame);
      m.mem.bytes(frame).fill(0xee, at, at + 4096);
    }
    m.pages.zero(b);
    const sum = (frame: number) =>
      m.mem
        .bytes(frame)
        .subarray(m.mem.byteOffset(frame), m.mem.byteOffset(frame) + 4096)
        .reduce((total, byte) => total + byte, 0);
    expect([sum(a), sum(b), sum(c)]).toEqual([0xee * 4096, 0, 0xee * 4096]);
    m.finish();
  });

  test("that is released is freed when clean, and kept when dirty", () => {
    const m = new UvmMachine();
    const object = m.object();
    for (const index of [0, 1]) {
      const frame = m.resident(object, index);
      m.pages.setFlags(frame, Pg.BUSY);
      if (index === 1) m.pages.markDirty(frame);
      m.pages.release(frame);
    }
    expect(object.lookup(0)).toBe(NO_FRAME);
    expect(object.lookup(1)).not.toBe(NO_FRAME);
    m.finish();
  });
});

/** Pages 0 resident, 1 busy, 2 missing, 3 read-only, 4 being paged out. */
function mixed(m: UvmMachine): { object: UvmObject; busy: number[] } {
  const object = m.object();
  m.resident(object, 0);
  const busy = m.resident(object, 1);
  m.pages.setFlags(busy, Pg.BUSY);
  m.pages.setFlags(m.resident(object, 3), Pg.RDONLY);
  const leaving = m.resident(object, 4);
  m.pages.setFlags(leaving, Pg.BUSY);
  m.pages.pageoutStart(leaving);
  return { object, busy: [busy, leaving] };
}

const FOUND = [
  { name: "everything that needs no wait", flags: Ufp.NOWAIT, found: [0, 2, 3] },
  { name: "only resident pages with NOALLOC", flags: Ufp.NOWAIT | Ufp.NOALLOC, found: [0, 3] },
  { name: "no read-only pages with NORDONLY", flags: Ufp.NOWAIT | Ufp.NORDONLY, found: [0, 2] },
  {
    name: "neither with both",
    flags: Ufp.NOWAIT | Ufp.NOALLOC | Ufp.NORDONLY,
    found: [0],
  },
];

describe("findPages without waiting finds", () => {
  for (const { name, flags, found } of FOUND) {
    test.each(["plain", "generator"])(`${name} (%s)`, (form) => {
      const m = new UvmMachine();
      const { object, busy } = mixed(m);
      const pages = new Int32Array(7).fill(77);
      const count =
        form === "plain"
          ? findPagesNow(m.pages, object, 0, pages, 1, 5, flags)
          : m.sched.runSync(findPages(m.pages, object, 0, pages, 1, 5, flags));
      expect(count).toBe(found.length);
      expect([pages[0], pages[6]]).toEqual([77, 77]);
      for (let i = 0; i < 5; i++) {
        const wanted = found.includes(i) ? object.lookup(i) : NO_FRAME;
        expect([i, pages[i + 1]]).toEqual([i, wanted]);
        if (found.includes(i)) expect(m.pages.flags(wanted) & Pg.BUSY).toBe(Pg.BUSY);
      }
      expect(object.lookup(2) !== NO_FRAME).toBe(found.includes(2));
      m.pages.unbusyAll(pages, 1, 5);
      m.pages.pageoutDone(busy[1]);
      for (const frame of busy) m.pages.unbusy(frame);
      m.finish();
    });
  }

  test("nothing for an entry that is DONTCARE, which stays so", () => {
    const m = new UvmMachine();
    const object = m.object();
    for (const index of [0, 1, 2]) m.resident(object, index);
    const pages = new Int32Array([DONTCARE, NO_FRAME, DONTCARE]);
    expect(findPagesNow(m.pages, object, 0, pages, 0, 3, Ufp.NOWAIT)).toBe(1);
    expect([...pages]).toEqual([DONTCARE, object.lookup(1), DONTCARE]);
    expect(m.pages.busyCount()).toBe(1);
    m.pages.unbusyAll(pages, 0, 3);
    expect(m.sched.runSync(findPages(m.pages, object, 0, pages, 0, 3, Ufp.ALL))).toBe(1);
    expect([pages[0], pages[2]]).toEqual([DONTCARE, DONTCARE]);
    m.pages.unbusyAll(pages, 0, 3);
    m.finish();
  });
});

/** A thread that finds page `index` and says so. */
function* finder(
  m: UvmMachine,
  object: UvmObject,
  index: number,
  flags: Ufp,
  log: string[],
  name: string,
): Sleeps<void> {
  const pages = new Int32Array(1);
  const found = yield* findPages(m.pages, object, index, pages, 0, 1, flags);
  log.push(`${name}:${found}`);
  if (found === 0) return;
  yield* m.sched.preempt();
  m.pages.unbusy(pages[0]);
}

describe("findPages that may wait", () => {
  test.each([Ufp.ALL, Ufp.NOALLOC, Ufp.NORDONLY])(
    "sleeps on a busy page until it is unbusy (flags %i)",
    (flags) => {
      const m = new UvmMachine();
      const object = m.object();
      const frame = m.resident(object, 5);
      m.pages.setFlags(frame, Pg.BUSY);
      const log: string[] = [];
      m.sched.spawn("finder", finder(m, object, 5, flags, log, "a"));
      m.sched.pump();
      expect(log).toEqual([]);
      expect(m.pages.flags(frame) & Pg.WANTED).toBe(Pg.WANTED);
      m.pages.unbusy(frame);
      expect(m.pages.flags(frame) & (Pg.WANTED | Pg.BUSY)).toBe(0);
      m.sched.pump();
      expect(log).toEqual(["a:1"]);
      m.finish();
    },
  );

  test("skips a read-only page with NORDONLY, and a missing one with NOALLOC, at once", () => {
    const m = new UvmMachine();
    const object = m.object();
    m.pages.setFlags(m.resident(object, 0), Pg.RDONLY);
    const pages = new Int32Array(1);
    for (const [index, flags] of [
      [0, Ufp.NORDONLY],
      [1, Ufp.NOALLOC],
    ] as const) {
      expect(m.sched.runSync(findPages(m.pages, object, index, pages, 0, 1, flags))).toBe(0);
      expect(pages[0]).toBe(NO_FRAME);
    }
    m.finish();
  });

  test("gets a fresh page when the busy one was released meanwhile", () => {
    const m = new UvmMachine();
    const object = m.object();
    const frame = m.resident(object, 0);
    m.pages.setFlags(frame, Pg.BUSY);
    const log: string[] = [];
    m.sched.spawn("finder", finder(m, object, 0, Ufp.ALL, log, "a"));
    m.sched.pump();
    m.pages.setFlags(frame, Pg.RELEASED);
    m.pages.unbusy(frame);
    expect(object.lookup(0)).toBe(NO_FRAME);
    m.sched.pump();
    expect(log).toEqual(["a:1"]);
    expect(m.pages.flags(object.lookup(0)) & Pg.FAKE).toBe(Pg.FAKE);
    m.finish();
  });

  test("waits on when the page was freed and somebody else made it anew", () => {
    const m = new UvmMachine();
    const object = m.object();
    const first = m.resident(object, 0);
    m.pages.setFlags(first, Pg.BUSY);
    const log: string[] = [];
    for (const name of ["a", "b"]) {
      m.sched.spawn(name, finder(m, object, 0, Ufp.ALL, log, name));
    }
    m.sched.pump();
    m.pages.free(first);
    const second = m.pages.alloc(object, 0); // before the waiters run
    m.sched.pump();
    expect(log).toEqual([]);
    expect(m.pages.flags(second) & Pg.WANTED).toBe(Pg.WANTED);
    m.pages.unbusy(second);
    m.sched.pump();
    expect(log.sort()).toEqual(["a:1", "b:1"]);
    m.finish();
  });

  test("lets one thread at a time have a page, and every thread in the end, under any seed", () => {
    for (const seed of seeds(60)) {
      const m = new UvmMachine(8, seed);
      const object = m.object();
      const owner = new Map<number, string>();
      let turns = 0;
      const body = function* (name: string): Sleeps<void> {
        const pages = new Int32Array(2);
        for (let turn = 0; turn < 6; turn++) {
          const from = turn % 3;
          yield* findPages(m.pages, object, from, pages, 0, 2, Ufp.ALL);
          for (const frame of pages) {
            expect(owner.get(frame), `seed ${seed}`).toBe(undefined);
            owner.set(frame, name);
          }
          yield* m.sched.preempt();
          for (const frame of pages) {
            owner.delete(frame);
            if (turn % 2 === 0) m.pages.setFlags(frame, Pg.RELEASED);
            m.pages.unbusy(frame);
          }
          turns++;
        }
      };
      for (const name of ["a", "b", "c", "d"]) m.sched.spawn(name, body(name));
      m.sched.pump();
      expect(turns, `seed ${seed}`).toBe(24);
      m.finish();
    }
  });
});
