/** The calls that change names, on ext2: POSIX's errors, files without names, limits, features and damage. */

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
  removeDirectory,
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

function* created(root: Vnode, path: string): Sleeps<void> {
  yield* vnRelease(yield* createFile(root, path));
}

function plant(m: Ext2Machine): void {
  const { top } = m;
  m.run(makeDirectory(top, "/dir"));
  m.run(makeDirectory(top, "/dir/below"));
  m.run(makeDirectory(top, "/other"));
  m.run(created(top, "/dir/file"));
  m.run(created(top, "/file"));
  m.run(makeSymlink(top, "/to-dir", "dir"));
  m.run(makeSymlink(top, "/to-new", "dir/new"));
  m.run(makeSymlink(top, "/loop", "loop"));
}

const LONG = "x".repeat(256);

describe.runIf(HAVE)("what POSIX says of", () => {
  const CASES: readonly (readonly [string, string, Call])[] = [
    [
      "creat of a file that must be new",
      "EEXIST",
      (r) => createFile(r, "/file", { exclusive: true }),
    ],
    ["creat of a directory", "EISDIR", (r) => createFile(r, "/dir")],
    ["creat of a name with a slash", "EISDIR", (r) => createFile(r, "/new/")],
    ["creat behind a file", "ENOTDIR", (r) => createFile(r, "/file/new")],
    ["creat in no directory", "ENOENT", (r) => createFile(r, "/no/new")],
    ["creat of a symlink to itself", "ELOOP", (r) => createFile(r, "/loop")],
    [
      "creat of a symlink that must be new",
      "EEXIST",
      (r) => createFile(r, "/to-new", { exclusive: true }),
    ],
    ["creat of a long name", "ENAMETOOLONG", (r) => createFile(r, `/${LONG}`)],
    ["creat of an empty path", "ENOENT", (r) => createFile(r, "")],
    ["creat with a NUL", "EINVAL", (r) => createFile(r, "/a\0b")],
    ["mkdir of the root", "EEXIST", (r) => makeDirectory(r, "/")],
    ["mkdir of .", "EEXIST", (r) => makeDirectory(r, "/dir/.")],
    ["mkdir of a symlink", "EEXIST", (r) => makeDirectory(r, "/to-new/")],
    ["mkdir with a slash", "OK", (r) => makeDirectory(r, "/made/")],
    ["symlink of nothing", "ENOENT", (r) => makeSymlink(r, "/s", "")],
    ["symlink with a slash", "ENOENT", (r) => makeSymlink(r, "/s/", "x")],
    ["symlink longer than a block", "ENAMETOOLONG", (r) => makeSymlink(r, "/s", "x".repeat(1024))],
    ["symlink longer than a path", "ENAMETOOLONG", (r) => makeSymlink(r, "/s", "x".repeat(4096))],
    ["symlink as long as may be", "OK", (r) => makeSymlink(r, "/s", "x".repeat(1023))],
    ["link of a directory", "EPERM", (r) => makeLink(r, "/dir", "/dir2")],
    ["link over a file", "EEXIST", (r) => makeLink(r, "/file", "/dir/file")],
    ["link of nothing", "ENOENT", (r) => makeLink(r, "/no", "/new")],
    ["link with a slash", "ENOENT", (r) => makeLink(r, "/file", "/new/")],
    ["unlink of a directory", "EISDIR", (r) => unlinkPath(r, "/dir")],
    ["unlink of the root", "EISDIR", (r) => unlinkPath(r, "/")],
    ["unlink of a file with a slash", "ENOTDIR", (r) => unlinkPath(r, "/file/")],
    ["unlink of nothing", "ENOENT", (r) => unlinkPath(r, "/dir/no")],
    ["unlink of a symlink", "OK", (r) => unlinkPath(r, "/to-new")],
    ["rmdir of the root", "EBUSY", (r) => removeDirectory(r, "/")],
    ["rmdir of .", "EINVAL", (r) => removeDirectory(r, "/dir/below/.")],
    ["rmdir of ..", "ENOTEMPTY", (r) => removeDirectory(r, "/dir/below/..")],
    ["rmdir of a full directory", "ENOTEMPTY", (r) => removeDirectory(r, "/dir")],
    ["rmdir of a file", "ENOTDIR", (r) => removeDirectory(r, "/file")],
    ["rmdir of a symlink to a directory", "ENOTDIR", (r) => removeDirectory(r, "/to-dir")],
    ["rename of nothing", "ENOENT", (r) => renamePath(r, "/no", "/new")],
    ["rename of the root", "EBUSY", (r) => renamePath(r, "/", "/new")],
    ["rename of .", "EINVAL", (r) => renamePath(r, "/dir/.", "/new")],
    ["rename to ..", "EINVAL", (r) => renamePath(r, "/file", "/dir/below/..")],
    ["rename into itself", "EINVAL", (r) => renamePath(r, "/dir", "/dir/below/new")],
    ["rename to what is above", "ENOTEMPTY", (r) => renamePath(r, "/dir/below", "/dir")],
    ["rename of a file to what is above", "EISDIR", (r) => renamePath(r, "/dir/file", "/dir")],
    ["rename of a file over a directory", "EISDIR", (r) => renamePath(r, "/file", "/other")],
    ["rename of a directory over a file", "ENOTDIR", (r) => renamePath(r, "/other", "/file")],
    ["rename over a full directory", "ENOTEMPTY", (r) => renamePath(r, "/other", "/dir")],
    ["rename of a file with a slash", "ENOTDIR", (r) => renamePath(r, "/file/", "/new")],
    ["rename of a file to a slash", "ENOTDIR", (r) => renamePath(r, "/file", "/new/")],
    ["rename of a directory to a slash", "OK", (r) => renamePath(r, "/other/", "/dir/below/")],
    ["truncate of a directory", "EISDIR", (r) => truncatePath(r, "/dir", 0)],
    ["truncate below 0", "EINVAL", (r) => truncatePath(r, "/file", -1)],
    ["truncate above everything", "EFBIG", (r) => truncatePath(r, "/file", 2 ** 50)],
    ["mknod of a large device", "EINVAL", (r) => makeSpecial(r, "/d", special(4096, 0))],
  ];
  const m = HAVE ? start() : null;
  if (m !== null) plant(m);
  test.each(CASES)("%s: %s", (_what, expected, call) => {
    expect(m!.outcome(call(m!.top))).toBe(expected);
  });
  test("and e2fsck is content after all that", () => finish(m!));
});

