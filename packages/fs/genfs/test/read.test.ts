/** genfsRead: random reads by several threads against an array, and what it leaves in memory. */
import { Uio, UioRw } from "@physio/carriers";
import { Errno, KiB, PAGE_SIZE } from "@physio/kern";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { PageQueue, Pg } from "@physio/uvm";
import { IoFlag } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { genfsRead } from "../src/index.ts";
import { campaign } from "./file-machine.ts";
import { Chance, GenfsMachine, HOLE } from "./machine.ts";

const K = KiB;
const WINDOW = 64 * K;

/** A buffer of kernel memory, and a uio over it from `skip` bytes on. */
class Reader {
  readonly m: GenfsMachine;
  readonly va: number;
  readonly size: number;

  constructor(m: GenfsMachine, size: number) {
    this.m = m;
    this.size = size;
    this.va = m.kmem.alloc(size);
  }

  /** Read into two iovecs, the second where the first ends. */
  *read(offset: number, length: number, flags: IoFlag = 0, skip = 0): Sleeps<Uint8Array> {
    const { m } = this;
    const first = Math.floor(length / 3);
    const at = this.va + skip;
    const iov = [
      { base: at, length: first },
      { base: at + first, length: length - first },
    ];
    const uio = new Uio(UioRw.READ, m.kmem.space, iov, offset);
    expect(yield* genfsRead(m.vp, uio, flags)).toBe(Errno.OK);
    const got = new Uint8Array(length - uio.resid);
    m.kmem.read(at, got);
    expect(uio.offset).toBe(offset + got.length);
    return got;
  }

  close(): void {
    this.m.kmem.free(this.va, this.size);
  }
}

/** Runs of blocks and of holes, blocks in any place of the disk. */
function randomMap(chance: Chance, blocks: number, diskBlocks: number): number[] {
  const map: number[] = [];
  while (map.length < blocks) {
    const hole = chance.below(4) === 0;
    const run = 1 + chance.below(chance.below(3) === 0 ? 12 : 3);
    const first = chance.below(diskBlocks - run);
    for (let i = 0; i < run; i++) map.push(hole ? HOLE : first + i);
  }
  return map.slice(0, chance.below(6) === 0 ? blocks - 1 : blocks);
}

/** Transfers end after a while, in any order. */
function answerAtRandom(m: GenfsMachine, chance: Chance): void {
  m.started = () => {
    const event = m.sched.event(() => m.answer(chance.below(m.waiting.length)));
    m.sched.after(event, 1000 + chance.below(50_000));
  };
}

test("reads what an array has, whatever the map, the size, the threads and the seed", () => {
  for (const seed of campaign(50, 200)) {
    const chance = new Chance(seed);
    const blockSize = [K, 2 * K, 4 * K, 8 * K, 16 * K, 512][seed % 6];
    const size = chance.below(seed % 5 === 0 ? 200 * K : 40 * K) + (seed % 7 === 0 ? 0 : 1);
    const blocks = Math.ceil(size / blockSize);
    const m = new GenfsMachine({
      blockSize,
      size,
      map: randomMap(chance, blocks, (256 * K) / blockSize),
      seed,
      frames: 40 + chance.below(40),
      pagerPages: 20 + chance.below(20),
      maxTransfer: [4 * K, 16 * K, 64 * K][chance.below(3)],
      maxRun: chance.below(2) === 0 ? 1000 : chance.below(4),
      completion: chance.below(2) === 0 ? "inline" : "softintr",
    });
    m.slowBmap = chance.below(2) === 0;
    answerAtRandom(m, chance);
    const model = m.content(0, size);
    let done = 0;
    const body = function* (): Sleeps<void> {
      const reader = new Reader(m, 24 * K);
      for (let turn = 0; turn < 5; turn++) {
        const offset = chance.below(size + 100);
        const length = chance.below(chance.below(2) === 0 ? 300 : 20 * K);
        const got = yield* reader.read(
          offset,
          length,
          chance.below(3) === 0 ? IoFlag.NOREUSE : 0,
          chance.below(4096),
        );
        expect(got, `seed ${seed}, ${length} bytes at ${offset}`).toEqual(
          model.subarray(offset, offset + length),
        );
      }
      reader.close();
      done++;
    };
    for (const name of ["a", "b", "c"]) m.sched.spawn(name, body());
    m.sched.pump();
    expect(done, `seed ${seed}`).toBe(3);
    m.checkContents(64);
    m.finish();
  }
});

