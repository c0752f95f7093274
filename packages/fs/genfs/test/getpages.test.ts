/**
 * getpages with scripted block maps: what is read, what is zeroed, what comes back busy.
 *
 * Byte offsets on the disk are block numbers times the block size; the expected transfers can be
 * worked out by hand from the map.
 */
import { Errno, KiB, PAGE_SIZE, Panic } from "@physio/kern";
import { isModified } from "@physio/pmap";
import { PageQueue, Pg, Pgo } from "@physio/uvm";
import { describe, expect, test } from "vitest";
import { getpages } from "../src/index.ts";
import { CASES } from "./getpages-cases.ts";
import { GenfsMachine, HOLE } from "./machine.ts";

const K = KiB;
const VALID = Pg.TABLED | Pg.CLEAN;
const HELD = VALID | Pg.BUSY;

/** Run a request to its end. */
function run(m: GenfsMachine, request: ReturnType<GenfsMachine["request"]>): Errno {
  const thread = m.sched.start(getpages(m.vp, request));
  m.settle();
  return m.sched.resultOf<Errno>(thread);
}

describe.each(["inline", "softintr"] as const)("getpages (%s)", (completion) => {
  test.each(CASES)("$name", (c) => {
    const { blockSize = 4 * K, index, count, planted = [], idle = [], rdonly = [] } = c;
    const m = new GenfsMachine({ ...c, completion });
    for (const page of planted) m.plant(page);
    const reads: [number, number][] = [];
    m.started = (bio) => reads.push([bio.offset / blockSize, bio.bcount / blockSize]);
    const request = m.request(index, count);
    expect(run(m, request)).toBe(Errno.OK);
    expect(reads).toEqual(c.reads);
    const frames = c.busy.map((page) => m.vp.object.lookup(page));
    expect([...request.pages]).toEqual([...frames, ...new Array(count - frames.length).fill(-1)]);
    for (const page of [...c.busy, ...idle]) {
      const held = c.busy.includes(page) ? HELD : VALID;
      const wanted = rdonly.includes(page) ? held | Pg.RDONLY : held;
      expect([page, m.state(page)]).toEqual([page, wanted]);
      expect(isModified(m.mem, m.vp.object.lookup(page))).toBe(false);
    }
    expect(m.residents(16)).toEqual(
      [...new Set([...c.busy, ...idle, ...planted])].sort((a, b) => a - b),
    );
    const active = new Set([...idle, ...planted]);
    expect(m.pages.queues.length(PageQueue.ACTIVE)).toBe(active.size);
    m.checkContents(16);
    m.release(request);
    m.finish();
  });
});

describe("the bufs of a request", () => {
  test("are the master alone when one run covers it, else a nested one for each run", () => {
    for (const [map, bufs] of [
      [[5, 6, 7], 1],
      [[5, 9, 7], 4],
      [[HOLE, 6, 7], 2],
      [[5, 6, HOLE], 2],
    ] as const) {
      const m = new GenfsMachine({ size: 12 * K, map });
      const request = m.request(0, 3);
      m.sched.spawn("reader", getpages(m.vp, request));
      m.sched.pump();
      expect([map, m.bufs.outstanding]).toEqual([map, bufs]);
      m.settle();
      m.release(request);
      m.finish();
    }
  });

  test("may end in any order", () => {
    for (const order of [
      [0, 0, 0],
      [2, 1, 0],
      [1, 0, 0],
      [1, 1, 0],
    ]) {
      const m = new GenfsMachine({ size: 12 * K, map: [5, 9, 7] });
      const request = m.request(0, 3);
      const thread = m.sched.start(getpages(m.vp, request));
      m.sched.pump();
      for (const at of order) {
        expect(m.state(0)! & Pg.FAKE).toBe(Pg.FAKE);
        m.answer(at);
        m.sched.pump();
      }
      expect(m.sched.resultOf(thread)).toBe(Errno.OK);
      m.checkContents(3);
      m.release(request);
      m.finish();
    }
  });
});

describe("a request", () => {
  test("is EINVAL when its centre lies at or past the end of the file's blocks", () => {
    const m = new GenfsMachine({ blockSize: K, size: 5000, map: [1, 2, 3, 4, 5] });
    expect(run(m, m.request(2, 1))).toBe(Errno.EINVAL);
    expect(run(m, m.request(0, 4, Pgo.SYNCIO, 2))).toBe(Errno.EINVAL);
    expect(run(m, m.request(2, 1, 0))).toBe(Errno.EINVAL);
    const request = m.request(0, 4, Pgo.SYNCIO, 1);
    expect(run(m, request)).toBe(Errno.OK);
    expect(m.residents(8)).toEqual([0, 1]);
    m.release(request);
    m.finish();
  });

  test("that makes no sense is a bug of the caller", () => {
    const m = new GenfsMachine({ size: 8 * K, map: [1, 2] });
    for (const change of [
      { offset: 100 },
      { offset: -PAGE_SIZE },
      { count: 0 },
      { count: 3 },
      { center: 2 },
    ]) {
      const request = Object.assign(m.request(0, 2), change);
      expect(() => m.sched.runSync(getpages(m.vp, request)), JSON.stringify(change)).toThrow(Panic);
    }
    m.finish();
  });

  test("waits for addresses of the pager map, which another one gives back", () => {
    const m = new GenfsMachine({ size: 32 * K, map: [0, 1, 2, 3, 4, 5, 6, 7], pagerPages: 4 });
    const [a, b] = [m.request(0, 3), m.request(4, 3)];
    for (const request of [a, b]) m.sched.spawn("reader", getpages(m.vp, request));
    m.sched.pump();
    expect([m.waiting.length, m.pager.waits]).toEqual([1, 1]);
    m.settle();
    expect(m.residents(8)).toEqual([0, 1, 2, 4, 5, 6]);
    m.checkContents(8);
    for (const request of [a, b]) m.release(request);
    m.finish();
  });
});
