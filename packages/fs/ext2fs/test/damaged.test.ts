/** Mounted images that are damaged: what is an error, what is found all the same, and that nothing leaks. */
import { Uio, UioRw } from "@physio/carriers";
import { Errno } from "@physio/kern";
import type { Vnode } from "@physio/vfs";
import { BlockMap } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { groupDescriptorLocation } from "../src/group.ts";
import { Ino } from "../src/layout.ts";
import type { Image } from "./image.ts";
import {
  blockOf,
  fixtureBytes,
  htreeBytes,
  inodeByte,
  manifest,
  openImage,
  readInode,
} from "./image.ts";
import { errorOf, Mounted } from "./mounted.ts";

const CLEAN = openImage(fixtureBytes("lic-1k"));
const HTREE = openImage(htreeBytes());
const ENTRIES = manifest("lic-1k").entries;
const inoOf = (path: string): number => ENTRIES.find((entry) => entry.path === path)!.ino;
/** A file that has an indirect block. */
const FILE =
  ENTRIES.find(
    (e) => e.type === "regular" && e.size > 20_000 && e.size < 90_000 && e.runs?.length === 2,
  ) ?? ENTRIES.find((e) => e.type === "regular" && e.size > 20_000 && e.size < 90_000)!;
const LINK = "/slow-long";

/** A copy of `image` to damage. */
function copy(image: Image): { bytes: Uint8Array; view: DataView; image: Image } {
  const bytes = image.bytes.slice();
  return { bytes, view: new DataView(bytes.buffer), image: { ...image, bytes } };
}

function* readAll(m: Mounted, vp: Vnode) {
  const va = m.kmem.alloc(65_536);
  const uio = new Uio(UioRw.READ, m.kmem.space, [{ base: va, length: 65_536 }], 0);
  const error = yield* vp.ops.read(vp, uio, 0);
  m.kmem.free(va, 65_536);
  return error;
}

describe("a block pointer outside of the file system", () => {
  test.each([0, 1, 8192, 2 ** 32 - 1])(
    "%i is EIO for bmap and for a read, unless it is a hole",
    (pointer) => {
      const { bytes, view, image } = copy(CLEAN);
      view.setUint32(inodeByte(image, FILE.ino) + Ino.block, pointer, true);
      const m = new Mounted(bytes);
      const wanted = pointer === 0 ? Errno.OK : Errno.EIO;
      expect(m.with(FILE.path, (vp) => vp.ops.bmap(vp, 0, new BlockMap()))).toBe(wanted);
      expect(m.with(FILE.path, (vp) => readAll(m, vp))).toBe(wanted);
      m.finish();
    },
  );

  test("in an indirect block, or for one, is EIO from there on", () => {
    for (const where of ["slot", "block"]) {
      const { bytes, view, image } = copy(CLEAN);
      const slot = inodeByte(image, FILE.ino) + Ino.block + 4 * 12;
      view.setUint32(where === "slot" ? slot : view.getUint32(slot, true) * 1024, 9_000_000, true);
      const m = new Mounted(bytes);
      expect(m.with(FILE.path, (vp) => vp.ops.bmap(vp, 11, new BlockMap()))).toBe(Errno.OK);
      expect(m.with(FILE.path, (vp) => vp.ops.bmap(vp, 12, new BlockMap()))).toBe(Errno.EIO);
      expect(m.with(FILE.path, (vp) => readAll(m, vp))).toBe(Errno.EIO);
      m.finish();
    }
  });

  test("past what the pointers reach is EIO", () => {
    const m = new Mounted(CLEAN.bytes);
    const beyond = 12 + 256 + 256 ** 2 + 256 ** 3;
    expect(m.with(FILE.path, (vp) => vp.ops.bmap(vp, beyond, new BlockMap()))).toBe(Errno.EIO);
    expect(m.with(FILE.path, (vp) => vp.ops.bmap(vp, beyond - 1, new BlockMap()))).toBe(Errno.OK);
    m.finish();
  });
});

describe("a directory", () => {
  const rootBlock = blockOf(CLEAN, readInode(CLEAN, 2), 0) * 1024;
  const CASES: [string, (view: DataView, image: Image) => void][] = [
    ["with a hole", (v, image) => v.setUint32(inodeByte(image, 2) + Ino.block, 0, true)],
    [
      "with a block outside",
      (v, image) => v.setUint32(inodeByte(image, 2) + Ino.block, 9000, true),
    ],
    ["with a rec_len of 0", (v) => v.setUint16(rootBlock + 4, 0, true)],
    ["with a rec_len over its block", (v) => v.setUint16(rootBlock + 4, 2048, true)],
    ["that names an inode out of range", (v) => v.setUint32(rootBlock + 24, 641, true)],
  ];
  test.each(CASES)("%s is EIO for lookup and readdir, and nothing leaks", (_name, damage) => {
    const { bytes, view, image } = copy(CLEAN);
    damage(view, image);
    const m = new Mounted(bytes);
    expect(errorOf(() => m.inoOf("/no-such-name"))).toBe("EIO");
    expect(errorOf(() => m.with("/", (vp) => vp.ops.readdir(vp, 0)))).toBe("EIO");
    m.finish();
  });

  test("larger than its blocks is EIO", () => {
    const { bytes, view, image } = copy(CLEAN);
    view.setUint32(inodeByte(image, inoOf("/empty-dir")) + Ino.size, 1 << 30, true);
    const m = new Mounted(bytes);
    expect(errorOf(() => m.inoOf("/empty-dir"))).toBe("EIO");
    m.finish();
  });
});

