/**
 * What a new file system is going to look like: sizes and counts, before a byte of it is made.
 *
 * Groups are as large as a bitmap of one block allows. A last group that would hold little more than its own
 * metadata is left out, as mke2fs does; the bytes behind are not used then. Pure.
 */
import type { Bytes } from "@physio/kern";
import { Errno, ErrnoError, encodeName, isWhole, KiB, MiB, TiB } from "@physio/kern";
import type { CompatFeatures, IncompatFeatures, RoCompatFeatures } from "./layout.ts";
import { Compat, GROUP_DESC_BYTES, Incompat, REV0_FIRST_INO, RoCompat } from "./layout.ts";
import { hasSuperblockCopy } from "./superblock.ts";

/** Features that a new file system may have, by the names that debugfs prints. */
export type Ext2Feature =
  | "filetype"
  | "sparse_super"
  | "large_file"
  | "dir_index"
  | "resize_inode"
  | "ext_attr";

export interface MakeExt2Options {
  /** Of the device: 64 KiB to 1 TiB. */
  readonly size: Bytes;
  /** 1024, 2048 or 4096; default: 1024 below 512 MiB, 4096 from there on. */
  readonly blockSize?: Bytes;
  /** Inodes at least; default: one for 4 KiB below 512 MiB, one for 16 KiB from there on. */
  readonly inodes?: number;
  /** 128 (the default) or 256. */
  readonly inodeSize?: Bytes;
  /** 16 bytes at most. */
  readonly label?: string;
  /** Default: one that the other options name. */
  readonly uuid?: string;
  /** Seconds since 1970. */
  readonly time: number;
  /** Default: all six. */
  readonly features?: readonly Ext2Feature[];
}

/** A file system to be made. */
export interface Ext2Plan {
  readonly blockSize: Bytes;
  readonly firstDataBlock: number;
  readonly blocksCount: number;
  readonly blocksPerGroup: number;
  readonly groupCount: number;
  /** Blocks of group descriptors, and blocks kept for more of them. */
  readonly descriptorBlocks: number;
  readonly reservedDescriptors: number;
  readonly inodeSize: Bytes;
  readonly inodesPerGroup: number;
  readonly inodeTableBlocks: number;
  /** Blocks of the directory lost+found. */
  readonly lostBlocks: number;
  readonly featureCompat: CompatFeatures;
  readonly featureIncompat: IncompatFeatures;
  readonly featureRoCompat: RoCompatFeatures;
  readonly backupGroups: readonly [number, number];
}

const SIZE_MIN = 64 * KiB;
const SIZE_MAX = TiB;
/** From here on blocks are larger, and inodes fewer. */
const LARGE = 512 * MiB;
const BLOCK_SIZES: readonly number[] = [1024, 2048, 4096];
const INODE_SIZES: readonly number[] = [128, 256];
const LABEL_BYTES = 16;
/** A file system may grow by this factor without moving anything. */
const GROWTH = 1024;
/** Free blocks that a last group must have to be worth it. */
const WORTH = 50;
const LOST_BYTES = 16 * KiB;
const LOST_BLOCKS_MAX = 12;
const FILE_2_GIB = 2 ** 31;

const ALL_FEATURES: readonly Ext2Feature[] = [
  "filetype",
  "sparse_super",
  "large_file",
  "dir_index",
  "resize_inode",
  "ext_attr",
];

function invalid(what: string): never {
  throw new ErrnoError(Errno.EINVAL, `mkfs: ${what}`);
}

type Features = Pick<Ext2Plan, "featureCompat" | "featureIncompat" | "featureRoCompat">;

function featuresOf(names: readonly Ext2Feature[]): Features {
  let featureCompat: CompatFeatures = 0;
  let featureIncompat: IncompatFeatures = 0;
  let featureRoCompat: RoCompatFeatures = 0;
  for (const name of names) {
    if (!ALL_FEATURES.includes(name))
      invalid(`feature ${name}, known are ${ALL_FEATURES.join(" ")}`);
    if (name === "filetype") featureIncompat |= Incompat.filetype;
    else if (name === "sparse_super" || name === "large_file") featureRoCompat |= RoCompat[name];
    else featureCompat |= Compat[name];
  }
  return { featureCompat, featureIncompat, featureRoCompat };
}

function checkOptions(options: MakeExt2Options, blockSize: number, inodeSize: number): void {
  const { size, time, label = "" } = options;
  if (!(isWhole(size) && size >= SIZE_MIN && size <= SIZE_MAX))
    invalid(`size ${size}, ${SIZE_MIN} to ${SIZE_MAX} bytes possible`);
  if (!BLOCK_SIZES.includes(blockSize))
    invalid(`block size ${blockSize}, one of ${BLOCK_SIZES.join(" ")} possible`);
  if (!INODE_SIZES.includes(inodeSize))
    invalid(`inode size ${inodeSize}, one of ${INODE_SIZES.join(" ")} possible`);
  if (!(isWhole(time) && time < 2 ** 32)) invalid(`time ${time}, 0 to 2^32 - 1 seconds possible`);
  const bytes = encodeName(label).length;
  if (bytes > LABEL_BYTES || label.includes("\0"))
    invalid(`label "${label}" of ${bytes} bytes, ${LABEL_BYTES} at most, none of them 0`);
}

/**
 * Inodes of each group: enough for `wanted`, whole blocks of the table and whole bytes of the bitmap. Those that
 * are used from the start are the first group's.
 */
