import { expect, test } from "vitest";
import {
  decodeInode,
  fastSymlinkTarget,
  isFastSymlink,
  isUnused,
  maxFileBlocks,
  maxFileSize,
} from "../src/inode.ts";
import { EXTENTS_FL, HUGE_FILE_FL, Ino, RoCompat } from "../src/layout.ts";
import type { Superblock } from "../src/superblock.ts";
import { decodeSuperblock } from "../src/superblock.ts";
import { fixtureBytes, superblockBytes } from "./image.ts";

const LIC = fixtureBytes("lic-1k");
const sb = decodeSuperblock(superblockBytes(LIC), LIC.length);

interface Fields {
  readonly u16?: Readonly<Record<number, number>>;
  readonly u32?: Readonly<Record<number, number>>;
  readonly text?: string;
}

function rawInode({ u16 = {}, u32 = {}, text = "" }: Fields): Uint8Array {
  const bytes = new Uint8Array(128);
  const view = new DataView(bytes.buffer);
  view.setUint16(Ino.links, 1, true);
  bytes.set(Buffer.from(text), Ino.block);
  for (const [at, value] of Object.entries(u16)) view.setUint16(Number(at), value, true);
  for (const [at, value] of Object.entries(u32)) view.setUint32(Number(at), value, true);
  return bytes;
}

const decode = (fields: Fields, of: Superblock = sb) => decodeInode(rawInode(fields), 0, of, 12);

const types = [
  [0x81a4, "regular"],
  [0x41ed, "directory"],
  [0xa1ff, "symlink"],
  [0x1000, "FIFO"],
  [0xc1ff, "socket"],
  [0x2180, "character special"],
  [0x61b0, "block special"],
] as const;

for (const [mode, type] of types) {
  test(`decodeInode: mode ${mode.toString(8)} is a ${type}`, () => {
    expect(decode({ u16: { [Ino.mode]: mode } }).type).toBe(type);
  });
}

test("decodeInode: any other type is EIO", () => {
  for (const type of [0, 3, 5, 7, 9, 0xb, 0xd, 0xe, 0xf]) {
    expect(() => decode({ u16: { [Ino.mode]: type * 0x1000 + 0x1a4 } })).toThrow(
      /^inode 12: mode 0x[0-9a-f]+ has no known type: EIO$/,
    );
  }
});

test("decodeInode: owner in two halves, times signed", () => {
  const inode = decode({
    u16: {
      [Ino.mode]: 0x8000,
      [Ino.uidLow]: 0xfffe,
      [Ino.uidHigh]: 0xffff,
      [Ino.gidLow]: 1,
      [Ino.gidHigh]: 2,
    },
    u32: { [Ino.mtime]: 0xffffffff, [Ino.atime]: 0x7fffffff },
  });
  expect([inode.uid, inode.gid]).toEqual([0xfffffffe, 0x20001]);
  expect([inode.mtime, inode.atime]).toEqual([-1, 2 ** 31 - 1]);
});

test("decodeInode: a regular file of revision 1 has a size of 64 bits, at most 2^52", () => {
  const size = (mode: number, high: number, of = sb) =>
    decode({ u16: { [Ino.mode]: mode }, u32: { [Ino.size]: 5, [Ino.sizeHigh]: high } }, of).size;
  expect(size(0x8000, 3)).toBe(3 * 2 ** 32 + 5);
  expect(size(0x4000, 3)).toBe(5);
  expect(size(0x8000, 3, { ...sb, revision: 0 })).toBe(5);
  expect(size(0x8000, 2 ** 20 - 1)).toBe(2 ** 52 - 2 ** 32 + 5);
  expect(() => size(0x8000, 2 ** 20)).toThrow("inode 12: size 4503599627370501 above 2^52: EIO");
});

