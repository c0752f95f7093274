/** Writing through the cache: now, later, and what becomes of a write that fails. */
import { Errno, KiB, Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { describe, expect, test } from "vitest";
import type { Buf } from "../src/index.ts";
import { BufFlag, BufPriority } from "../src/index.ts";
import { BlkMachine } from "./machine.ts";
import {
  BLOCK,
  cached,
  delay,
  failing,
  filled,
  flushDisk,
  flushOwner,
  inline,
  onDisk,
  owner,
  sector,
} from "./write-fixture.ts";

describe("bwrite", () => {
  test.each(["inline", "softintr"] as const)(
    "writes, waits and keeps the block (%s)",
    (completion) => {
      const m = new BlkMachine({ completion });
      const who = owner();
      const errors: Errno[] = [];
      m.sched.spawn(
        "writer",
        (function* (): Sleeps<void> {
          const buf = yield* m.cache.getblk(m.disk, sector(3), BLOCK, who);
          m.cache.clear(buf);
          m.cache.store(buf, new Uint8Array(BLOCK).fill(7));
          errors.push(yield* m.cache.bwrite(buf));
        })(),
      );
      m.sched.pump();
      expect([errors, who.numOutput, m.waiting.length]).toEqual([[], 1, 1]);
      m.answer();
      m.sched.pump();
      expect([errors, who.numOutput, who.dirtyBufs, onDisk(m, 3)]).toEqual([[Errno.OK], 0, 0, 7]);
      expect([cached(m, 3), m.cache.hits, m.cache.misses, m.cache.writes]).toEqual([7, 1, 0, 1]);
      m.finish();
    },
  );

  test("that fails tells its caller, and the block is not cached", () => {
    const m = inline();
    failing(m, 3);
    const before = m.media.slice();
    expect(m.sched.runSync(m.cache.bwrite(filled(m, 3, 7)))).toBe(Errno.ENXIO);
    expect([m.cache.bytes, flushDisk(m)]).toEqual([0, Errno.OK]);
    expect(m.media).toEqual(before);
    m.finish();
  });

  test("that fails keeps what a delayed write had left; its caller was told, nobody else is", () => {
    const m = inline();
    const who = owner();
    delay(m, 3, 7, who);
    failing(m, 3);
    expect(m.sched.runSync(m.cache.bwrite(filled(m, 3, 8)))).toBe(Errno.ENXIO);
    expect([m.cache.dirtyBytes, who.dirtyBufs, cached(m, 3)]).toEqual([BLOCK, 1, 8]);
    m.fault = null;
    expect([flushOwner(m, who), onDisk(m, 3), who.dirtyBufs]).toEqual([Errno.OK, 8, 0]);
    m.finish();
  });

  test("of a short transfer is EIO", () => {
    const m = new BlkMachine();
    const errors: Errno[] = [];
    const buf = filled(m, 3, 7);
    m.sched.spawn(
      "writer",
      (function* (): Sleeps<void> {
        errors.push(yield* m.cache.bwrite(buf));
      })(),
    );
    m.sched.pump();
    const [bio] = m.waiting.splice(0);
    bio.resid = 512;
    bio.done!(bio);
    m.sched.pump();
    expect(errors).toEqual([Errno.EIO]);
    m.finish();
  });

  test("of a buf that is not busy is a panic", () => {
    const m = inline();
    const buf = filled(m, 3, 7);
    m.cache.bdwrite(buf);
    expect(() => m.sched.runSync(m.cache.bwrite(buf))).toThrow(Panic);
    expect(() => m.cache.bawrite(buf)).toThrow(Panic);
    expect(() => m.cache.bdwrite(buf)).toThrow(Panic);
  });
});

describe("bawrite", () => {
  test("starts the write and gives the buf back at its end", () => {
    const m = new BlkMachine();
    const buf = filled(m, 3, 7);
    m.cache.bawrite(buf);
    expect([buf.flags & BufFlag.BUSY, buf.priority]).toEqual([
      BufFlag.BUSY,
      BufPriority.TIMELIMITED,
    ]);
    m.answer();
    expect([buf.flags & BufFlag.BUSY, onDisk(m, 3), cached(m, 3)]).toEqual([0, 7, 7]);
    m.finish();
  });

  test("that fails leaves the block dirty, and the next flush tells its owner once", () => {
    const m = inline();
    const [who, other] = [owner(), owner()];
    failing(m, 3, 4);
    m.cache.bawrite(filled(m, 3, 7, who));
    m.cache.bawrite(filled(m, 4, 9));
    expect([who.numOutput, who.dirtyBufs, m.cache.dirtyBytes]).toEqual([0, 1, 2 * BLOCK]);
    m.fault = null;
    expect(flushOwner(m, other)).toBe(Errno.OK);
    expect([flushOwner(m, who), onDisk(m, 3)]).toEqual([Errno.ENXIO, 7]);
    expect(flushOwner(m, who)).toBe(Errno.OK);
    expect([flushDisk(m), onDisk(m, 4)]).toEqual([Errno.ENXIO, 9]);
    expect([flushDisk(m), m.cache.dirtyBytes]).toEqual([Errno.OK, 0]);
    m.finish();
  });
});

describe("bdwrite", () => {
  test("writes nothing until somebody flushes, and is read from the cache meanwhile", () => {
    const m = inline();
    const who = owner();
    const before = m.media.slice();
    for (const fill of [1, 2, 3]) delay(m, 5, fill, who);
    expect([m.cache.delayedWrites, m.cache.writes, who.dirtyBufs, who.told]).toEqual([1, 0, 1, 1]);
    expect([cached(m, 5), m.cache.misses]).toEqual([3, 0]);
    expect(m.media).toEqual(before);
    expect([flushOwner(m, who, false), onDisk(m, 5), m.cache.writes]).toEqual([Errno.OK, 3, 1]);
    expect([who.dirtyBufs, m.cache.dirtyBytes]).toEqual([0, 0]);
    m.finish();
  });

  test("above the limit starts the oldest, and not a busy one", () => {
    const m = inline({ dirtyLimit: 3 * BLOCK });
    for (const block of [0, 1, 2]) delay(m, block, 10 + block);
    const busy = filled(m, 0, 20);
    delay(m, 3, 13);
    expect([0, 1, 2, 3].map((block) => onDisk(m, block))).toEqual([-1, 11, -1, -1]);
    m.cache.brelse(busy);
    expect([m.cache.dirtyBytes, m.cache.writes]).toEqual([3 * BLOCK, 1]);
    flushDisk(m);
    expect(onDisk(m, 0)).toBe(20); // it was dirty, and stayed so
    m.finish();
  });

  test("is written before its memory is taken", () => {
    const m = inline({ cacheLimit: 2 * BLOCK, dirtyLimit: 64 * KiB });
    for (const block of [0, 1, 2, 3]) delay(m, block, 10 + block);
    expect([m.cache.bytes, m.cache.dirtyBytes, m.cache.writes]).toEqual([2 * BLOCK, 2 * BLOCK, 2]);
    expect([onDisk(m, 0), onDisk(m, 1), onDisk(m, 2)]).toEqual([10, 11, -1]);
    expect([0, 1, 2, 3].map((block) => cached(m, block))).toEqual([10, 11, 12, 13]);
    flushDisk(m);
    m.finish();
  });

  test("beyond the cache's limit: no more is written than must go", () => {
    const m = new BlkMachine({ cacheLimit: 4 * BLOCK, dirtyLimit: 64 * KiB });
    for (const block of [0, 1, 2, 3, 4]) delay(m, block, 10 + block);
    expect(m.waiting.map((bio) => bio.offset / BLOCK)).toEqual([0]);
    m.answer();
    expect([m.cache.bytes, m.waiting.length]).toEqual([4 * BLOCK, 0]);
    m.inline = true;
    flushDisk(m);
    m.finish();
  });

  test("who needs a block while too much is cached waits for one transfer, not for all", () => {
    const m = new BlkMachine({ cacheLimit: BLOCK });
    const held = [1, 2, 3].map((block) => filled(m, block, block));
    for (const buf of held.splice(1)) m.cache.bawrite(buf);
    let got: Buf | null = null;
    m.sched.spawn(
      "needy",
      (function* (): Sleeps<void> {
        got = yield* m.cache.getblk(m.disk, sector(9), BLOCK);
      })(),
    );
    m.sched.pump();
    expect(got).toBe(null);
    m.answer();
    m.sched.pump();
    expect(got).not.toBe(null);
    m.answer();
    for (const buf of [got!, held[0]]) m.cache.forget(buf);
    m.finish();
  });

  test("is written before its memory is taken because none is free, asleep until it is", () => {
    const m = new BlkMachine({ cacheLimit: 64 * KiB, dirtyLimit: 64 * KiB });
    for (const block of [0, 1, 2, 3]) delay(m, block, 10 + block);
    const frames: number[] = [];
    while (m.mem.freeFrames > 0) frames.push(m.mem.allocFrame());
    let got: Buf | null = null;
    m.sched.spawn(
      "needy",
      (function* (): Sleeps<void> {
        got = yield* m.cache.getblk(m.disk, sector(9), BLOCK);
      })(),
    );
    m.sched.pump();
    expect([got, m.waiting.length]).toEqual([null, 4]);
    m.answer();
    m.sched.pump();
    expect(got).not.toBe(null);
    while (m.waiting.length > 0) m.answer();
    m.cache.brelse(got!);
    for (const frame of frames) m.mem.freeFrame(frame);
    expect(onDisk(m, 3)).toBe(13);
    m.finish();
  });

  test("a disk that fails every write costs memory, no loop: ENOMEM at last, and nothing is lost", () => {
    const m = inline({ cacheLimit: 2 * BLOCK, dirtyLimit: BLOCK });
    m.fault = (bio) => (bio.offset < 16 * BLOCK ? Errno.EIO : Errno.OK);
    for (let block = 0; block < 8; block++) delay(m, block, 10 + block);
    expect(m.cache.bytes).toBe(8 * BLOCK);
    const { writes } = m.cache;
    expect(writes).toBe(8); // each once: only a flush tries again
    const frames: number[] = [];
    while (m.mem.freeFrames > 0) frames.push(m.mem.allocFrame());
    expect(() => filled(m, 20, 1)).toThrow("ENOMEM");
    for (const frame of frames) m.mem.freeFrame(frame);
    m.sched.runSync(m.cache.flushDevice(m.disk, false));
    expect([m.cache.writes, flushDisk(m)]).toEqual([16, Errno.EIO]);
    m.fault = null;
    expect([flushDisk(m), flushDisk(m)]).toEqual([Errno.OK, Errno.OK]);
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((block) => onDisk(m, block))).toEqual([
      10, 11, 12, 13, 14, 15, 16, 17,
    ]);
    m.finish();
  });

  test("who makes blocks dirty faster than they are written waits for them", () => {
    const m = new BlkMachine({ cacheLimit: 4 * BLOCK, dirtyLimit: BLOCK });
    let made = 0;
    m.sched.spawn(
      "writer",
      (function* (): Sleeps<void> {
        for (let block = 0; block < 40; block++) {
          const buf = yield* m.cache.getblk(m.disk, sector(block), BLOCK);
          m.cache.store(buf, new Uint8Array(BLOCK).fill(block + 1));
          m.cache.bdwrite(buf);
          made++;
        }
      })(),
    );
    m.sched.pump();
    expect(made).toBeLessThan(10);
    let most = 0;
    while (m.waiting.length > 0) {
      most = Math.max(most, m.cache.bytes);
      m.answer();
      m.sched.pump();
    }
    expect(made).toBe(40);
    expect(most).toBeLessThanOrEqual(6 * BLOCK);
    m.inline = true;
    flushDisk(m);
    for (let block = 0; block < 40; block++) expect(onDisk(m, block)).toBe(block + 1);
    m.finish();
  });
});
