/** ext2 written to where something is special: images of others, full disks, disks that fail, damage. */

import { BioCommand } from "@physio/carriers";
import { Errno } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import {
  createFile,
  makeDirectory,
  makeLink,
  makeSpecial,
  makeSymlink,
  namei,
  renamePath,
  setAttributes,
  truncatePath,
  unlinkPath,
  vnFsync,
  vnRelease,
} from "@physio/vfs";
import { afterAll, describe, expect, test } from "vitest";
import { ImageFolder, SHAPES } from "../src/e2fsck.ts";
import { Ext2Machine } from "../src/ext2-machine.ts";
import { created, plant, special } from "../src/ext2-names.ts";
import { haveE2fsprogs } from "../src/make-image.ts";

const HAVE = haveE2fsprogs();
const folder = new ImageFolder();
afterAll(() => folder.remove());

type Call = (root: Vnode) => Sleeps<unknown>;

function start(shape = SHAPES[0], image = folder.make(shape)): Ext2Machine {
  const m = new Ext2Machine(image);
  m.mount();
  return m;
}

/** Unmount; e2fsck is content. */
function finish(m: Ext2Machine): void {
  m.unmount();
  m.finish();
  expect(folder.fsck(m.disk.media)).toBe("");
}

describe.runIf(HAVE)("what others have made", () => {
  test("special files have the numbers that debugfs says", () => {
    const m = start();
    m.run(makeSpecial(m.top, "/small", special(8, 17)));
    m.run(makeSpecial(m.top, "/large", special(259, 70_000)));
    finish(m);
    const said = folder.debugfs(folder.save(m.disk.media), ["stat /small", "stat /large"]);
    expect(said).toContain("08:17");
    expect(said).toMatch(/259:70000/);
  });

  test("an indexed directory loses its index with the first new name, not with the first that goes", () => {
    const shape = { name: "4k-index", args: ["-b", "1024", "-N", "2048"], kibibytes: 8192 };
    const m = start(shape);
    m.run(makeDirectory(m.top, "/wide"));
    for (let i = 0; i < 400; i++) m.run(makeLinkOrFile(m, `/wide/some-long-name-${i}`, i));
    m.unmount();
    const path = folder.save(m.disk.media, "indexed.img");
    folder.optimize(path);
    const indexed = start(shape, folder.read(path));
    const isIndexed = () => folder.debugfs(folder.save(indexed.disk.media), ["stat /wide"]);
    for (let i = 0; i < 400; i += 3) {
      expect(indexed.outcome(unlinkPath(indexed.top, `/wide/some-long-name-${i}`))).toBe("OK");
    }
    expect(indexed.outcome(renamePath(indexed.top, "/wide/some-long-name-1", "/out"))).toBe("OK");
    indexed.unmount();
    expect(folder.fsck(indexed.disk.media)).toBe("");
    expect(isIndexed()).toContain("Flags: 0x1000");
    indexed.mount();
    expect(indexed.outcome(namei(indexed.top, "/wide/some-long-name-0"))).toBe("ENOENT");
    expect(indexed.outcome(created(indexed.top, "/wide/new"))).toBe("OK");
    for (let i = 0; i < 200; i++) indexed.run(created(indexed.top, `/wide/and-another-${i}`));
    finish(indexed);
    expect(isIndexed()).toContain("Flags: 0x0");
    m.finish();
  });

  test("a block of attributes that files share is free when the last of them goes", () => {
    const shape = {
      name: "1k-attr",
      args: ["-b", "1024", "-I", "128", "-N", "64", "-O", "ext_attr"],
      kibibytes: 2048,
    };
    const path = folder.save(folder.make(shape), "attr.img");
    const data = folder.save(new Uint8Array(3000).fill(65), "data");
    folder.debugfs(path, [`write ${data} a`, "ea_set a user.x some-value"], true);
    folder.debugfs(path, [`write ${data} b`], true);
    const bytes = folder.read(path);
    const m = start(shape, bytes);
    const inode = (vp: Vnode) => (vp.data as { inode: { fileAcl: number; sectors: number } }).inode;
    const block = m.run(
      m.with("/a", function* (vp) {
        yield* m.sched.preempt();
        return inode(vp).fileAcl;
      }),
    );
    expect(block).toBeGreaterThan(0);
    m.run(
      m.with("/b", function* (vp) {
        inode(vp).fileAcl = block;
        inode(vp).sectors += 2;
        yield* vp.ops.setattr!(vp, {});
      }),
    );
    m.unmount();
    new DataView(m.disk.media.buffer).setUint32(block * 1024 + 4, 2, true);
    expect(folder.fsck(m.disk.media)).toBe("");
    m.mount();
    const before = m.mounted.freeBlocks;
    m.run(unlinkPath(m.top, "/a"));
    expect(m.mounted.freeBlocks).toBe(before + 3); // its data only
    m.unmount();
    expect(folder.fsck(m.disk.media)).toBe("");
    m.mount();
    m.run(unlinkPath(m.top, "/b"));
    expect(m.mounted.freeBlocks).toBe(before + 7);
    finish(m);
  });
});