describe("an inode", () => {
  const CASES: [string, (view: DataView, at: number) => void][] = [
    [
      "of a size that its pointers do not reach",
      (v, at) => v.setUint32(at + Ino.sizeHigh, 100, true),
    ],
    ["of a size above 2^52", (v, at) => v.setUint32(at + Ino.sizeHigh, 2 ** 31, true)],
    ["of no known type", (v, at) => v.setUint16(at + Ino.mode, 0x3000, true)],
    [
      "that is free",
      (v, at) => {
        v.setUint16(at + Ino.links, 0, true);
        v.setUint32(at + Ino.dtime, 1, true);
      },
    ],
  ];
  test.each(CASES)("%s is EIO", (_name, damage) => {
    const { bytes, view, image } = copy(CLEAN);
    damage(view, inodeByte(image, FILE.ino));
    const m = new Mounted(bytes);
    expect(errorOf(() => m.inoOf(FILE.path))).toBe("EIO");
    m.finish();
  });

  test.each([641, 2 ** 32 - 1])("number %i, which does not exist, is EIO", (ino) => {
    const m = new Mounted(CLEAN.bytes);
    expect(errorOf(() => m.sched.runSync(m.ext2.vget(ino)))).toBe("EIO");
    m.finish();
  });
});

test.each([1024, 5000, 2 ** 31])("a long symlink of %i bytes is EIO", (size) => {
  const { bytes, view, image } = copy(CLEAN);
  view.setUint32(inodeByte(image, inoOf(LINK)) + Ino.size, size, true);
  const m = new Mounted(bytes);
  expect(errorOf(() => m.with(LINK, (vp) => vp.ops.readlink(vp), false))).toBe("EIO");
  m.finish();
});

test.each([0, 1, 8180, 8192, 2 ** 32 - 1])(
  "an inode table at block %i, outside or over the end, is refused at mount",
  (at) => {
    const { bytes, view } = copy(CLEAN);
    const { block, offset } = groupDescriptorLocation(CLEAN.sb, 2);
    view.setUint32(block * 1024 + offset + 8, at, true);
    expect(errorOf(() => new Mounted(bytes))).toBe("EIO");
  },
);

test("an image that is cut short, or is none, is refused at mount", () => {
  expect(errorOf(() => new Mounted(CLEAN.bytes.slice(0, 1 << 20)))).toBe("EIO");
  expect(errorOf(() => new Mounted(new Uint8Array(1024)))).toBe("EIO");
  expect(errorOf(() => new Mounted(new Uint8Array(1 << 20)))).toBe("EINVAL");
});

describe("the hash index of a directory", () => {
  const clean = new Mounted(HTREE.bytes);
  const namesOf = (path: string): string[] =>
    clean.with(path, function* (vp) {
      const names: string[] = [];
      for (let cookie = 0; cookie >= 0; ) {
        const batch = yield* vp.ops.readdir(vp, cookie);
        names.push(...batch.entries.map((entry) => entry.name));
        cookie = batch.next;
      }
      return names.filter((name) => name !== "." && name !== "..");
    });
  const wide = namesOf("/wide");
  const blocksRead = (m: Mounted) => m.cache.hits + m.cache.misses;

  test("finds every name by reading few blocks of many", () => {
    const m = new Mounted(HTREE.bytes);
    const dir = m.with("/wide", function* (dvp) {
      let most = 0;
      for (const name of wide) {
        const before = blocksRead(m);
        const vp = yield* dvp.ops.lookup(dvp, name);
        m.ext2.mount.vrele(vp);
        most = Math.max(most, blocksRead(m) - before);
      }
      return { most, blocks: dvp.size / 1024 };
    });
    expect(wide.length).toBe(561);
    expect(dir.blocks).toBeGreaterThan(140);
    expect(dir.most).toBeLessThan(15); // root, node, leaf, and the indirect blocks that map them
    expect(errorOf(() => m.inoOf("/wide/not-there"))).toBe("ENOENT");
    for (const name of namesOf("/flat")) expect(m.inoOf(`/flat/${name}`)).toBeGreaterThan(10);
    m.finish();
  });

  test("is passed over when it is damaged, and every name is found all the same", () => {
    const root = blockOf(HTREE, readInode(HTREE, 14), 0) * 1024;
    for (const [at, value] of [
      [28, 9],
      [29, 7],
      [30, 3],
      [36, 0],
      [32, 1],
    ] as const) {
      const { bytes } = copy(HTREE);
      bytes[root + at] = value;
      const m = new Mounted(bytes);
      for (const name of [wide[0], wide[300], wide[560]]) {
        expect(m.inoOf(`/wide/${name}`), `byte ${at}`).toBe(clean.inoOf(`/wide/${name}`));
      }
      expect(errorOf(() => m.inoOf("/wide/not-there"))).toBe("ENOENT");
      m.finish();
    }
  });
});
