/** Clean and dirty: who is found dirty, what the end of I/O does in both semantics, wirings, and check(). */
import { Errno, NO_FRAME, PAGE_SIZE, Panic } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import { isModified, PmapBit, Prot, RadixTable } from "@physio/pmap";
import { describe, expect, test } from "vitest";
import type { PageSemantics, UvmObject } from "../src/index.ts";
import {
  findDirtyBack,
  findPages,
  findPagesNow,
  PageQueue,
  PageTag,
  Pg,
  pagesDone,
  Ufp,
} from "../src/index.ts";
import { UvmMachine } from "./machine.ts";

const DIRTY_NOW = Ufp.NOWAIT | Ufp.NOALLOC | Ufp.DIRTYONLY;

const modify = (m: UvmMachine, frame: number) => {
  m.mem.section(frame).pmapBits[frame & ROW_MASK] |= PmapBit.MODIFIED;
};

/** Pages 0 … 9 resident; `dirty` are. */
function bench(dirty: readonly number[], semantics: PageSemantics = "fixed") {
  const m = new UvmMachine(32, null, 8, semantics);
  const object = m.object();
  for (let i = 0; i < 10; i++) m.resident(object, i);
  for (const index of dirty) m.pages.markDirty(object.lookup(index));
  return { m, object };
}

const busy = (m: UvmMachine, object: UvmObject) =>
  [...object.indexes()].filter((i) => (m.pages.flags(object.lookup(i)) & Pg.BUSY) !== 0);

describe("a cluster", () => {
  test("goes forward up to the first page that is clean, and makes those before it CLEAN", () => {
    const { m, object } = bench([2, 3, 4, 6]);
    const pages = new Int32Array(6).fill(NO_FRAME);
    expect(findPagesNow(m.pages, object, 2, pages, 0, 6, DIRTY_NOW)).toBe(3);
    expect(busy(m, object)).toEqual([2, 3, 4]);
    expect([...pages.subarray(3)]).toEqual([NO_FRAME, NO_FRAME, NO_FRAME]);
    for (let i = 0; i < 3; i++) expect(m.pages.flags(pages[i]) & Pg.CLEAN).toBe(Pg.CLEAN);
    expect(object.isTagged(PageTag.DIRTY, 3)).toBe(true); // until it is written
    m.pages.unbusyAll(pages, 0, 6);
    m.finish();
  });

  test("goes backward from the end of the array", () => {
    const { m, object } = bench([2, 4, 5, 6]);
    const pages = new Int32Array(8).fill(NO_FRAME);
    expect(findDirtyBack(m.pages, object, 6, pages, 8, 7)).toBe(3);
    expect([...pages.subarray(4)]).toEqual([NO_FRAME, ...[4, 5, 6].map((i) => object.lookup(i))]);
    m.pages.unbusyAll(pages, 0, 8);
    m.finish();
  });

  test("takes no more than it may, and none below page 0", () => {
    const { m, object } = bench([0, 1, 2, 3]);
    const pages = new Int32Array(8).fill(NO_FRAME);
    expect(findDirtyBack(m.pages, object, 3, pages, 8, 2)).toBe(2);
    expect(findDirtyBack(m.pages, object, 1, pages, 4, 2)).toBe(2);
    m.pages.unbusyAll(pages, 0, 8);
    m.finish();
  });

  test("takes a page that only its mapping says is modified, and forgets that", () => {
    const { m, object } = bench([]);
    const frame = object.lookup(3);
    modify(m, frame);
    const pages = new Int32Array(2).fill(NO_FRAME);
    expect(findPagesNow(m.pages, object, 3, pages, 0, 2, DIRTY_NOW)).toBe(1);
    expect(isModified(m.mem, frame)).toBe(false);
    m.pages.unbusyAll(pages, 0, 2);
    m.finish();
  });

  test("stops at a busy page and at a missing one", () => {
    const { m, object } = bench([3, 4, 5]);
    m.pages.setFlags(object.lookup(4), Pg.BUSY);
    const pages = new Int32Array(8).fill(NO_FRAME);
    expect(findPagesNow(m.pages, object, 3, pages, 0, 3, DIRTY_NOW)).toBe(1);
    expect(findDirtyBack(m.pages, object, 12, pages, 8, 3)).toBe(0);
    m.pages.unbusy(object.lookup(4));
    m.pages.unbusyAll(pages, 0, 8);
    m.finish();
  });
});

