/** genfsWrite: what it reads, allocates and leaves in memory, and where it stops. */
import { Uio, UioRw } from "@physio/carriers";
import { Errno, KiB, PAGE_SIZE } from "@physio/kern";
import { Pg, Pgo } from "@physio/uvm";
import { IoFlag, MountFlag } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { GopUpdate } from "../src/index.ts";
import type { FileMachineOptions } from "./file-machine.ts";
import { bytesOf, difference, FileMachine, STALE } from "./file-machine.ts";
import { HOLE } from "./machine.ts";
import { draw, picture, plant } from "./pictures.ts";

const K = KiB;
const SYNC = Pgo.CLEANIT | Pgo.SYNCIO;
const row = (count: number) => Array.from({ length: count }, (_, i) => i);

/** A file whose bytes are `bytesOf(7, …)` on the disk. */
function filled(options: FileMachineOptions): FileMachine {
  const m = new FileMachine(options);
  m.fillDisk(7);
  return m;
}

/** The file reads as `wanted`, from memory and, when it is written back, on the disk. */
function check(m: FileMachine, wanted: Uint8Array): void {
  expect(m.vp.size).toBe(wanted.length);
  expect(difference(m.run(m.read(0, wanted.length + 100)), wanted)).toBe(-1);
  expect(m.run(m.put(0, 0, SYNC))).toBe(Errno.OK);
  expect(difference(m.onDisk(0, wanted.length), wanted)).toBe(-1);
}

/** `bytes` with `data` at `offset`, longer where it must be. */
function patched(bytes: Uint8Array, offset: number, data: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.max(bytes.length, offset + data.length));
  result.set(bytes);
  result.set(data, offset);
  return result;
}

