/** The calls that change names, on ext2: POSIX's errors, files without names, limits, features and damage. */

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
