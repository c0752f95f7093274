/** directio: which bytes go past the page cache, and what becomes of the pages that it has of them. */
import { Uio, UioRw } from "@physio/carriers";
import { Errno, KiB, PAGE_SIZE } from "@physio/kern";
import { Pgo } from "@physio/uvm";
import { IoFlag } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { directio, MAX_DIRECT } from "../src/directio.ts";
import type { FileMachineOptions } from "./file-machine.ts";
import { bytesOf, difference, FileMachine } from "./file-machine.ts";
import { HOLE } from "./machine.ts";
import { draw, picture, plant } from "./pictures.ts";

const K = KiB;
const row = (count: number) => Array.from({ length: count }, (_, i) => i);

/** A file of 40 pages, and a user with 200 KiB of memory whose bytes are `bytesOf(2, …)`. */
class Direct {
  readonly m: FileMachine;
  readonly space;
  readonly va: number;

  constructor(options: FileMachineOptions = {}) {
    this.m = new FileMachine({ size: 160 * K, map: row(40), ...options });
    this.m.fillDisk(7);
    const user = this.m.user(200 * K);
    this.space = user.space;
    this.va = user.va;
    this.m.run(this.space.write(this.va, bytesOf(2, 0, 200 * K)));
  }

  /** Move `length` bytes between `skip` into the memory and `offset`. @returns bytes moved. */
  move(rw: UioRw, offset: number, length: number, skip = 0, flags: IoFlag = 0): number {
    const uio = this.m.uio(rw, this.space, this.va + skip, length, offset);
    this.m.run(directio(this.m.vp, uio, flags));
    expect(uio.offset - offset).toBe(length - uio.resid);
    return length - uio.resid;
  }

  /** The user's memory. */
  memory(skip: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    expect(this.m.run(this.space.read(this.va + skip, bytes))).toBe(Errno.OK);
    return bytes;
  }
}

describe("a direct read", () => {
  test("moves the disk's bytes in pieces of 64 KiB, and leaves no page behind", () => {
    const d = new Direct();
    expect(d.move(UioRw.READ, 4 * K, 150 * K, 512)).toBe(150 * K);
    expect(difference(d.memory(512, 150 * K), bytesOf(7, 4 * K, 150 * K))).toBe(-1);
    expect(MAX_DIRECT).toBe(64 * K);
    expect(d.m.takeLog(false)).toEqual([
      [1, 16],
      [17, 16],
      [33, 5.5],
    ]);
    expect(picture(d.m, 40)).toBe(".".repeat(40));
    d.m.finish();
  });

  test("has dirty pages of its range written first, which stay", () => {
    const d = new Direct();
    draw(d.m, ".D.C..D");
    expect(d.move(UioRw.READ, 4 * K, 16 * K)).toBe(16 * K);
    const wanted = bytesOf(7, 4 * K, 16 * K);
    wanted.set(bytesOf(1, 4 * K, 4 * K));
    expect(difference(d.memory(0, 16 * K), wanted)).toBe(-1);
    expect(picture(d.m, 7)).toBe(".C.C..D");
    d.m.finish();
  });

  test("of holes is zeros", () => {
    const d = new Direct({ map: [0, HOLE, HOLE, 3], size: 16 * K });
    expect(d.move(UioRw.READ, 0, 16 * K)).toBe(16 * K);
    const wanted = bytesOf(7, 0, 16 * K);
    wanted.fill(0, 4 * K, 12 * K);
    expect(difference(d.memory(0, 16 * K), wanted)).toBe(-1);
    d.m.finish();
  });

  test("of runs of blocks all over the disk is right whatever their order of ending", () => {
    const d = new Direct({ map: row(40).map((i) => (i * 7) % 40) });
    d.m.held = true;
    const uio = d.m.uio(UioRw.READ, d.space, d.va, 20 * K, 0);
    d.m.begin(directio(d.m.vp, uio, 0));
    expect(d.m.waiting.length).toBe(5);
    for (const at of [3, 0, 2, 1, 0]) d.m.answer(Errno.OK, at);
    expect(uio.resid).toBe(0);
    expect(difference(d.memory(0, 20 * K), bytesOf(7, 0, 20 * K))).toBe(-1);
    d.m.finish();
  });
});