const special = (major: number, minor: number) =>
  ({ type: "block special", mode: 0o600, uid: 0, gid: 0, rdev: { major, minor } }) as const;

describe.runIf(HAVE)("a mount for reading", () => {
  test("refuses every change with EROFS, and what is there with its own error", () => {
    const m = start({ ...SHAPES[0] });
    plant(m);
    m.mounted.mount.stopWriting();
    const calls: readonly Call[] = [
      (r) => createFile(r, "/new"),
      (r) => makeDirectory(r, "/new"),
      (r) => makeSymlink(r, "/new", "x"),
      (r) => makeLink(r, "/file", "/new"),
      (r) => unlinkPath(r, "/file"),
      (r) => removeDirectory(r, "/other"),
      (r) => renamePath(r, "/file", "/new"),
      (r) => truncatePath(r, "/file", 1),
      (r) => setAttributes(r, "/file", { mode: 0 }),
    ];
    for (const call of calls) expect(m.outcome(call(m.top))).toBe("EROFS");
    expect(m.outcome(makeDirectory(m.top, "/dir"))).toBe("EEXIST");
    m.unmount();
    m.finish();
  });
});

describe.runIf(HAVE)("a file without names", () => {
  test("lives while it is open, and its blocks are free when it is closed", () => {
    const m = start();
    const before = m.mounted.freeBlocks;
    const vp = m.run(createFile(m.top, "/file"));
    m.run(m.writeTo(vp, 0, new Uint8Array(50_000).fill(5)));
    m.run(unlinkPath(m.top, "/file"));
    expect(m.outcome(namei(m.top, "/file"))).toBe("ENOENT");
    m.run(m.writeTo(vp, 50_000, new Uint8Array(1000).fill(6)));
    expect(m.run(m.readFrom(vp)).length).toBe(51_000);
    expect(m.mounted.lastOrphan).toBe(vp.ino);
    expect(m.mounted.freeBlocks).toBeLessThan(before - 40);
    m.run(vnRelease(vp));
    expect([m.mounted.lastOrphan, m.mounted.freeBlocks]).toEqual([0, before]);
    finish(m);
  });

  test("is freed by the next mount after a crash, in whatever order they were unlinked and closed", () => {
    const m = start();
    const open = [0, 1, 2, 3, 4].map((i) => {
      const vp = m.run(createFile(m.top, `/f${i}`));
      m.run(m.writeTo(vp, 0, new Uint8Array(20_000).fill(i + 1)));
      return vp;
    });
    m.run(makeDirectory(m.top, "/dir"));
    const dir = m.run(namei(m.top, "/dir"));
    m.run(removeDirectory(m.top, "/dir"));
    for (const call of [createFile, makeDirectory])
      expect(m.outcome(call(dir, "x"))).toBe("ENOENT");
    for (const i of [2, 0, 4, 1]) m.run(unlinkPath(m.top, `/f${i}`));
    m.run(vnRelease(open[0]));
    m.run(vnRelease(open[4]));
    expect(m.run(m.mounted.mount.sync())).toBe(0);
    const crashed = m.disk.media.slice();
    expect(m.mounted.orphans).toEqual([dir.ino, open[2].ino, open[1].ino]);

    const again = start(SHAPES[0], crashed);
    expect(again.mounted.orphans).toEqual([]);
    expect(again.mounted.damage).toBe("");
    expect(again.run(again.with("/f3", (vp) => again.readFrom(vp)))).toEqual(
      new Uint8Array(20_000).fill(4),
    );
    again.unmount();
    again.finish();
    expect(folder.fsck(folder.repair(again.disk.media))).toBe(""); // it was not unmounted
    const text = folder.debugfs(folder.save(again.disk.media), ["stats"]);
    expect(text).not.toContain("orphan");
  });

  test("a list of orphans that makes no sense gives a mount for reading", () => {
    const m = start();
    const vp = m.run(createFile(m.top, "/f"));
    m.run(unlinkPath(m.top, "/f"));
    m.run(m.mounted.mount.sync());
    const crashed = m.disk.media.slice();
    new DataView(crashed.buffer).setUint32(1024 + 232, 5000, true);
    const again = start(SHAPES[0], crashed);
    expect(again.mounted.damage).toContain("orphans");
    expect(again.mounted.mount.readOnly).toBe(true);
    again.unmount();
    m.run(vnRelease(vp));
    finish(m);
  });
});

