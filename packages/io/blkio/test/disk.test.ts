/** Disks: what they refuse, how they cut transfers up, and what they make of failing parts. */
import { Errno, ErrnoError, KiB, Panic } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Buf } from "../src/index.ts";
import { BufFlag, blockOffset, DEV_BSIZE, Disk } from "../src/index.ts";
import { BlkMachine, Chance, seeds } from "./machine.ts";

/** A buf with `bytes` of kernel memory. */
function readBuf(m: BlkMachine, blkno: number, bytes: number, flags: BufFlag = BufFlag.READ): Buf {
  const buf = m.buf(bytes, flags);
  buf.data = m.kmem.alloc(Math.max(bytes, 1));
  buf.blkno = blkno;
  return buf;
}

function giveBack(m: BlkMachine, buf: Buf): void {
  m.kmem.free(buf.data, Math.max(buf.bufsize, 1));
  m.bufs.put(buf);
}

const SECTORS = 128; // of 512 bytes: 64 KiB
const REFUSED = [
  { name: "before the first block", sector: 512, blkno: -1, bytes: 512, error: Errno.EIO },
  { name: "past the last block", sector: 512, blkno: SECTORS, bytes: 512, error: Errno.EIO },
  { name: "over the end", sector: 512, blkno: SECTORS - 1, bytes: 1024, error: Errno.EIO },
  { name: "at a huge block", sector: 512, blkno: 2 ** 43, bytes: 512, error: Errno.EIO },
  { name: "of half a sector", sector: 512, blkno: 0, bytes: 256, error: Errno.EINVAL },
  { name: "inside of a sector", sector: 4096, blkno: 4, bytes: 4096, error: Errno.EINVAL },
  { name: "of part of a sector", sector: 4096, blkno: 8, bytes: 512, error: Errno.EINVAL },
];

describe("a transfer", () => {
  test.each(REFUSED)("$name is refused without asking the driver", (c) => {
    const m = new BlkMachine({ sectorSize: c.sector });
    const buf = readBuf(m, c.blkno, c.bytes);
    m.disk.strategy(buf);
    expect([buf.error, buf.resid]).toEqual([c.error, c.bytes]);
    expect(buf.flags & BufFlag.DONE).toBe(BufFlag.DONE);
    expect([m.disk.errors, m.disk.transfers, m.waiting.length]).toEqual([1, 0, 0]);
    giveBack(m, buf);
    m.finish();
  });

  test("of the last block is taken", () => {
    const m = new BlkMachine();
    const buf = readBuf(m, SECTORS - 1, DEV_BSIZE);
    m.disk.strategy(buf);
    expect(m.waiting.map((bio) => [bio.offset, bio.bcount])).toEqual([
      [blockOffset(SECTORS - 1), DEV_BSIZE],
    ]);
    m.answer();
    expect([buf.error, buf.resid, m.disk.errors]).toEqual([Errno.OK, 0, 0]);
    giveBack(m, buf);
    m.finish();
  });

  test("of no bytes is a bug of the caller", () => {
    const m = new BlkMachine();
    const buf = readBuf(m, 0, 0);
    expect(() => m.disk.strategy(buf)).toThrow(Panic);
  });

  test("above the largest one is cut into parts that follow each other", () => {
    const m = new BlkMachine({ maxTransfer: 4 * KiB });
    const buf = readBuf(m, 4, 10 * KiB);
    m.disk.strategy(buf);
    const parts = m.waiting.map((bio) => [bio.offset, bio.bcount, bio.data - buf.data]);
    expect(parts).toEqual([
      [2 * KiB, 4 * KiB, 0],
      [6 * KiB, 4 * KiB, 4 * KiB],
      [10 * KiB, 2 * KiB, 8 * KiB],
    ]);
    expect([m.disk.transfers, m.disk.bytes]).toEqual([3, 10 * KiB]);
    for (const at of [1, 1]) m.answer(at);
    expect(buf.flags & BufFlag.DONE).toBe(0);
    m.answer();
    expect(buf.flags & BufFlag.DONE).toBe(BufFlag.DONE);
    const got = new Uint8Array(10 * KiB);
    m.kmem.read(buf.data, got);
    expect(got).toEqual(m.media.subarray(2 * KiB, 12 * KiB));
    giveBack(m, buf);
    m.finish();
  });

  test("with a part that fails has its error and the residue of that part", () => {
    const m = new BlkMachine({ maxTransfer: 4 * KiB });
    const buf = readBuf(m, 0, 12 * KiB);
    m.disk.strategy(buf);
    m.answer(2);
    m.answer(0, Errno.ENXIO);
    m.answer(0);
    expect([buf.error, buf.resid, m.disk.errors]).toEqual([Errno.ENXIO, 4 * KiB, 1]);
    giveBack(m, buf);
    m.finish();
  });

  test("forgets the error of the one before in the same buf", () => {
    const m = new BlkMachine();
    const buf = readBuf(m, 0, 512);
    m.disk.strategy(buf);
    m.answer(0, Errno.EIO);
    m.disk.strategy(buf);
    expect(buf.flags & BufFlag.DONE).toBe(0);
    m.answer();
    expect([buf.error, buf.resid]).toEqual([Errno.OK, 0]);
    giveBack(m, buf);
    m.finish();
  });
});