describe("a direct write", () => {
  test("goes to the disk, and the pages that were there are gone", () => {
    const d = new Direct();
    draw(d.m, "CDCDCC");
    expect(d.move(UioRw.WRITE, 4 * K, 12 * K)).toBe(12 * K);
    expect(picture(d.m, 6)).toBe("C...CC");
    const wanted = bytesOf(7, 0, 160 * K);
    wanted.set(bytesOf(2, 0, 12 * K), 4 * K);
    expect(difference(d.m.onDisk(0, 160 * K), wanted)).toBe(-1);
    d.m.finish();
  });

  test("of a part of a dirty page keeps the rest of it", () => {
    const d = new Direct();
    draw(d.m, ".D");
    expect(d.move(UioRw.WRITE, 5 * K, 512)).toBe(512);
    const wanted = bytesOf(7, 0, 160 * K);
    wanted.set(bytesOf(1, 4 * K, 4 * K), 4 * K);
    wanted.set(bytesOf(2, 0, 512), 5 * K);
    expect(difference(d.m.run(d.m.read(0, 160 * K)), wanted)).toBe(-1);
    d.m.finish();
  });

  test("stops before a piece that has a hole", () => {
    for (const [hole, moved] of [
      [39, 64 * K + 64 * K],
      [20, 64 * K],
      [0, 0],
    ]) {
      const d = new Direct({ map: row(40).map((i) => (i === hole ? HOLE : i)) });
      expect([hole, d.move(UioRw.WRITE, 0, 160 * K)]).toEqual([hole, moved]);
      expect(d.m.allocs).toEqual([]);
      d.m.finish();
    }
  });

  test("keeps the user's pages wired while it is under way", () => {
    const d = new Direct();
    d.m.held = true;
    const frame = () => d.space.pmap.frameAt(d.va);
    const before = d.m.pages.wireCount(frame());
    const uio = d.m.uio(UioRw.WRITE, d.space, d.va, 8 * K, 0);
    d.m.begin(directio(d.m.vp, uio, 0));
    expect([d.m.waiting.length, d.m.pages.wireCount(frame()) - before]).toEqual([1, 1]);
    d.m.settle();
    expect(d.m.pages.wireCount(frame())).toBe(before);
    d.m.finish();
  });

  test("lets nobody read what it replaces into the cache", () => {
    const d = new Direct();
    d.m.held = true;
    const uio = d.m.uio(UioRw.WRITE, d.space, d.va, 8 * K, 0);
    d.m.begin(directio(d.m.vp, uio, 0));
    const got = d.m.begin(d.m.read(0, 8 * K));
    expect([got(), picture(d.m, 2)]).toEqual([undefined, ".."]);
    d.m.settle();
    expect(difference(got()!, bytesOf(2, 0, 8 * K))).toBe(-1);
    d.m.finish();
  });
});

describe("it moves nothing", () => {
  test.each([
    { name: "at an offset inside of a sector", offset: 100, length: 8 * K, skip: 0, moved: 0 },
    {
      name: "from an address inside of a sector's size",
      offset: 0,
      length: 8 * K,
      skip: 100,
      moved: 0,
    },
    { name: "shorter than a sector", offset: 0, length: 500, skip: 0, moved: 0 },
    { name: "beyond the end", offset: 160 * K, length: 8 * K, skip: 0, moved: 0 },
    { name: "in a piece over the end", offset: 152 * K, length: 16 * K, skip: 0, moved: 0 },
    { name: "behind its last whole sector", offset: 0, length: 8 * K + 100, skip: 0, moved: 8 * K },
    {
      name: "after the last whole piece before the end",
      offset: 64 * K,
      length: 130 * K,
      skip: 0,
      moved: 64 * K,
    },
  ])("$name", ({ offset, length, skip, moved }) => {
    for (const rw of [UioRw.READ, UioRw.WRITE]) {
      const d = new Direct();
      expect(d.move(rw, offset, length, skip)).toBe(moved);
      d.m.finish();
    }
  });

  test("for a vnode that has been mapped, kernel memory, or nobody's", () => {
    const d = new Direct();
    const { m } = d;
    m.vp.mapped = true;
    expect(d.move(UioRw.READ, 0, 8 * K)).toBe(0);
    m.vp.mapped = false;
    const va = m.kmem.alloc(8 * K);
    for (const space of [m.kmem.space, null]) {
      const uio = new Uio(UioRw.READ, space, [{ base: va, length: 8 * K }], 0);
      m.run(directio(m.vp, uio, 0));
      expect(uio.resid).toBe(8 * K);
    }
    m.kmem.free(va, 8 * K);
    m.finish();
  });

  test("when the journal cannot begin; else it is in one transaction", () => {
    const d = new Direct({ journal: true });
    d.m.beginError = Errno.EROFS;
    expect(d.move(UioRw.WRITE, 0, 8 * K)).toBe(0);
    d.m.beginError = Errno.OK;
    expect(d.move(UioRw.WRITE, 0, 128 * K)).toBe(128 * K);
    expect([d.m.transactions, d.m.open]).toEqual([1, 0]);
    expect(d.move(UioRw.WRITE, 0, 8 * K, 0, IoFlag.JOURNALLOCKED)).toBe(8 * K);
    expect(d.m.transactions).toBe(1);
    d.m.finish();
  });
});

