/**
 * The end of files: what is done when nobody uses a vnode, and when it leaves memory.
 *
 * A file without names loses its pages, blocks and attributes when its last user leaves (inactive); its inode
 * is free when the vnode ends (reclaim), so no other file gets its number before. Follows ext2_inode.c
 * (ext2_inactive) and ext2_vnops.c (ext2_reclaim) in what they do.
 */
import { genfsTruncate } from "@physio/genfs";
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError, roundPage } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import { Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { freeBlocks } from "./balloc.ts";
import { freeInode } from "./ialloc.ts";
import { isFastSymlink } from "./inode.ts";
import {
  ATTRIBUTES_MAGIC,
  ATTRIBUTES_REFERENCES,
  readU32,
  SECTOR_BYTES,
  writeU32,
} from "./layout.ts";
import { ext2Release } from "./map-write.ts";
import type { Ext2Mount } from "./mount.ts";
import { touch, vtoe, vtoi } from "./node.ts";
import { dropOrphan } from "./orphans.ts";

/** Whether the last user of a vnode leaves a file without names. */
export function inactiveDue(ext2: Ext2Mount, vp: Vnode): boolean {
  return vtoi(vp).links === 0 && !ext2.mount.readOnly;
}

/** @returns whether the file is gone. @throws {ErrnoError} EIO: some of its blocks cannot be freed. @bsd #Y ext2_inactive */
export function* inactive(ext2: Ext2Mount, vp: Vnode): Sleeps<boolean> {
  if (!inactiveDue(ext2, vp)) return false;
  const node = vtoe(vp);
  if (node.emptied) return true;
  const error = yield* freeContents(ext2, vp);
  if (error !== E.OK) throw new ErrnoError(error, `ext2: inode ${vp.ino}: its blocks`);
  yield* freeAttributes(ext2, vp);
  yield* dropOrphan(ext2, vp.ino);
  node.emptied = true;
  node.inode.dtime = Math.max(1, ext2.now());
  touch(ext2, vp);
  return true;
}

function* freeContents(ext2: Ext2Mount, vp: Vnode): Sleeps<Errno> {
  const inode = vtoi(vp);
  if (vp.type === "regular") {
    const error = yield* genfsTruncate(vp, 0, (size) => ext2Release(ext2, vp, size));
    return error === E.OK ? yield* freeBeyond(ext2, vp) : error;
  }
  const holdsBlocks = vp.type === "directory" || vp.type === "symlink";
  if (!holdsBlocks || isFastSymlink(inode, ext2.sb.blockSize)) return E.OK;
  const error = yield* ext2Release(ext2, vp, 0);
  if (error !== E.OK) return error;
  vp.size = 0;
  vp.writeSize = 0;
  inode.size = 0;
  return E.OK;
}

/** Blocks behind the end of a file, if a write that failed has left some. => the vnode is locked alone. @returns OK; EIO. */
export function* freeBeyond(ext2: Ext2Mount, vp: Vnode): Sleeps<Errno> {
  const { lock } = vtoe(vp).genfs;
  yield* lock.enter(RW_WRITER);
  let error: Errno = E.OK;
  if (vp.object.pageCount > 0) {
    error = yield* vp.ops.putpages(vp, roundPage(vp.size), 0, Pgo.FREE | Pgo.SYNCIO);
  }
  if (error === E.OK) error = yield* ext2Release(ext2, vp, vp.size);
  lock.exit();
  return error;
}

/** One file less has a block of extended attributes; it is free when no file has it. */
function* freeAttributes(ext2: Ext2Mount, vp: Vnode): Sleeps<void> {
  const inode = vtoi(vp);
  const block = inode.fileAcl;
  if (block === 0) return;
  if (!ext2.isFileBlock(block)) throw ext2.corrupt(`inode ${vp.ino}: attributes at block ${block}`);
  const bytes = yield* ext2.readBlock(block, `attributes of inode ${vp.ino}`);
  const references = readU32(bytes, ATTRIBUTES_REFERENCES);
  if (readU32(bytes, 0) !== ATTRIBUTES_MAGIC || references === 0) {
    throw ext2.corrupt(`inode ${vp.ino}: block ${block} holds no attributes`);
  }
  if (references > 1) {
    writeU32(bytes, ATTRIBUTES_REFERENCES, references - 1);
    yield* ext2.replaceBlock(block, bytes);
  } else {
    yield* ext2.forgetBlock(block);
    const error = yield* freeBlocks(ext2, block, 1);
    if (error !== E.OK) throw new ErrnoError(error, `ext2: inode ${vp.ino}: attributes`);
  }
  inode.fileAcl = 0;
  inode.sectors -= ext2.sb.blockSize / SECTOR_BYTES;
  touch(ext2, vp);
}

/** The vnode ends. Between freeing the inode and the end nobody sleeps. @returns OK; EIO, ENOMEM: the inode cannot be written. @bsd #Y ext2_reclaim */
export function* reclaim(ext2: Ext2Mount, vp: Vnode): Sleeps<Errno> {
  const node = vtoe(vp);
  const gone = node.emptied && node.inode.links === 0;
  if (gone || ext2.dirtyInodes.has(vp)) {
    const error = yield* ext2.writeInode(vp, false);
    if (error !== E.OK) return error;
  }
  if (gone) {
    try {
      yield* freeInode(ext2, vp.ino, vp.type === "directory");
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      if (!ext2.damaged) return error.errno;
    }
  }
  ext2.dirtyInodes.delete(vp);
  ext2.directories.forget(vp);
  return E.OK;
}
