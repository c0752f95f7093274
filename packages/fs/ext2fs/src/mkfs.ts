/**
 * Making a file system: an empty ext2, revision 1, as pieces of bytes and where they go.
 *
 * Nothing here knows files or disks: whoever has a place for the image writes the pieces. What is not
 * written must read as zeros, which a new sparse file does; so a large file system costs its bitmaps and
 * little more. The same options give the same bytes. The layout is that of mke2fs without flexible groups:
 * super block, group descriptors, room for more of them, block bitmap, inode bitmap, inode table.
 */
import type { Bytes, FileOffset } from "@physio/kern";
import { encodeName } from "@physio/kern";
import { Bitmap } from "./bitmap.ts";
import { encodeInode, newInode } from "./inode.ts";
import {
  DIRENT_FILE_TYPE,
  DIRENT_HEADER,
  DIRENT_MIN,
  DIRENT_NAME_LEN,
  DIRENT_REC_LEN,
  DirentType,
  DOUBLE_INDIRECT_SLOT,
  EXTRA_INODE_BYTES,
  Incompat,
  Ino,
  RESIZE_INO,
  REV0_INODE_BYTES,
  ROOT_INO,
  S_IFDIR,
  S_IFREG,
  SECTOR_BYTES,
  SUPERBLOCK_OFFSET,
  writeU16,
  writeU32,
} from "./layout.ts";
import type { Ext2Plan, MakeExt2Options } from "./mkfs-plan.ts";
import { firstFileBlocks, groupBlocks, metadataBlocks, planExt2 } from "./mkfs-plan.ts";
import {
  blockBitmapOf,
  encodeDescriptors,
  encodeSuperblock,
  FIRST_INODES,
  firstBlockOf,
  superblockCopy,
} from "./mkfs-super.ts";
import type { Superblock } from "./superblock.ts";
import { decodeSuperblock, hasSuperblockCopy } from "./superblock.ts";

/** Bytes, and where they go. */
export interface Piece {
  readonly offset: FileOffset;
  readonly bytes: Uint8Array;
}

const LOST_INO: number = FIRST_INODES;
const LOST_NAME = "lost+found";
const ROOT_MODE = S_IFDIR | 0o755;
const LOST_MODE = S_IFDIR | 0o700;
const RESIZE_MODE = S_IFREG | 0o600;

/** Everything about one file system that is being made. */
class Maker {
  readonly plan: Ext2Plan;
  readonly sb: Superblock;
  readonly time: number;
  readonly superblock: Uint8Array;
  /** Blocks of group 0: the root directory, lost+found, and the list of reserved descriptors. */
  readonly rootBlock: number;
  readonly lostBlock: number;
  readonly resizeBlock: number;
  /** Groups besides the first that hold copies, in order. */
  readonly backups: readonly number[];

  constructor(options: MakeExt2Options) {
    this.plan = planExt2(options);
    this.time = options.time;
    this.superblock = encodeSuperblock(this.plan, options);
    this.sb = decodeSuperblock(this.superblock, options.size);
    this.rootBlock = this.plan.firstDataBlock + metadataBlocks(this.plan, 0);
    this.lostBlock = this.rootBlock + 1;
    this.resizeBlock = this.lostBlock + this.plan.lostBlocks;
    this.backups = backupGroups(this.plan);
  }

  at(block: number, bytes: Uint8Array): Piece {
    return { offset: block * this.plan.blockSize, bytes };
  }

  // ---- groups

  /** Super block and descriptors of a group that has copies of them. */
  *copies(group: number, descriptors: Uint8Array): Generator<Piece, void> {
    const { plan } = this;
    const first = firstBlockOf(plan, group);
    const offset = group === 0 ? SUPERBLOCK_OFFSET : first * plan.blockSize;
    yield { offset, bytes: superblockCopy(this.superblock, group) };
    yield this.at(first + 1, descriptors);
    if (group !== 0 || this.backups.length === 0) return;
    for (let i = 0; i < plan.reservedDescriptors; i++) {
      const block = first + 1 + plan.descriptorBlocks + i;
      yield this.at(block, this.#copiesOf(block));
    }
  }

  /** A reserved block as an indirect block of the resize inode: its own copies in other groups. */
  #copiesOf(block: number): Uint8Array {
    const { plan } = this;
    const bytes = new Uint8Array(plan.blockSize);
    this.backups.forEach((group, i) => {
      writeU32(bytes, 4 * i, block + group * plan.blocksPerGroup);
    });
    return bytes;
  }

  /** Block bitmap and inode bitmap. */
  bitmaps(group: number): Piece {
    const { plan } = this;
    const { blockSize, inodesPerGroup } = plan;
    const bytes = new Uint8Array(2 * blockSize);
    const files = group === 0 ? firstFileBlocks(plan) : 0;
    fill(
      bytes.subarray(0, blockSize),
      metadataBlocks(plan, group) + files,
      groupBlocks(plan, group),
    );
    fill(bytes.subarray(blockSize), group === 0 ? FIRST_INODES : 0, inodesPerGroup);
    return this.at(blockBitmapOf(plan, group), bytes);
  }

  // ---- the first files

  /** The used part of the first inode table. */
  inodes(): Piece {
    const { plan } = this;
    const bytes = new Uint8Array(FIRST_INODES * plan.inodeSize);
    this.#putInode(bytes, ROOT_INO, ROOT_MODE, 3, plan.blockSize, [this.rootBlock]);
    const lost = Array.from({ length: plan.lostBlocks }, (_, i) => this.lostBlock + i);
    this.#putInode(bytes, LOST_INO, LOST_MODE, 2, lost.length * plan.blockSize, lost);
    if (plan.reservedDescriptors > 0) this.#putResizeInode(bytes);
    return this.at(blockBitmapOf(plan, 0) + 2, bytes);
  }

