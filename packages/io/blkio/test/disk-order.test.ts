/** A disk's commands: how many are out, what is merged, what a flush waits for, and writes that last. */
import { BioCommand, BioFlag } from "@physio/carriers";
import { Errno, ErrnoError, KiB, Panic } from "@physio/kern";
import { describe, expect, test } from "vitest";
import type { Buf } from "../src/index.ts";
import { BufFlag, BufPriority, Disk } from "../src/index.ts";
import { BlkMachine, Chance, seeds } from "./machine.ts";

const { READ, WRITE, FLUSH } = BioCommand;
const WORDS = { [READ]: "read", [WRITE]: "write", [FLUSH]: "flush", 3: "delete" };

/** Bufs that lie behind each other in memory, each at its own block. */
function batch(m: BlkMachine, blocks: number[], bytes = KiB, flags: BufFlag = 0): Buf[] {
  const base = m.kmem.alloc(blocks.length * bytes);
  return blocks.map((blkno, i) => {
    const buf = m.buf(bytes, flags);
    buf.data = base + i * bytes;
    buf.blkno = blkno;
    m.kmem.write(buf.data, new Uint8Array(bytes).fill(i + 1));
    return buf;
  });
}

function giveBack(m: BlkMachine, bufs: Buf[]): void {
  const [{ data, bufsize }] = bufs;
  m.kmem.free(data, bufs.length * bufsize);
  for (const buf of bufs) m.bufs.put(buf);
  m.finish();
}

function flushBuf(m: BlkMachine): Buf {
  const buf = m.buf(0, BufFlag.FLUSH);
  buf.blkno = 0;
  return buf;
}

const isDone = (buf: Buf) => (buf.flags & BufFlag.DONE) !== 0;
const given = (m: BlkMachine) =>
  m.waiting.map((bio) => `${WORDS[bio.command]} ${bio.offset / 512}`);

test("the driver has as many commands as it states; the rest waits, fifo or sorted", () => {
  for (const queue of ["fifo", "elevator"] as const) {
    const m = new BlkMachine({ queue, maxCommands: 2 });
    const bufs = batch(m, [40, 8, 24, 16]);
    for (const buf of bufs) m.disk.strategy(buf);
    expect(given(m)).toEqual(["write 40", "write 8"]);
    expect([m.disk.inFlight, m.disk.queued]).toEqual([2, 2]);
    m.answer(1);
    m.answer(0);
    expect(given(m)).toEqual(
      queue === "fifo" ? ["write 24", "write 16"] : ["write 16", "write 24"],
    );
    m.answer();
    m.answer();
    expect([m.disk.inFlight, m.disk.queued, m.disk.merges]).toEqual([0, 0, 0]);
    expect(bufs.every(isDone)).toBe(true);
    giveBack(m, bufs);
  }
});

test("a driver that answers at once is not entered again, however long the queue", () => {
  const m = new BlkMachine({ queue: "elevator", maxCommands: 1 });
  const bufs = batch(m, [2, 6, 10]);
  let depth = 0;
  let deepest = 0;
  const disk = new Disk(m.bufs, {
    name: "deep",
    mediaSize: 64 * KiB,
    sectorSize: 512,
    maxTransfer: 512,
    maxCommands: 1,
    start: (bio) => {
      deepest = Math.max(deepest, ++depth);
      bio.resid = 0;
      bio.done!(bio);
      depth--;
    },
  });
  let left = 20_000;
  const [buf] = bufs;
  const again = (b: Buf) => {
    if (--left === 0) return;
    b.iodone = again;
    disk.strategy(b);
  };
  buf.iodone = again;
  disk.strategy(buf);
  expect([left, deepest]).toEqual([0, 1]);
  giveBack(m, bufs);
});