function inodesPerGroup(
  wanted: number,
  groupCount: number,
  blockSize: number,
  inodeSize: number,
): number {
  const unit = Math.max(8, blockSize / inodeSize);
  const atLeast = Math.max(Math.ceil(wanted / groupCount), REV0_FIRST_INO + 1);
  const count = Math.ceil(atLeast / unit) * unit;
  if (count > 8 * blockSize)
    invalid(`${wanted} inodes, ${8 * blockSize * groupCount} at most in ${groupCount} groups`);
  return count;
}

/** Blocks to keep for descriptors of groups to come; the indirect block that lists them sets the limit. */
function reservedDescriptors(blocksCount: number, blockSize: number, present: number): number {
  const most = Math.min(blocksCount * GROWTH, 2 ** 32 - 1);
  const groups = Math.ceil((most - (blockSize === 1024 ? 1 : 0)) / (8 * blockSize));
  const blocks = Math.ceil((groups * GROUP_DESC_BYTES) / blockSize) - present;
  return Math.min(blocks, blockSize / 4);
}

/** Blocks at the start of a group that hold its metadata. */
export function metadataBlocks(plan: Ext2Plan, group: number): number {
  const { descriptorBlocks, reservedDescriptors: reserved, inodeTableBlocks } = plan;
  const copy = hasSuperblockCopy(plan, group) ? 1 + descriptorBlocks + reserved : 0;
  return copy + 2 + inodeTableBlocks;
}

/** Blocks of a group. */
export function groupBlocks(plan: Ext2Plan, group: number): number {
  const first = plan.firstDataBlock + group * plan.blocksPerGroup;
  return Math.min(plan.blocksPerGroup, plan.blocksCount - first);
}

/** Blocks that files take from the start: the root, lost+found, the list of reserved descriptors. */
export function firstFileBlocks(plan: Ext2Plan): number {
  return 1 + plan.lostBlocks + (plan.reservedDescriptors > 0 ? 1 : 0);
}

function planOf(
  blocksCount: number,
  blockSize: number,
  inodeSize: number,
  wantedInodes: number,
  features: Features,
): Ext2Plan {
  const firstDataBlock = blockSize === 1024 ? 1 : 0;
  const blocksPerGroup = 8 * blockSize;
  const groupCount = Math.ceil((blocksCount - firstDataBlock) / blocksPerGroup);
  const descriptorBlocks = Math.ceil((groupCount * GROUP_DESC_BYTES) / blockSize);
  const perGroup = inodesPerGroup(wantedInodes, groupCount, blockSize, inodeSize);
  const resizable = (features.featureCompat & Compat.resize_inode) !== 0;
  const reserved = resizable ? reservedDescriptors(blocksCount, blockSize, descriptorBlocks) : 0;
  const { resize_inode } = Compat;
  return {
    blockSize,
    firstDataBlock,
    blocksCount,
    blocksPerGroup,
    groupCount,
    descriptorBlocks,
    reservedDescriptors: reserved,
    inodeSize,
    inodesPerGroup: perGroup,
    inodeTableBlocks: (perGroup * inodeSize) / blockSize,
    lostBlocks: Math.min(LOST_BYTES / blockSize, LOST_BLOCKS_MAX),
    ...features,
    // Without a block to keep there is nothing for the inode to hold.
    featureCompat: features.featureCompat & (reserved > 0 ? -1 : ~resize_inode),
    backupGroups: [0, 0],
  };
}

/** resize_inode lists the copies in few groups, and its size is that of all that a double indirect block reaches. */
function checkFeatures(plan: Ext2Plan): void {
  if (plan.reservedDescriptors === 0) return;
  const { blockSize, featureRoCompat } = plan;
  if ((featureRoCompat & RoCompat.sparse_super) === 0)
    invalid("feature resize_inode without sparse_super");
  const long = (blockSize / 4) ** 2 * blockSize >= FILE_2_GIB;
  if (long && (featureRoCompat & RoCompat.large_file) === 0)
    invalid(`feature resize_inode without large_file, with blocks of ${blockSize} bytes`);
}

/** @throws {ErrnoError} EINVAL: an option, with its value; or there is no place for the metadata. */
export function planExt2(options: MakeExt2Options): Ext2Plan {
  const { size, inodeSize = 128 } = options;
  const blockSize = options.blockSize ?? (size < LARGE ? 1024 : 4096);
  checkOptions(options, blockSize, inodeSize);
  const inodes = options.inodes ?? Math.floor(size / (size < LARGE ? 4 * KiB : 16 * KiB));
  if (!(isWhole(inodes) && inodes > 0 && inodes < 2 ** 32)) invalid(`${inodes} inodes`);
  const features = featuresOf(options.features ?? ALL_FEATURES);
  const blocks = Math.floor(size / blockSize);
  let plan = planOf(blocks, blockSize, inodeSize, inodes, features);
  const last = plan.groupCount - 1;
  const rest = groupBlocks(plan, last);
  if (last > 0 && rest < plan.blocksPerGroup && rest < metadataBlocks(plan, last) + WORTH)
    plan = planOf(blocks - rest, blockSize, inodeSize, inodes, features);
  checkFeatures(plan);
  const needed = metadataBlocks(plan, 0) + firstFileBlocks(plan);
  if (needed > groupBlocks(plan, 0))
    invalid(
      `${size} bytes: ${needed} blocks of metadata in a group of ${groupBlocks(plan, 0)} blocks of ${blockSize} bytes`,
    );
  return plan;
}