describe("a write", () => {
  // Blocks of 4 KiB, in a row from block 10 on; transfers are [block, blocks].
  const CASES = [
    { name: "of whole pages", size: 16 * K, at: 4 * K, length: 8 * K, reads: [] },
    { name: "of the whole file", size: 10_000, at: 0, length: 10_000, reads: [] },
    { name: "within a page", size: 16 * K, at: 5000, length: 10, reads: [[11, 1]] },
    {
      name: "over three pages, of which it covers one",
      size: 16 * K,
      at: 100,
      length: 8 * K,
      reads: [
        [10, 1],
        [12, 1],
      ],
    },
    { name: "of all that the last page has", size: 5000, at: 4 * K, length: 904, reads: [] },
    {
      name: "from the last page's beginning on over the end",
      size: 5000,
      at: 4 * K,
      length: 9000,
      reads: [],
    },
    {
      name: "from inside of the last page on",
      size: 5000,
      at: 4500,
      length: 9000,
      reads: [[11, 1]],
    },
    { name: "at the end, inside of a page", size: 5000, at: 5000, length: 100, reads: [[11, 1]] },
    {
      name: "at the end, at the beginning of a page",
      size: 8 * K,
      at: 8 * K,
      length: 100,
      reads: [],
    },
    { name: "of nothing", size: 8 * K, at: 100, length: 0, reads: [] },
  ];
  test.each(CASES)("$name reads only pages of which it leaves something", (c) => {
    const m = filled({ size: c.size, map: row(Math.ceil(c.size / (4 * K))).map((i) => 10 + i) });
    const data = bytesOf(2, c.at, c.length);
    const before = bytesOf(7, 0, c.size);
    expect(m.run(m.write(c.at, data))).toEqual([Errno.OK, 0]);
    expect(m.takeLog(false)).toEqual(c.reads);
    check(m, patched(before, c.at, data));
    m.finish();
  });

  test("of a whole page in a block of many does not read the block", () => {
    const m = filled({ blockSize: 64 * K, size: 64 * K, map: [1] });
    m.run(m.write(8 * K, bytesOf(2, 0, 4 * K)));
    expect([m.log, picture(m, 16)]).toEqual([[], "..D............."]);
    check(m, patched(bytesOf(7, 0, 64 * K), 8 * K, bytesOf(2, 0, 4 * K)));
    m.finish();
  });

  test("to resident pages needs neither the disk nor the block map", () => {
    const m = filled({ size: 16 * K, map: row(4) });
    draw(m, "CDCC");
    for (let i = 0; i < 4; i++) m.badBlocks.add(i);
    const generation = m.node.dirtyGeneration;
    expect(m.run(m.write(100, bytesOf(2, 0, 8 * K)))).toEqual([Errno.OK, 0]);
    expect([m.log, picture(m, 4)]).toEqual([[], "DDDC"]);
    expect(m.node.dirtyGeneration).toBeGreaterThan(generation);
    expect([m.vp.onWorklist, m.updates & GopUpdate.MODIFIED]).toEqual([true, GopUpdate.MODIFIED]);
    m.finish();
  });

  test("from two ranges reads the page in which they meet", () => {
    const m = filled({ size: 16 * K, map: row(4) });
    expect(m.run(m.write(0, bytesOf(2, 0, 16 * K), 0, 9000))).toEqual([Errno.OK, 0]);
    expect(m.takeLog(false)).toEqual([[2, 1]]);
    check(m, bytesOf(2, 0, 16 * K));
    m.finish();
  });

  test("waits for a page that somebody holds", () => {
    const m = filled({ size: 8 * K, map: row(2) });
    draw(m, "CB");
    const result = m.begin(m.write(0, bytesOf(2, 0, 8 * K)));
    expect(result()).toBe(undefined);
    m.pages.unbusy(m.vp.object.lookup(1));
    m.sched.pump();
    expect(result()).toEqual([Errno.OK, 0]);
    check(m, bytesOf(2, 0, 8 * K));
    m.finish();
  });

  test("with APPEND begins at the end, wherever the uio stands", () => {
    const m = filled({ size: 5000, map: row(2) });
    expect(m.run(m.write(100, bytesOf(2, 0, 6000), IoFlag.APPEND))).toEqual([Errno.OK, 0]);
    check(m, patched(bytesOf(7, 0, 5000), 5000, bytesOf(2, 0, 6000)));
    m.finish();
  });

  test("with SYNC or DSYNC is on the disk on return, and nothing else is", () => {
    for (const flag of [IoFlag.SYNC, IoFlag.DSYNC]) {
      const m = filled({ size: 32 * K, map: row(8) });
      draw(m, ".......D");
      m.run(m.write(5000, bytesOf(2, 5000, 5000), flag));
      expect(difference(m.onDisk(5000, 5000), bytesOf(2, 5000, 5000))).toBe(-1);
      expect([m.takeLog(true), picture(m, 8)]).toEqual([[[1, 2]], ".CC....D"]);
      m.finish();
    }
  });

  test("with SYNC tells an error of the disk, and keeps the data", () => {
    const m = filled({ size: 8 * K, map: row(2) });
    m.badDisk.add(0);
    expect(m.run(m.write(0, bytesOf(2, 0, 8 * K), IoFlag.SYNC))).toEqual([Errno.EIO, 0]);
    expect(picture(m, 2)).toBe("DD");
    m.badDisk.clear();
    check(m, bytesOf(2, 0, 8 * K));
    m.finish();
  });

  test("that goes straight on has each full window written behind it", () => {
    const m = new FileMachine();
    m.held = true;
    const writer = m.begin(m.write(0, bytesOf(2, 0, 150_000)));
    expect([writer(), m.takeLog(true)]).toEqual([
      [Errno.OK, 0],
      [
        [0, 16],
        [16, 16],
      ],
    ]);
    expect(picture(m, 37)).toBe(`${"B".repeat(32)}DDDDD`);
    m.settle();
    check(m, bytesOf(2, 0, 150_000));
    m.finish();
  });
});

describe("holes", () => {
  test.each([1, 2, 4, 8, 64])(
    "are allocated where they are written to, zero round it (blocks of %i KiB)",
    (kib) => {
      const blockSize = kib * K;
      const size = 128 * K;
      const m = new FileMachine({ blockSize, size, map: new Array(size / blockSize).fill(HOLE) });
      let wanted = new Uint8Array(size);
      const touched = new Set<number>();
      for (const [at, length] of [
        [100, 50],
        [9000, 5000],
        [70_000, 1],
        [32 * K, 8 * K],
        [33 * K, 100],
        [126_000, 3000],
      ]) {
        expect(m.run(m.write(at, bytesOf(2, at, length)))).toEqual([Errno.OK, 0]);
        wanted = patched(wanted, at, bytesOf(2, at, length)) as Uint8Array<ArrayBuffer>;
        for (let b = Math.floor(at / blockSize); b * blockSize < at + length; b++) touched.add(b);
      }
      check(m, wanted);
      expect(m.log.filter(({ write }) => !write)).toEqual([]);
      const allocated = m.map.flatMap((block, lbn) => (block === HOLE ? [] : [lbn]));
      expect(allocated).toEqual([...touched].sort((a, b) => a - b));
      m.finish();
    },
  );

  test("that only a part of a page has are seen by the next write too", () => {
    const m = new FileMachine({ blockSize: K, size: 8 * K, map: new Array(8).fill(HOLE) });
    m.run(m.write(0, bytesOf(2, 0, 100))); // block 0 of page 0
    m.run(m.write(3 * K, bytesOf(2, 3 * K, 100))); // block 3, page 0 is resident
    expect(m.map.map((block) => block !== HOLE)).toEqual([
      true,
      false,
      false,
      true,
      false,
      false,
      false,
      false,
    ]);
    const wanted = patched(new Uint8Array(8 * K), 0, bytesOf(2, 0, 100));
    check(m, patched(wanted, 3 * K, bytesOf(2, 3 * K, 100)));
    m.finish();
  });

  test("are not allocated for a page that others only read", () => {
    const m = new FileMachine({ size: 8 * K, map: [HOLE, HOLE] });
    m.run(m.read(0, 8 * K));
    expect([picture(m, 2), m.allocs]).toEqual(["RR", []]);
    m.run(m.write(10, bytesOf(2, 10, 10)));
    expect([picture(m, 2), m.allocs]).toEqual(["DR", [[0, 1]]]);
    m.finish();
  });
});