test("NOCACHE skips what is resident and makes the rest, asleep or not", () => {
  const { m, object } = bench([]);
  for (const plain of [true, false]) {
    const pages = new Int32Array(4);
    const found = plain
      ? findPagesNow(m.pages, object, 8, pages, 0, 4, Ufp.NOCACHE | Ufp.NOWAIT)
      : m.sched.runSync(findPages(m.pages, object, 8, pages, 0, 4, Ufp.NOCACHE));
    expect([found, pages[0], pages[1]]).toEqual([2, NO_FRAME, NO_FRAME]);
    for (const frame of pages.subarray(2)) {
      m.pages.setFlags(frame, Pg.RELEASED);
      m.pages.unbusy(frame);
    }
  }
  m.finish();
});

describe("pagesDone", () => {
  /** One busy page with these flags beside. */
  function page(flags: number, semantics: PageSemantics, isDirty = false) {
    const { m, object } = bench(isDirty ? [4] : [], semantics);
    const frame = object.lookup(4);
    m.pages.dequeue(frame);
    m.pages.setFlags(frame, Pg.BUSY | flags);
    return { m, object, frame, frames: Int32Array.of(frame) };
  }

  const BOTH = ["seed", "fixed"] as const;
  test.each(BOTH)("makes a page that was read valid, and active (%s)", (semantics) => {
    const { m, frame, frames } = page(Pg.FAKE, semantics);
    modify(m, frame); // the device's bytes went through a mapping
    pagesDone(m.pages, frames, 1, Errno.OK, false);
    expect(m.pages.flags(frame)).toBe(Pg.CLEAN | Pg.TABLED);
    expect(isModified(m.mem, frame)).toBe(false);
    expect(m.pages.describe(frame)).toContain(" active");
    m.finish();
  });

  test.each(BOTH)("frees a page that could not be read (%s)", (semantics) => {
    const { m, object, frames } = page(Pg.FAKE, semantics);
    pagesDone(m.pages, frames, 1, Errno.EIO, false);
    expect(object.lookup(4)).toBe(NO_FRAME);
    m.finish();
  });

  const KEPT: [PageSemantics, boolean][] = [
    ["seed", false],
    ["fixed", true],
  ];
  test.each(KEPT)(
    "after a failed read of a page that was valid (%s): kept is %s",
    (semantics, kept) => {
      const { m, object, frames } = page(0, semantics);
      pagesDone(m.pages, frames, 1, Errno.EIO, false);
      expect(object.lookup(4) !== NO_FRAME).toBe(kept);
      m.finish();
    },
  );

  test.each(KEPT)(
    "after a failed write of a page (%s): its data are kept is %s",
    (semantics, kept) => {
      const { m, object, frame, frames } = page(0, semantics);
      object.index.set(PageTag.WRITEBACK, 4);
      pagesDone(m.pages, frames, 1, Errno.EIO, true);
      expect((m.pages.flags(frame) & Pg.CLEAN) === 0).toBe(kept);
      expect(object.isTagged(PageTag.WRITEBACK, 4)).toBe(false);
      expect([object.writeErrors, object.writeError]).toEqual([1, Errno.EIO]);
      m.finish();
    },
  );

  test.each(KEPT)(
    "after ENOMEM of a page that was to be freed (%s): kept is %s",
    (semantics, kept) => {
      const { m, object, frames } = page(Pg.RELEASED, semantics);
      pagesDone(m.pages, frames, 1, Errno.ENOMEM, true);
      expect(object.lookup(4) !== NO_FRAME).toBe(kept);
      m.finish();
    },
  );

  test("frees what the daemon had written, and keeps it when that failed", () => {
    for (const error of [Errno.OK, Errno.EIO]) {
      const { m, object, frame, frames } = page(0, "fixed");
      m.pages.pageoutStart(frame);
      expect(m.pages.paging).toBe(1);
      pagesDone(m.pages, frames, 1, error, true);
      expect([m.pages.paging, m.pages.daemonFreed]).toEqual([0, error === Errno.OK ? 1 : 0]);
      expect(object.lookup(4) === NO_FRAME).toBe(error === Errno.OK);
      m.finish();
    }
  });

  test("takes the dirty tag off, but not while the page is mapped for writing or was written again", () => {
    for (const after of ["nothing", "mapped", "written"] as const) {
      const { m, object, frame, frames } = page(0, "fixed");
      m.pages.tagDirty(frame);
      const pmap = m.kmem.pmaps.create("user", new RadixTable());
      if (after === "mapped") pmap.enter(PAGE_SIZE, frame, Prot.READ | Prot.WRITE);
      if (after === "written") m.pages.clearFlags(frame, Pg.CLEAN);
      pagesDone(m.pages, frames, 1, Errno.OK, true);
      expect(object.isTagged(PageTag.DIRTY, 4)).toBe(after !== "nothing");
      m.pages.check();
      pmap.remove(PAGE_SIZE, PAGE_SIZE);
      m.finish();
    }
  });
});

