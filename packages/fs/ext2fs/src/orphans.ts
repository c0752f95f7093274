/**
 * Orphans: files without names that somebody still uses.
 *
 * They are a list on the disk, so that their blocks are not lost in a crash: the super block names the last one that
 * was unlinked, and each inode, in its time of deletion, the one before. A file leaves the list when its blocks are free.
 * What is found on the list at a mount for writing is freed then. Follows ext3's and ext4's orphan list.
 *
 * Invariant: `orphans` of the mount is the list, oldest first; all of them have no links.
 */
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { vnLock, vnRelease, vnUnlock } from "@physio/vfs";
import { Damage } from "./damage.ts";
import type { Inode } from "./inode.ts";
import { Ino, writeU32 } from "./layout.ts";
import { ext2Release } from "./map-write.ts";
import type { Ext2Mount } from "./mount.ts";
import { touch, vtoe, vtoi } from "./node.ts";

/** A file has lost its last name. */
export function addOrphan(ext2: Ext2Mount, vp: Vnode): void {
  vtoi(vp).dtime = ext2.lastOrphan;
  ext2.orphans.push(vp.ino);
  touch(ext2, vp);
}

/** An orphan has no blocks any more. One that never was on the list is none. @throws {ErrnoError} EIO. */
export function* dropOrphan(ext2: Ext2Mount, ino: number): Sleeps<void> {
  const { orphans } = ext2;
  const at = orphans.lastIndexOf(ino);
  if (at < 0) return;
  const next = orphans[at - 1] ?? 0;
  const later = orphans[at + 1];
  orphans.splice(at, 1);
  if (later === undefined) return;
  const vp = ext2.mount.cached(later);
  if (vp === null) {
    yield* setNextOnDisk(ext2, later, next);
    return;
  }
  // One that has no blocks either is about to leave the list itself, and has its time of deletion.
  if (!vtoe(vp).emptied) vtoi(vp).dtime = next;
  touch(ext2, vp);
  ext2.mount.vrele(vp);
}

/** The same for an orphan that has no vnode: its blocks could not be freed. */
function* setNextOnDisk(ext2: Ext2Mount, ino: number, next: number): Sleeps<void> {
  const { block, offset } = ext2.placeOf(ino);
  const buf = yield* ext2.bread(block);
  const { cache } = ext2.context;
  if (buf.error !== E.OK) {
    const { error } = buf;
    cache.brelse(buf);
    throw new ErrnoError(error, `ext2: inode ${ino}: block ${block}`);
  }
  const bytes = new Uint8Array(4);
  writeU32(bytes, 0, next);
  cache.store(buf, bytes, offset + Ino.dtime);
  cache.bdwrite(buf);
}

/** Free what is on the list at mount. A list that makes no sense is damage: then the mount is for reading. */
export function* freeOrphans(ext2: Ext2Mount): Sleeps<void> {
  try {
    const inodes = yield* readList(ext2, ext2.sb.lastOrphan);
    ext2.orphans.push(...inodes.map((inode) => inode.ino).reverse());
    for (const inode of inodes) yield* freeOrphan(ext2, inode);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    ext2.corrupt(`list of orphans: ${error.what}`);
  }
}

/** The inodes of the list, the first one first. */
function* readList(ext2: Ext2Mount, first: number): Sleeps<Inode[]> {
  const { firstInode, inodesCount } = ext2.sb;
  const found = new Map<number, Inode>();
  for (let ino = first; ino !== 0; ) {
    if (ino < firstInode || ino > inodesCount) throw new Damage(`inode ${ino}`);
    if (found.has(ino)) throw new Damage(`inode ${ino} is in it twice`);
    const inode = yield* ext2.readInode(ino);
    found.set(ino, inode);
    ino = inode.dtime;
  }
  return [...found.values()];
}

function* freeOrphan(ext2: Ext2Mount, inode: Inode): Sleeps<void> {
  const vp = ext2.makeVnode(inode);
  let error: Errno = E.OK;
  if (inode.links > 0) {
    // Its truncation was under way.
    yield* vnLock(vp, RW_WRITER);
    error = yield* ext2Release(ext2, vp, vp.size);
    vnUnlock(vp);
    inode.dtime = 0;
    yield* dropOrphan(ext2, vp.ino);
  }
  yield* vnRelease(vp);
  if (error !== E.OK) throw new ErrnoError(error, `inode ${inode.ino}`);
}
