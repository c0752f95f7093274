/**
 * The vnode operations of ext2.
 */

import { genfsRead, genfsWrite, getpages, getpagesNow, putpages } from "@physio/genfs";
import { decodeName, Errno, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Attributes, Vnode, VnodeOps } from "@physio/vfs";
import { BlockMap, flushVnode } from "@physio/vfs";
import { ext2Bmap } from "./bmap.ts";
import { lookupName, readDirectory } from "./directory.ts";
import { fastSymlinkTarget, isFastSymlink } from "./inode.ts";
import { MODE_PERMISSIONS } from "./layout.ts";
import type { Ext2Mount } from "./mount.ts";
import { vtoi } from "./node.ts";

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

/** A short target lies in the inode, a long one in the first block. @bsd #Y ext2_readlink */
function* readlink(ext2: Ext2Mount, vp: Vnode): Sleeps<string> {
  const inode = vtoi(vp);
  const { blockSize } = ext2.sb;
  if (vp.type !== "symlink") throw new ErrnoError(Errno.EINVAL, `inode ${vp.ino} is a ${vp.type}`);
  if (isFastSymlink(inode, blockSize)) return decodeName(fastSymlinkTarget(inode));
  if (!(vp.size > 0 && vp.size < blockSize)) {
    throw new ErrnoError(Errno.EIO, `ext2: symlink inode ${vp.ino} has ${vp.size} bytes`);
  }
  const map = new BlockMap();
  const error = yield* ext2Bmap(ext2, vp, 0, map);
  if (error !== Errno.OK || map.blkno < 0) {
    throw new ErrnoError(Errno.EIO, `ext2: symlink inode ${vp.ino} has no block`);
  }
  const bytes = yield* ext2.readBlock((map.blkno * 512) / blockSize, `symlink inode ${vp.ino}`);
  return decodeName(bytes, 0, vp.size);
}

export function ext2Vnodeops(ext2: Ext2Mount): VnodeOps {
  return {
    *lookup(dvp, name) {
      return yield* ext2.mount.vget(yield* lookupName(ext2, dvp, name));
    },
    readdir: (dvp, cookie) => readDirectory(ext2, dvp, cookie),
    readlink: (vp) => readlink(ext2, vp),
    getattr,
    read: genfsRead,
    write: genfsWrite,
    getpagesNow,
    getpages,
    putpages,
    fsync: (vp, flags = 0) => flushVnode(vp, flags),
    bmap: (vp, lbn, out) => ext2Bmap(ext2, vp, lbn, out),
  };
}