describe.runIf(HAVE)("limits", () => {
  test("a directory has 31,998 directories, a file 32,000 names", () => {
    const m = start({ name: "4k-links", args: ["-b", "4096", "-N", "64"], kibibytes: 4096 });
    m.run(makeDirectory(m.top, "/d"));
    m.run(created(m.top, "/f"));
    m.run(m.with("/d", (vp) => setLinks(vp, 32_000)));
    m.run(m.with("/f", (vp) => setLinks(vp, 32_000)));
    expect(m.outcome(makeDirectory(m.top, "/d/x"))).toBe("EMLINK");
    expect(m.outcome(makeLink(m.top, "/f", "/g"))).toBe("EMLINK");
    m.run(makeDirectory(m.top, "/e"));
    expect(m.outcome(renamePath(m.top, "/e", "/d/e"))).toBe("EMLINK");
    expect(m.outcome(created(m.top, "/d/x"))).toBe("OK");
    m.run(m.with("/d", (vp) => setLinks(vp, 2)));
    m.run(m.with("/f", (vp) => setLinks(vp, 1)));
    finish(m);
  });

  test("inodes run out, and come back", () => {
    const m = start({ name: "1k-few", args: ["-b", "1024", "-N", "16"], kibibytes: 1024 });
    const outcomes = Array.from({ length: 20 }, (_, i) => m.outcome(created(m.top, `/f${i}`)));
    const made = outcomes.filter((outcome) => outcome === "OK").length;
    expect([made, m.mounted.freeInodes]).toEqual([outcomes.indexOf("ENOSPC"), 0]);
    expect(m.outcome(makeDirectory(m.top, "/d"))).toBe("ENOSPC");
    expect(m.outcome(unlinkPath(m.top, "/f0"))).toBe("OK");
    expect(m.outcome(makeDirectory(m.top, "/d"))).toBe("OK");
    finish(m);
  });

  test("a file of 2 GiB is announced by large_file, and refused in revision 0", () => {
    const plain = SHAPES.find((shape) => shape.name === "1k-plain")!;
    const m = start(plain);
    m.run(created(m.top, "/f"));
    expect(m.outcome(truncatePath(m.top, "/f", 2 ** 31 + 5))).toBe("OK");
    const written = m.run(m.with("/f", (vp) => m.writeTo(vp, 2 ** 31 + 100, new Uint8Array(10))));
    expect(written.error).toBe("OK");
    m.run(created(m.top, "/g"));
    const most = m.mounted.maxFileSize;
    const cut = m.run(m.with("/g", (vp) => m.writeTo(vp, most - 6, new Uint8Array(10).fill(9))));
    expect(cut).toEqual({ error: "OK", length: 6 });
    const none = m.run(m.with("/g", (vp) => m.writeTo(vp, most, new Uint8Array(1))));
    expect(none).toEqual({ error: "EFBIG", length: 0 });
    finish(m);
    expect(folder.debugfs(folder.save(m.disk.media), ["features"])).toContain("large_file");
    const old = start(SHAPES.find((shape) => shape.name === "1k-rev0")!);
    old.run(created(old.top, "/f"));
    expect(old.outcome(truncatePath(old.top, "/f", 2 ** 31))).toBe("EFBIG");
    finish(old);
  });
});

function* setLinks(vp: Vnode, links: number): Sleeps<void> {
  (vp.data as { inode: { links: number } }).inode.links = links;
  yield* vp.ops.setattr!(vp, {});
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
