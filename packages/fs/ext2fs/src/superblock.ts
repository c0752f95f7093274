/**
 * The super block: what a file system says about itself, checked.
 *
 * ext2 on-disk format, revisions 0 and 1 (Linux Documentation/filesystems/ext2). Whoever holds a
 * Superblock may rely on this:
 * - the block size is 1, 2 or 4 KiB, and all blocks lie on the device;
 * - the counts agree: inodesCount = groupCount * inodesPerGroup, no divisor is 0;
 * - no incompatible feature is set besides filetype, meta_bg and, of a file system with a journal,
 *   needs_recovery.
 * Revision 0 has no features: what its bytes say there is not looked at. Read-only-compatible
 * features refuse nothing: whether it is written to is decided by mount.
 *
 * Called once by mount. Bytes from a disk may be anything: every objection is an ErrnoError.
 */

import { decodeName, Errno, ErrnoError, hex, isPowerOf2 } from "@physio/kern";
import type { CompatFeatures, IncompatFeatures, RoCompatFeatures } from "./layout.ts";
import {
  Compat,
  EXT2_MAGIC,
  GROUP_DESC_BYTES,
  Incompat,
  REV0_FIRST_INO,
  REV0_INODE_BYTES,
  RoCompat,
  readU16,
  readU32,
  Sb,
  SUPERBLOCK_BYTES,
  SUPERBLOCK_OFFSET,
  UNSIGNED_HASH,
} from "./layout.ts";

/** A checked super block. Immutable. */
export interface Superblock {
  readonly revision: number;
  readonly inodesCount: number;
  readonly blocksCount: number;
  /** Blocks that only the super user gets. */
  readonly reservedBlocks: number;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  /** 1 where blocks are 1 KiB, else 0: the block of the super block. */
  readonly firstDataBlock: number;
  readonly blockShift: number;
  /** Bytes. */
  readonly blockSize: number;
  readonly blocksPerGroup: number;
  readonly inodesPerGroup: number;
  readonly groupCount: number;
  readonly firstInode: number;
  /** Bytes between inodes in the table. */
  readonly inodeSize: number;
  readonly featureCompat: CompatFeatures;
  readonly featureIncompat: IncompatFeatures;
  readonly featureRoCompat: RoCompatFeatures;
  /** "6b1f0a52-8f0e-4a53-9f59-0c33a1a50001" */
  readonly uuid: string;
  readonly volumeName: string;
  /** Four words; all zero stands for the seed of MD4. Not to be written. */
  readonly hashSeed: Uint32Array;
  readonly defHashVersion: number;
  /** Directory hashes take bytes as unsigned. */
  readonly hashUnsigned: boolean;
  /** STATE_CLEAN, STATE_ERRORS. */
  readonly state: number;
  /** Seconds: last mount, last write. */
  readonly mtime: number;
  readonly wtime: number;
  /** First inode of the list of unlinked files that were in use, or 0. */
  readonly lastOrphan: number;
  /** The journal's inode; 0: it lies on a device of its own. */
  readonly journalInode: number;
  /** First block of the table of group descriptors. */
  readonly descriptorTableBlock: number;
  readonly descriptorSize: number;
  /** First descriptor block laid out as meta_bg says; beyond the table without that feature. */
  readonly firstMetaBg: number;
  /** The groups with a copy of the super block under sparse_super2. */
  readonly backupGroups: readonly [number, number];
}

const NO_META_BG = 0xffffffff;
const UNDERSTOOD = Incompat.filetype | Incompat.meta_bg;
const LOG_BLOCK_SIZE_MAX = 2; // 4 KiB
const LOG_BLOCK_SIZE_KNOWN = 6; // 64 KiB, the most that the format has

function invalid(what: string): never {
  throw new ErrnoError(Errno.EINVAL, `ext2: ${what}`);
}

/** The text of 16 bytes as a UUID. */
function uuidText(bytes: Uint8Array, at: number): string {
  let text = "";
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += "-";
    text += bytes[at + i].toString(16).padStart(2, "0");
  }
  return text;
}

function volumeName(bytes: Uint8Array): string {
  let end = Sb.volumeName;
  while (end < Sb.volumeName + 16 && bytes[end] !== 0) end++;
  return decodeName(bytes, Sb.volumeName, end);
}

