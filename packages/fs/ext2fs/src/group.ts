/**
 * Block groups: their descriptors, and where in them an inode lies.
 *
 * ext2 on-disk format, revisions 0 and 1. A descriptor has 32 bytes. They form one table after the
 * super block, or, from descriptor block `firstMetaBg` on (feature meta_bg), each block of them
 * lies at the start of the first group that it describes, behind the copy of the super block if
 * there is one. Inodes are numbered from 1.
 *
 * Called by mount (descriptors) and by the inode reader (locations). Pure.
 */

import { Errno, ErrnoError, isWhole } from "@physio/kern";
import { GROUP_DESC_BYTES, readU16, readU32 } from "./layout.ts";
import type { Superblock } from "./superblock.ts";
import { hasSuperblockCopy } from "./superblock.ts";

/** A group descriptor. Block numbers count from the start of the file system. */
export interface Group {
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  /** First block of the inode table. */
  readonly inodeTable: number;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly usedDirs: number;
}

/** A place in a block. */
export interface BlockPlace {
  readonly block: number;
  /** Bytes. */
  readonly offset: number;
}

/** Where an inode lies. */
export interface InodePlace {
  readonly group: number;
  /** Index in the inode table of the group. */
  readonly index: number;
  /** Block of that table, from 0. */
  readonly blockInTable: number;
  /** Bytes into that block. */
  readonly offset: number;
}

/**
 * The descriptor at `offset`. Its block numbers are as found: `checkGroup` looks at them.
 * @throws {ErrnoError} EIO: it is not all there.
 */
export function decodeGroup(bytes: Uint8Array, offset: number): Group {
  if (!isWhole(offset) || offset + GROUP_DESC_BYTES > bytes.length) {
    throw new ErrnoError(
      Errno.EIO,
      `ext2: group descriptor at byte ${offset} of ${bytes.length} bytes`,
    );
  }
  return {
    blockBitmap: readU32(bytes, offset),
    inodeBitmap: readU32(bytes, offset + 4),
    inodeTable: readU32(bytes, offset + 8),
    freeBlocks: readU16(bytes, offset + 12),
    freeInodes: readU16(bytes, offset + 14),
    usedDirs: readU16(bytes, offset + 16),
  };
}

/** Blocks of the inode table of one group. */
export function inodeTableBlocks(sb: Superblock): number {
  return Math.ceil((sb.inodesPerGroup * sb.inodeSize) / sb.blockSize);
}

/** Check that an inode table lies in the file system. @throws {ErrnoError} EIO: it does not. */
export function checkGroup(sb: Superblock, number: number, group: Group): void {
  const first = group.inodeTable;
  const count = inodeTableBlocks(sb);
  if (first > sb.firstDataBlock && first + count <= sb.blocksCount) return;
  throw new ErrnoError(
    Errno.EIO,
    `ext2: group ${number}: inode table of ${count} blocks at ${first} of ${sb.blocksCount}`,
  );
}

/**
 * Where the descriptor of `group` lies.
 * @throws {ErrnoError} EINVAL: no such group. EIO: the place is past the end of the file system.
 */
export function groupDescriptorLocation(sb: Superblock, group: number): BlockPlace {
  if (!isWhole(group) || group >= sb.groupCount) {
    throw new ErrnoError(Errno.EINVAL, `ext2: group ${group} of ${sb.groupCount}`);
  }
  const perBlock = sb.blockSize / sb.descriptorSize;
  const index = Math.floor(group / perBlock);
  const offset = (group % perBlock) * sb.descriptorSize;
  if (index < sb.firstMetaBg) return { block: sb.descriptorTableBlock + index, offset };

  const first = index * perBlock; // the group that holds this block of descriptors
  const start = sb.firstDataBlock + first * sb.blocksPerGroup;
  const block = start + (hasSuperblockCopy(sb, first) ? 1 : 0);
  if (block >= sb.blocksCount) {
    throw new ErrnoError(
      Errno.EIO,
      `ext2: descriptor of group ${group} in block ${block} beyond ${sb.blocksCount}`,
    );
  }
  return { block, offset };
}

/**
 * Where inode `ino` lies.
 * @throws {ErrnoError} EINVAL: 0 or no whole number. EIO: a reference beyond the last inode.
 */
export function inodeLocation(sb: Superblock, ino: number): InodePlace {
  if (!isWhole(ino) || ino === 0)
    throw new ErrnoError(Errno.EINVAL, `inode ${ino}: no such number`);
  if (ino > sb.inodesCount) {
    throw new ErrnoError(Errno.EIO, `inode ${ino}: number beyond ${sb.inodesCount}`);
  }
  const group = Math.floor((ino - 1) / sb.inodesPerGroup);
  const index = (ino - 1) % sb.inodesPerGroup;
  const byte = index * sb.inodeSize;
  const blockInTable = Math.floor(byte / sb.blockSize);
  return { group, index, blockInTable, offset: byte % sb.blockSize };
}
