/** putpages when something is in the way: busy pages, vnodes that end, a suspended mount; and the page daemon's calls. */
import { Errno, PAGE_SIZE } from "@physio/kern";
import { Prot } from "@physio/pmap";
import { Pg, Pgo } from "@physio/uvm";
import type { Fstrans } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { BusyPage, doPutpages } from "../src/index.ts";
import type { FileMachine } from "./file-machine.ts";
import { draw, drawn, frameOf, picture, plain, unwire } from "./pictures.ts";

const { CLEANIT, FREE, SYNCIO, ALLPAGES, BUSYFAIL, RECLAIM } = Pgo;

describe("a busy page", () => {
  test.each([SYNCIO, 0])("is waited for, and done after that (flags %i)", (how) => {
    const m = drawn("DbD");
    const result = m.begin(m.put(0, 3, CLEANIT | how));
    expect([result(), m.takeLog(true)]).toEqual([undefined, [[0, 1]]]);
    m.pages.markDirty(frameOf(m, 1));
    m.pages.unbusy(frameOf(m, 1));
    m.sched.pump();
    expect([result(), picture(m, 3), m.takeLog(true)]).toEqual([Errno.OK, "CCC", [[1, 2]]]);
    m.finish();
  });

  test("that goes while it is waited for is passed by", () => {
    for (const semantics of ["fixed", "seed"] as const) {
      const m = plain(4, { semantics });
      draw(m, "CBDD");
      const result = m.begin(m.put(0, 4, CLEANIT | FREE | SYNCIO));
      expect(picture(m, 4)).toBe(".BDD");
      m.pages.setFlags(frameOf(m, 1), Pg.RELEASED);
      m.pages.unbusy(frameOf(m, 1));
      m.sched.pump();
      expect([result(), picture(m, 4)]).toEqual([Errno.OK, "...."]);
      expect(m.takeLog(true)).toEqual([[2, 2]]);
      m.finish();
    }
  });

  test("ends a cluster", () => {
    const m = drawn("DDBD");
    const result = m.begin(m.put(0, 2, CLEANIT | SYNCIO));
    expect([result(), m.takeLog(true)]).toEqual([Errno.OK, [[0, 2]]]);
    m.pages.unbusy(frameOf(m, 2));
    m.finish();
  });

  test("is EDEADLK with BUSYFAIL, which says which; the vnode stays on the worklist", () => {
    const m = drawn("DCbD");
    const busy = new BusyPage();
    const flags = CLEANIT | SYNCIO | ALLPAGES | BUSYFAIL;
    expect(m.run(doPutpages(m.vp, 0, 0, flags, busy))).toBe(Errno.EDEADLK);
    expect(busy.frame).toBe(frameOf(m, 2));
    expect([picture(m, 4), m.vp.onWorklist]).toEqual(["CCBD", true]);
    m.pages.unbusy(frameOf(m, 2));
    m.finish();
    const clean = drawn("CbM");
    expect(clean.run(clean.put(0, 0, flags))).toBe(Errno.EDEADLK);
    expect(clean.vp.onWorklist).toBe(true); // it may have dirty pages behind
    clean.pages.unbusy(frameOf(clean, 1));
    clean.finish();
  });

  test("is not waited for when the walk by tag knows that it is clean", () => {
    const m = drawn("CBC");
    expect(m.begin(m.put(0, 3, CLEANIT | SYNCIO))()).toBe(Errno.OK);
    m.pages.unbusy(frameOf(m, 1));
    m.finish();
    const seed = drawn("CBC", { semantics: "seed" });
    const result = seed.begin(seed.put(0, 3, CLEANIT | SYNCIO));
    expect(result()).toBe(undefined);
    seed.pages.unbusy(frameOf(seed, 1));
    seed.sched.pump();
    expect(result()).toBe(Errno.OK);
    seed.finish();
  });

  test("that is on its way out makes the object not clean", () => {
    for (const semantics of ["fixed", "seed"] as const) {
      const m = drawn("CbC", { semantics });
      m.pages.setFlags(frameOf(m, 1), Pg.RELEASED);
      m.run(m.put(0, 0, CLEANIT | SYNCIO | ALLPAGES));
      expect([semantics, m.vp.onWorklist, picture(m, 3)]).toEqual([semantics, true, "CBC"]);
      m.pages.unbusy(frameOf(m, 1));
      m.finish();
    }
  });
});

