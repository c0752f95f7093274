/**
 * The block map: from a logical block of a file to a fragment of the disk.
 *
 * Twelve direct block numbers in the inode, then one, two and three levels of indirect blocks. A
 * number of 0 is a hole, at any level. A run is counted as far as the numbers of the last indirect
 * block (or the inode) go, and not beyond the file's last block, which may be a few fragments: the map
 * speaks of it as of a block, and what genfs transfers ends where `blocksEnd` says. Follows
 * ufs_bmap.c.
 */
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { BlockMap, Vnode } from "@physio/vfs";
import { isDataRun } from "./group.ts";
import { fragsOfBlock, readPointer } from "./inode.ts";
import { DIRECT_BLOCKS, INDIRECT_LEVELS } from "./layout.ts";
import type { FfsMount } from "./mount.ts";
import { vtoi } from "./node.ts";

/** Blocks that one run covers at most; enough for the largest page request. */
const MAX_RUN = 64;

/** Where the number of a logical block is: the slot of the inode, and the indexes below it. */
interface Chain {
  readonly slot: number;
  readonly indexes: readonly number[];
}

/** @returns null when the block lies past what three levels reach. */
function chainOf(lbn: number, fanOut: number): Chain | null {
  if (lbn < DIRECT_BLOCKS) return { slot: lbn, indexes: [] };
  let left = lbn - DIRECT_BLOCKS;
  for (let level = 1; level <= INDIRECT_LEVELS; level++) {
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

/** Block numbers, in an inode or in an indirect block. */
type Pointers = (index: number) => number;

/** One question to the map. */
class Query {
  readonly ffs: FfsMount;
  readonly size: number;
  readonly lbn: number;
  /** Blocks after `lbn` that are of interest. */
  readonly most: number;

  constructor(ffs: FfsMount, size: number, lbn: number) {
    this.ffs = ffs;
    this.size = size;
    this.lbn = lbn;
    const last = Math.ceil(size / ffs.sb.blockSize) - 1;
    this.most = Math.max(0, Math.min(MAX_RUN, last - lbn));
  }

  /** Whether `frag` can be the place of block `lbn + i`. */
  isGood(frag: number, i: number): boolean {
    const { sb } = this.ffs;
    return isDataRun(sb, frag, fragsOfBlock(sb, this.size, this.lbn + i));
  }

  /** Blocks that continue the one at `index`: on the disk, or in the hole. => `next` is good up to `length`. */
  countRun(next: Pointers, index: number, length: number): number {
    const { frags } = this.ffs.sb;
    const first = next(index);
    const most = Math.min(this.most, length - 1 - index);
    let run = 0;
    while (run < most) {
      const following = next(index + run + 1);
      if (first === 0) {
        if (following !== 0) break;
      } else if (following !== first + (run + 1) * frags || !this.isGood(following, run + 1)) break;
      run++;
    }
    return run;
  }
}

/** Blocks after the one at `indexes` that a missing indirect block leaves as a hole with it. */
function holeRun(indexes: readonly number[], fanOut: number): number {
  const at = indexes.reduce((sum, index) => sum * fanOut + index, 0);
  return fanOut ** indexes.length - 1 - at;
}

/** Copy an indirect block to `ffs.pointerBlock`. @returns OK; EIO: no place for one, or the disk; ENOMEM: no memory for a buf. */
function* readPointers(ffs: FfsMount, frag: number): Sleeps<Errno> {
  if (!isDataRun(ffs.sb, frag, ffs.sb.frags)) return E.EIO;
  try {
    const buf = yield* ffs.bread(frag);
    const { error } = buf;
    if (error === E.OK) ffs.context.cache.copy(buf, ffs.pointerBlock);
    ffs.context.cache.brelse(buf);
    return error;
  } catch (error) {
    // The caller holds pages and a lock: it must get an errno and clean up.
    if (error instanceof ErrnoError) return error.errno;
    throw error;
  }
}

/**
 * Find block `lbn` of a file.
 * @returns OK: `out` says where; EIO: a block number leads out of the file system, into what is not
 *   data, or cannot be read; ENOMEM: no memory for a buf.
 * @bsd #Y VOP_BMAP
 */
export function* ffsBmap(ffs: FfsMount, vp: Vnode, lbn: number, out: BlockMap): Sleeps<Errno> {
  const inode = vtoi(vp);
  const { sb, pointerBlock } = ffs;
  const { pointersPerBlock: fanOut } = sb;
  const chain = chainOf(lbn, fanOut);
  if (chain === null) return E.EIO;
  const { slot, indexes } = chain;
  const query = new Query(ffs, inode.size, lbn);
  let frag = inode.block[slot];
  let run = 0;
  if (slot < DIRECT_BLOCKS) run = query.countRun((i) => inode.block[i], slot, DIRECT_BLOCKS);
  else if (frag === 0) run = holeRun(indexes, fanOut);
  for (let level = 0; level < indexes.length && frag !== 0; level++) {
    const error = yield* readPointers(ffs, frag);
    if (error !== E.OK) return error;
    const next: Pointers = (i) => readPointer(pointerBlock, 0, i, sb);
    const index = indexes[level];
    frag = next(index);
    if (level === indexes.length - 1) run = query.countRun(next, index, fanOut);
    else if (frag === 0) run = holeRun(indexes.slice(level + 1), fanOut);
  }
  if (frag !== 0 && !query.isGood(frag, 0)) return E.EIO;
  out.blkno = frag === 0 ? -1 : ffs.sectorOf(frag);
  out.run = run;
  return E.OK;
}