describe("a wired page", () => {
  test("is on no queue until the last wiring ends, then active", () => {
    const { m, object } = bench([]);
    const frame = object.lookup(0);
    m.pages.wire(frame);
    m.pages.wire(frame);
    m.pages.activate(frame);
    m.pages.deactivate(frame);
    expect(m.pages.describe(frame)).toContain("no queue");
    m.pages.unwire(frame);
    expect(m.pages.describe(frame)).toContain("no queue");
    m.pages.unwire(frame);
    expect(m.pages.describe(frame)).toContain(" active");
    m.finish();
  });

  test("that is freed keeps its frame until then, and loses it at once in seed semantics", () => {
    for (const semantics of ["fixed", "seed"] as const) {
      const { m, object } = bench([], semantics);
      const frame = object.lookup(0);
      const free = m.mem.freeFrames;
      m.pages.wire(frame);
      m.pages.free(frame);
      const fixed = semantics === "fixed";
      expect([m.mem.freeFrames - free, m.pages.supply.orphans]).toEqual(fixed ? [0, 1] : [1, 0]);
      if (fixed) m.pages.unwire(frame);
      expect([m.mem.freeFrames - free, m.pages.supply.orphans]).toEqual([1, 0]);
      m.finish();
    }
  });

  test("deactivate leaves an inactive page where it is", () => {
    const { m, object } = bench([]);
    for (const i of [0, 1]) m.pages.deactivate(object.lookup(i));
    m.pages.deactivate(object.lookup(0));
    expect(m.pages.queues.oldest(PageQueue.INACTIVE)).toBe(object.lookup(0));
    m.finish();
  });
});

describe("check notices", () => {
  test("a dirty page without its tag", () => {
    const { m, object } = bench([]);
    m.pages.clearFlags(object.lookup(2), Pg.CLEAN);
    expect(() => m.pages.check()).toThrow(Panic);
    m.pages.tagDirty(object.lookup(2));
    m.pages.check();
  });

  test("a page that may be written to without its tag", () => {
    const { m, object } = bench([]);
    const pmap = m.kmem.pmaps.create("user", new RadixTable());
    pmap.enter(PAGE_SIZE, object.lookup(2), Prot.READ | Prot.WRITE);
    expect(() => m.pages.check()).toThrow("not tagged");
    m.pages.tagDirty(object.lookup(2));
    m.pages.check();
  });

  test("a count that an index node has wrong", () => {
    const { m, object } = bench([3]);
    object.index.count++;
    expect(() => m.pages.check()).toThrow(Panic);
  });
});

test("objects of seed semantics keep the order in which pages came", () => {
  const m = new UvmMachine(32, null, 8, "seed");
  const object = m.object();
  for (const i of [5, 1, 9]) m.resident(object, i);
  m.pages.free(object.lookup(5));
  m.resident(object, 5);
  expect([...object.order!.list].map((entry) => entry.index)).toEqual([1, 9, 5]);
  expect(new UvmMachine().object().order).toBe(null);
  m.finish();
});