test("random transfers move the bytes that an array says, whatever the order of their parts", () => {
  const transfer = fc.record({
    at: fc.nat({ max: SECTORS - 1 }),
    sectors: fc.integer({ min: 1, max: 40 }),
    write: fc.boolean(),
    inline: fc.boolean(),
    fill: fc.nat({ max: 255 }),
  });
  fc.assert(
    fc.property(fc.array(transfer, { maxLength: 8 }), fc.nat(), (list, seed) => {
      const m = new BlkMachine({ maxTransfer: 3 * KiB });
      const model = m.media.slice();
      const chance = new Chance(seed);
      for (const { at, sectors, write, inline, fill } of list) {
        const bytes = Math.min(sectors, SECTORS - at) * 512;
        const buf = readBuf(m, at, bytes, write ? 0 : BufFlag.READ);
        const data = new Uint8Array(bytes).fill(fill);
        m.kmem.write(buf.data, data);
        m.inline = inline;
        m.disk.strategy(buf);
        while (m.waiting.length > 0) m.answer(chance.below(m.waiting.length));
        expect([buf.error, buf.resid, buf.flags & BufFlag.DONE]).toEqual([0, 0, BufFlag.DONE]);
        if (write) model.set(data, at * 512);
        m.kmem.read(buf.data, data);
        expect(data).toEqual(model.subarray(at * 512, at * 512 + bytes));
        giveBack(m, buf);
      }
      expect(m.media).toEqual(model);
      m.finish();
    }),
    { numRuns: 100 },
  );
});

test("a disk with sizes that make no sense is EINVAL", () => {
  const m = new BlkMachine();
  const good = { name: "x", mediaSize: 4096, sectorSize: 512, maxTransfer: 1024, start: () => {} };
  for (const bad of [
    { sectorSize: 0 },
    { sectorSize: 0.5 },
    { mediaSize: -1 },
    { mediaSize: Number.NaN },
    { maxTransfer: 256 },
    { maxTransfer: 1000 },
  ]) {
    expect(() => new Disk(m.bufs, { ...good, ...bad }), JSON.stringify(bad)).toThrow(ErrnoError);
  }
  expect(new Disk(m.bufs, good).mediaSize).toBe(4096);
});

test("bios are used again and never answered twice", () => {
  for (const seed of seeds(10)) {
    const m = new BlkMachine({ maxTransfer: 512 });
    const chance = new Chance(seed);
    const bufs = [0, 1, 2, 3].map((i) => readBuf(m, i * 8, 2048));
    let done = 0;
    for (const buf of bufs) buf.iodone = () => done++;
    for (const buf of bufs) m.disk.strategy(buf);
    expect(new Set(m.waiting).size).toBe(16);
    while (m.waiting.length > 0) m.answer(chance.below(m.waiting.length));
    expect(done, `seed ${seed}`).toBe(4);
    for (const buf of bufs) {
      const got = new Uint8Array(2048);
      m.kmem.read(buf.data, got);
      expect(got).toEqual(m.media.subarray(buf.blkno * 512, buf.blkno * 512 + 2048));
      giveBack(m, buf);
    }
    m.finish();
  }
});