test("decodeInode: a device number has an old and a new form", () => {
  const rdev = (mode: number, old: number, wide: number) =>
    decode({ u16: { [Ino.mode]: mode }, u32: { [Ino.block]: old, [Ino.block + 4]: wide } }).rdev;
  expect(rdev(0x2000, 0x0501, 0)).toEqual({ major: 5, minor: 1 });
  expect(rdev(0x6000, 0, 0x12345678)).toEqual({ major: 0x456, minor: 0x12378 });
  expect(rdev(0x8000, 0x0501, 0)).toBe(null);
});

test("decodeInode: with huge_file the sectors have 48 bits and may be blocks", () => {
  const huge = { ...sb, featureRoCompat: RoCompat.huge_file };
  const fields = { u16: { [Ino.mode]: 0x8000, [Ino.sectorsHigh]: 1 }, u32: { [Ino.sectors]: 2 } };
  expect(decode(fields).sectors).toBe(2);
  expect(decode(fields, huge).sectors).toBe(2 ** 32 + 2);
  const inBlocks = { ...fields, u32: { ...fields.u32, [Ino.flags]: HUGE_FILE_FL } };
  expect(decode(inBlocks, huge).sectors).toBe(2 ** 33 + 4);
});

test("decodeInode: an extent tree in a file system without extents is EIO", () => {
  expect(() => decode({ u16: { [Ino.mode]: 0x8000 }, u32: { [Ino.flags]: EXTENTS_FL } })).toThrow(
    "inode 12: flags 0x80000, file system without extent and inline_data: EIO",
  );
});

test("decodeInode: 128 bytes or EIO", () => {
  const bytes = new Uint8Array(200);
  expect(() => decodeInode(bytes, 73, sb, 3)).toThrow("inode 3: at byte 73 of 200 bytes: EIO");
  expect(() => decodeInode(bytes, -1, sb, 3)).toThrow("EIO");
});

test("isUnused: no links, and no mode or a time of deletion", () => {
  const unused = (mode: number, links: number, dtime: number) =>
    isUnused(
      decode({ u16: { [Ino.mode]: mode, [Ino.links]: links }, u32: { [Ino.dtime]: dtime } }),
    );
  expect(unused(0, 0, 0)).toBe(true);
  expect(unused(0x8000, 0, 1)).toBe(true);
  expect(unused(0x8000, 0, 0)).toBe(false);
  expect(unused(0x8000, 1, 1)).toBe(false);
  expect(decode({ u16: { [Ino.links]: 0 } }).type).toBe("unused");
});

test("isFastSymlink: short, and no sectors but those of an attribute block", () => {
  const link = (size: number, sectors: number, acl: number, mode = 0xa1ff) =>
    decode({
      u16: { [Ino.mode]: mode },
      u32: { [Ino.size]: size, [Ino.sectors]: sectors, [Ino.fileAcl]: acl },
      text: "target",
    });
  expect(isFastSymlink(link(6, 0, 0), 1024)).toBe(true);
  expect(isFastSymlink(link(6, 2, 99), 1024)).toBe(true);
  expect(isFastSymlink(link(6, 8, 99), 4096)).toBe(true);
  expect(isFastSymlink(link(6, 2, 0), 1024)).toBe(false);
  expect(isFastSymlink(link(6, 4, 99), 1024)).toBe(false);
  expect(isFastSymlink(link(59, 0, 0), 1024)).toBe(true);
  expect(isFastSymlink(link(60, 0, 0), 1024)).toBe(false);
  expect(isFastSymlink(link(6, 0, 0, 0x81ff), 1024)).toBe(false);
  expect(Buffer.from(fastSymlinkTarget(link(6, 0, 0))).toString()).toBe("target");
});

test("maxFileBlocks: 12 direct and three levels of indirect blocks", () => {
  expect(maxFileBlocks(1024)).toBe(12 + 256 + 65536 + 16777216);
  expect(maxFileSize(1024)).toBe(17247252480);
  expect(maxFileSize(2048)).toBe(275415851008);
  expect(maxFileSize(4096)).toBe(4402345721856);
});
