/**
 * Allocating and freeing blocks.
 *
 * A run of free blocks is looked for from a goal on, in the goal's group first, then in the others in
 * turn. Follows ext2_balloc.c in what it does; reserved blocks are given out, as to the super user.
 */
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { GroupState } from "./group-state.ts";
import { loadBlocks } from "./group-state.ts";
import type { Ext2Mount } from "./mount.ts";

/** A run of blocks. */
export class BlockRun {
  /** 0: none. */
  block: number;
  count: number;

  constructor() {
    this.block = 0;
    this.count = 0;
  }
}

/**
 * Allocate up to `want` blocks in a row, near `goal`. @returns OK: `out` says which; ENOSPC; EIO: a bitmap is damaged or unreadable; ENOMEM.
 * @bsd #Y ext2_alloc
 */
export function* allocBlocks(
  ext2: Ext2Mount,
  goal: number,
  want: number,
  out: BlockRun,
): Sleeps<Errno> {
  const { groups, sb } = ext2;
  const inside = ext2.isFileBlock(goal) ? goal : sb.firstDataBlock + 1;
  const first = Math.floor((inside - sb.firstDataBlock) / sb.blocksPerGroup);
  try {
    for (let i = 0; i < groups.length; i++) {
      const group = groups[(first + i) % groups.length];
      if (group.freeBlocks === 0) continue;
      yield* loadBlocks(ext2, group);
      if (takeRun(ext2, group, i === 0 ? inside - group.firstBlock : 0, want, out)) return E.OK;
    }
    return E.ENOSPC;
  } catch (error) {
    if (error instanceof ErrnoError) return error.errno;
    throw error;
  }
}

/** @returns false: nothing is free. */
function takeRun(
  ext2: Ext2Mount,
  group: GroupState,
  from: number,
  want: number,
  out: BlockRun,
): boolean {
  const bitmap = group.blocks!;
  let bit = bitmap.findClear(from);
  if (bit < 0) bit = bitmap.findClear(0, from);
  if (bit < 0) return false;
  out.block = group.firstBlock + bit;
  out.count = bitmap.clearRun(bit, want);
  for (let i = 0; i < out.count; i++) bitmap.set(bit + i);
  account(ext2, group, -out.count);
  return true;
}

/**
 * Free `count` blocks from `block` on. => nobody refers to them, and no buf of them is cached.
 * @returns OK; EIO: they are not all blocks of files, or free already: the mount is read-only then.
 * @bsd #Y ext2_blkfree
 */
export function* freeBlocks(ext2: Ext2Mount, block: number, count: number): Sleeps<Errno> {
  const { groups, sb } = ext2;
  try {
    for (let at = block; at < block + count; at++) {
      if (!ext2.isFileBlock(at)) throw ext2.corrupt(`block ${at} is freed, which no file can have`);
      const group = groups[Math.floor((at - sb.firstDataBlock) / sb.blocksPerGroup)];
      const bitmap = yield* loadBlocks(ext2, group);
      if (ext2.isMetadata(group, at)) throw ext2.corrupt(`block ${at} of metadata is freed`);
      if (!bitmap.clear(at - group.firstBlock)) throw ext2.corrupt(`block ${at} is freed twice`);
      account(ext2, group, 1);
    }
    return E.OK;
  } catch (error) {
    if (error instanceof ErrnoError) return error.errno;
    throw error;
  }
}

function account(ext2: Ext2Mount, group: GroupState, freed: number): void {
  group.freeBlocks += freed;
  group.blocksDirty = true;
  group.countsDirty = true;
  ext2.freeBlocks += freed;
}
