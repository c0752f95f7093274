/**
 * Changing a file's block map: blocks for holes, and blocks given up at the end.
 *
 * Pointers are in the inode or in indirect blocks, which are metadata in the buffer cache, owned by the
 * vnode. Runs of holes under one pointer block get runs of blocks. Follows ext2_balloc.c and
 * ext2_inode.c (ext2_indirtrunc) in what they do.
 *
 * => the node's lock is held for writing, so nobody else maps the file.
 */
import type { Buf } from "@physio/blkio";
import type { Bytes, Errno, FileOffset } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { allocBlocks, BlockRun, freeBlocks } from "./balloc.ts";
import { chainOf } from "./bmap.ts";
import { BLOCK_SLOTS, DIRECT_BLOCKS, readU32, SECTOR_BYTES, writeU32 } from "./layout.ts";
import type { Ext2Mount } from "./mount.ts";
import { touch, vtoi } from "./node.ts";

/** Blocks that are allocated at once, at most. */
const RUN = 64;

/** Where a pointer is: in the inode, or in a busy buf. */
interface Place {
  /** The logical block that it is of. */
  readonly lbn: number;
  /** Null: the inode's slots. */
  readonly buf: Buf | null;
  /** The pointer, and how many are there in all. */
  readonly index: number;
  readonly count: number;
}

/** One file that is being changed. */
class FileMap {
  readonly ext2: Ext2Mount;
  readonly vp: Vnode;
  readonly run: BlockRun;
  /** Where the next block should be. */
  goal: number;
  /** What the call has allocated: logical block, first block and length of each run. */
  readonly fresh: (readonly [lbn: number, block: number, count: number])[];

  constructor(ext2: Ext2Mount, vp: Vnode) {
    this.ext2 = ext2;
    this.vp = vp;
    this.run = new BlockRun();
    this.goal = 0;
    this.fresh = [];
  }
}

/**
 * Allocate blocks for all holes in [`offset`, `offset + length`). After an error those that were had are holes
 * again: nobody writes to them, and they would show what the disk has there. Indirect blocks stay.
 * @returns OK; ENOSPC; EFBIG: three levels do not reach there; EIO; ENOMEM.   @bsd #Y GOP_ALLOC, ext2_balloc
 */
export function* ext2Alloc(
  ext2: Ext2Mount,
  vp: Vnode,
  offset: FileOffset,
  length: Bytes,
): Sleeps<Errno> {
  const { blockSize } = ext2.sb;
  const map = new FileMap(ext2, vp);
  const end = Math.ceil((offset + length) / blockSize);
  try {
    for (let lbn = Math.floor(offset / blockSize); lbn < end; ) {
      lbn += yield* fillFrom(map, lbn, end - lbn);
    }
    return E.OK;
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    for (const [lbn, block, count] of map.fresh) yield* takeBack(map, lbn, block, count);
    return error.errno;
  } finally {
    touch(ext2, vp);
  }
}

/** A run of blocks that was just allocated is a hole again. What cannot be undone stays the file's. */
function* takeBack(map: FileMap, lbn: number, block: number, count: number): Sleeps<void> {
  const { ext2, vp } = map;
  const chain = chainOf(lbn, ext2.sb.blockSize)!;
  const { block: slots } = vtoi(vp);
  try {
    if (chain.indexes.length === 0) slots.fill(0, chain.slot, chain.slot + count);
    else {
      let pointers = slots[chain.slot];
      for (const index of chain.indexes.slice(0, -1)) {
        pointers = yield* childBlock(map, pointers, index);
      }
      const buf = yield* readIndirect(map, pointers);
      ext2.context.cache.store(buf, new Uint8Array(count * 4), chain.indexes.at(-1)! * 4);
      ext2.context.cache.bdwrite(buf);
    }
  } catch (error) {
    if (error instanceof ErrnoError) return;
    throw error;
  }
  if ((yield* freeBlocks(ext2, block, count)) === E.OK) addSectors(map, -count);
}

