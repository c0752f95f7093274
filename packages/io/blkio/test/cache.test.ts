/** The buffer cache: hits and misses, busy bufs, what it throws away, and its own check. */
import { Errno, KiB, Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { describe, expect, test } from "vitest";
import type { Buf } from "../src/index.ts";
import { BufFlag } from "../src/index.ts";
import { BlkMachine, Chance, seeds } from "./machine.ts";

const BLOCK = KiB;
const sector = (block: number): number => (block * BLOCK) / 512;

/** Read a block, copy it and give it back. */
function* readBlock(m: BlkMachine, block: number): Sleeps<{ error: Errno; bytes: Uint8Array }> {
  const buf = yield* m.cache.bread(m.disk, sector(block), BLOCK);
  const bytes = m.cache.copy(buf, new Uint8Array(BLOCK));
  const { error } = buf;
  m.cache.brelse(buf);
  return { error, bytes };
}

const onDisk = (m: BlkMachine, block: number) => m.media.slice(block * BLOCK, (block + 1) * BLOCK);

function inline(options = {}): BlkMachine {
  const m = new BlkMachine(options);
  m.inline = true;
  return m;
}

describe("bread", () => {
  test("reads a block once and finds it cached afterwards", () => {
    const m = inline();
    for (const [hits, misses] of [
      [0, 1],
      [1, 1],
      [2, 1],
    ]) {
      expect(m.sched.runSync(readBlock(m, 5)).bytes).toEqual(onDisk(m, 5));
      expect([m.cache.hits, m.cache.misses, m.disk.transfers]).toEqual([hits, misses, 1]);
    }
    expect(m.cache.bytes).toBe(BLOCK);
    m.finish();
  });

  test.each(["inline", "softintr"] as const)(
    "of one block by two threads does one I/O (%s)",
    (completion) => {
      const m = new BlkMachine({ completion });
      const got: Uint8Array[] = [];
      for (const name of ["a", "b", "c"]) {
        m.sched.spawn(
          name,
          (function* (): Sleeps<void> {
            got.push((yield* readBlock(m, 3)).bytes);
          })(),
        );
      }
      m.sched.pump();
      expect([m.waiting.length, got.length]).toEqual([1, 0]);
      m.answer();
      m.sched.pump();
      expect(got).toEqual([onDisk(m, 3), onDisk(m, 3), onDisk(m, 3)]);
      expect([m.disk.transfers, m.cache.hits, m.cache.misses]).toEqual([1, 2, 1]);
      m.finish();
    },
  );

  test("gives a buf with the error, which is not cached: the next one reads again", () => {
    const m = new BlkMachine();
    const errors: Errno[] = [];
    for (const name of ["a", "b"]) {
      m.sched.spawn(
        name,
        (function* (): Sleeps<void> {
          errors.push((yield* readBlock(m, 0)).error);
        })(),
      );
    }
    m.sched.pump();
    m.answer(0, Errno.EIO);
    m.sched.pump();
    expect([errors, m.waiting.length]).toEqual([[Errno.EIO], 1]); // b reads for itself
    m.answer();
    m.sched.pump();
    expect(errors).toEqual([Errno.EIO, Errno.OK]);
    expect([m.cache.hits, m.cache.misses]).toEqual([0, 2]);
    m.finish();
  });

  test("that comes back short is EIO, and is not cached", () => {
    const m = new BlkMachine();
    const errors: Errno[] = [];
    m.sched.spawn(
      "reader",
      (function* (): Sleeps<void> {
        errors.push((yield* readBlock(m, 3)).error);
      })(),
    );
    m.sched.pump();
    const [bio] = m.waiting.splice(0);
    bio.resid = 512;
    bio.done!(bio);
    m.sched.pump();
    expect([errors, m.cache.bytes]).toEqual([[Errno.EIO], 0]);
    m.finish();
  });

  test("of a block outside of the disk is EIO, and leaves nothing", () => {
    const m = inline();
    expect(m.sched.runSync(readBlock(m, 64)).error).toBe(Errno.EIO);
    expect(m.cache.bytes).toBe(0);
    m.finish();
  });
});

describe("the cache", () => {
  test("evicts the least recently used block when it is over its limit", () => {
    const m = inline({ cacheLimit: 4 * BLOCK });
    const read = (block: number) => m.sched.runSync(readBlock(m, block));
    for (const block of [0, 1, 2, 3]) read(block);
    read(0); // now 1 is the oldest
    read(9);
    expect([m.cache.bytes, m.cache.misses]).toEqual([4 * BLOCK, 5]);
    for (const block of [0, 2, 3, 9]) read(block);
    expect(m.cache.misses).toBe(5);
    read(1);
    expect(m.cache.misses).toBe(6);
    m.finish();
  });

  test("goes over its limit for busy bufs, and back when they are given back", () => {
    const m = inline({ cacheLimit: 2 * BLOCK });
    const bufs: Buf[] = [];
    for (const block of [0, 1, 2, 3, 4]) {
      bufs.push(m.sched.runSync(m.cache.bread(m.disk, sector(block), BLOCK)));
    }
    expect(m.cache.bytes).toBe(5 * BLOCK);
    m.cache.check();
    for (const buf of bufs) m.cache.brelse(buf);
    expect(m.cache.bytes).toBe(2 * BLOCK);
    m.finish();
  });

  test("gives up idle bufs when no frame is free, and is ENOMEM when there is none", () => {
    const m = inline();
    for (const block of [0, 1, 2, 3]) m.sched.runSync(readBlock(m, block)); // one page of kernel memory
    const frames: number[] = [];
    while (m.mem.freeFrames > 0) frames.push(m.mem.allocFrame());
    expect(m.sched.runSync(readBlock(m, 9)).bytes).toEqual(onDisk(m, 9));
    expect(m.cache.bytes).toBe(4 * BLOCK);
    const held = [1, 2, 3, 9].map((block) =>
      m.sched.runSync(m.cache.bread(m.disk, sector(block), BLOCK)),
    );
    expect(() => m.sched.runSync(readBlock(m, 10))).toThrow("ENOMEM");
    for (const buf of held) m.cache.brelse(buf);
    for (const frame of frames) m.mem.freeFrame(frame);
    m.finish();
  });

  test("does not keep a buf that is forgotten, nor one that was got and never read", () => {
    const m = inline();
    m.cache.forget(m.sched.runSync(m.cache.bread(m.disk, 0, BLOCK)));
    expect(m.cache.bytes).toBe(0);
    m.cache.brelse(m.sched.runSync(m.cache.getblk(m.disk, 0, BLOCK)));
    expect(m.cache.bytes).toBe(0);
    m.cache.forget(m.sched.runSync(m.cache.bread(m.disk, 0, 2 * BLOCK))); // another size now
    m.finish();
  });

  test("wakes who waits for a buf that is then forgotten", () => {
    const m = inline();
    const held = m.sched.runSync(m.cache.bread(m.disk, 0, BLOCK));
    let got: Uint8Array | null = null;
    m.sched.spawn(
      "waiter",
      (function* (): Sleeps<void> {
        got = (yield* readBlock(m, 0)).bytes;
      })(),
    );
    m.sched.pump();
    expect(got).toBe(null);
    m.cache.forget(held);
    m.sched.pump();
    expect(got).toEqual(onDisk(m, 0));
    m.finish();
  });

  test("forgets a whole disk, unless one of its bufs is busy", () => {
    const m = inline();
    for (const block of [0, 1, 2]) m.sched.runSync(readBlock(m, block));
    const busy = m.sched.runSync(m.cache.bread(m.disk, sector(7), BLOCK));
    expect(() => m.cache.invalidate(m.disk)).toThrow(Panic);
    m.cache.brelse(busy);
    m.cache.invalidate(m.disk);
    expect(m.cache.bytes).toBe(0);
    m.sched.runSync(readBlock(m, 0));
    expect(m.cache.misses).toBe(5);
    m.finish();
  });

  test("panics when a buf is given back twice or is wanted with another size", () => {
    const m = inline();
    const buf = m.sched.runSync(m.cache.bread(m.disk, 0, BLOCK));
    m.cache.brelse(buf);
    expect(() => m.cache.brelse(buf)).toThrow(Panic);
    expect(() => m.sched.runSync(m.cache.bread(m.disk, 0, 2 * BLOCK))).toThrow(Panic);
  });

  const DAMAGE: [string, (m: BlkMachine, buf: Buf) => void][] = [
    [
      "a buf that is busy and on the free list",
      (_m, buf) => {
        buf.flags |= BufFlag.BUSY;
      },
    ],
    [
      "a buf that names another block",
      (_m, buf) => {
        buf.blkno++;
      },
    ],
    [
      "a sum that is off",
      (_m, buf) => {
        buf.bufsize++;
      },
    ],
    [
      "a dirty buf that is not listed",
      (_m, buf) => {
        buf.flags |= BufFlag.DELWRI;
      },
    ],
  ];
  test.each(DAMAGE)("notices %s when it is checked", (_name, damage) => {
    const m = inline();
    const buf = m.sched.runSync(m.cache.bread(m.disk, 0, BLOCK));
    m.cache.brelse(buf);
    m.cache.check();
    damage(m, buf);
    expect(() => m.cache.check()).toThrow(Panic);
  });

  test("gives every thread the disk's bytes under any seed, errors and evictions included", () => {
    for (const seed of seeds(40)) {
      const completion = seed % 2 === 0 ? "inline" : "softintr";
      const m = new BlkMachine({ seed, completion, cacheLimit: 3 * BLOCK });
      const chance = new Chance(seed);
      let left = 0;
      const body = function* (): Sleeps<void> {
        left++;
        for (let turn = 0; turn < 10; turn++) {
          const block = chance.below(8);
          const { error, bytes } = yield* readBlock(m, block);
          if (error === Errno.OK) expect(bytes, `seed ${seed}`).toEqual(onDisk(m, block));
        }
        left--;
      };
      for (const name of ["a", "b", "c", "d"]) m.sched.spawn(name, body());
      m.sched.pump();
      while (m.waiting.length > 0) {
        const failed = chance.below(5) === 0;
        m.answer(chance.below(m.waiting.length), failed ? Errno.EIO : Errno.OK);
        if (chance.below(2) === 0) m.sched.pump();
        if (m.waiting.length === 0) m.sched.pump();
      }
      expect(left, `seed ${seed}`).toBe(0);
      expect(m.cache.bytes).toBeLessThanOrEqual(3 * BLOCK);
      m.finish();
    }
  });
});
