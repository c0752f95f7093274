/**
 * The block map: from a logical block of a file to a block of the disk.
 *
 * Twelve direct pointers in the inode, then one, two and three levels of indirect blocks. A pointer
 * of 0 is a hole, at any level. A run is counted as far as the pointers of the last indirect block
 * (or the inode) go. Follows ext2_bmap.c.
 */
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { BlockMap, Vnode } from "@physio/vfs";
import { BLOCK_SLOTS, DIRECT_BLOCKS, readU32 } from "./layout.ts";
import type { Ext2Mount } from "./mount.ts";
import { vtoi } from "./node.ts";

/** Blocks that one run covers at most; enough for the largest page request. */
const MAX_RUN = 64;

/** Where the pointer of a logical block is: the slot of the inode, and the indexes below it. */
export interface Chain {
  readonly slot: number;
  readonly indexes: readonly number[];
}

/** @returns null when the block lies past what three levels reach. */
export function chainOf(lbn: number, blockSize: number): Chain | null {
  if (lbn < DIRECT_BLOCKS) return { slot: lbn, indexes: [] };
  const fanOut = blockSize / 4;
  let left = lbn - DIRECT_BLOCKS;
  for (let level = 1; DIRECT_BLOCKS + level <= BLOCK_SLOTS; level++) {
    const reach = fanOut ** level;
    if (left < reach) {
      const indexes: number[] = [];
      for (let l = level - 1; l >= 0; l--) indexes.push(Math.floor(left / fanOut ** l) % fanOut);
      return { slot: DIRECT_BLOCKS + level - 1, indexes };
    }
    left -= reach;
  }
  return null;
}

/** Blocks after the pointer at `at` that continue it: `next(i)` is the i-th pointer after it. */
function countRun(
  ext2: Ext2Mount,
  block: number,
  most: number,
  next: (i: number) => number,
): number {
  let run = 0;
  while (run < most) {
    const following = next(run + 1);
    const joined = block === 0 ? following === 0 : following === block + run + 1;
    if (!joined || (block !== 0 && !ext2.isFileBlock(following))) break;
    run++;
  }
  return run;
}

/** Blocks after the one at `indexes` that a missing indirect block leaves as a hole with it. */
function holeRun(indexes: readonly number[], fanOut: number, direct = 0): number {
  if (indexes.length === 0) return direct;
  const at = indexes.reduce((sum, index) => sum * fanOut + index, 0);
  return fanOut ** indexes.length - 1 - at;
}

/** Copy an indirect block to `ext2.pointerBlock`. @returns OK; EIO; ENOMEM: no memory for a buf. */
function* readPointers(ext2: Ext2Mount, block: number): Sleeps<Errno> {
  try {
    const { cache } = ext2.context;
    const buf = yield* ext2.bread(block);
    const { error } = buf;
    if (error === E.OK) cache.copy(buf, ext2.pointerBlock);
    cache.brelse(buf);
    return error;
  } catch (error) {
    // The caller holds pages and a lock: it must get an errno and clean up.
    if (error instanceof ErrnoError) return error.errno;
    throw error;
  }
}

/** A pointer leads out of the file system. */
function outside(ext2: Ext2Mount, vp: Vnode, lbn: number, block: number): Errno {
  return ext2.corrupt(`inode ${vp.ino}: pointer ${block} on the way to block ${lbn}`).errno;
}

/**
 * Find block `lbn` of a file.
 * @returns OK: `out` says where; EIO: a pointer leads out of the file system, or cannot be read; ENOMEM: no memory for a buf.
 * @bsd #Y VOP_BMAP
 */
export function* ext2Bmap(ext2: Ext2Mount, vp: Vnode, lbn: number, out: BlockMap): Sleeps<Errno> {
  const inode = vtoi(vp);
  const { sb } = ext2;
  const chain = chainOf(lbn, sb.blockSize);
  if (chain === null) return E.EIO;
  let block = inode.block[chain.slot];
  let run = 0;
  if (chain.indexes.length === 0) {
    const most = Math.min(DIRECT_BLOCKS - 1 - chain.slot, MAX_RUN);
    run = countRun(ext2, block, most, (i) => inode.block[chain.slot + i]);
  }
  if (block === 0) run = holeRun(chain.indexes, sb.blockSize / 4, run);
  for (let level = 0; level < chain.indexes.length && block !== 0; level++) {
    if (!ext2.isFileBlock(block)) return outside(ext2, vp, lbn, block);
    const error = yield* readPointers(ext2, block);
    if (error !== E.OK) return error;
    const bytes = ext2.pointerBlock;
    const index = chain.indexes[level];
    block = readU32(bytes, index * 4);
    if (level < chain.indexes.length - 1) {
      if (block === 0) run = holeRun(chain.indexes.slice(level + 1), sb.blockSize / 4);
      continue;
    }
    const most = Math.min(sb.blockSize / 4 - 1 - index, MAX_RUN);
    run = countRun(ext2, block, most, (i) => readU32(bytes, (index + i) * 4));
  }
  if (block !== 0 && !ext2.isFileBlock(block)) return outside(ext2, vp, lbn, block);
  out.blkno = block === 0 ? -1 : ext2.sectorOf(block);
  out.run = run;
  return E.OK;
}
