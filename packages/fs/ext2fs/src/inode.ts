/**
 * Inodes: the 128 bytes that every revision has.
 *
 * ext2 on-disk format, revisions 0 and 1. An Inode is a copy: it keeps no hold on the bytes it was
 * made from. Its type is one that a reader knows, its size is an exact number. Block numbers in
 * `block` are as found: whoever follows one checks it against the file system first. Who changes a file
 * changes its Inode; `encodeInode` puts it back where it came from and leaves all other bytes alone.
 *
 * Called by the inode reader; what maps blocks builds on `block` and `maxFileBlocks`. Pure.
 */

import { Errno, ErrnoError, hex, isWhole } from "@physio/kern";
import {
  BLOCK_SLOT_BYTES,
  BLOCK_SLOTS,
  DIRECT_BLOCKS,
  EXTENTS_FL,
  HUGE_FILE_FL,
  INLINE_DATA_FL,
  Ino,
  REV0_INODE_BYTES,
  RoCompat,
  readU16,
  readU32,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  SECTOR_BYTES,
  writeU16,
  writeU32,
} from "./layout.ts";
import type { Superblock } from "./superblock.ts";

/** What an inode is; "unused" is one that `isUnused` and whose mode names no type. */
export type InodeType =
  | "regular"
  | "directory"
  | "symlink"
  | "FIFO"
  | "socket"
  | "character special"
  | "block special"
  | "unused";

/** The device that a special file stands for. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

const SIZE_MAX = 2 ** 52;
const TWO_32 = 2 ** 32;
const NEEDS_FEATURE = EXTENTS_FL | INLINE_DATA_FL;

/** One inode. Built by `decodeInode`, or empty by `newInode`. */
export class Inode {
  readonly ino: number;
  readonly type: InodeType;
  /** Type and permission bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes. */
  size: number;
  /** Seconds since 1970, signed. */
  atime: number;
  ctime: number;
  mtime: number;
  /** When it was deleted; 0: it was not. */
  dtime: number;
  links: number;
  /** 512-byte units that it occupies, indirect and attribute blocks included. */
  sectors: number;
  flags: number;
  /** 12 direct blocks, single, double and triple indirect; 0 is a hole. */
  readonly block: Uint32Array;
  /** The same 60 bytes as found: the target of a fast symbolic link. */
  readonly blockBytes: Uint8Array;
  generation: number;
  /** Block of extended attributes, 0: none. */
  fileAcl: number;
  /** Only of special files. */
  rdev: DeviceNumber | null;

  /** => `bytes` holds 128 bytes at `at`. */
  constructor(bytes: Uint8Array, at: number, sb: Superblock, ino: number) {
    this.ino = ino;
    this.mode = readU16(bytes, at + Ino.mode);
    this.type = typeOf(this.mode);
    this.uid = readU16(bytes, at + Ino.uidLow) + readU16(bytes, at + Ino.uidHigh) * 0x10000;
    this.gid = readU16(bytes, at + Ino.gidLow) + readU16(bytes, at + Ino.gidHigh) * 0x10000;
    const long = this.type === "regular" && sb.revision >= 1;
    const high = long ? readU32(bytes, at + Ino.sizeHigh) : 0;
    this.size = high * TWO_32 + readU32(bytes, at + Ino.size);
    this.atime = readU32(bytes, at + Ino.atime) | 0;
    this.ctime = readU32(bytes, at + Ino.ctime) | 0;
    this.mtime = readU32(bytes, at + Ino.mtime) | 0;
    this.dtime = readU32(bytes, at + Ino.dtime);
    this.links = readU16(bytes, at + Ino.links);
    this.flags = readU32(bytes, at + Ino.flags);
    this.sectors = sectorsOf(bytes, at, sb, this.flags);
    this.block = new Uint32Array(BLOCK_SLOTS);
    for (let i = 0; i < BLOCK_SLOTS; i++) this.block[i] = readU32(bytes, at + Ino.block + 4 * i);
    this.blockBytes = bytes.slice(at + Ino.block, at + Ino.block + BLOCK_SLOT_BYTES);
    this.generation = readU32(bytes, at + Ino.generation);
    this.fileAcl = readU32(bytes, at + Ino.fileAcl);
    const special = this.type === "character special" || this.type === "block special";
    this.rdev = special ? deviceNumber(this.block[0], this.block[1]) : null;
  }
}

/** The type that a mode names; "unused" where it names none. */
function typeOf(mode: number): InodeType {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "regular";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFIFO:
      return "FIFO";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "character special";
    case S_IFBLK:
      return "block special";
    default:
      return "unused";
  }
}

/** i_blocks in sectors; with huge_file it has 48 bits and may count blocks. */
function sectorsOf(bytes: Uint8Array, at: number, sb: Superblock, flags: number): number {
  const low = readU32(bytes, at + Ino.sectors);
  if ((sb.featureRoCompat & RoCompat.huge_file) === 0) return low;
  const count = readU16(bytes, at + Ino.sectorsHigh) * TWO_32 + low;
  return (flags & HUGE_FILE_FL) === 0 ? count : count * (sb.blockSize / SECTOR_BYTES);
}