/** Give block `lbn`, and holes behind it under the same pointers, blocks. @returns blocks that are done, at most `most`. */
function* fillFrom(map: FileMap, lbn: number, most: number): Sleeps<number> {
  const { ext2, vp } = map;
  const { block: slots } = vtoi(vp);
  const chain = chainOf(lbn, ext2.sb.blockSize);
  if (chain === null) throw new ErrnoError(E.EFBIG, `ext2: inode ${vp.ino}: block ${lbn}`);
  if (map.goal === 0) map.goal = yield* firstGoal(map, lbn);
  if (chain.indexes.length === 0) {
    const place = { lbn, buf: null, index: chain.slot, count: DIRECT_BLOCKS };
    return yield* fillRun(map, place, most, slots, null);
  }
  slots[chain.slot] = yield* indirectBlock(map, slots[chain.slot]);
  let block = slots[chain.slot];
  const last = chain.indexes.length - 1;
  for (let level = 0; level < last; level++) {
    block = yield* childBlock(map, block, chain.indexes[level]);
  }
  const buf = yield* readIndirect(map, block);
  const count = ext2.sb.blockSize / 4;
  const bytes = ext2.context.cache.copy(buf, new Uint8Array(ext2.sb.blockSize));
  const place = { lbn, buf, index: chain.indexes[last], count };
  return yield* fillRun(map, place, most, null, bytes);
}

/** Behind the block before, or at the start of the inode's group. */
function* firstGoal({ ext2, vp }: FileMap, lbn: number): Sleeps<number> {
  if (lbn > 0) {
    const before = yield* ext2.blockOf(vp, lbn - 1);
    if (before > 0) return before + 1;
  }
  const group = Math.floor((vp.ino - 1) / ext2.sb.inodesPerGroup);
  return ext2.groups[group].firstBlock;
}

/** Fill the hole at a place and those that follow it. A busy buf is given back. @returns blocks passed, holes or not. */
function* fillRun(
  map: FileMap,
  { lbn, buf, index, count }: Place,
  most: number,
  slots: Uint32Array | null,
  bytes: Uint8Array | null,
): Sleeps<number> {
  const { ext2, vp, run } = map;
  const { cache } = ext2.context;
  const pointer = (i: number) => (slots === null ? readU32(bytes!, i * 4) : slots[i]);
  const room = Math.min(most, count - index, RUN);
  if (pointer(index) !== 0) {
    if (buf !== null) cache.brelse(buf);
    let passed = 1;
    while (passed < room && pointer(index + passed) !== 0) passed++;
    map.goal = pointer(index + passed - 1) + 1;
    return passed;
  }
  let want = 1;
  while (want < room && pointer(index + want) === 0) want++;
  const error = yield* allocBlocks(ext2, map.goal, want, run);
  if (error !== E.OK) {
    if (buf !== null) cache.brelse(buf);
    throw new ErrnoError(error, `ext2: inode ${vp.ino}: no block`);
  }
  for (let i = 0; i < run.count; i++) {
    if (slots === null) writeU32(bytes!, (index + i) * 4, run.block + i);
    else slots[index + i] = run.block + i;
  }
  if (buf !== null) {
    cache.store(buf, bytes!.subarray(index * 4, (index + run.count) * 4), index * 4);
    cache.bdwrite(buf);
  }
  map.goal = run.block + run.count;
  map.fresh.push([lbn, run.block, run.count]);
  addSectors(map, run.count);
  return run.count;
}

/** The indirect block that `pointer` names; a new one, full of holes, if it names none. */
function* indirectBlock(map: FileMap, pointer: number): Sleeps<number> {
  const { ext2, vp, run } = map;
  if (pointer !== 0) return pointer;
  const error = yield* allocBlocks(ext2, map.goal, 1, run);
  if (error !== E.OK) throw new ErrnoError(error, `ext2: inode ${vp.ino}: no indirect block`);
  const { block } = run;
  map.goal = block + 1;
  const buf = yield* ext2.getblk(block, vp);
  ext2.context.cache.clear(buf);
  ext2.context.cache.bdwrite(buf);
  addSectors(map, 1);
  return block;
}

/** The indirect block that pointer `index` of `block` names, made if there is none. */
function* childBlock(map: FileMap, block: number, index: number): Sleeps<number> {
  const { cache } = map.ext2.context;
  const buf = yield* readIndirect(map, block);
  const bytes = cache.copy(buf, new Uint8Array(map.ext2.sb.blockSize));
  const found = readU32(bytes, index * 4);
  if (found !== 0) {
    cache.brelse(buf);
    return found;
  }
  cache.brelse(buf);
  const made = yield* indirectBlock(map, 0);
  const again = yield* readIndirect(map, block);
  writeU32(bytes, index * 4, made);
  cache.store(again, bytes.subarray(index * 4, index * 4 + 4), index * 4);
  cache.bdwrite(again);
  return made;
}