/** A file of 40 pages whose blocks lie in a row. */
function plain(size = 160 * K): GenfsMachine {
  const m = new GenfsMachine({ size, map: Array.from({ length: 40 }, (_, i) => i) });
  m.started = () =>
    m.sched.after(
      m.sched.event(() => m.answer()),
      5000,
    );
  return m;
}

function readOnce(m: GenfsMachine, offset: number, length: number, flags: IoFlag = 0): Uint8Array {
  const reader = new Reader(m, Math.max(length, 1));
  const got = m.sched.runSync(reader.read(offset, length, flags));
  m.sched.pump();
  reader.close();
  return got;
}

const pagesFrom = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => from + i);

describe("pages that were read", () => {
  test("stay active, so that the next read needs no transfer", () => {
    const m = plain();
    expect(readOnce(m, 5000, 10_000)).toEqual(m.content(5000, 10_000));
    expect(m.residents(40)).toEqual([1, 2, 3]);
    expect(m.pages.queues.length(PageQueue.ACTIVE)).toBe(3);
    expect(m.disk.transfers).toBe(1);
    expect(readOnce(m, 4096, 12_288)).toEqual(m.content(4096, 12_288));
    expect(m.disk.transfers).toBe(1);
    m.finish();
  });

  test("are given back with noReuse, those that were resident before too", () => {
    const m = plain();
    m.plant(2);
    m.plant(20);
    readOnce(m, 4096, 16_384, IoFlag.NOREUSE);
    expect(m.residents(40)).toEqual([20]);
    m.finish();
  });

  test("need not be the first of a window: resident neighbours of a missing page do no harm", () => {
    for (const missing of [0, 1, 2, 3]) {
      const m = plain();
      for (const page of [0, 1, 2, 3]) if (page !== missing) m.plant(page);
      expect(readOnce(m, 0, 16_384)).toEqual(m.content(0, 16_384));
      expect(m.disk.bytes).toBe(PAGE_SIZE);
      m.finish();
    }
  });

  test("do not fill memory when a file larger than it is read", () => {
    const map = Array.from({ length: 40 }, (_, i) => i);
    const m = new GenfsMachine({ size: 160 * K, map, frames: 24 });
    m.started = () =>
      m.sched.after(
        m.sched.event(() => m.answer()),
        5000,
      );
    const reader = new Reader(m, 8 * K);
    for (let at = 0; at < 160 * K; at += 8 * K) {
      expect(m.sched.runSync(reader.read(at, 8 * K))).toEqual(m.content(at, 8 * K));
    }
    m.sched.pump();
    expect(m.pages.reclaimed).toBeGreaterThan(10);
    reader.close();
    m.finish();
  });
});

describe("read-ahead", () => {
  const CASES = [
    {
      name: "starts when a reader goes on from where it was to a window's end",
      reads: [
        [0, 32],
        [32, 32],
      ],
      ahead: [16, 32],
    },
    {
      name: "starts when the first read takes the first window",
      reads: [[0, 64]],
      ahead: [16, 32],
    },
    {
      name: "goes on to the end of the file",
      reads: [
        [0, 64],
        [64, 64],
      ],
      ahead: [16, 40],
    },
    { name: "does not start inside of a window", reads: [[0, 60]], ahead: [15, 15] },
    { name: "does not start after a jump", reads: [[32, 32]], ahead: [16, 16] },
    {
      name: "does not start when the same is read again",
      reads: [
        [32, 32],
        [32, 32],
      ],
      ahead: [16, 16],
    },
  ];
  test.each(CASES)("$name", ({ reads, ahead }) => {
    const m = plain();
    for (const [at, length] of reads) readOnce(m, at * K, length * K);
    const first = Math.floor(reads[0][0] / 4);
    const end = ahead[1];
    expect(m.residents(48)).toEqual(pagesFrom(first, end));
    m.checkContents(48);
    m.finish();
  });

  test("does not start when the next window's first page is resident", () => {
    const m = plain();
    m.plant(16);
    readOnce(m, 0, WINDOW);
    expect(m.residents(40)).toEqual(pagesFrom(0, 17));
    m.finish();
  });

  test("that fails is not the reader's error", () => {
    const m = plain();
    m.badBlocks.add(20);
    m.badBlocks.add(16);
    expect(readOnce(m, 0, WINDOW)).toEqual(m.content(0, WINDOW));
    expect(m.residents(40)).toEqual(pagesFrom(0, 16));
    m.finish();
  });

  test("is joined by a reader that comes before it has ended", () => {
    const m = plain();
    const reader = new Reader(m, WINDOW);
    expect(m.sched.runSync(reader.read(0, WINDOW))).toEqual(m.content(0, WINDOW));
    expect(m.waiting.length).toBe(1); // the window ahead
    expect(m.state(16)! & Pg.BUSY).toBe(Pg.BUSY);
    expect(m.sched.runSync(reader.read(WINDOW, WINDOW))).toEqual(m.content(WINDOW, WINDOW));
    m.sched.pump();
    expect(m.disk.bytes).toBe(160 * K);
    reader.close();
    m.finish();
  });

  test("is waited for by an unmount", () => {
    const m = plain();
    const reader = new Reader(m, WINDOW);
    m.sched.runSync(reader.read(0, WINDOW));
    expect(m.waiting.length).toBe(1);
    reader.close();
    m.mount.vrele(m.vp);
    m.sched.runSync(m.mount.unmount());
    expect([m.waiting.length, m.pages.resident, m.bufs.outstanding]).toEqual([0, 0, 0]);
    m.kmem.reclaim();
    expect(m.mem.freeFrames).toBe(m.mem.totalFrames);
  });
});