describe("an error", () => {
  test("of the disk ends it after the pieces before", () => {
    for (const rw of [UioRw.READ, UioRw.WRITE]) {
      const d = new Direct();
      d.m.badDisk.add(20);
      expect(d.move(rw, 0, 160 * K)).toBe(64 * K);
      d.m.finish();
    }
  });

  test("of the block map, or of a page that cannot be written first, moves nothing", () => {
    const d = new Direct();
    d.m.badBlocks.add(2);
    for (const rw of [UioRw.READ, UioRw.WRITE]) expect(d.move(rw, 8 * K, 8 * K)).toBe(0);
    d.m.badBlocks.clear();
    plant(d.m, 2, "D");
    d.m.mount.context.syncer.add(d.m.vp, 1);
    d.m.badDisk.add(2);
    for (const rw of [UioRw.READ, UioRw.WRITE]) expect(d.move(rw, 8 * K, 8 * K)).toBe(0);
    expect(picture(d.m, 3)).toBe("..D");
    d.m.finish();
  });

  test("of the user's memory moves nothing, and wires nothing", () => {
    const d = new Direct();
    d.space.munmap(d.va + 4 * K, PAGE_SIZE);
    for (const rw of [UioRw.READ, UioRw.WRITE]) expect(d.move(rw, 0, 12 * K)).toBe(0);
    expect(d.move(UioRw.READ, 0, 4 * K)).toBe(4 * K);
    d.m.finish();
  });
});

test("ranges are taken one after the other, empty ones too", () => {
  const d = new Direct();
  const iov = [
    { base: d.va, length: 0 },
    { base: d.va + 8 * K, length: 4 * K },
    { base: d.va, length: 0 },
    { base: d.va, length: 8 * K },
  ];
  const uio = new Uio(UioRw.READ, d.space, iov, 0);
  d.m.run(directio(d.m.vp, uio, 0));
  expect(uio.resid).toBe(0);
  expect(difference(d.memory(8 * K, 4 * K), bytesOf(7, 0, 4 * K))).toBe(-1);
  expect(difference(d.memory(0, 8 * K), bytesOf(7, 4 * K, 8 * K))).toBe(-1);
  d.m.finish();
});

test("a device's holes are looked for in sectors; the seed takes the mount's blocks", () => {
  for (const [semantics, moved] of [
    ["fixed", 512],
    ["seed", 0],
  ] as const) {
    // Block i of a device is sector i: only those below 8 are there.
    const d = new Direct({
      semantics,
      type: "block special",
      size: 4 * K,
      map: [0],
      vnodeOps: {
        // biome-ignore lint/correctness/useYield: as a device's
        *bmap(_vp, lbn, out) {
          out.blkno = lbn > 0 ? lbn : -1;
          out.run = 0;
          return Errno.OK;
        },
      },
    });
    expect([semantics, d.move(UioRw.WRITE, 7 * 512, 512)]).toEqual([semantics, moved]);
    d.m.run(d.m.put(0, 0, Pgo.FREE));
    d.m.finish();
  }
});
