/**
 * The groups of a file system that is written to: their bitmaps and counts while it is mounted.
 *
 * A group's bitmaps are read when somebody first allocates or frees in it; what changes is kept here and
 * goes to the buffer cache by `flush`, with the group descriptors and the super block's counts. So
 * allocation itself never sleeps. A crash in between leaves bitmaps that e2fsck makes anew from the inodes.
 *
 * Invariant: the counts agree with the bitmaps that are loaded.
 */
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { Bitmap } from "./bitmap.ts";
import type { Group } from "./group.ts";
import { groupDescriptorLocation, inodeTableBlocks } from "./group.ts";
import { GroupDesc, writeU16 } from "./layout.ts";
import type { Ext2Mount } from "./mount.ts";

/** One group. */
export class GroupState {
  readonly number: number;
  /** Where its parts lie. */
  readonly place: Group;
  /** Its first block, and how many it has. */
  readonly firstBlock: number;
  readonly blockCount: number;
  freeBlocks: number;
  freeInodes: number;
  usedDirs: number;
  /** Null until they are needed. */
  blocks: Bitmap | null;
  inodes: Bitmap | null;
  blocksDirty: boolean;
  inodesDirty: boolean;
  countsDirty: boolean;

  constructor(ext2: Ext2Mount, number: number, place: Group) {
    const { firstDataBlock, blocksPerGroup, blocksCount } = ext2.sb;
    this.number = number;
    this.place = place;
    this.firstBlock = firstDataBlock + number * blocksPerGroup;
    this.blockCount = Math.min(blocksPerGroup, blocksCount - this.firstBlock);
    this.freeBlocks = place.freeBlocks;
    this.freeInodes = place.freeInodes;
    this.usedDirs = place.usedDirs;
    this.blocks = null;
    this.inodes = null;
    this.blocksDirty = false;
    this.inodesDirty = false;
    this.countsDirty = false;
  }
}

/** The bitmap of a group's blocks. @throws {ErrnoError} EIO: it cannot be read, or does not know its own metadata, or disagrees with its count. */
export function* loadBlocks(ext2: Ext2Mount, group: GroupState): Sleeps<Bitmap> {
  if (group.blocks !== null) return group.blocks;
  const at = checkedPlace(ext2, group, group.place.blockBitmap, "block bitmap");
  const bytes = yield* ext2.readBlock(at, `block bitmap of group ${group.number}`);
  if (group.blocks !== null) return group.blocks; // somebody else was faster
  const bitmap = new Bitmap(bytes, group.blockCount);
  checkOwnBlocks(ext2, group, bitmap);
  checkCount(ext2, group, "blocks", bitmap.countClear(), group.freeBlocks);
  group.blocks = bitmap;
  return bitmap;
}

/** The bitmap of a group's inodes. @throws {ErrnoError} EIO, as `loadBlocks`. */
export function* loadInodes(ext2: Ext2Mount, group: GroupState): Sleeps<Bitmap> {
  if (group.inodes !== null) return group.inodes;
  const at = checkedPlace(ext2, group, group.place.inodeBitmap, "inode bitmap");
  const bytes = yield* ext2.readBlock(at, `inode bitmap of group ${group.number}`);
  if (group.inodes !== null) return group.inodes;
  const bitmap = new Bitmap(bytes, ext2.sb.inodesPerGroup);
  checkCount(ext2, group, "inodes", bitmap.countClear(), group.freeInodes);
  group.inodes = bitmap;
  return bitmap;
}

function checkedPlace(ext2: Ext2Mount, group: GroupState, block: number, what: string): number {
  if (ext2.isFileBlock(block)) return block;
  throw ext2.corrupt(`group ${group.number}: ${what} at block ${block}`);
}

/** A bitmap that says its own group's metadata is free is damaged: allocation would overwrite it. */
function checkOwnBlocks(ext2: Ext2Mount, group: GroupState, bitmap: Bitmap): void {
  const { blockBitmap, inodeBitmap, inodeTable } = group.place;
  const own = [blockBitmap, inodeBitmap];
  for (let i = 0; i < inodeTableBlocks(ext2.sb); i++) own.push(inodeTable + i);
  for (const block of own) {
    const bit = block - group.firstBlock;
    if (bit < 0 || bit >= group.blockCount || bitmap.has(bit)) continue;
    throw ext2.corrupt(`group ${group.number}: block ${block} of its metadata is marked free`);
  }
}

function checkCount(
  ext2: Ext2Mount,
  group: GroupState,
  what: string,
  found: number,
  counted: number,
): void {
  if (found === counted) return;
  throw ext2.corrupt(
    `group ${group.number}: ${found} free ${what} in the bitmap, ${counted} in the descriptor`,
  );
}

/** Bring what has changed of the groups to the buffer cache; what changes while this sleeps goes along, or stays to be written. @throws {ErrnoError} EIO: a block of descriptors cannot be read; ENOMEM. */
export function* flushGroups(ext2: Ext2Mount): Sleeps<void> {
  for (const group of ext2.groups) {
    if (group.blocksDirty) {
      yield* ext2.replaceBlock(group.place.blockBitmap, group.blocks!.bytes);
      group.blocksDirty = false;
    }
    if (group.inodesDirty) {
      yield* ext2.replaceBlock(group.place.inodeBitmap, group.inodes!.bytes);
      group.inodesDirty = false;
    }
    if (group.countsDirty) yield* writeDescriptor(ext2, group);
  }
}

function* writeDescriptor(ext2: Ext2Mount, group: GroupState): Sleeps<void> {
  const { block, offset } = groupDescriptorLocation(ext2.sb, group.number);
  const buf = yield* ext2.bread(block);
  if (buf.error !== E.OK) {
    const { error } = buf;
    ext2.context.cache.brelse(buf);
    throw new ErrnoError(error, `ext2: descriptor of group ${group.number}: block ${block}`);
  }
  const counts = new Uint8Array(6);
  writeU16(counts, 0, group.freeBlocks);
  writeU16(counts, 2, group.freeInodes);
  writeU16(counts, 4, group.usedDirs);
  group.countsDirty = false;
  ext2.context.cache.store(buf, counts, offset + GroupDesc.freeBlocks);
  ext2.context.cache.bdwrite(buf);
}
