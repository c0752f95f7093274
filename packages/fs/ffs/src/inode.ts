/**
 * Inodes of both versions.
 *
 * FFS on-disk format: 128 bytes in version 1, 256 in version 2. An Inode is a copy: it keeps no hold
 * on the bytes it was made from. Its type is one that a reader knows, its size is an exact number
 * that fits the file system. Block numbers in `block` are as found: whoever follows one checks it
 * first (`isDataRun`).
 *
 * Called by mount; what maps blocks builds on `block` and `fragsOfBlock`. Pure.
 */

import { Errno, ErrnoError, hex, isWhole } from "@physio/kern";
import {
  BLOCK_SLOTS,
  DIRBLKSIZ,
  DIRECT_BLOCKS,
  INODE_LINKS,
  INODE_MODE,
  INODE_OLD_GID,
  INODE_OLD_UID,
  readI32,
  readI64,
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
} from "./layout.ts";
import type { Superblock } from "./superblock.ts";

/** What an inode is. */
export type InodeType =
  | "regular"
  | "directory"
  | "symlink"
  | "FIFO"
  | "socket"
  | "character special"
  | "block special";

/** The device that a special file stands for. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** One inode. Built by `decodeInode` only. */
export class Inode {
  readonly ino: number;
  readonly type: InodeType;
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970, signed. */
  readonly atime: number;
  readonly ctime: number;
  readonly mtime: number;
  readonly links: number;
  /** 512-byte units that it occupies, indirect blocks included. */
  readonly sectors: number;
  readonly flags: number;
  readonly generation: number;
  /** 12 direct blocks, single, double and triple indirect, by their first fragments; 0 is a hole. Not to be written. */
  readonly block: Float64Array;
  /** The same as found, byte for byte: the target of a short symbolic link. Not to be written. */
  readonly blockBytes: Uint8Array;
  /** Only of special files. */
  readonly rdev: DeviceNumber | null;

  /** => `bytes` holds an inode at `at`. */
  constructor(bytes: Uint8Array, at: number, sb: Superblock, ino: number, type: InodeType) {
    const { inode: layout, bigEndian: big } = sb;
    const wide = sb.version === 2;
    const time = wide ? readI64 : readI32;
    this.ino = ino;
    this.type = type;
    this.mode = readU16(bytes, at + INODE_MODE, big);
    this.uid = sb.oldInodes
      ? readU16(bytes, at + INODE_OLD_UID, big)
      : readU32(bytes, at + layout.uid, big);
    this.gid = sb.oldInodes
      ? readU16(bytes, at + INODE_OLD_GID, big)
      : readU32(bytes, at + layout.gid, big);
    this.size = readI64(bytes, at + layout.size, big);
    this.atime = time(bytes, at + layout.atime, big);
    this.ctime = time(bytes, at + layout.ctime, big);
    this.mtime = time(bytes, at + layout.mtime, big);
    this.links = readU16(bytes, at + INODE_LINKS, big);
    this.sectors = wide
      ? readI64(bytes, at + layout.sectors, big)
      : readU32(bytes, at + layout.sectors, big);
    this.flags = readU32(bytes, at + layout.flags, big);
    this.generation = readU32(bytes, at + layout.generation, big);
    const blocks = at + layout.blocks;
    this.block = new Float64Array(BLOCK_SLOTS);
    for (let i = 0; i < BLOCK_SLOTS; i++) this.block[i] = readPointer(bytes, blocks, i, sb);
    this.blockBytes = bytes.slice(blocks, blocks + BLOCK_SLOTS * layout.pointerBytes);
    const special = type === "character special" || type === "block special";
    this.rdev = special ? deviceNumber(readU32(bytes, blocks + rdevAt(sb), big)) : null;
  }
}

/** Block number `index` of those at `at`, in an inode or an indirect block: a fragment; 0: a hole. */
export function readPointer(bytes: Uint8Array, at: number, index: number, sb: Superblock): number {
  if (sb.version === 1) return readI32(bytes, at + index * 4, sb.bigEndian);
  return readI64(bytes, at + index * 8, sb.bigEndian);
}

/** The low half of block number 0. */
const rdevAt = (sb: Superblock): number => (sb.version === 2 && sb.bigEndian ? 4 : 0);

/** 12 bits of major number between the 8 low and 12 high ones of the minor number. */
function deviceNumber(n: number): DeviceNumber {
  return { major: (n >>> 8) & 0xfff, minor: (n & 0xff) | ((n >>> 12) & 0xfff00) };
}

/** The type that a mode names, or null. */
function typeOf(mode: number): InodeType | null {
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
      return null;
  }
}

/**
 * The inode at `offset`.
 * => `ino` is its number, for messages.
 *
 * @throws {ErrnoError} EIO: not all there, not in use, a mode without a known type, a size beyond
 *   what the file system allows, or that of a directory which its sectors cannot hold.
 */
export function decodeInode(bytes: Uint8Array, offset: number, sb: Superblock, ino: number): Inode {
  const bad = (what: string): never => {
    throw new ErrnoError(Errno.EIO, `ffs: inode ${ino}: ${what}`);
  };
  if (!isWhole(offset) || offset + sb.inode.bytes > bytes.length) {
    return bad(`at byte ${offset} of ${bytes.length} bytes`);
  }
  const mode = readU16(bytes, offset + INODE_MODE, sb.bigEndian);
  if (mode === 0) return bad("it is not in use");
  const type = typeOf(mode);
  if (type === null) return bad(`mode ${hex(mode)} has no known type`);
  const inode = new Inode(bytes, offset, sb, ino, type);
  const { size, sectors } = inode;
  if (!(size >= 0 && size <= sb.maxFileSize)) bad(`size ${size} beyond ${sb.maxFileSize}`);
  if (type === "directory") {
    if (size % DIRBLKSIZ !== 0) bad(`a directory of ${size} bytes, no multiple of ${DIRBLKSIZ}`);
    // A directory has no holes: more bytes than sectors is damage, and could mean endless reading.
    if (size > sectors * SECTOR_BYTES || size > sb.size * sb.fragSize) {
      bad(`a directory of ${size} bytes in ${sectors} sectors`);
    }
  }
  return inode;
}

/**
 * Fragments of block `lbn` of a file of `size` bytes: the last block has no more than its bytes need,
 * if it is a direct one.   @bsd #Y blksize
 */
export function fragsOfBlock(sb: Superblock, size: number, lbn: number): number {
  if (lbn >= DIRECT_BLOCKS || size >= (lbn + 1) * sb.blockSize) return sb.frags;
  return Math.max(1, Math.ceil((size - lbn * sb.blockSize) / sb.fragSize));
}

/** Where the blocks of a file of `size` bytes end: a fragment after the last byte at most, if it is short. @bsd #Y ffs_gop_size */
export function blocksEnd(sb: Superblock, size: number): number {
  const unit = size > DIRECT_BLOCKS * sb.blockSize ? sb.blockSize : sb.fragSize;
  return Math.ceil(size / unit) * unit;
}

/** Whether a symbolic link's target is in the inode. */
export function isShortSymlink(inode: Inode, sb: Superblock): boolean {
  if (inode.type !== "symlink" || inode.size > inode.blockBytes.length) return false;
  return inode.size < sb.maxSymlinkLen || (sb.maxSymlinkLen === 0 && inode.sectors === 0);
}