describe.runIf(HAVE)("what is left where there is no room, or the disk fails", () => {
  /** Leave `free` blocks. */
  function leave(m: Ext2Machine, free: number): void {
    const vp = m.run(createFile(m.top, "/filler"));
    const { blockSize } = m.mounted.sb;
    for (let at = 0; m.mounted.freeBlocks > free; at += blockSize) {
      if (m.run(m.writeTo(vp, at, new Uint8Array(blockSize))).error !== "OK") break;
    }
    m.run(vnRelease(vp));
    expect(m.mounted.freeBlocks).toBe(free);
  }
  const SMALL = { name: "1k-small", args: ["-b", "1024", "-N", "64"], kibibytes: 512 };

  test("a write that ends for want of room leaves no block behind the end of the file", () => {
    const m = start(SMALL);
    leave(m, 3);
    const vp = m.run(createFile(m.top, "/f"));
    const { error, length } = m.run(m.writeTo(vp, 0, new Uint8Array(20_000).fill(1)));
    expect(error).toBe("ENOSPC");
    expect(m.mounted.freeBlocks).toBe(3 - Math.ceil(length / 1024));
    m.run(vnRelease(vp));
    finish(m);
  });

  test("a directory that cannot grow leaves no indirect block", () => {
    const m = start(SMALL);
    m.run(makeDirectory(m.top, "/d"));
    m.run(created(m.top, "/one"));
    const name = (i: number) => `/d/${"n".repeat(240)}${i}`;
    for (let i = 0; i < 4 * 12 - 1; i++) m.run(makeLink(m.top, "/one", name(i)));
    expect(m.run(m.with("/d", size))).toBe(12 * 1024);
    leave(m, 1);
    expect(m.outcome(makeLink(m.top, "/one", name(99)))).toBe("ENOSPC");
    expect(m.mounted.freeBlocks).toBe(1);
    m.run(unlinkPath(m.top, name(5)));
    expect(m.outcome(makeLink(m.top, "/one", name(99)))).toBe("OK");
    finish(m);
  });

  test("an inode that fsync could not write is written later", () => {
    let fails = false;
    const m = new Ext2Machine(folder.make(SMALL), {
      fails: (bio) => (fails && bio.command === BioCommand.WRITE ? Errno.EIO : Errno.OK),
    });
    m.mount();
    m.run(created(m.top, "/f"));
    expect(m.run(m.mounted.mount.sync())).toBe(Errno.OK);
    m.run(setAttributes(m.top, "/f", { uid: 7 }));
    fails = true;
    expect(m.run(m.with("/f", (vp) => vnFsync(vp)))).toBe(Errno.EIO);
    fails = false;
    expect(m.run(m.with("/f", (vp) => vnFsync(vp)))).toBe(Errno.OK);
    const seen = start(SMALL, folder.repair(m.disk.media));
    expect(seen.run(seen.with("/f", owner))).toBe(7);
    seen.unmount();
    finish(m);
  });

  test("a block that a symlink gave up is not written any more", () => {
    const m = start(SMALL);
    m.run(created(m.top, "/f"));
    m.run(makeSymlink(m.top, "/s", "t".repeat(500)));
    m.run(unlinkPath(m.top, "/s"));
    const bytes = new Uint8Array(30_000).fill(9);
    m.run(m.with("/f", (vp) => m.writeTo(vp, 0, bytes)));
    m.unmount();
    m.mount();
    expect(m.run(m.with("/f", (vp) => m.readFrom(vp)))).toEqual(bytes);
    finish(m);
  });

  test("a new inode has nothing of the one that was there before", () => {
    const shape = { name: "256", args: ["-b", "1024", "-I", "256", "-N", "64"], kibibytes: 512 };
    const image = folder.make(shape);
    const table = new DataView(image.buffer).getUint32(2048 + 8, true) * 1024;
    for (let ino = 12; ino <= 20; ino++) {
      const at = table + (ino - 1) * 256;
      image.fill(0xa5, at, at + 256);
      image.fill(0, at + 26, at + 28); // no links
    }
    const m = start(shape, image);
    m.run(created(m.top, "/f"));
    m.run(makeDirectory(m.top, "/d"));
    finish(m);
  });

  test("directory entries say what their inodes are", () => {
    const m = start();
    plant(m);
    m.run(makeSpecial(m.top, "/dev", special(1, 2)));
    finish(m);
    const said = folder.debugfs(folder.save(m.disk.media), ["ls -l /"]);
    for (const line of [
      / 100644 \(1\).* file$/m,
      / 40755 \(2\).* dir$/m,
      / 120777 \(7\).* loop$/m,
      / 60600 \(4\).* dev$/m,
    ]) {
      expect(said).toMatch(line);
    }
  });
});

