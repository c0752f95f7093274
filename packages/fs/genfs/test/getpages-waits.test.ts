/** getpages when something goes wrong or somebody else is there: errors, asynchronous requests, races. */
import { Errno, KiB, NO_FRAME } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import { DONTCARE, PageQueue, Pg, Pgo } from "@physio/uvm";
import { describe, expect, test } from "vitest";
import { getpages, getpagesNow } from "../src/index.ts";
import { GenfsMachine, HOLE, seeds } from "./machine.ts";

const K = KiB;
const VALID = Pg.TABLED | Pg.CLEAN;

function start(m: GenfsMachine, request: ReturnType<GenfsMachine["request"]>) {
  const thread = m.sched.start(getpages(m.vp, request));
  m.sched.pump();
  return { result: () => m.sched.resultOf<Errno | undefined>(thread) };
}

describe.each(["inline", "softintr"] as const)("an error (%s)", (completion) => {
  test("of bmap is EIO: new pages go, valid ones stay", () => {
    for (const bad of [0, 2, 3]) {
      const m = new GenfsMachine({ size: 16 * K, map: [4, 5, 9, 20], completion });
      m.badBlocks.add(bad);
      m.plant(1);
      const { result } = start(m, m.request(0, 4));
      m.settle();
      expect([bad, result()]).toEqual([bad, Errno.EIO]);
      expect(m.residents(4)).toEqual([1]);
      expect(m.state(1)).toBe(VALID);
      m.checkContents(4);
      m.finish();
    }
  });

  test("of one transfer is that of the request: new pages go, valid ones stay", () => {
    for (const bad of [0, 1, 2]) {
      const m = new GenfsMachine({ size: 16 * K, map: [4, 5, 9, 20], completion });
      m.plant(1);
      const { result } = start(m, m.request(0, 4));
      expect(m.waiting.length).toBe(3);
      for (let i = 0; i < 3; i++) m.answer(0, i === bad ? Errno.ENXIO : Errno.OK);
      m.sched.pump();
      expect(result()).toBe(Errno.ENXIO);
      expect(m.residents(4)).toEqual([1]);
      m.finish();
    }
  });

  test("of the only transfer frees the neighbours in the block too", () => {
    const m = new GenfsMachine({ blockSize: 16 * K, size: 32 * K, map: [1, 2], completion });
    const { result } = start(m, m.request(2, 1));
    m.answer(0, Errno.EIO);
    m.sched.pump();
    expect(result()).toBe(Errno.EIO);
    expect(m.residents(8)).toEqual([]);
    m.finish();
  });

  test("of read-ahead frees new pages and keeps the valid ones", () => {
    const m = new GenfsMachine({ size: 16 * K, map: [4, 5, 9, 20], completion });
    m.plant(1);
    expect(start(m, m.request(0, 4, 0)).result()).toBe(Errno.OK);
    m.answer(0);
    m.answer(0, Errno.EIO);
    m.answer(0);
    m.sched.pump();
    expect(m.residents(4)).toEqual([1]);
    m.finish();
  });

  test("of bmap in read-ahead is told to nobody and leaves nothing", () => {
    const m = new GenfsMachine({ size: 16 * K, map: [4, 9, 5, 6], completion });
    m.badBlocks.add(1);
    expect(start(m, m.request(0, 4, 0)).result()).toBe(Errno.OK);
    m.settle();
    expect(m.residents(4)).toEqual([]);
    m.finish();
  });
});