describe("merging", () => {
  const options = { queue: "elevator", maxCommands: 1, maxTransfer: 4 * KiB } as const;

  test("joins what goes on, on the disk and in memory, up to the largest transfer", () => {
    const m = new BlkMachine(options);
    const bufs = batch(m, [100, 2, 4, 6, 8, 10, 20]);
    // Issued in another order than they lie.
    for (const i of [0, 5, 2, 6, 4, 1, 3]) m.disk.strategy(bufs[i]);
    m.answer();
    expect(m.waiting.map((bio) => [bio.offset / 512, bio.bcount])).toEqual([[2, 4 * KiB]]);
    m.answer();
    expect(m.waiting.map((bio) => [bio.offset / 512, bio.bcount])).toEqual([[10, KiB]]);
    m.answer();
    m.answer();
    expect([m.disk.merges, m.disk.transfers, m.disk.bytes]).toEqual([3, 4, 7 * KiB]);
    for (const [i, buf] of bufs.entries()) {
      expect([buf.error, buf.resid, isDone(buf)]).toEqual([Errno.OK, 0, true]);
      const there = m.media.subarray(buf.blkno * 512, buf.blkno * 512 + KiB);
      expect(there.every((byte) => byte === i + 1)).toBe(true);
    }
    giveBack(m, bufs);
  });

  test("a whole that fails is tried again in pieces: only the bad one fails", () => {
    const m = new BlkMachine(options);
    const bufs = batch(m, [100, 2, 4, 6]);
    for (const buf of bufs) m.disk.strategy(buf);
    m.answer();
    expect(m.waiting[0].bcount).toBe(3 * KiB);
    m.answer(0, Errno.EIO);
    expect(bufs.slice(1).some(isDone)).toBe(false);
    while (m.waiting.length > 0) {
      expect(m.waiting[0].bcount).toBe(KiB);
      m.answer(0, m.waiting[0].offset === 4 * 512 ? Errno.EIO : Errno.OK);
    }
    expect(bufs.map((buf) => [buf.error, buf.resid])).toEqual([
      [Errno.OK, 0],
      [Errno.OK, 0],
      [Errno.EIO, KiB],
      [Errno.OK, 0],
    ]);
    giveBack(m, bufs);
  });

  test("a short whole leaves its residue with the last of its pieces", () => {
    const m = new BlkMachine(options);
    const bufs = batch(m, [100, 2, 4, 6]);
    for (const buf of bufs) m.disk.strategy(buf);
    m.answer();
    const [bio] = m.waiting.splice(0);
    bio.resid = KiB + 512;
    bio.done!(bio);
    expect(bufs.slice(1).map((buf) => buf.resid)).toEqual([0, 512, KiB]);
    giveBack(m, bufs);
  });
});

describe("a flush", () => {
  test("is given to the driver when the writes before it are done; what comes after does not wait", () => {
    const m = new BlkMachine({ writeCache: true });
    const bufs = batch(m, [2, 10, 20, 30]);
    const flush = flushBuf(m);
    m.disk.strategy(bufs[0]);
    m.disk.strategy(bufs[1]);
    m.disk.strategy(flush);
    m.disk.strategy(bufs[2]);
    const read = bufs[3];
    read.flags |= BufFlag.READ;
    m.disk.strategy(read);
    expect(given(m)).toEqual(["write 2", "write 10", "write 20", "read 30"]);
    expect(m.disk.queued).toBe(1);
    m.answer(2); // after the flush: no matter
    m.answer(1, Errno.EIO); // a write that failed is done, too
    expect(given(m)).toEqual(["write 2", "read 30"]);
    m.answer(0);
    expect(given(m)).toEqual(["read 30", "flush 0"]);
    expect(isDone(flush)).toBe(false);
    m.answer(1);
    expect([flush.error, flush.resid, isDone(flush), m.disk.flushes]).toEqual([0, 0, true, 1]);
    m.answer(0);
    m.bufs.put(flush);
    giveBack(m, bufs);
  });

  test("of a disk without a volatile cache is answered then, and the driver is not asked", () => {
    const m = new BlkMachine();
    const bufs = batch(m, [2]);
    expect(m.sched.runSync(m.disk.syncCache())).toBe(Errno.OK);
    const flush = flushBuf(m);
    m.disk.strategy(bufs[0]);
    m.disk.strategy(flush);
    expect([isDone(flush), given(m)]).toEqual([false, ["write 2"]]);
    const order: string[] = [];
    bufs[0].iodone = () => order.push("write");
    flush.iodone = () => order.push("flush");
    m.answer();
    expect([isDone(flush), m.disk.flushes, m.flushed]).toEqual([true, 0, 0]);
    expect(order).toEqual(["write", "flush"]);
    m.bufs.put(flush);
    giveBack(m, bufs);
  });

  test("tells its own error, by syncCache", () => {
    const m = new BlkMachine({ writeCache: true });
    const errors: Errno[] = [];
    m.sched.spawn(
      "sync",
      (function* () {
        errors.push(yield* m.disk.syncCache());
      })(),
    );
    m.sched.pump();
    m.answer(0, Errno.EIO);
    m.sched.pump();
    expect([errors, m.disk.errors]).toEqual([[Errno.EIO], 1]);
    m.finish();
  });

  test("never overtakes a write that came before it, under any order of answers and merges", () => {
    for (const seed of seeds(60)) {
      const chance = new Chance(seed);
      const m = new BlkMachine({
        queue: seed % 2 === 0 ? "elevator" : "fifo",
        maxCommands: 1 + chance.below(4),
        maxTransfer: 2 * KiB,
        writeCache: seed % 3 !== 0,
      });
      const blocks = Array.from({ length: 24 }, (_, i) => i * 2 + 40 * chance.below(2));
      const bufs = batch(m, blocks);
      const open = new Set<Buf>();
      const flushes: { buf: Buf; before: Set<Buf> }[] = [];
      const step = () => {
        if (m.waiting.length === 0) return;
        const failed = chance.below(6) === 0;
        m.answer(chance.below(m.waiting.length), failed ? Errno.EIO : Errno.OK);
        for (const buf of open) if (isDone(buf)) open.delete(buf);
        for (const { buf, before } of flushes) {
          for (const b of before) if (isDone(b)) before.delete(b);
          if (isDone(buf) || m.waiting.length > 99) expect(before.size, `seed ${seed}`).toBe(0);
        }
      };
      for (const buf of bufs) {
        buf.priority = chance.below(3);
        m.disk.strategy(buf);
        open.add(buf);
        if (chance.below(4) === 0) {
          const flush = flushBuf(m);
          flushes.push({ buf: flush, before: new Set(open) });
          m.disk.strategy(flush);
        }
        while (chance.below(3) === 0) step();
      }
      while (m.waiting.length > 0) step();
      expect(open.size + m.disk.queued + m.disk.inFlight, `seed ${seed}`).toBe(0);
      for (const { buf } of flushes) {
        expect(isDone(buf), `seed ${seed}`).toBe(true);
        m.bufs.put(buf);
      }
      giveBack(m, bufs);
    }
  });
});