/** Slot 0 holds the old form, 8 + 8 bits; if it is 0, slot 1 the new one, 12 + 20 bits. */
function deviceNumber(old: number, wide: number): DeviceNumber {
  if (old !== 0) return { major: (old >>> 8) & 0xff, minor: old & 0xff };
  return { major: (wide >>> 8) & 0xfff, minor: (wide & 0xff) | ((wide >>> 12) & 0xfff00) };
}

/**
 * The inode at `offset`.
 * => `ino` is its number, for messages.
 *
 * A free inode decodes as well: see `isUnused`.
 * @throws {ErrnoError} EIO: not all there, a mode without a known type, a size above 2^52, or a
 *   flag that says the block slots hold something else than blocks.
 */
export function decodeInode(bytes: Uint8Array, offset: number, sb: Superblock, ino: number): Inode {
  if (!isWhole(offset) || offset + REV0_INODE_BYTES > bytes.length) {
    throw new ErrnoError(Errno.EIO, `inode ${ino}: at byte ${offset} of ${bytes.length} bytes`);
  }
  const inode = new Inode(bytes, offset, sb, ino);
  if (isUnused(inode)) return inode;
  if (inode.type === "unused") {
    throw new ErrnoError(Errno.EIO, `inode ${ino}: mode ${hex(inode.mode)} has no known type`);
  }
  if (inode.size > SIZE_MAX) {
    throw new ErrnoError(Errno.EIO, `inode ${ino}: size ${inode.size} above 2^52`);
  }
  if ((inode.flags & NEEDS_FEATURE) !== 0) {
    throw new ErrnoError(
      Errno.EIO,
      `inode ${ino}: flags ${hex(inode.flags)}, file system without extent and inline_data`,
    );
  }
  return inode;
}

/** An inode as allocation leaves it: nothing but its type, permissions and generation. => `mode` names a type. */
export function newInode(sb: Superblock, ino: number, mode: number, generation: number): Inode {
  const bytes = new Uint8Array(REV0_INODE_BYTES);
  writeU16(bytes, Ino.mode, mode);
  const inode = new Inode(bytes, 0, sb, ino);
  inode.generation = generation;
  return inode;
}

/** Put an inode back at `at` of `bytes`, which hold 128 bytes of it. What this file does not know stays as it is there. */
export function encodeInode(inode: Inode, bytes: Uint8Array, at: number, sb: Superblock): void {
  writeU16(bytes, at + Ino.mode, inode.mode);
  writeU16(bytes, at + Ino.uidLow, inode.uid & 0xffff);
  writeU16(bytes, at + Ino.uidHigh, inode.uid >>> 16);
  writeU16(bytes, at + Ino.gidLow, inode.gid & 0xffff);
  writeU16(bytes, at + Ino.gidHigh, inode.gid >>> 16);
  writeU32(bytes, at + Ino.size, inode.size);
  if (inode.type === "regular" && sb.revision >= 1) {
    writeU32(bytes, at + Ino.sizeHigh, Math.floor(inode.size / TWO_32));
  }
  writeU32(bytes, at + Ino.atime, inode.atime);
  writeU32(bytes, at + Ino.ctime, inode.ctime);
  writeU32(bytes, at + Ino.mtime, inode.mtime);
  writeU32(bytes, at + Ino.dtime, inode.dtime);
  writeU16(bytes, at + Ino.links, inode.links);
  writeU32(bytes, at + Ino.sectors, inode.sectors);
  writeU32(bytes, at + Ino.flags, inode.flags);
  writeU32(bytes, at + Ino.generation, inode.generation);
  writeU32(bytes, at + Ino.fileAcl, inode.fileAcl);
  if (isFastSymlink(inode, sb.blockSize)) bytes.set(inode.blockBytes, at + Ino.block);
  else
    for (let i = 0; i < BLOCK_SLOTS; i++) writeU32(bytes, at + Ino.block + 4 * i, inode.block[i]);
}

/** Whether nothing uses the inode: no links, and never made or deleted. */
export function isUnused(inode: Inode): boolean {
  return inode.links === 0 && (inode.mode === 0 || inode.dtime !== 0);
}

/** Whether a symbolic link's target is in the inode: short, and no block besides attributes. */
export function isFastSymlink(inode: Inode, blockSize: number): boolean {
  if (inode.type !== "symlink" || inode.size >= BLOCK_SLOT_BYTES) return false;
  const attributes = inode.fileAcl === 0 ? 0 : blockSize / SECTOR_BYTES;
  return inode.sectors - attributes === 0;
}

/** The target of a fast symbolic link; shared with the inode. => `isFastSymlink` said so. */
export function fastSymlinkTarget(inode: Inode): Uint8Array {
  return inode.blockBytes.subarray(0, Math.min(inode.size, BLOCK_SLOT_BYTES));
}

/** Blocks that the 15 slots reach. => `blockSize`: bytes. */
export function maxFileBlocks(blockSize: number): number {
  const n = blockSize / 4;
  return DIRECT_BLOCKS + n + n * n + n * n * n;
}

/** Bytes that the 15 slots reach. A longer size may stand in an inode; nothing can lie there. */
export function maxFileSize(blockSize: number): number {
  return maxFileBlocks(blockSize) * blockSize;
}