describe.each(["inline", "softintr"] as const)("an asynchronous request (%s)", (completion) => {
  test("returns at once, and its pages become valid and idle later", () => {
    const m = new GenfsMachine({ size: 16 * K, map: [4, HOLE, 9, 20], completion });
    const request = m.request(0, 4, 0);
    expect(start(m, request).result()).toBe(Errno.OK);
    expect([...request.pages]).toEqual(new Array(4).fill(NO_FRAME));
    expect([m.waiting.length, m.node.lock.held]).toEqual([3, false]);
    expect([0, 1, 2, 3].map((i) => m.state(i)! & (Pg.BUSY | Pg.FAKE))).toEqual(
      new Array(4).fill(Pg.BUSY | Pg.FAKE),
    );
    m.settle();
    expect([0, 1, 2, 3].map((i) => m.state(i))).toEqual([VALID, VALID | Pg.RDONLY, VALID, VALID]);
    expect(m.pages.queues.length(PageQueue.ACTIVE)).toBe(4);
    m.checkContents(4);
    m.finish();
  });

  test("over holes alone is done at once", () => {
    const m = new GenfsMachine({ size: 8 * K, map: [HOLE, HOLE], completion });
    expect(start(m, m.request(0, 2, 0)).result()).toBe(Errno.OK);
    expect(m.state(1)).toBe(VALID | Pg.RDONLY);
    m.finish();
  });

  test("for resident pages gives them up on the active queue", () => {
    const m = new GenfsMachine({ size: 8 * K, map: [4, 5], completion });
    m.plant(0);
    m.plant(1);
    m.pages.queues.remove(m.vp.object.lookup(1));
    const request = m.request(0, 2, 0);
    expect(start(m, request).result()).toBe(Errno.OK);
    expect([...request.pages]).toEqual([NO_FRAME, NO_FRAME]);
    expect([m.pages.queues.length(PageQueue.ACTIVE), m.pages.busyCount()]).toEqual([2, 0]);
    m.finish();
  });

  test.each([4 * K, 16 * K])(
    "is EBUSY and leaves nothing when a page is busy (blocks of %i)",
    (blockSize) => {
      const m = new GenfsMachine({ blockSize, size: 16 * K, map: [0, 1, 2, 3], completion });
      m.plant(2);
      m.pages.setFlags(m.vp.object.lookup(2), Pg.BUSY);
      const index = blockSize === 4 * K ? 1 : 3; // page 2 is asked for, or comes with the block
      expect(start(m, m.request(index, blockSize === 4 * K ? 2 : 1, 0)).result()).toBe(Errno.EBUSY);
      expect(m.residents(4)).toEqual([2]);
      m.pages.unbusy(m.vp.object.lookup(2));
      m.finish();
    },
  );

  test("is EBUSY when the pager map is full or no frame is free", () => {
    const full = new GenfsMachine({ size: 16 * K, map: [0, 1, 2, 3], pagerPages: 2, completion });
    const held = Int32Array.from([0], () => full.mem.allocFrame());
    const va = full.pager.tryMapIn(held, 1);
    expect(start(full, full.request(0, 2, 0)).result()).toBe(Errno.EBUSY);
    expect(full.residents(4)).toEqual([]);
    full.pager.mapOut(va, 1);
    full.mem.freeFrame(held[0]);
    full.finish();
    const small = new GenfsMachine({ frames: 2, size: 16 * K, map: [0, 1, 2, 3], completion });
    expect(start(small, small.request(0, 3, 0)).result()).toBe(Errno.EBUSY);
    expect(small.residents(4)).toEqual([]);
    small.finish();
  });
});

describe("two threads", () => {
  test("that fault the same page do one transfer", () => {
    for (const seed of seeds(20)) {
      const m = new GenfsMachine({ size: 16 * K, map: [4, 5, 6, 7], seed });
      m.slowBmap = seed % 2 === 0;
      let done = 0;
      const body = function* (): Sleeps<void> {
        const request = m.request(1, 1);
        expect(yield* getpages(m.vp, request)).toBe(Errno.OK);
        expect(m.bytesOf(request.pages[0])).toEqual(m.content(4 * K, 4 * K));
        m.release(request);
        done++;
      };
      for (const name of ["a", "b", "c"]) m.sched.spawn(name, body());
      m.sched.pump();
      expect(m.transfers()).toEqual([[5 * 4 * K, 4 * K]]);
      m.settle();
      expect([done, m.disk.transfers]).toEqual([3, 1]);
      m.finish();
    }
  });

  test("that want overlapping pages of large blocks never wait for each other in a circle", () => {
    for (const seed of seeds(60)) {
      const m = new GenfsMachine({
        blockSize: 8 * K,
        size: 64 * K,
        map: [0, 1, 9, 8, 4, 5, 12, 7],
        seed,
        completion: "softintr",
      });
      m.slowBmap = true;
      m.started = () =>
        m.sched.after(
          m.sched.event(() => m.answer(seed % m.waiting.length)),
          3000,
        );
      let done = 0;
      const body = function* (index: number, count: number): Sleeps<void> {
        const request = m.request(index, count);
        expect(yield* getpages(m.vp, request)).toBe(Errno.OK);
        yield* m.sched.preempt();
        m.release(request);
        done++;
      };
      for (const [index, count] of [
        [3, 4],
        [0, 6],
        [5, 1],
        [2, 9],
        [7, 7],
        [1, 2],
      ]) {
        m.sched.spawn(`${index}+${count}`, body(index, count));
      }
      m.sched.pump();
      expect(done, `seed ${seed}`).toBe(6);
      m.checkContents(16);
      m.finish();
    }
  });

  test("one that waits for a page whose reader fails reads it itself", () => {
    const m = new GenfsMachine({ size: 4 * K, map: [4] });
    const [a, b] = [m.request(0, 1), m.request(0, 1)];
    const first = start(m, a);
    const second = start(m, b);
    m.answer(0, Errno.EIO);
    m.sched.pump();
    expect([first.result(), m.waiting.length]).toEqual([Errno.EIO, 1]);
    m.settle();
    expect(second.result()).toBe(Errno.OK);
    m.checkContents(1);
    m.release(b);
    m.finish();
  });
});

