/** A disk as a file: its size, its block map, and its data through pages. */
import { Uio, UioRw } from "@physio/carriers";
import { Errno, KiB, MiB, PAGE_SIZE } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { describe, expect, test } from "vitest";
import type { Vnode } from "../src/index.ts";
import { BlockMap, specVnode, vnRead, vnWrite, zeroRange } from "../src/index.ts";
import { errorOf, MemoryFs } from "./memory-fs.ts";

const INO = 99;

/** A file system with a file, and the vnode of its disk (1 MiB and a sector). */
function scene(mediaSize = MiB + 512): { fs: MemoryFs; vp: Vnode } {
  const fs = new MemoryFs({ file: null });
  const io = (vp: Vnode, uio: Uio): Sleeps<Errno> => {
    expect(vp.lock.owned).toBe(true);
    uio.offset += 1;
    return fs.say(Errno.OK);
  };
  const paged = { ...fs.ops, read: io, write: io };
  const disk = { name: "sd0", mediaSize, sectorSize: 512, strategy: () => {} };
  const vp = specVnode({ mount: fs.mount, disk, ino: INO, paged, data: null });
  return { fs, vp };
}

describe("the vnode of a disk", () => {
  test("is as large as the medium and lies on that disk, not the mount's", () => {
    const { fs, vp } = scene();
    expect([vp.type, vp.size, vp.disk.name, fs.mount.disk.name]).toEqual([
      "block special",
      MiB + 512,
      "sd0",
      "none",
    ]);
    const { type, size, blockSize, rdev } = vp.ops.getattr(vp);
    expect([type, size, blockSize, rdev]).toEqual([
      "block special",
      MiB + 512,
      512,
      { major: 0, minor: INO },
    ]);
    expect(fs.mount.cached(INO)).toBe(vp);
    fs.mount.vrele(vp);
    fs.mount.vrele(vp);
    fs.finish();
  });

  const MAPS: [lbn: number, error: Errno, run: number][] = [
    [0, Errno.OK, 127],
    [5, Errno.OK, 127],
    [2048 - 127, Errno.OK, 127],
    [2048 - 126, Errno.OK, 126],
    [2048, Errno.OK, 0],
    [2049, Errno.EIO, -1],
    [-1, Errno.EIO, -1],
    [Number.NaN, Errno.EIO, -1],
  ];
  test.each(MAPS)("maps sector %d to itself", (lbn, error, run) => {
    const { fs, vp } = scene();
    const map = new BlockMap();
    expect(fs.sched.runSync(vp.ops.bmap(vp, lbn, map))).toBe(error);
    if (error === Errno.OK) expect([map.blkno, map.run]).toEqual([lbn, run]);
    fs.mount.vrele(vp);
    fs.finish();
  });

  test("is no directory and no symlink, and has data", () => {
    const { fs, vp } = scene();
    const run = (body: () => Sleeps<unknown>) => errorOf(() => fs.sched.runSync(body()));
    expect(run(() => vp.ops.lookup(vp, "a"))).toBe("ENOTDIR");
    expect(run(() => vp.ops.readdir(vp, 0))).toBe("ENOTDIR");
    expect(run(() => vp.ops.readlink(vp))).toBe("EINVAL");
    for (const io of [vnRead, vnWrite]) {
      const uio = new Uio(UioRw.READ, fs.kmem.space, [], 0);
      expect(fs.sched.runSync(io(vp, uio, 0))).toBe(Errno.OK);
      expect(uio.offset).toBe(1);
    }
    fs.mount.vrele(vp);
    fs.finish();
  });

  test("is written back by sync", () => {
    const { fs, vp } = scene(64 * KiB);
    fs.files.contents.set(INO, new Uint8Array(64 * KiB).fill(3));
    expect(fs.sched.runSync(zeroRange(vp, PAGE_SIZE, 100))).toBe(Errno.OK);
    expect(fs.sched.runSync(fs.mount.sync())).toBe(Errno.OK);
    expect(fs.files.page(INO, 1).subarray(98, 102)).toEqual(Uint8Array.of(0, 0, 3, 3));
    expect([vp.dirty, fs.context.syncer.length]).toEqual([false, 0]);
    fs.mount.vrele(vp);
    fs.finish();
  });
});
