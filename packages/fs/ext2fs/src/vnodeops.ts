/**
 * The vnode operations of ext2.
 *
 * What changes names is in names.ts, the end of files in inode-end.ts; data and pages are genfs's. Follows
 * ext2_vnops.c and ext2_readwrite.c.
 */

import type { Uio } from "@physio/carriers";
import {
  GopUpdate,
  genfsRead,
  genfsTruncate,
  genfsWrite,
  getpages,
  getpagesNow,
  putpages,
} from "@physio/genfs";
import { decodeName, Errno, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { AttributeChanges, Attributes, Vnode, VnodeOps } from "@physio/vfs";
import { FsyncFlag, flushVnode, IoFlag } from "@physio/vfs";
import { ext2Bmap } from "./bmap.ts";
import { Damage } from "./damage.ts";
import { FILE_TYPES } from "./dir-write.ts";
import { findName, readDirectory } from "./directory.ts";
import { fastSymlinkTarget, isFastSymlink } from "./inode.ts";
import { freeBeyond, inactive, inactiveDue, reclaim } from "./inode-end.ts";
import { DirentType, MODE_PERMISSIONS } from "./layout.ts";
import { ext2Release } from "./map-write.ts";
import type { Ext2Mount } from "./mount.ts";
import { link, make, remove, rename, rmdir } from "./names.ts";
import { markUpdate, touch, vtoi } from "./node.ts";

function getattr(vp: Vnode): Attributes {
  const inode = vtoi(vp);
  return {
    type: vp.type,
    mode: inode.mode & MODE_PERMISSIONS,
    ino: inode.ino,
    links: inode.links,
    uid: inode.uid,
    gid: inode.gid,
    size: vp.size,
    sectors: inode.sectors,
    blockSize: 2 ** vp.mount.fsBshift,
    atime: inode.atime,
    mtime: inode.mtime,
    ctime: inode.ctime,
    rdev: inode.rdev,
  };
}

/** A name that leads to no inode, or to one of another type than the directory says, is damage. */
function* find(ext2: Ext2Mount, dvp: Vnode, name: string): Sleeps<Vnode | null> {
  const found = yield* findName(ext2, dvp, name);
  if (found === null) return null;
  const { ino, fileType } = found;
  const where = `"${name}" in directory inode ${dvp.ino}`;
  try {
    const vp = yield* ext2.mount.vget(ino);
    if (fileType === DirentType.unknown || fileType === FILE_TYPES[vp.type]) return vp;
    ext2.mount.vrele(vp);
  } catch (error) {
    throw error instanceof Damage ? ext2.corrupt(`${where}: ${error.what}`) : error;
  }
  throw ext2.corrupt(`${where}: inode ${ino} is not of type ${fileType}`);
}

function* lookup(ext2: Ext2Mount, dvp: Vnode, name: string): Sleeps<Vnode> {
  const vp = yield* find(ext2, dvp, name);
  if (vp !== null) return vp;
  throw new ErrnoError(Errno.ENOENT, `"${name}" in directory inode ${dvp.ino}`);
}

/** A short target lies in the inode, a long one in the first block. @bsd #Y ext2_readlink */
function* readlink(ext2: Ext2Mount, vp: Vnode): Sleeps<string> {
  const inode = vtoi(vp);
  const { blockSize } = ext2.sb;
  if (vp.type !== "symlink") throw new ErrnoError(Errno.EINVAL, `inode ${vp.ino} is a ${vp.type}`);
  if (isFastSymlink(inode, blockSize)) return decodeName(fastSymlinkTarget(inode));
  if (!(vp.size > 0 && vp.size < blockSize)) {
    throw ext2.corrupt(`symlink inode ${vp.ino} has ${vp.size} bytes`);
  }
  const block = yield* ext2.blockOf(vp, 0);
  if (block === 0) throw ext2.corrupt(`symlink inode ${vp.ino} has no block`);
  const bytes = yield* ext2.readBlock(block, `symlink inode ${vp.ino}`);
  return decodeName(bytes, 0, vp.size);
}

/** What does not fit below the largest size is not written. @bsd #Y ext2_write */
function* write(ext2: Ext2Mount, vp: Vnode, uio: Uio, flags: IoFlag): Sleeps<Errno> {
  const start: number = (flags & IoFlag.APPEND) === 0 ? uio.offset : vp.size;
  const excess = Math.max(0, start + uio.resid - ext2.maxFileSize);
  if (excess > 0 && excess >= uio.resid) return Errno.EFBIG;
  uio.resid -= excess;
  let error = yield* genfsWrite(vp, uio, flags);
  uio.resid += excess;
  ext2.noteSize(vp);
  if (error !== Errno.OK && error !== Errno.EROFS) {
    yield* freeBeyond(ext2, vp); // the first error counts
  } else if (error === Errno.OK && (flags & (IoFlag.SYNC | IoFlag.DSYNC)) !== 0) {
    error = yield* fsync(ext2, vp, FsyncFlag.WAIT);
  }
  return error;
}

/** @bsd #Y ext2_setattr, ext2_truncate, ext2_chmod, ext2_chown */
function* setattr(ext2: Ext2Mount, vp: Vnode, changes: AttributeChanges): Sleeps<void> {
  const { size } = changes;
  const inode = vtoi(vp);
  if (size !== undefined) {
    const what = `ext2: inode ${vp.ino}: size ${size}`;
    if (size > ext2.maxFileSize) throw new ErrnoError(Errno.EFBIG, what);
    const error = yield* genfsTruncate(vp, size, (end) => ext2Release(ext2, vp, end));
    markUpdate(ext2, vp, GopUpdate.MODIFIED);
    if (error !== Errno.OK) throw new ErrnoError(error, what);
    ext2.noteSize(vp);
  }
  if (changes.mode !== undefined) {
    inode.mode = inode.mode - (inode.mode & MODE_PERMISSIONS) + (changes.mode & MODE_PERMISSIONS);
  }
  inode.uid = changes.uid ?? inode.uid;
  inode.gid = changes.gid ?? inode.gid;
  inode.atime = changes.atime ?? inode.atime;
  inode.mtime = changes.mtime ?? inode.mtime;
  inode.ctime = ext2.now();
  touch(ext2, vp);
}

/**
 * Pages, indirect blocks or directory blocks, and the inode. Bitmaps and counts can be found again from the
 * inodes, so they wait for sync. Who ends a vnode, the syncer and a sync of the mount leave the inode to the buffer cache.   @bsd #Y ext2_fsync
 */
function* fsync(ext2: Ext2Mount, vp: Vnode, flags: FsyncFlag): Sleeps<Errno> {
  const error = yield* flushVnode(vp, flags);
  let own: Errno = Errno.OK;
  if ((flags & (FsyncFlag.LAZY | FsyncFlag.RECLAIM | FsyncFlag.MOUNT)) !== 0) {
    if (ext2.dirtyInodes.has(vp)) own = yield* ext2.writeInode(vp, false);
    return error === Errno.OK ? own : error;
  }
  own = yield* ext2.inodeToDisk(vp);
  const stable = ext2.disk.syncCache === undefined ? Errno.OK : yield* ext2.disk.syncCache();
  if (error !== Errno.OK) return error;
  return own === Errno.OK ? stable : own;
}

/** What changes files. */
function writingOps(ext2: Ext2Mount): Partial<VnodeOps> {
  return {
    make: (dvp, name, file) => make(ext2, dvp, name, file),
    remove: (dvp, name, vp) => remove(ext2, dvp, name, vp),
    rmdir: (dvp, name, vp) => rmdir(ext2, dvp, name, vp),
    link: (dvp, name, vp) => link(ext2, dvp, name, vp),
    rename: (from, to) => rename(ext2, from, to),
    setattr: (vp, changes) => setattr(ext2, vp, changes),
    inactiveDue: (vp) => inactiveDue(ext2, vp),
    inactive: (vp) => inactive(ext2, vp),
    reclaim: (vp) => reclaim(ext2, vp),
  };
}

/** A file system mounted for reading has nothing to do when a vnode ends: such vnodes end at once. */
export function ext2Vnodeops(ext2: Ext2Mount): VnodeOps {
  return {
    lookup: (dvp, name) => lookup(ext2, dvp, name),
    find: (dvp, name) => find(ext2, dvp, name),
    readdir: (dvp, cookie) => readDirectory(ext2, dvp, cookie),
    readlink: (vp) => readlink(ext2, vp),
    getattr,
    read: genfsRead,
    write: (vp, uio, flags) => write(ext2, vp, uio, flags),
    getpagesNow,
    getpages,
    putpages,
    fsync: (vp, flags = 0) => fsync(ext2, vp, flags),
    bmap: (vp, lbn, out) => ext2Bmap(ext2, vp, lbn, out),
    ...(ext2.mount.readOnly ? {} : writingOps(ext2)),
  };
}