describe("a read", () => {
  test("at or past the end of the file moves nothing", () => {
    const m = plain(5000);
    expect(readOnce(m, 5000, 10).length).toBe(0);
    expect(readOnce(m, 2 ** 40, 10).length).toBe(0);
    expect(readOnce(m, 4990, 100)).toEqual(m.content(4990, 10));
    expect(readOnce(m, 100, 0).length).toBe(0);
    m.finish();
  });

  test.each([0, IoFlag.NOREUSE])(
    "into memory that is not mapped is EFAULT and leaves no busy page (flags %s)",
    (flags) => {
      const m = plain();
      const va = m.kmem.alloc(3 * PAGE_SIZE);
      const middle = m.kmem.pmap.frameAt(va + PAGE_SIZE);
      m.kmem.pmap.remove(va + PAGE_SIZE, PAGE_SIZE);
      const hole = new Uio(UioRw.READ, m.kmem.space, [{ base: va, length: 3 * PAGE_SIZE }], 100);
      expect(m.sched.runSync(genfsRead(m.vp, hole, flags))).toBe(Errno.EFAULT);
      expect([hole.resid, hole.offset]).toEqual([2 * PAGE_SIZE, 100 + PAGE_SIZE]);
      expect(m.pages.busyCount()).toBe(0);
      const nothing = new Uio(UioRw.READ, m.kmem.space, [{ base: 0, length: 10 }], 0);
      expect(m.sched.runSync(genfsRead(m.vp, nothing, flags))).toBe(Errno.EFAULT);
      expect([m.pages.busyCount(), nothing.resid]).toEqual([0, 10]);
      m.sched.pump();
      m.kmem.pmap.enter(va + PAGE_SIZE, middle, Prot.READ | Prot.WRITE);
      m.kmem.free(va, 3 * PAGE_SIZE);
      m.finish();
    },
  );

  test("of a bad block is EIO; what came before it was moved", () => {
    const m = plain();
    m.badBlocks.add(16);
    const reader = new Reader(m, 128 * K);
    const uio = new Uio(UioRw.READ, m.kmem.space, [{ base: reader.va, length: 128 * K }], 0);
    expect(m.sched.runSync(genfsRead(m.vp, uio, 0))).toBe(Errno.EIO);
    expect(uio.offset).toBe(WINDOW);
    m.sched.pump();
    reader.close();
    m.finish();
  });

  test("of a file that is truncated meanwhile ends at the new end", () => {
    const m = plain();
    const reader = new Reader(m, 32 * K);
    const thread = m.sched.start(reader.read(0, 32 * K));
    for (let i = 0; i < 4 && m.waiting.length === 0; i++) m.sched.step();
    m.vp.size = 5000;
    m.sched.pump();
    expect(m.sched.resultOf<Uint8Array>(thread)).toEqual(m.content(0, 5000));
    reader.close();
    m.finish();
  });
});