describe("RECLAIM", () => {
  const FLAGS = ALLPAGES | CLEANIT | FREE | SYNCIO | RECLAIM;

  test("goes on until no page is left and the vnode is clean", () => {
    for (const semantics of ["fixed", "seed"] as const) {
      const m = drawn("DCD.M", { semantics });
      expect(m.run(m.put(0, 0, FLAGS))).toBe(Errno.OK);
      expect([picture(m, 5), m.vp.onWorklist]).toEqual([".....", false]);
      m.finish();
    }
  });

  test("without SYNCIO waits for what it has started", () => {
    const m = drawn("DCD");
    m.held = true;
    const result = m.begin(m.put(0, 0, FLAGS & ~SYNCIO));
    expect([result(), picture(m, 3)]).toEqual([undefined, "B.B"]);
    m.settle();
    expect([result(), picture(m, 3), m.vp.onWorklist]).toEqual([Errno.OK, "...", false]);
    m.finish();
  });

  test("is EBUSY when a page can never be clean: it is wired and mapped for writing", () => {
    const m = drawn("W");
    const [va, frame] = [m.kmem.kvaAlloc(PAGE_SIZE), frameOf(m, 0)];
    m.kmem.pmap.enter(va, frame, Prot.READ | Prot.WRITE);
    m.pages.tagDirty(frame);
    expect(m.run(m.put(0, 0, FLAGS & ~FREE))).toBe(Errno.EBUSY);
    m.kmem.pmap.remove(va, PAGE_SIZE);
    m.kmem.kvaFree(va, PAGE_SIZE);
    unwire(m, 0);
    m.finish();
  });

  test("ends with the error of a write", () => {
    const m = drawn("D");
    m.badDisk.add(0);
    expect(m.run(m.put(0, 0, FLAGS))).toBe(Errno.EIO);
    expect([picture(m, 1), m.vp.onWorklist]).toEqual(["D", true]);
    m.finish();
  });
});

describe("the page daemon", () => {
  function asDaemon(m: FileMachine, lo: number, hi: number, flags: number): Errno {
    const thread = m.sched.start(m.put(lo, hi, flags));
    m.pages.daemon = thread;
    m.sched.pump();
    return m.sched.resultOf<Errno>(thread);
  }

  test("frees what it had written, and counts it", () => {
    const m = drawn("DCDD");
    m.held = true;
    expect(asDaemon(m, 0, 2, CLEANIT | FREE)).toBe(Errno.OK);
    expect([picture(m, 4), m.pages.paging, m.pages.daemonFreed]).toEqual(["B.DD", 1, 1]);
    expect(m.pages.flags(frameOf(m, 0)) & Pg.PAGEOUT).toBe(Pg.PAGEOUT);
    m.settle();
    expect([picture(m, 4), m.pages.paging, m.pages.daemonFreed]).toEqual(["..DD", 0, 2]);
    m.finish();
  });

  test("stops at a busy page instead of waiting", () => {
    const m = drawn("DCBD");
    expect(asDaemon(m, 0, 4, CLEANIT | FREE)).toBe(Errno.OK);
    expect(picture(m, 4)).toBe("..BD");
    m.pages.unbusy(frameOf(m, 2));
    m.finish();
  });

  test("is EBUSY while the mount is suspended; others wait", () => {
    const m = drawn("DD");
    const trans = m.mount.trans as Fstrans;
    m.begin(
      (function* () {
        yield* trans.suspend(function* () {});
        yield* m.sched.sleep(m, "test");
        trans.resume();
      })(),
    );
    expect(trans.state).toBe("suspended");
    expect(asDaemon(m, 0, 2, CLEANIT | FREE)).toBe(Errno.EBUSY);
    const result = m.begin(m.put(0, 2, CLEANIT));
    expect(result()).toBe(undefined);
    m.sched.wakeup(m);
    m.sched.pump();
    expect([result(), picture(m, 2)]).toEqual([Errno.OK, "CC"]);
    m.finish();
  });

  test("keeps its page when the write fails", () => {
    const m = drawn("D");
    m.badDisk.add(0);
    asDaemon(m, 0, 1, CLEANIT | FREE);
    expect([picture(m, 1), m.pages.paging]).toEqual(["D", 0]);
    m.finish();
  });
});
