/**
 * Wrong arguments, wrong block maps and wrong drivers: errnos where a program or a disk is to blame, Panic with the
 * values where a contract is broken, and a report of who waits for whom instead of a hang.
 */
import { biodone, Uio, UioRw } from "@physio/carriers";
import { Errno, ErrnoError, KiB, OFF_MAX, PAGE_SIZE, Panic } from "@physio/kern";
import { Prot } from "@physio/pmap";
import { Advice, MapFlag, MsFlag, madvise, msync, PageRequest, Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { IoFlag, vnFsync, vnRead, vnWrite } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { PagingKernel } from "../src/paging-kernel.ts";

const PAGE = PAGE_SIZE;
const { OK, EINVAL, EIO, EFAULT, EROFS, ENOMEM, EACCES } = Errno;
const { CLEANIT, SYNCIO, FREE } = Pgo;
const SIZE = 3 * PAGE + 100;

/** A file of SIZE bytes, on the disk and not in memory. */
function bench(): { kernel: PagingKernel; vp: Vnode; rw: typeof transfer } {
  const kernel = new PagingKernel();
  const vp = kernel.file();
  expect(transfer(kernel, vp, UioRw.WRITE, 0, SIZE)).toEqual([OK, SIZE]);
  expect(kernel.run(vp.ops.putpages(vp, 0, 0, CLEANIT | SYNCIO | FREE))).toBe(OK);
  return { kernel, vp, rw: transfer };
}

/** @returns the errno, and the bytes that were moved. */
function transfer(
  kernel: PagingKernel,
  vp: Vnode,
  rw: UioRw,
  offset: number,
  length: number,
  flags: IoFlag = 0,
): [Errno, number] {
  const { kmem } = kernel;
  const va = kmem.alloc(64 * KiB);
  const uio = new Uio(rw, kmem.space, [{ base: va, length }], offset);
  const error = kernel.run(rw === UioRw.READ ? vnRead(vp, uio, flags) : vnWrite(vp, uio, flags));
  kmem.free(va, 64 * KiB);
  return [error, length - uio.resid];
}

function request(offset: number, count: number, center = 0, flags: Pgo = SYNCIO): PageRequest {
  const asked = new PageRequest(Math.max(1, Math.min(16, count)));
  Object.assign(asked, { offset, count, center, flags });
  return asked;
}

describe("read and write", () => {
  const cases: readonly [UioRw, number, number, [Errno, number]][] = [
    [UioRw.READ, -1, 10, [EINVAL, 0]],
    [UioRw.READ, -PAGE, 10, [EINVAL, 0]],
    [UioRw.READ, Number.NaN, 10, [EINVAL, 0]],
    [UioRw.READ, 0, 0, [OK, 0]],
    [UioRw.READ, SIZE, 10, [OK, 0]],
    [UioRw.READ, SIZE - 4, 10, [OK, 4]],
    [UioRw.READ, SIZE + 10 * PAGE, 10, [OK, 0]],
    [UioRw.READ, OFF_MAX, 10, [OK, 0]],
    [UioRw.WRITE, -1, 10, [EINVAL, 0]],
    [UioRw.WRITE, Number.NaN, 10, [EINVAL, 0]],
    [UioRw.WRITE, 5, 0, [OK, 0]],
    [UioRw.WRITE, SIZE, 0, [OK, 0]],
  ];
  for (const [rw, offset, length, answer] of cases) {
    test(`${rw === UioRw.READ ? "read" : "write"} of ${length} bytes at ${offset}`, () => {
      const { kernel, vp, rw: move } = bench();
      for (const flags of [0, IoFlag.DIRECT])
        expect(move(kernel, vp, rw, offset, length, flags)).toEqual(answer);
      expect(vp.size).toBe(SIZE);
      kernel.finish();
    });
  }

  test("from memory that is not there is EFAULT, and what was moved is counted", () => {
    const { kernel, vp } = bench();
    const space = kernel.space();
    const prot = Prot.READ | Prot.WRITE;
    const va = space.mmap({ length: PAGE, prot, flags: MapFlag.ANON | MapFlag.PRIVATE });
    for (const [rw, run] of [
      [UioRw.READ, vnRead],
      [UioRw.WRITE, vnWrite],
    ] as const) {
      const iov = [
        { base: va, length: PAGE },
        { base: va + PAGE, length: PAGE },
      ];
      const uio = new Uio(rw, space, iov, 0);
      expect(kernel.run(run(vp, uio, 0))).toBe(EFAULT);
      expect(uio.resid).toBe(PAGE);
    }
    kernel.finish();
  });
});

describe("getpages and putpages", () => {
  test("a centre at or past the end is EINVAL", () => {
    const { kernel, vp } = bench();
    for (const [offset, count, center] of [
      [4 * PAGE, 1, 0],
      [2 * PAGE, 8, 2],
      [OFF_MAX - PAGE, 1, 0],
    ]) {
      for (const flags of [SYNCIO, 0])
        expect(kernel.run(vp.ops.getpages(vp, request(offset, count, center, flags)))).toBe(EINVAL);
      expect(vp.ops.getpagesNow(vp, request(offset, count, center, Pgo.LOCKED))).toBe(EINVAL);
    }
    kernel.finish();
  });

  const gets: readonly [string, PageRequest][] = [
    ["an offset within a page", request(100, 1)],
    ["a negative offset", request(-PAGE, 1)],
    ["no pages", request(0, 0)],
    ["more pages than its array has", request(0, 17)],
    ["a centre behind its pages", request(0, 2, 2)],
    ["a negative centre", request(0, 2, -1)],
  ];
  for (const [what, asked] of gets) {
    test(`getpages with ${what} panics`, () => {
      const { kernel, vp } = bench();
      expect(() => kernel.run(vp.ops.getpages(vp, asked))).toThrow(Panic);
      expect(() => vp.ops.getpagesNow(vp, asked)).toThrow(/inode 2, offset/);
    });
  }

  const puts: readonly [string, number, number, Pgo][] = [
    ["an offset within a page", 100, PAGE, CLEANIT],
    ["an end within a page", 0, 100, CLEANIT],
    ["a negative offset", -PAGE, PAGE, CLEANIT],
    ["an empty range", PAGE, PAGE, CLEANIT],
    ["nothing to do", 0, PAGE, SYNCIO],
    ["unknown flags", 0, PAGE, CLEANIT | 0x10000],
    ["flags of getpages", 0, PAGE, CLEANIT | Pgo.OVERWRITE],
  ];
  for (const [what, lo, hi, flags] of puts) {
    test(`putpages with ${what} panics`, () => {
      const { kernel, vp } = bench();
      expect(() => kernel.run(vp.ops.putpages(vp, lo, hi, flags))).toThrow(/putpages: inode 2/);
    });
  }
});

test("mappings: no range, no rights, no such flags", () => {
  const { kernel, vp } = bench();
  const space = kernel.space();
  const prot = Prot.READ;
  const base = { length: 4 * PAGE, prot, flags: MapFlag.SHARED, object: vp.object };
  const refused = (more: object): Errno => {
    try {
      space.mmap({ ...base, ...more });
    } catch (error) {
      if (error instanceof ErrnoError) return error.errno;
      throw error;
    }
    return OK;
  };
  expect(refused({ offset: 100 })).toBe(EINVAL);
  expect(refused({ offset: -PAGE })).toBe(EINVAL);
  expect(refused({ length: 0 })).toBe(EINVAL);
  expect(refused({ length: -1 })).toBe(EINVAL);
  expect(refused({ flags: MapFlag.SHARED | MapFlag.PRIVATE })).toBe(EINVAL);
  expect(refused({ flags: MapFlag.SHARED | 0x40000 })).toBe(EINVAL);
  expect(refused({ prot: Prot.READ | Prot.WRITE, maxProt: Prot.READ })).toBe(EACCES);
  const va = space.mmap(base);
  expect(kernel.run(msync(space, va + 1, PAGE, MsFlag.SYNC))).toBe(EINVAL);
  expect(kernel.run(msync(space, va, PAGE, MsFlag.SYNC | MsFlag.ASYNC))).toBe(EINVAL);
  expect(kernel.run(msync(space, va, PAGE, 0x100))).toBe(EINVAL);
  expect(kernel.run(msync(space, va, 5 * PAGE, MsFlag.SYNC))).toBe(ENOMEM);
  expect(kernel.run(madvise(space, va + 1, PAGE, Advice.NORMAL))).toBe(EINVAL);
  expect(kernel.run(madvise(space, va, PAGE, 99 as Advice))).toBe(EINVAL);
  expect(space.munmap(va + 5, PAGE)).toBe(EINVAL);
  const bytes = new Uint8Array(1);
  for (const [at, reason] of [
    [va - 1, "unmapped"],
    [va + 4 * PAGE, "unmapped"],
  ] as const) {
    expect(kernel.run(space.read(at, bytes))).toBe(EFAULT);
    expect(space.faultReason).toBe(reason);
  }
  expect(kernel.run(space.write(va, bytes))).toBe(EFAULT);
  expect(space.faultReason).toBe("rights");
  kernel.finish();
});

test("a mounted read-only file system refuses writes, and reads", () => {
  const { kernel, vp, rw } = bench();
  Object.assign(kernel.mount, { flags: 1 });
  expect(rw(kernel, vp, UioRw.WRITE, 0, 10)).toEqual([EROFS, 0]);
  expect(rw(kernel, vp, UioRw.READ, 0, 10)).toEqual([OK, 10]);
  kernel.finish();
});

describe("a block map that points outside of the disk", () => {
  for (const block of [1_000_000, 2 ** 40, 512]) {
    test(`to block ${block}: EIO, for reads and for write-back`, () => {
      const { kernel, vp, rw } = bench();
      const blocks = kernel.fs.blocksOf(vp) as number[];
      const [, good] = blocks;
      blocks[1] = block;
      expect(rw(kernel, vp, UioRw.READ, PAGE, 10)).toEqual([EIO, 0]);
      expect(rw(kernel, vp, UioRw.READ, 0, 10)).toEqual([OK, 10]);
      expect(rw(kernel, vp, UioRw.WRITE, PAGE, PAGE)).toEqual([OK, PAGE]);
      expect(kernel.run(vnFsync(vp))).toBe(EIO);
      blocks[1] = good;
      expect(kernel.run(vnFsync(vp))).toBe(OK);
      kernel.finish();
    });
  }
});

describe("a driver that breaks its contract", () => {
  test("by completing a transfer twice panics", () => {
    const { kernel, vp, rw } = bench();
    kernel.disk.fails = (bio) => {
      biodone(bio);
      return OK;
    };
    expect(() => rw(kernel, vp, UioRw.READ, 0, 10)).toThrow(Panic);
  });

  test("by completing a buf twice panics", () => {
    const { kernel } = bench();
    const buf = kernel.bufs.get();
    kernel.bufs.biodone(buf);
    expect(() => kernel.bufs.biodone(buf)).toThrow(/biodone: block .* is done already/);
  });

  test("by leaving more of a transfer than it was given panics", () => {
    const { kernel, vp, rw } = bench();
    kernel.disk.finish = (bio) => {
      bio.resid = bio.bcount + 512;
      biodone(bio);
    };
    expect(() => rw(kernel, vp, UioRw.READ, 0, 10)).toThrow(Panic);
  });

  test("by leaving more of a piece of one than it was given panics", () => {
    const { kernel, vp, rw } = bench();
    (kernel.fs.blocksOf(vp) as number[]).reverse(); // one piece for each block
    kernel.mount.disk.strategy = (buf) => {
      buf.resid = buf.bcount + 512;
      kernel.bufs.biodone(buf);
    };
    expect(() => rw(kernel, vp, UioRw.READ, 0, SIZE)).toThrow(/4608 bytes left of 4096/);
  });

  test("by leaving some of it is EIO", () => {
    const { kernel, vp, rw } = bench();
    kernel.disk.finish = (bio) => {
      bio.resid = 512;
      biodone(bio);
    };
    expect(rw(kernel, vp, UioRw.READ, 0, SIZE)).toEqual([EIO, 0]);
    expect(rw(kernel, vp, UioRw.WRITE, 0, SIZE)).toEqual([OK, SIZE]);
    expect(kernel.run(vnFsync(vp))).toBe(EIO);
    kernel.disk.finish = biodone;
    expect(kernel.run(vnFsync(vp))).toBe(OK);
    expect(rw(kernel, vp, UioRw.READ, 0, SIZE)).toEqual([OK, SIZE]);
    kernel.finish();
  });

  test("by never completing is reported, and does not hang", () => {
    const { kernel, vp, rw } = bench();
    kernel.mount.disk.strategy = () => {};
    expect(() => rw(kernel, vp, UioRw.READ, 0, 10)).toThrow(/cannot go on[\s\S]*biowait/);
  });
});

test("a page that nobody gives back is reported, with its number", () => {
  const { kernel, vp, rw } = bench();
  const held = request(PAGE, 1);
  expect(kernel.run(vp.ops.getpages(vp, held))).toBe(OK);
  expect(() => rw(kernel, vp, UioRw.READ, PAGE, 10)).toThrow(/cannot go on[\s\S]*page 1 of object/);
});
