/**
 * Test images: unpacking them, and the little of a file system that the decoders' tests need.
 *
 * The block map here is the obvious recursive one, for reading what a test compares; it trusts the
 * image.
 */

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Group } from "../src/group.ts";
import { decodeGroup, groupDescriptorLocation, inodeLocation } from "../src/group.ts";
import type { Inode } from "../src/inode.ts";
import { decodeInode } from "../src/inode.ts";
import { readU32, SUPERBLOCK_OFFSET } from "../src/layout.ts";
import type { Superblock } from "../src/superblock.ts";
import { decodeSuperblock } from "../src/superblock.ts";

const FIXTURES = new URL("../../../../fixtures/ext2/", import.meta.url);

export const FIXTURE_NAMES = ["lic-1k", "hdr-4k", "man-2k-rev0"] as const;

export interface ManifestEntry {
  readonly path: string;
  readonly ino: number;
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly links: number;
  readonly sectors: number;
  readonly mtime: number;
  readonly runs?: readonly (readonly [number, number, number])[];
  readonly names?: readonly string[];
  readonly target?: string;
  readonly fast?: boolean;
  readonly rdev?: readonly [number, number];
}

export interface Manifest {
  readonly rawBytes: number;
  readonly superblock: Readonly<Record<string, string | number>>;
  readonly entries: readonly ManifestEntry[];
}

/** The bytes of a file system and its checked super block. */
export interface Image {
  readonly bytes: Uint8Array;
  readonly sb: Superblock;
  readonly groups: readonly Group[];
}

function unpack(file: URL): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(file)));
}

export function superblockBytes(bytes: Uint8Array): Uint8Array {
  return bytes.slice(SUPERBLOCK_OFFSET, SUPERBLOCK_OFFSET + 1024);
}

export function openImage(bytes: Uint8Array): Image {
  const sb = decodeSuperblock(superblockBytes(bytes), bytes.length);
  const groups = Array.from({ length: sb.groupCount }, (_, group) => {
    const { block, offset } = groupDescriptorLocation(sb, group);
    return decodeGroup(bytes, block * sb.blockSize + offset);
  });
  return { bytes, sb, groups };
}

export function fixtureBytes(name: string): Uint8Array {
  return unpack(new URL(`${name}.img.gz`, FIXTURES));
}

export function manifest(name: string): Manifest {
  const text = readFileSync(new URL(`${name}.manifest.json`, FIXTURES), "utf8");
  return JSON.parse(text) as Manifest;
}

export function htreeBytes(): Uint8Array {
  return unpack(new URL("data/htree-1k.img.gz", import.meta.url));
}

/** Byte in the image where inode `ino` lies. */
export function inodeByte(image: Image, ino: number): number {
  const { group, blockInTable, offset } = inodeLocation(image.sb, ino);
  return (image.groups[group].inodeTable + blockInTable) * image.sb.blockSize + offset;
}

export function readInode(image: Image, ino: number): Inode {
  return decodeInode(image.bytes, inodeByte(image, ino), image.sb, ino);
}

/** The block that holds logical block `logical` of the inode; 0: a hole. */
export function blockOf(image: Image, inode: Inode, logical: number): number {
  if (logical < 12) return inode.block[logical];
  const per = image.sb.blockSize / 4;
  let rest = logical - 12;
  let span = per;
  for (let depth = 1; depth <= 3; depth++) {
    if (rest >= span) {
      rest -= span;
      span *= per;
      continue;
    }
    let block = inode.block[11 + depth];
    for (let unit = span / per; block !== 0; unit /= per) {
      block = readU32(
        image.bytes,
        block * image.sb.blockSize + 4 * (Math.floor(rest / unit) % per),
      );
      if (unit === 1) return block;
    }
    return 0;
  }
  return 0;
}

/** Byte in the image of each block of the inode, holes left out. */
export function blockBytes(image: Image, inode: Inode): number[] {
  const count = Math.ceil(inode.size / image.sb.blockSize);
  const blocks = Array.from({ length: count }, (_, logical) => blockOf(image, inode, logical));
  return blocks.filter((block) => block !== 0).map((block) => block * image.sb.blockSize);
}
