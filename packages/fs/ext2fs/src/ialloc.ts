/**
 * Allocating and freeing inodes.
 *
 * A file's inode goes to its directory's group if there is room, else to another by ever longer steps; a
 * directory's to the group with the most free blocks among those with more free inodes than the average. Follows
 * ext2_ialloc.c in what it does.
 */
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { inodeLocation } from "./group.ts";
import type { GroupState } from "./group-state.ts";
import { loadInodes } from "./group-state.ts";
import type { Ext2Mount } from "./mount.ts";

/** A new inode's number, near directory `parent`. @throws {ErrnoError} ENOSPC: there is none; EIO: a bitmap. @bsd #Y ext2_valloc */
export function* allocInode(ext2: Ext2Mount, parent: number, directory: boolean): Sleeps<number> {
  for (const group of candidates(ext2, parent, directory)) {
    const bitmap = yield* loadInodes(ext2, group);
    const reserved = group.number === 0 ? ext2.sb.firstInode - 1 : 0;
    const bit = bitmap.findClear(reserved);
    if (bit < 0) continue;
    bitmap.set(bit);
    account(ext2, group, -1, directory);
    return group.number * ext2.sb.inodesPerGroup + bit + 1;
  }
  throw new ErrnoError(E.ENOSPC, `ext2: no free inode of ${ext2.sb.inodesCount}`);
}

/** Groups with free inodes, the best first. */
function candidates(ext2: Ext2Mount, parent: number, directory: boolean): GroupState[] {
  const { groups } = ext2;
  const count = groups.length;
  const home = inodeLocation(ext2.sb, parent).group;
  const free = groups.filter((group) => group.freeInodes > 0);
  if (directory) {
    const average = ext2.freeInodes / count;
    const roomy = free.filter((group) => group.freeInodes >= average);
    return [...roomy.toSorted((a, b) => b.freeBlocks - a.freeBlocks), ...free];
  }
  const order: GroupState[] = [groups[home]];
  for (let step = 1, at = home; step < count; step *= 2) {
    at = (at + step) % count;
    order.push(groups[at]);
  }
  const good = order.filter((group) => group.freeInodes > 0 && group.freeBlocks > 0);
  return [...good, ...free];
}

/** Free an inode. => nothing refers to it. @throws {ErrnoError} EIO: it is free already; the mount is read-only then. @bsd #Y ext2_vfree */
export function* freeInode(ext2: Ext2Mount, ino: number, directory: boolean): Sleeps<void> {
  const { group: number, index } = inodeLocation(ext2.sb, ino);
  const group = ext2.groups[number];
  const bitmap = yield* loadInodes(ext2, group);
  if (ino < ext2.sb.firstInode) throw ext2.corrupt(`reserved inode ${ino} is freed`);
  if (!bitmap.clear(index)) throw ext2.corrupt(`inode ${ino} is freed twice`);
  account(ext2, group, 1, directory);
}

function account(ext2: Ext2Mount, group: GroupState, freed: number, directory: boolean): void {
  group.freeInodes += freed;
  if (directory) group.usedDirs -= freed;
  group.inodesDirty = true;
  group.countsDirty = true;
  ext2.freeInodes += freed;
}