describe("a gap", () => {
  test.each([1, 4, 16, 64])(
    "between the end and the write reads as zeros (blocks of %i KiB)",
    (kib) => {
      for (const size of [0, 100, 5000, 8 * K]) {
        const m = filled({ blockSize: kib * K, size, map: row(Math.ceil(size / (kib * K))) });
        // What lies behind the end of the last block is of an older file.
        expect(m.run(m.write(50_000, bytesOf(2, 0, 3000)))).toEqual([Errno.OK, 0]);
        check(m, patched(bytesOf(7, 0, size), 50_000, bytesOf(2, 0, 3000)));
        expect(m.onDisk(size, 50_000 - size).includes(STALE)).toBe(false);
        m.finish();
      }
    },
  );

  test("that cannot be zeroed is EIO, and the file does not grow", () => {
    const m = filled({ size: 5000, map: [3, 4] });
    m.badDisk.add(4);
    expect(m.run(m.write(20_000, bytesOf(2, 0, 10)))).toEqual([Errno.EIO, 10]);
    expect([m.vp.size, picture(m, 6)]).toEqual([5000, "......"]);
    m.finish();
  });
});

describe("a write that stops", () => {
  test("at ENOSPC keeps what it has written, and its pages beyond go", () => {
    const m = new FileMachine({ room: 20 });
    expect(m.run(m.write(0, bytesOf(2, 0, 128 * K)))).toEqual([Errno.ENOSPC, 64 * K]);
    check(m, bytesOf(2, 0, 64 * K));
    expect(picture(m, 20)).toBe(`${"C".repeat(16)}....`);
    expect(m.run(m.truncate(0))).toBe(Errno.OK);
    expect(m.free.length).toBe(20);
    m.finish();
  });

  test.each([100, 4 * K, 8 * K])(
    "at ENOSPC over a hole leaves resident pages as they were (%i bytes)",
    (length) => {
      const m = new FileMachine({ size: 12 * K, map: [HOLE, 1, HOLE], room: 0 });
      m.fillDisk(7);
      m.run(m.read(0, 12 * K));
      expect(m.run(m.write(0, bytesOf(2, 0, length)))).toEqual([Errno.ENOSPC, length]);
      expect(m.pages.flags(m.vp.object.lookup(0)) & Pg.RDONLY).toBe(Pg.RDONLY); // the next write asks again
      expect(m.run(m.write(0, bytesOf(2, 0, length)))).toEqual([Errno.ENOSPC, length]);
      check(m, patched(new Uint8Array(12 * K), 4 * K, bytesOf(7, 4 * K, 4 * K)));
      m.finish();
    },
  );

  test("at a page that cannot be read is EIO, and the page keeps its bytes", () => {
    const m = filled({ size: 16 * K, map: row(4) });
    m.badDisk.add(2);
    expect(m.run(m.write(0, bytesOf(2, 0, 8 * K + 10)))).toEqual([Errno.EIO, 10]);
    m.badDisk.clear();
    check(m, patched(bytesOf(7, 0, 16 * K), 0, bytesOf(2, 0, 8 * K)));
    m.finish();
  });

  test("at a block map that fails, or a journal that cannot begin, changes nothing", () => {
    const m = filled({ size: 8 * K, map: row(2), journal: true });
    m.badBlocks.add(1);
    expect(m.run(m.write(4 * K, bytesOf(2, 0, 8 * K)))).toEqual([Errno.EIO, 8 * K]);
    m.badBlocks.clear();
    m.beginError = Errno.EROFS;
    expect(m.run(m.write(4 * K, bytesOf(2, 0, 8 * K)))).toEqual([Errno.EROFS, 8 * K]);
    m.beginError = Errno.OK;
    check(m, bytesOf(7, 0, 8 * K));
    m.finish();
  });

  test("at memory that is not mapped is EFAULT: the ranges before it are written", () => {
    const m = filled({ size: 16 * K, map: row(4) });
    const va = m.kmem.alloc(8 * K);
    m.kmem.write(va, bytesOf(2, 0, 8 * K));
    const iov = [
      { base: va, length: 6000 },
      { base: 0, length: 100 },
    ];
    const uio = new Uio(UioRw.WRITE, m.kmem.space, iov, 1000);
    expect(m.run(m.vp.ops.write(m.vp, uio, 0))).toBe(Errno.EFAULT);
    expect([uio.offset, uio.resid]).toEqual([7000, 100]);
    m.kmem.free(va, 8 * K);
    check(m, patched(bytesOf(7, 0, 16 * K), 1000, bytesOf(2, 0, 6000)));
    m.finish();
  });

  test("before it begins: read-only, at a negative offset", () => {
    const m = filled({ size: 8 * K, map: row(2), flags: MountFlag.RDONLY });
    expect(m.run(m.write(0, bytesOf(2, 0, 10)))).toEqual([Errno.EROFS, 10]);
    m.finish();
    const n = filled({ size: 8 * K, map: row(2) });
    expect(n.run(n.write(-1, bytesOf(2, 0, 10)))).toEqual([Errno.EINVAL, 10]);
    expect(n.run(n.write(Number.NaN, bytesOf(2, 0, 10)))).toEqual([Errno.EINVAL, 10]);
    check(n, bytesOf(7, 0, 8 * K));
    n.finish();
  });
});