function* size(vp: Vnode): Sleeps<number> {
  yield* vp.mount.context.bufs.sched.preempt();
  return vp.size as number;
}

function* owner(vp: Vnode): Sleeps<number> {
  yield* vp.mount.context.bufs.sched.preempt();
  return vp.ops.getattr(vp).uid;
}

/** 400 names for few inodes. */
function* makeLinkOrFile(m: Ext2Machine, path: string, i: number): Sleeps<void> {
  if (i === 0) yield* created(m.top, "/one");
  yield* makeLink(m.top, "/one", path);
}

describe.runIf(HAVE)("damage", () => {
  const CASES: readonly (readonly [string, (view: DataView, at: DamagePlaces) => void, Call])[] = [
    [
      "a name that leads to a free inode",
      (v, at) => v.setUint32(at.entry, 200, true),
      (r) => unlinkPath(r, "/file"),
    ],
    [
      "a name with the wrong type",
      (v, at) => v.setUint8(at.entry + 7, 2),
      (r) => unlinkPath(r, "/file"),
    ],
    [
      "an entry longer than its block",
      (v, at) => v.setUint16(at.entry + 4, 5000, true),
      (r) => createFile(r, "/new"),
    ],
    [
      "a bitmap that calls an inode free",
      (v, at) => v.setUint8(at.inodeBitmap + 1, 0),
      (r) => createFile(r, "/new"),
    ],
    [
      "a count that the bitmap belies",
      (v, at) => v.setUint16(at.group + 12, 7, true),
      (r) => truncatePath(r, "/file", 0),
    ],
    [
      "an inode table's bits",
      (v, at) => v.setUint8(at.blockBitmap, 0),
      (r) => truncatePath(r, "/file", 0),
    ],
    [
      "too few links",
      (v, at) => v.setUint16(at.inode + 26, 0, true),
      (r) => unlinkPath(r, "/file"),
    ],
    [
      "a block of a file that is free already",
      (v, at) => v.setUint32(at.inode + 40, 4000, true),
      (r) => truncatePath(r, "/file", 0),
    ],
  ];
  test.each(CASES)("%s: EIO, and nothing is written any more", (_what, harm, call) => {
    const m = start();
    m.run(created(m.top, "/file"));
    m.run(m.with("/file", (vp) => m.writeTo(vp, 0, new Uint8Array(100))));
    m.unmount();
    const view = new DataView(m.disk.media.buffer);
    harm(view, placesOf(m.disk.media, view));
    m.mount();
    expect(m.outcome(call(m.top))).toBe("EIO");
    expect(m.mounted.damage).not.toBe("");
    expect(m.outcome(createFile(m.top, "/more"))).toMatch(/EROFS|EIO/);
    m.unmount();
    m.finish();
  });
});

interface DamagePlaces {
  readonly entry: number;
  readonly inode: number;
  readonly group: number;
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
}

/** Where "file" of the root is in an image with blocks of 1 KiB. */
function placesOf(image: Uint8Array, view: DataView): DamagePlaces {
  const group = 2048;
  const table = view.getUint32(group + 8, true) * 1024;
  const inodeSize = view.getUint16(1024 + 88, true);
  const root = view.getUint32(table + inodeSize + 40, true) * 1024;
  const name = Buffer.from(image.buffer, root, 1024).indexOf("file");
  const entry = root + name - 8;
  return {
    entry,
    inode: table + (view.getUint32(entry, true) - 1) * inodeSize,
    group,
    blockBitmap: view.getUint32(group, true) * 1024,
    inodeBitmap: view.getUint32(group + 4, true) * 1024,
  };
}
