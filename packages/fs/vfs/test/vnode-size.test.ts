/** Sizes of a vnode, the pages that go with them, and zeroing a part of a file. */
import { Errno, NO_FRAME, OFF_MAX, PAGE_SIZE, Panic } from "@physio/kern";
import { Pg } from "@physio/uvm";
import { describe, expect, test } from "vitest";
import type { Vnode } from "../src/index.ts";
import { setSize, setWriteSize, zeroRange } from "../src/index.ts";
import { Chance, MemoryFs, seeds } from "./memory-fs.ts";

const INO = 3;

/** A file of `size` bytes of 7. */
function scene(size: number): { fs: MemoryFs; vp: Vnode; end: () => void } {
  const fs = new MemoryFs({ file: null });
  fs.files.contents.set(INO, new Uint8Array(size).fill(7));
  const vp = fs.get(INO);
  const end = () => {
    fs.mount.vrele(vp);
    fs.finish();
  };
  return { fs, vp, end };
}

const resident = (vp: Vnode): number[] => [...vp.object.indexes()];

describe("setSize", () => {
  test("frees the pages wholly beyond the new end, dirty ones too, and keeps the others", () => {
    const { fs, vp, end } = scene(6 * PAGE_SIZE);
    const run = (size: number) => fs.sched.runSync(setSize(vp, size));
    fs.sched.runSync(zeroRange(vp, 0, 6 * PAGE_SIZE));
    expect(run(3 * PAGE_SIZE + 1)).toBe(Errno.OK);
    expect([resident(vp), vp.size, vp.writeSize]).toEqual([
      [0, 1, 2, 3],
      3 * PAGE_SIZE + 1,
      3 * PAGE_SIZE + 1,
    ]);
    run(3 * PAGE_SIZE);
    expect(resident(vp)).toEqual([0, 1, 2]);
    run(10 * PAGE_SIZE);
    expect([resident(vp), vp.size]).toEqual([[0, 1, 2], 10 * PAGE_SIZE]);
    run(0);
    expect(resident(vp)).toEqual([]);
    expect(fs.files.written).toEqual([]); // what is cut off is not written
    end();
  });

  test("waits for a busy page beyond the end", () => {
    const { fs, vp, end } = scene(2 * PAGE_SIZE);
    const { pages } = fs.context;
    fs.sched.runSync(zeroRange(vp, 0, 2 * PAGE_SIZE));
    const frame = vp.object.lookup(1);
    pages.setFlags(frame, Pg.BUSY);
    const thread = fs.sched.start(setSize(vp, 100));
    fs.sched.pump();
    expect(vp.size).toBe(2 * PAGE_SIZE);
    pages.unbusy(frame);
    fs.sched.pump();
    expect([fs.sched.resultOf(thread), vp.size, resident(vp)]).toEqual([Errno.OK, 100, [0]]);
    end();
  });

  test("counts pages that a write beyond the end has filled", () => {
    const { fs, vp, end } = scene(PAGE_SIZE);
    setWriteSize(vp, 3 * PAGE_SIZE);
    expect([vp.size, vp.writeSize]).toEqual([PAGE_SIZE, 3 * PAGE_SIZE]);
    fs.sched.runSync(zeroRange(vp, 0, 3 * PAGE_SIZE));
    fs.sched.runSync(setSize(vp, PAGE_SIZE)); // the write has failed
    expect([resident(vp), vp.writeSize]).toEqual([[0], PAGE_SIZE]);
    end();
  });

  test("panics on what is no size", () => {
    const { fs, vp, end } = scene(100);
    for (const size of [-1, 0.5, Number.NaN, OFF_MAX + 1]) {
      expect(() => fs.sched.runSync(setSize(vp, size))).toThrow(Panic);
      expect(() => setWriteSize(vp, size)).toThrow(Panic);
    }
    expect(() => setWriteSize(vp, 99)).toThrow(Panic);
    expect([vp.size, vp.writeSize]).toEqual([100, 100]);
    end();
  });
});

describe("zeroRange", () => {
  test.each(seeds(12))("seed %i: zeroes what it was asked to, on the disk after a sync", (seed) => {
    const size = 40 * PAGE_SIZE + 123; // more than two windows
    const { fs, vp, end } = scene(size);
    const chance = new Chance(seed);
    const wanted = new Uint8Array(41 * PAGE_SIZE);
    wanted.fill(7, 0, size);
    for (let i = 0; i < 5; i++) {
      const from = chance.below(size);
      const length = chance.below(i === 0 ? size - from : Math.min(9000, size - from));
      expect(fs.sched.runSync(zeroRange(vp, from, length))).toBe(Errno.OK);
      wanted.fill(0, from, from + length);
      expect(fs.context.pages.busyCount()).toBe(0);
    }
    expect(fs.sched.runSync(fs.mount.sync())).toBe(Errno.OK);
    for (let i = 0; i <= 40; i++) {
      const page = fs.files.page(INO, i);
      expect(page).toEqual(wanted.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE));
    }
    end();
  });

  test("reads only pages that it touches, makes them dirty, and the vnode with them", () => {
    const { fs, vp, end } = scene(4 * PAGE_SIZE);
    expect(vp.dirty).toBe(false);
    fs.sched.runSync(zeroRange(vp, PAGE_SIZE + 5, PAGE_SIZE));
    expect(fs.files.read).toEqual(["3:1", "3:2"]);
    expect([vp.dirty, vp.onWorklist]).toEqual([true, true]);
    for (const index of [1, 2]) {
      expect(fs.context.pages.flags(vp.object.lookup(index)) & Pg.CLEAN).toBe(0);
    }
    expect(vp.object.lookup(0)).toBe(NO_FRAME);
    end();
  });

  test("fails with EIO, and with EINVAL beyond the pages of the file, and holds nothing", () => {
    const { fs, vp, end } = scene(2 * PAGE_SIZE);
    const run = (from: number, length: number) => fs.sched.runSync(zeroRange(vp, from, length));
    fs.files.failReads.add(INO);
    expect(run(0, 10)).toBe(Errno.EIO);
    fs.files.failReads.clear();
    expect(run(PAGE_SIZE, 2 * PAGE_SIZE)).toBe(Errno.EINVAL);
    for (const [from, length] of [
      [-1, 5],
      [0, -5],
      [0.5, 1],
      [OFF_MAX, PAGE_SIZE],
      [Number.NaN, 1],
    ]) {
      expect(run(from, length)).toBe(Errno.EINVAL);
    }
    expect(run(2 * PAGE_SIZE, 0)).toBe(Errno.OK);
    expect(fs.context.pages.busyCount()).toBe(0);
    end();
  });
});