/** The features among `features` that this reader does not know, by name; "" if there is none. */
function unsupported(features: IncompatFeatures, compat: CompatFeatures): string {
  let rest = features & ~UNDERSTOOD;
  if ((compat & Compat.has_journal) !== 0) rest &= ~Incompat.needs_recovery;
  const names: string[] = [];
  for (const [name, bit] of Object.entries(Incompat)) {
    if ((rest & bit) === 0) continue;
    names.push(name);
    rest &= ~bit;
  }
  if (rest !== 0) names.push(hex(rest >>> 0));
  return names.join(" ");
}

/** log2 of the block size, from the field that counts from 1 KiB. */
function blockShiftOf(bytes: Uint8Array): number {
  const log = readU32(bytes, Sb.logBlockSize);
  if (log <= LOG_BLOCK_SIZE_MAX) return 10 + log;
  if (log > LOG_BLOCK_SIZE_KNOWN) invalid(`block size 2^(10 + ${log})`);
  throw new ErrnoError(Errno.EOPNOTSUPP, `ext2: blocks of ${2 ** (10 + log)} bytes, 4096 at most`);
}

function checkMagic(bytes: Uint8Array): void {
  if (bytes.length < SUPERBLOCK_BYTES) {
    throw new ErrnoError(
      Errno.EIO,
      `ext2: ${bytes.length} of ${SUPERBLOCK_BYTES} bytes of super block`,
    );
  }
  const magic = readU16(bytes, Sb.magic);
  if (magic !== EXT2_MAGIC) {
    invalid(
      `magic ${hex(magic)} at byte ${SUPERBLOCK_OFFSET + Sb.magic}, wanted ${hex(EXT2_MAGIC)}`,
    );
  }
  const revision = readU32(bytes, Sb.revision);
  if (revision > 1) throw new ErrnoError(Errno.EOPNOTSUPP, `ext2: revision ${revision}`);
  const features = readU32(bytes, Sb.featureIncompat);
  const refused = revision === 0 ? "" : unsupported(features, readU32(bytes, Sb.featureCompat));
  if (refused !== "") throw new ErrnoError(Errno.EOPNOTSUPP, `ext2: features ${refused}`);
}

function checkGeometry(sb: Superblock): void {
  const { blockSize, blocksCount, blocksPerGroup, inodesPerGroup, inodeSize, firstDataBlock } = sb;
  const most = 8 * blockSize; // a bitmap is one block
  if (blocksPerGroup === 0 || blocksPerGroup > most) {
    invalid(`${blocksPerGroup} blocks per group, 1 to ${most} possible`);
  }
  if (inodesPerGroup === 0 || inodesPerGroup > most) {
    invalid(`${inodesPerGroup} inodes per group, 1 to ${most} possible`);
  }
  if (!isPowerOf2(inodeSize) || inodeSize < REV0_INODE_BYTES || inodeSize > blockSize) {
    invalid(`inodes of ${inodeSize} bytes in blocks of ${blockSize}`);
  }
  if (firstDataBlock !== (blockSize === 1024 ? 1 : 0)) {
    invalid(`first data block ${firstDataBlock} with blocks of ${blockSize} bytes`);
  }
  if (blocksCount <= firstDataBlock)
    invalid(`${blocksCount} blocks, the first is ${firstDataBlock}`);
  if (sb.inodesCount !== sb.groupCount * inodesPerGroup) {
    invalid(`${sb.inodesCount} inodes, ${sb.groupCount} groups of ${inodesPerGroup} inodes`);
  }
  if (sb.firstInode < REV0_FIRST_INO) invalid(`first inode ${sb.firstInode}`);
}

/** The descriptors must have a place; a count that they do not fit is nonsense. */
function checkDescriptors(sb: Superblock): void {
  const blocks = Math.ceil((sb.groupCount * GROUP_DESC_BYTES) / sb.blockSize);
  const inTable = Math.min(blocks, sb.firstMetaBg);
  if (sb.descriptorTableBlock + inTable > sb.blocksCount) {
    invalid(`${inTable} blocks of group descriptors in a file system of ${sb.blocksCount} blocks`);
  }
  if (sb.firstMetaBg !== NO_META_BG && sb.firstMetaBg > blocks) {
    invalid(`first meta_bg descriptor block ${sb.firstMetaBg} of ${blocks}`);
  }
}