describe("truncation while a request waits for the lock", () => {
  test.each([
    { to: 6000, result: Errno.OK, left: [1] },
    { to: 4096, result: Errno.EINVAL, left: [] },
    { to: 0, result: Errno.EINVAL, left: [] },
  ])("to $to bytes makes it start over", ({ to, result, left }) => {
    const m = new GenfsMachine({ size: 16 * K, map: [4, 5, 6, 7] });
    m.node.lock.tryEnter(RW_WRITER); // by nobody in a thread
    const request = m.request(1, 3);
    let got: Errno | null = null;
    m.sched.spawn(
      "reader",
      (function* (): Sleeps<void> {
        got = yield* getpages(m.vp, request);
      })(),
    );
    m.sched.pump();
    expect([got, m.waiting.length]).toEqual([null, 0]);
    m.vp.size = to;
    m.vp.writeSize = to;
    m.node.lock.exit();
    m.settle();
    expect(got).toBe(result);
    expect(m.residents(4)).toEqual(left);
    expect([...request.pages.subarray(1)]).toEqual([NO_FRAME, NO_FRAME]);
    if (result === Errno.OK) m.release(request);
    m.finish();
  });
});

describe("getpages without sleeping", () => {
  function mixed() {
    const m = new GenfsMachine({ size: 20 * K, map: [4, 5, 6, 7, 8] });
    for (const page of [1, 2, 3]) m.plant(page);
    m.pages.setFlags(m.vp.object.lookup(2), Pg.BUSY);
    m.pages.setFlags(m.vp.object.lookup(3), Pg.RDONLY);
    return m;
  }
  const CASES = [
    {
      name: "hands over what is resident and idle",
      center: 1,
      write: false,
      error: Errno.OK,
      found: [1, 3],
    },
    {
      name: "is EBUSY when the centre is missing, and still hands over the rest",
      center: 0,
      write: false,
      error: Errno.EBUSY,
      found: [1, 3],
    },
    {
      name: "is EBUSY when the centre is busy",
      center: 2,
      write: false,
      error: Errno.EBUSY,
      found: [1, 3],
    },
    {
      name: "takes no read-only page for writing",
      center: 3,
      write: true,
      error: Errno.EBUSY,
      found: [1],
    },
  ];
  test.each(CASES)("$name", ({ center, write, error, found }) => {
    const m = mixed();
    const request = m.request(0, 5, Pgo.LOCKED, center);
    request.write = write;
    expect(m.sched.runSync(getpages(m.vp, request))).toBe(error);
    const wanted = [0, 1, 2, 3, 4].map((i) =>
      found.includes(i) ? m.vp.object.lookup(i) : NO_FRAME,
    );
    expect([...request.pages]).toEqual(wanted);
    expect(m.pages.busyCount()).toBe(found.length + 1);
    m.release(request);
    m.pages.unbusy(m.vp.object.lookup(2));
    m.finish();
  });

  test("is EBUSY when nothing is resident, EINVAL past the end", () => {
    const m = new GenfsMachine({ size: 8 * K, map: [4, 5] });
    expect(getpagesNow(m.vp, m.request(0, 2))).toBe(Errno.EBUSY);
    expect(getpagesNow(m.vp, m.request(2, 1))).toBe(Errno.EINVAL);
    expect(m.residents(4)).toEqual([]);
    m.finish();
  });

  test("hands nothing over while a truncation holds the lock", () => {
    const m = new GenfsMachine({ size: 12 * K, map: [4, 5, 6] });
    for (const page of [0, 1, 2]) m.plant(page);
    const request = m.request(0, 3);
    request.pages[1] = DONTCARE;
    m.node.lock.tryEnter(RW_WRITER);
    expect(getpagesNow(m.vp, request)).toBe(Errno.EBUSY);
    expect([...request.pages]).toEqual([NO_FRAME, DONTCARE, NO_FRAME]);
    expect(m.pages.busyCount()).toBe(0);
    m.node.lock.exit();
    expect(getpagesNow(m.vp, request)).toBe(Errno.OK);
    expect(request.pages[1]).toBe(DONTCARE);
    expect(m.pages.busyCount()).toBe(2);
    m.release(request);
    m.finish();
  });
});
