/** Giving bufs back, reading ahead, and flushing and forgetting what belongs to a disk or an owner. */
import { Errno, Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { describe, expect, test } from "vitest";
import type { Buf } from "../src/index.ts";
import { BufFlag } from "../src/index.ts";
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

describe("brelse", () => {
  test("of a dirty block that is INVAL or forgotten throws its data away", () => {
    const m = inline();
    const who = owner();
    delay(m, 3, 7, who);
    const before = m.media.slice();
    m.cache.forget(filled(m, 3, 8, who));
    expect([m.cache.bytes, m.cache.dirtyBytes, who.dirtyBufs]).toEqual([0, 0, 0]);
    const buf = filled(m, 4, 8, who);
    buf.flags |= BufFlag.INVAL;
    m.cache.bdwrite(buf);
    expect([m.cache.bytes, who.dirtyBufs, flushOwner(m, who)]).toEqual([0, 0, Errno.OK]);
    expect(m.media).toEqual(before);
    m.finish();
  });

  test("with INVAL after a write throws the block away, also when the write failed", () => {
    const m = inline();
    const who = owner();
    for (const fault of [Errno.OK, Errno.EIO]) {
      m.fault = () => fault;
      const buf = filled(m, 3, 8, who);
      buf.flags |= BufFlag.INVAL;
      m.cache.bawrite(buf);
      expect([m.cache.bytes, who.told]).toEqual([0, 0]);
      expect(flushOwner(m, who)).toBe(fault);
    }
    m.finish();
  });

  test("with AGE makes the block the first to go", () => {
    const m = inline({ cacheLimit: 3 * BLOCK });
    for (const block of [0, 1, 2]) cached(m, block);
    const buf = m.sched.runSync(m.cache.bread(m.disk, sector(2), BLOCK));
    buf.flags |= BufFlag.AGE;
    m.cache.brelse(buf);
    cached(m, 5);
    expect([0, 1, 2, 5].map((block) => m.cache.incore(m.disk, sector(block)) !== null)).toEqual([
      true,
      true,
      false,
      true,
    ]);
    m.finish();
  });
});

describe("breadn", () => {
  test("reads on, asynchronously, what is not cached", () => {
    const m = new BlkMachine();
    m.inline = true;
    cached(m, 2);
    m.inline = false;
    let got: Buf | null = null;
    m.sched.spawn(
      "reader",
      (function* (): Sleeps<void> {
        got = yield* m.cache.breadn(m.disk, sector(1), BLOCK, [2, 3, 4].map(sector));
      })(),
    );
    m.sched.pump();
    expect(m.waiting.map((bio) => bio.offset / BLOCK)).toEqual([1, 3, 4]);
    expect(m.cache.readAheads).toBe(2);
    m.answer();
    m.sched.pump();
    m.cache.brelse(got!); // before the rest has come
    m.answer(0, Errno.EIO); // nobody is told, nothing stays
    m.answer();
    expect([1, 2, 3, 4].map((block) => m.cache.incore(m.disk, sector(block)) !== null)).toEqual([
      true,
      true,
      false,
      true,
    ]);
    expect([m.cache.hits, m.cache.misses]).toEqual([0, 2]);
    m.finish();
  });

  test("goes without read-ahead beyond the disk and without memory", () => {
    const m = inline();
    m.cache.brelse(m.sched.runSync(m.cache.breadn(m.disk, sector(63), BLOCK, [sector(64)])));
    expect(m.cache.bytes).toBe(BLOCK);
    const buf = m.sched.runSync(m.cache.bread(m.disk, sector(63), BLOCK));
    const frames: number[] = [];
    while (m.mem.freeFrames > 0) frames.push(m.mem.allocFrame());
    m.cache.brelse(buf);
    const big = m.sched.runSync(
      m.cache.breadn(m.disk, sector(63), BLOCK, [0, 2, 4, 6, 8].map(sector)),
    );
    expect(big.error).toBe(Errno.OK);
    m.cache.brelse(big);
    for (const frame of frames) m.mem.freeFrame(frame);
    m.finish();
  });
});

describe("flushDevice", () => {
  test("is EIO when an owner's block could not be written; the owner is told what it was", () => {
    const m = inline();
    const who = owner();
    delay(m, 3, 7, who);
    failing(m, 3);
    expect(flushDisk(m)).toBe(Errno.EIO);
    m.fault = null;
    expect([flushDisk(m), onDisk(m, 3), flushOwner(m, who)]).toEqual([Errno.OK, 7, Errno.ENXIO]);
    m.finish();
  });

  test("waits for all that is under way, read-ahead too: then the disk can be forgotten", () => {
    const m = inline();
    cached(m, 1);
    m.inline = false;
    m.cache.brelse(m.sched.runSync(m.cache.breadn(m.disk, sector(1), BLOCK, [sector(2)])));
    m.cache.bawrite(filled(m, 3, 3));
    expect(() => m.cache.invalidate(m.disk)).toThrow(Panic);
    let over = false;
    m.sched.spawn(
      "sync",
      (function* (): Sleeps<void> {
        yield* m.cache.flushDevice(m.disk, true);
        over = true;
      })(),
    );
    for (const left of [2, 1]) {
      m.sched.pump();
      expect([over, m.waiting.length]).toEqual([false, left]);
      m.answer(left - 1);
    }
    m.sched.pump();
    expect(over).toBe(true);
    m.finish();
  });
});

describe("owners", () => {
  test("a block changes hands with what waits to be written", () => {
    const m = inline();
    const [a, b] = [owner(), owner()];
    delay(m, 3, 7, a);
    expect([a.dirtyBufs, b.dirtyBufs]).toEqual([1, 0]);
    m.cache.brelse(m.sched.runSync(m.cache.getblk(m.disk, sector(3), BLOCK)));
    expect([a.dirtyBufs, b.dirtyBufs]).toEqual([1, 0]); // nobody's claim changes nothing
    m.cache.brelse(m.sched.runSync(m.cache.getblk(m.disk, sector(3), BLOCK, b)));
    expect([a.dirtyBufs, b.dirtyBufs, a.told, b.told]).toEqual([0, 1, 1, 1]);
    expect([flushOwner(m, a), onDisk(m, 3)]).toEqual([Errno.OK, -1]);
    expect([flushOwner(m, b), onDisk(m, 3)]).toEqual([Errno.OK, 7]);
    m.finish();
  });

  test("a flush waits for blocks that are held, and for writes that were under way", () => {
    const m = new BlkMachine();
    const who = owner();
    delay(m, 1, 1, who);
    delay(m, 2, 2, who);
    m.cache.bawrite(filled(m, 3, 3, who));
    const held = filled(m, 2, 4, who);
    const errors: Errno[] = [];
    m.sched.spawn(
      "fsync",
      (function* (): Sleeps<void> {
        errors.push(yield* m.cache.flushOwner(who, true));
      })(),
    );
    m.sched.pump();
    expect(m.waiting.map((bio) => bio.offset / BLOCK)).toEqual([3, 1]);
    m.answer(1);
    m.sched.pump();
    m.cache.bdwrite(held);
    m.sched.pump();
    expect(m.waiting.map((bio) => bio.offset / BLOCK)).toEqual([3, 2]);
    m.answer(1);
    m.sched.pump();
    expect(errors).toEqual([]);
    m.answer(0);
    m.sched.pump();
    expect([errors, who.numOutput, onDisk(m, 2)]).toEqual([[Errno.OK], 0, 4]);
    m.finish();
  });

  test("a flush does not try again what was under way and failed", () => {
    const m = new BlkMachine();
    const who = owner();
    m.cache.bawrite(filled(m, 3, 3, who));
    const errors: Errno[] = [];
    m.sched.spawn(
      "fsync",
      (function* (): Sleeps<void> {
        errors.push(yield* m.cache.flushOwner(who, true));
      })(),
    );
    m.sched.pump();
    m.answer(0, Errno.ENXIO);
    m.sched.pump();
    expect([errors, m.waiting.length, who.dirtyBufs]).toEqual([[Errno.ENXIO], 0, 1]);
    m.finish();
  });

  test("a flush waits for another thread's bwrite of a block that was dirty", () => {
    const m = new BlkMachine();
    const who = owner();
    delay(m, 1, 1, who);
    const log: string[] = [];
    const buf = filled(m, 1, 2, who);
    m.sched.spawn(
      "bwrite",
      (function* (): Sleeps<void> {
        yield* m.cache.bwrite(buf);
        log.push("bwrite");
      })(),
    );
    m.sched.pump();
    m.sched.spawn(
      "fsync",
      (function* (): Sleeps<void> {
        yield* m.cache.flushOwner(who, true);
        log.push("fsync");
      })(),
    );
    m.sched.pump();
    expect(log).toEqual([]);
    m.answer();
    m.sched.pump();
    expect(log).toEqual(["bwrite", "fsync"]);
    m.finish();
  });

  test("one owner's blocks are forgotten when nothing of them is under way", () => {
    const m = new BlkMachine();
    const who = owner();
    delay(m, 1, 1, who);
    delay(m, 9, 9);
    m.cache.bawrite(filled(m, 2, 2, who));
    let over = false;
    m.sched.spawn(
      "vinvalbuf",
      (function* (): Sleeps<void> {
        yield* m.cache.invalidateOwner(who);
        over = true;
      })(),
    );
    m.sched.pump();
    expect(over).toBe(false);
    m.answer(0, Errno.EIO);
    m.sched.pump();
    expect([over, who.dirtyBufs, m.cache.bytes]).toEqual([true, 0, BLOCK]);
    expect(flushOwner(m, who)).toBe(Errno.OK); // what it was owed is forgotten too
    m.inline = true;
    expect([flushDisk(m), onDisk(m, 9)]).toEqual([Errno.OK, 9]);
    m.finish();
  });
});