  #putInode(
    bytes: Uint8Array,
    ino: number,
    mode: number,
    links: number,
    size: Bytes,
    blocks: readonly number[],
    blocksHeld = blocks.length,
  ): void {
    const inode = newInode(this.sb, ino, mode, 0);
    inode.links = links;
    inode.size = size;
    inode.sectors = (blocksHeld * this.plan.blockSize) / SECTOR_BYTES;
    inode.atime = this.time;
    inode.ctime = this.time;
    inode.mtime = this.time;
    inode.block.set(blocks);
    const at = (ino - 1) * this.plan.inodeSize;
    encodeInode(inode, bytes, at, this.sb);
    if (this.plan.inodeSize === REV0_INODE_BYTES) return;
    writeU16(bytes, at + Ino.extraSize, EXTRA_INODE_BYTES);
    writeU32(bytes, at + Ino.createTime, this.time);
  }

  /** A double indirect block whose indirect blocks are the reserved descriptors of group 0. */
  #putResizeInode(bytes: Uint8Array): void {
    const { blockSize, reservedDescriptors } = this.plan;
    const perBlock = blockSize / 4;
    const size = (DOUBLE_INDIRECT_SLOT - 1 + perBlock + perBlock ** 2) * blockSize;
    const held = 1 + reservedDescriptors * (1 + this.backups.length);
    const slots = new Array<number>(DOUBLE_INDIRECT_SLOT + 1).fill(0);
    slots[DOUBLE_INDIRECT_SLOT] = this.resizeBlock;
    this.#putInode(bytes, RESIZE_INO, RESIZE_MODE, 1, size, slots, held);
  }

  *fileBlocks(): Generator<Piece, void> {
    const { plan } = this;
    const { blockSize, descriptorBlocks, reservedDescriptors, firstDataBlock } = plan;
    yield this.at(this.rootBlock, this.#rootDirectory());
    const lost = new Uint8Array(plan.lostBlocks * blockSize);
    this.#putEntry(lost, 0, DIRENT_MIN, LOST_INO, ".");
    this.#putEntry(lost, DIRENT_MIN, blockSize - DIRENT_MIN, ROOT_INO, "..");
    for (let at = blockSize; at < lost.length; at += blockSize)
      writeU16(lost, at + DIRENT_REC_LEN, blockSize);
    yield this.at(this.lostBlock, lost);
    if (reservedDescriptors === 0) return;
    const list = new Uint8Array(blockSize);
    for (let i = 0; i < reservedDescriptors; i++) {
      const index = descriptorBlocks + i;
      writeU32(list, 4 * (index % (blockSize / 4)), firstDataBlock + 1 + index);
    }
    yield this.at(this.resizeBlock, list);
  }

  #rootDirectory(): Uint8Array {
    const bytes = new Uint8Array(this.plan.blockSize);
    this.#putEntry(bytes, 0, DIRENT_MIN, ROOT_INO, ".");
    this.#putEntry(bytes, DIRENT_MIN, DIRENT_MIN, ROOT_INO, "..");
    this.#putEntry(bytes, 2 * DIRENT_MIN, bytes.length - 2 * DIRENT_MIN, LOST_INO, LOST_NAME);
    return bytes;
  }

  #putEntry(bytes: Uint8Array, at: number, length: number, ino: number, name: string): void {
    const typed = (this.plan.featureIncompat & Incompat.filetype) !== 0;
    const text = encodeName(name);
    writeU32(bytes, at, ino);
    writeU16(bytes, at + DIRENT_REC_LEN, length);
    bytes[at + DIRENT_NAME_LEN] = text.length;
    bytes[at + DIRENT_FILE_TYPE] = typed ? DirentType.directory : 0;
    bytes.set(text, at + DIRENT_HEADER);
  }
}

function backupGroups(plan: Ext2Plan): number[] {
  const groups: number[] = [];
  for (let group = 1; group < plan.groupCount; group++)
    if (hasSuperblockCopy(plan, group)) groups.push(group);
  return groups;
}

/** Set the first `used` bits, and those from `present` on, which stand for nothing. */
function fill(bytes: Uint8Array, used: number, present: number): void {
  const bitmap = new Bitmap(bytes, 8 * bytes.length);
  const whole = used >> 3;
  const padding = (present + 7) >> 3;
  bytes.fill(0xff, 0, whole);
  bytes.fill(0xff, padding);
  for (let bit = 8 * whole; bit < used; bit++) bitmap.set(bit);
  for (let bit = present; bit < 8 * padding; bit++) bitmap.set(bit);
}

function* pieces(maker: Maker): Generator<Piece, void> {
  const { plan } = maker;
  const descriptors = encodeDescriptors(plan);
  for (let group = 0; group < plan.groupCount; group++) {
    if (hasSuperblockCopy(plan, group)) yield* maker.copies(group, descriptors);
    yield maker.bitmaps(group);
    if (group !== 0) continue;
    yield maker.inodes();
    yield* maker.fileBlocks();
  }
}

/**
 * An empty ext2 file system: a root with lost+found.
 * => whoever writes the pieces: what they leave out reads as zeros. No two of them overlap, and their order is
 *   that of the disk; they are made as they are taken.
 *
 * No blocks are reserved for the super user.
 * @throws {ErrnoError} EINVAL, before the first piece: an option, with its value; features that do not go
 *   together; no place for the metadata.
 */
export function makeExt2(options: MakeExt2Options): Iterable<Piece> {
  const maker = new Maker(options);
  return { [Symbol.iterator]: () => pieces(maker) };
}