/** The fields as they stand. => magic, revision and features are checked, blocksPerGroup is not. */
function readFields(bytes: Uint8Array): Superblock {
  const revision = readU32(bytes, Sb.revision);
  const dynamic = revision >= 1;
  const blockShift = blockShiftOf(bytes);
  const firstDataBlock = readU32(bytes, Sb.firstDataBlock);
  const blocksCount = readU32(bytes, Sb.blocksCount);
  const blocksPerGroup = readU32(bytes, Sb.blocksPerGroup);
  const featureIncompat = dynamic ? readU32(bytes, Sb.featureIncompat) : 0;
  const metaBg = (featureIncompat & Incompat.meta_bg) !== 0;
  const seed = Uint32Array.from([0, 4, 8, 12], (at) => readU32(bytes, Sb.hashSeed + at));
  return Object.freeze({
    revision,
    inodesCount: readU32(bytes, Sb.inodesCount),
    blocksCount,
    reservedBlocks: readU32(bytes, Sb.reservedBlocks),
    freeBlocks: readU32(bytes, Sb.freeBlocks),
    freeInodes: readU32(bytes, Sb.freeInodes),
    firstDataBlock,
    blockShift,
    blockSize: 2 ** blockShift,
    blocksPerGroup,
    inodesPerGroup: readU32(bytes, Sb.inodesPerGroup),
    groupCount: Math.ceil((blocksCount - firstDataBlock) / Math.max(1, blocksPerGroup)),
    firstInode: dynamic ? readU32(bytes, Sb.firstInode) : REV0_FIRST_INO,
    inodeSize: dynamic ? readU16(bytes, Sb.inodeSize) : REV0_INODE_BYTES,
    featureCompat: dynamic ? readU32(bytes, Sb.featureCompat) : 0,
    featureIncompat,
    featureRoCompat: dynamic ? readU32(bytes, Sb.featureRoCompat) : 0,
    uuid: uuidText(bytes, Sb.uuid),
    volumeName: volumeName(bytes),
    hashSeed: seed,
    defHashVersion: bytes[Sb.defHashVersion],
    hashUnsigned: (readU32(bytes, Sb.flags) & UNSIGNED_HASH) !== 0,
    state: readU16(bytes, Sb.state),
    mtime: readU32(bytes, Sb.mtime),
    wtime: readU32(bytes, Sb.wtime),
    lastOrphan: readU32(bytes, Sb.lastOrphan),
    journalInode: dynamic ? readU32(bytes, Sb.journalInode) : 0,
    descriptorTableBlock: firstDataBlock + 1,
    descriptorSize: GROUP_DESC_BYTES,
    firstMetaBg: metaBg ? readU32(bytes, Sb.firstMetaBg) : NO_META_BG,
    backupGroups: [readU32(bytes, Sb.backupGroups), readU32(bytes, Sb.backupGroups + 4)] as const,
  });
}

/**
 * Decode and check a super block.
 * => `bytes`: the 1024 bytes from byte 1024 of the device. `deviceBytes`: what the device holds.
 *
 * @throws {ErrnoError} EINVAL: not ext2, or counts that contradict each other. EOPNOTSUPP: a
 *   revision, block size or feature that this reader does not know. EIO: bytes missing, of the
 *   super block or of the file system.
 */
export function decodeSuperblock(bytes: Uint8Array, deviceBytes: number): Superblock {
  checkMagic(bytes);
  const sb = readFields(bytes);
  checkGeometry(sb);
  checkDescriptors(sb);
  const total = sb.blocksCount * sb.blockSize;
  if (!(total <= deviceBytes)) {
    throw new ErrnoError(
      Errno.EIO,
      `ext2: file system of ${total} bytes on a device of ${deviceBytes} bytes`,
    );
  }
  return sb;
}

/** What of a super block tells where its copies lie. */
type CopyRules = Pick<Superblock, "featureCompat" | "featureRoCompat" | "backupGroups">;

/** Whether `group` starts with a copy of the super block. */
export function hasSuperblockCopy(sb: CopyRules, group: number): boolean {
  if (group === 0) return true;
  if ((sb.featureCompat & Compat.sparse_super2) !== 0) return sb.backupGroups.includes(group);
  if ((sb.featureRoCompat & RoCompat.sparse_super) === 0 || group === 1) return true;
  return isPowerOf(group, 3) || isPowerOf(group, 5) || isPowerOf(group, 7);
}

function isPowerOf(n: number, base: number): boolean {
  let power = base;
  while (power < n) power *= base;
  return power === n;
}
