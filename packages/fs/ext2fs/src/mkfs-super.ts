/**
 * The super block and the group descriptors of a new file system, as bytes. Pure.
 *
 * Copies in other groups name their group and do not say that the file system is clean, as mke2fs has it.
 */
import { Errno, ErrnoError, encodeName } from "@physio/kern";
import {
  ERRORS_CONTINUE,
  EXT2_MAGIC,
  EXTRA_INODE_BYTES,
  GROUP_DESC_BYTES,
  GroupDesc,
  HASH_HALF_MD4,
  REV0_FIRST_INO,
  REV0_INODE_BYTES,
  Sb,
  SIGNED_HASH,
  STATE_CLEAN,
  SUPERBLOCK_BYTES,
  writeU16,
  writeU32,
} from "./layout.ts";
import type { Ext2Plan, MakeExt2Options } from "./mkfs-plan.ts";
import { firstFileBlocks, groupBlocks, metadataBlocks } from "./mkfs-plan.ts";
import { hasSuperblockCopy } from "./superblock.ts";

/** No limit on mounts between checks. */
const NO_MOUNT_LIMIT = 0xffff;
const UUID_FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const UUID_BYTES = 16;

/** Inodes that are used from the start: those that are reserved, and lost+found. */
export const FIRST_INODES: number = REV0_FIRST_INO;
/** Directories of the first group: the root and lost+found. */
const FIRST_DIRECTORIES = 2;

/** Free blocks of a group. */
function freeBlocksOf(plan: Ext2Plan, group: number): number {
  const files = group === 0 ? firstFileBlocks(plan) : 0;
  return groupBlocks(plan, group) - metadataBlocks(plan, group) - files;
}

/**
 * The 16 bytes of a UUID. Without a text, some that size, time and label give: the same options, the same bytes.
 * @throws {ErrnoError} EINVAL: not 8-4-4-4-12 hexadecimal digits, or all 0.
 */
function uuidBytes(options: MakeExt2Options): Uint8Array {
  const bytes = new Uint8Array(UUID_BYTES);
  const { uuid } = options;
  if (uuid === undefined) {
    mixInto(bytes, encodeName(`${options.size} ${options.time} ${options.label ?? ""}`));
    bytes[6] = (bytes[6] & 0x0f) | 0x80; // version 8: made in a way of one's own
    bytes[8] = (bytes[8] & 0x3f) | 0x80; // the usual variant
    return bytes;
  }
  const digits = uuid.replaceAll("-", "");
  for (let i = 0; i < UUID_BYTES; i++)
    bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  if (!UUID_FORM.test(uuid) || bytes.every((byte) => byte === 0))
    throw new ErrnoError(Errno.EINVAL, `mkfs: uuid "${uuid}"`);
  return bytes;
}

/** FNV-1a, a new start for each byte. */
function mixInto(bytes: Uint8Array, text: Uint8Array): void {
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) {
    for (const byte of text) hash = Math.imul(hash ^ byte, 0x01000193);
    hash = Math.imul(hash ^ i, 0x01000193);
    bytes[i] = hash >>> 24;
  }
}

/** The super block of group 0. @throws {ErrnoError} EINVAL: the UUID. */
export function encodeSuperblock(plan: Ext2Plan, options: MakeExt2Options): Uint8Array {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  const u16 = (at: number, value: number): void => writeU16(bytes, at, value);
  const u32 = (at: number, value: number): void => writeU32(bytes, at, value);
  const logBlockSize = Math.log2(plan.blockSize) - 10;
  const inodes = plan.groupCount * plan.inodesPerGroup;
  let free = 0;
  for (let group = 0; group < plan.groupCount; group++) free += freeBlocksOf(plan, group);
  u32(Sb.inodesCount, inodes);
  u32(Sb.blocksCount, plan.blocksCount);
  u32(Sb.freeBlocks, free);
  u32(Sb.freeInodes, inodes - FIRST_INODES);
  u32(Sb.firstDataBlock, plan.firstDataBlock);
  u32(Sb.logBlockSize, logBlockSize);
  u32(Sb.logFragmentSize, logBlockSize);
  u32(Sb.blocksPerGroup, plan.blocksPerGroup);
  u32(Sb.fragmentsPerGroup, plan.blocksPerGroup);
  u32(Sb.inodesPerGroup, plan.inodesPerGroup);
  u32(Sb.wtime, options.time);
  u32(Sb.lastCheck, options.time);
  u32(Sb.mkfsTime, options.time);
  u16(Sb.maxMountCount, NO_MOUNT_LIMIT);
  u16(Sb.magic, EXT2_MAGIC);
  u16(Sb.state, STATE_CLEAN);
  u16(Sb.errors, ERRORS_CONTINUE);
  u32(Sb.revision, 1);
  u32(Sb.firstInode, REV0_FIRST_INO);
  u16(Sb.inodeSize, plan.inodeSize);
  u32(Sb.featureCompat, plan.featureCompat);
  u32(Sb.featureIncompat, plan.featureIncompat);
  u32(Sb.featureRoCompat, plan.featureRoCompat);
  u16(Sb.reservedDescriptors, plan.reservedDescriptors);
  if (plan.inodeSize > REV0_INODE_BYTES) {
    u16(Sb.minExtraInodeSize, EXTRA_INODE_BYTES);
    u16(Sb.wantExtraInodeSize, EXTRA_INODE_BYTES);
  }
  const uuid = uuidBytes(options);
  bytes.set(uuid, Sb.uuid);
  bytes.set(encodeName(options.label ?? ""), Sb.volumeName);
  bytes.set(uuid.toReversed(), Sb.hashSeed); // any will do
  bytes[Sb.defHashVersion] = HASH_HALF_MD4;
  u32(Sb.flags, SIGNED_HASH);
  return bytes;
}

/** The same as it stands in `group`. */
export function superblockCopy(first: Uint8Array, group: number): Uint8Array {
  const bytes = first.slice();
  writeU16(bytes, Sb.blockGroup, group);
  if (group > 0) writeU16(bytes, Sb.state, 0);
  return bytes;
}

/** All group descriptors, in whole blocks. */
export function encodeDescriptors(plan: Ext2Plan): Uint8Array {
  const bytes = new Uint8Array(plan.descriptorBlocks * plan.blockSize);
  for (let group = 0; group < plan.groupCount; group++) {
    const at = group * GROUP_DESC_BYTES;
    const bitmap = blockBitmapOf(plan, group);
    const used = group === 0 ? FIRST_INODES : 0;
    writeU32(bytes, at + GroupDesc.blockBitmap, bitmap);
    writeU32(bytes, at + GroupDesc.inodeBitmap, bitmap + 1);
    writeU32(bytes, at + GroupDesc.inodeTable, bitmap + 2);
    writeU16(bytes, at + GroupDesc.freeBlocks, freeBlocksOf(plan, group));
    writeU16(bytes, at + GroupDesc.freeInodes, plan.inodesPerGroup - used);
    writeU16(bytes, at + GroupDesc.usedDirs, group === 0 ? FIRST_DIRECTORIES : 0);
  }
  return bytes;
}

/** First block of a group. */
export function firstBlockOf(plan: Ext2Plan, group: number): number {
  return plan.firstDataBlock + group * plan.blocksPerGroup;
}

/** A group's block bitmap; its inode bitmap and its inode table follow. */
export function blockBitmapOf(plan: Ext2Plan, group: number): number {
  const { descriptorBlocks, reservedDescriptors } = plan;
  const copy = hasSuperblockCopy(plan, group) ? 1 + descriptorBlocks + reservedDescriptors : 0;
  return firstBlockOf(plan, group) + copy;
}