describe("a write that is to be lasting", () => {
  test("carries FUA to a driver that heeds it, in every part", () => {
    const m = new BlkMachine({ writeCache: true, fua: true, maxTransfer: 512 });
    const bufs = batch(m, [2, 10], KiB, BufFlag.FUA);
    bufs[1].flags |= BufFlag.READ; // means nothing for a read
    for (const buf of bufs) m.disk.strategy(buf);
    const marks = m.waiting.map((bio) => (bio.flags & BioFlag.FUA) !== 0);
    expect(marks).toEqual([true, true, false, false]);
    while (m.waiting.length > 0) m.answer();
    expect(m.disk.flushes).toBe(0);
    giveBack(m, bufs);
  });

  test("is followed by a flush for another driver, and done after it; not when it fails", () => {
    const m = new BlkMachine({ writeCache: true });
    const bufs = batch(m, [2, 10, 20], KiB, BufFlag.FUA);
    m.disk.strategy(bufs[0]);
    expect(m.waiting[0].flags & BioFlag.FUA).toBe(0);
    m.answer();
    expect([given(m), isDone(bufs[0])]).toEqual([["flush 0"], false]);
    m.answer();
    expect([isDone(bufs[0]), bufs[0].error, bufs[0].resid]).toEqual([true, Errno.OK, 0]);
    m.disk.strategy(bufs[1]);
    m.answer(0, Errno.ENXIO);
    expect([isDone(bufs[1]), bufs[1].error, given(m)]).toEqual([true, Errno.ENXIO, []]);
    m.disk.strategy(bufs[2]);
    m.answer();
    m.answer(0, Errno.EIO); // the flush fails: the data may be lost
    expect([isDone(bufs[2]), bufs[2].error]).toEqual([true, Errno.EIO]);
    giveBack(m, bufs);
  });

  test("needs nothing more on a disk without a volatile cache", () => {
    const m = new BlkMachine();
    const bufs = batch(m, [2], KiB, BufFlag.FUA);
    m.disk.strategy(bufs[0]);
    m.answer();
    expect([isDone(bufs[0]), m.disk.flushes]).toEqual([true, 0]);
    giveBack(m, bufs);
  });
});

describe("a driver's bug is a panic with values", () => {
  test.each([-1, 1025, Number.NaN])("a residue of %d of 1024 bytes", (resid) => {
    const m = new BlkMachine();
    const [buf] = batch(m, [2]);
    m.disk.strategy(buf);
    const [bio] = m.waiting;
    bio.resid = resid;
    expect(() => bio.done!(bio)).toThrow(`offset 1024: ${resid} bytes left of 1024`);
  });

  test("a bio answered twice", () => {
    const m = new BlkMachine();
    const [buf] = batch(m, [2]);
    m.disk.strategy(buf);
    const [bio] = m.waiting;
    m.answer();
    m.waiting.push(bio);
    expect(() => m.answer()).toThrow(Panic);
    expect(() => bio.done!(bio)).toThrow("disk test0: offset 1024 is done already");
  });
});

test("a priority that there is not is a panic, a number of commands below 1 EINVAL", () => {
  const m = new BlkMachine({ queue: "elevator" });
  const [buf] = batch(m, [2]);
  buf.priority = BufPriority.TIMECRITICAL + 1;
  expect(() => m.disk.strategy(buf)).toThrow(Panic);
  expect(() => new BlkMachine({ maxCommands: 0 })).toThrow(ErrnoError);
  expect(() => new BlkMachine({ maxCommands: Number.NaN })).toThrow(ErrnoError);
});