/** A busy buf of an indirect block. @throws {ErrnoError} EIO. */
function* readIndirect({ ext2, vp }: FileMap, block: number): Sleeps<Buf> {
  if (!ext2.isFileBlock(block)) {
    throw ext2.corrupt(`inode ${vp.ino}: indirect block ${block}`);
  }
  const buf = yield* ext2.bread(block, vp);
  if (buf.error === E.OK) return buf;
  const { error } = buf;
  ext2.context.cache.brelse(buf);
  throw new ErrnoError(error, `ext2: inode ${vp.ino}: indirect block ${block}`);
}

function addSectors({ ext2, vp }: FileMap, blocks: number): void {
  vtoi(vp).sectors += blocks * (ext2.sb.blockSize / SECTOR_BYTES);
}

/**
 * Free all blocks of a file beyond `size`, indirect ones included.
 * => its pages beyond are gone, and no I/O on them is under way.
 * @returns OK; EIO: a pointer leads out of the file system, or cannot be read: what could be freed is.
 * @bsd #Y ext2_indirtrunc
 */
export function* ext2Release(ext2: Ext2Mount, vp: Vnode, size: Bytes): Sleeps<Errno> {
  const { blockSize } = ext2.sb;
  const { block: slots } = vtoi(vp);
  const keep = Math.ceil(size / blockSize);
  const map = new FileMap(ext2, vp);
  let result: Errno = E.OK;
  let first = DIRECT_BLOCKS;
  for (let slot = DIRECT_BLOCKS; slot < BLOCK_SLOTS; slot++) {
    const level = slot - DIRECT_BLOCKS + 1;
    const reach = (blockSize / 4) ** level;
    if (slots[slot] !== 0 && first + reach > keep) {
      const error = yield* releaseSlot(map, slots, slot, level, keep - first);
      if (error !== E.OK) result = error;
    }
    first += reach;
  }
  for (let slot = Math.min(keep, DIRECT_BLOCKS); slot < DIRECT_BLOCKS; slot++) {
    if (slots[slot] === 0) continue;
    const error = yield* releaseData(map, slots[slot], 1);
    if (error !== E.OK) result = error;
    slots[slot] = 0;
  }
  touch(ext2, vp);
  return result;
}

function* releaseSlot(
  map: FileMap,
  slots: Uint32Array,
  slot: number,
  level: number,
  keep: number,
): Sleeps<Errno> {
  try {
    if (yield* releaseTree(map, slots[slot], level, keep)) slots[slot] = 0;
    return E.OK;
  } catch (error) {
    if (error instanceof ErrnoError) return error.errno;
    throw error;
  }
}

/** Free what lies below indirect block `block` behind its first `keep` data blocks. @returns whether nothing is left, and the block itself is freed. */
function* releaseTree(map: FileMap, block: number, level: number, keep: number): Sleeps<boolean> {
  const { ext2 } = map;
  const { cache } = ext2.context;
  const fanOut = ext2.sb.blockSize / 4;
  const buf = yield* readIndirect(map, block);
  const bytes = cache.copy(buf, new Uint8Array(ext2.sb.blockSize));
  cache.brelse(buf);
  const below = fanOut ** (level - 1);
  for (let i = Math.max(0, Math.floor(keep / below)); i < fanOut; i++) {
    const pointer = readU32(bytes, i * 4);
    if (pointer === 0) continue;
    if (level > 1) {
      if (yield* releaseTree(map, pointer, level - 1, keep - i * below)) writeU32(bytes, i * 4, 0);
    } else if (i >= keep) {
      let run = 1;
      while (i + run < fanOut && readU32(bytes, (i + run) * 4) === pointer + run) run++;
      const error = yield* releaseData(map, pointer, run);
      if (error !== E.OK)
        throw new ErrnoError(error, `ext2: inode ${map.vp.ino}: block ${pointer}`);
      for (let j = i; j < i + run; j++) writeU32(bytes, j * 4, 0);
      i += run - 1;
    }
  }
  if (bytes.some((byte) => byte !== 0)) {
    yield* ext2.replaceBlock(block, bytes, map.vp);
    return false;
  }
  yield* ext2.forgetBlock(block);
  const error = yield* releaseData(map, block, 1);
  if (error !== E.OK) throw new ErrnoError(error, `ext2: inode ${map.vp.ino}: block ${block}`);
  return true;
}

function* releaseData(map: FileMap, block: number, count: number): Sleeps<Errno> {
  const { ext2, vp } = map;
  if (vp.type !== "regular") {
    for (let i = 0; i < count; i++) yield* ext2.forgetBlock(block + i);
  }
  const error = yield* freeBlocks(ext2, block, count);
  if (error === E.OK) addSectors(map, -count);
  return error;
}