describe("transactions of the journal", () => {
  test("are begun for what needs blocks or pages, unless the caller has one", () => {
    for (const [flags, resident, begun] of [
      [0, false, 1],
      [0, true, 0],
      [IoFlag.JOURNALLOCKED, false, 0],
    ] as const) {
      const m = filled({ size: 4 * K, map: [0], journal: true });
      if (resident) plant(m, 0, "C");
      m.run(m.write(0, bytesOf(2, 0, 4 * K), flags));
      expect([flags, resident, m.transactions, m.open]).toEqual([flags, resident, begun, 0]);
      check(m, bytesOf(2, 0, 4 * K));
      m.finish();
    }
  });

  test("of the write-behind and of SYNC are the caller's too", () => {
    const m = new FileMachine({ journal: true });
    m.run(m.write(0, bytesOf(2, 0, 70_000), IoFlag.JOURNALLOCKED | IoFlag.SYNC));
    expect([m.transactions, picture(m, 18)]).toEqual([0, "C".repeat(18)]);
    m.finish();
  });
});

describe("DIRECT", () => {
  test("writes what it can past the cache, and the rest through it", () => {
    const m = filled({ size: 16 * K, map: [0, 1, HOLE, 3] });
    const { space, va } = m.user(24 * K);
    m.run(space.write(va, bytesOf(2, 0, 24 * K)));
    const uio = m.uio(UioRw.WRITE, space, va, 18 * K, 0);
    expect(m.run(m.vp.ops.write(m.vp, uio, IoFlag.DIRECT))).toBe(Errno.OK);
    // One piece of 18 KiB would reach over the end: nothing is direct.
    expect([uio.resid, picture(m, 5)]).toEqual([0, "DDDDD"]);
    check(m, bytesOf(2, 0, 18 * K));
    const again = m.uio(UioRw.WRITE, space, va + 512, 16 * K, 0);
    m.run(m.vp.ops.write(m.vp, again, IoFlag.DIRECT));
    expect(picture(m, 5)).toBe("....C");
    check(m, patched(bytesOf(2, 0, 18 * K), 0, bytesOf(2, 512, 16 * K)));
    m.finish();
  });
});

test("a page is never resident behind the end of a file that did not grow", () => {
  const m = new FileMachine({ size: 100, map: [0], room: 0 });
  m.fillDisk(7);
  expect(m.run(m.write(4096, bytesOf(2, 0, PAGE_SIZE)))).toEqual([Errno.ENOSPC, PAGE_SIZE]);
  expect([m.vp.size, m.vp.writeSize, picture(m, 3)[1]]).toEqual([100, 100, "."]);
  m.finish();
});
