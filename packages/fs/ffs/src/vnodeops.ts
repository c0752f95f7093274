/**
 * The vnode operations of FFS.
 */

import { genfsRead, getpages, getpagesNow, putpages } from "@physio/genfs";
import { decodeName, Errno, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Attributes, Vnode, VnodeOps } from "@physio/vfs";
import { flushVnode } from "@physio/vfs";
import { ffsBmap } from "./bmap.ts";
import { lookupName, readDirectory } from "./directory.ts";
import { isShortSymlink } from "./inode.ts";
import { MODE_PERMISSIONS } from "./layout.ts";
import type { FfsMount } from "./mount.ts";
import { refuseWrite } from "./mount.ts";
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

/** A short target lies in the inode, a long one in the first block. @bsd #Y ufs_readlink */
function* readlink(ffs: FfsMount, vp: Vnode): Sleeps<string> {
  const inode = vtoi(vp);
  const { sb } = ffs;
  if (vp.type !== "symlink") throw new ErrnoError(Errno.EINVAL, `inode ${vp.ino} is a ${vp.type}`);
  if (!(vp.size > 0 && vp.size <= sb.blockSize)) {
    throw new ErrnoError(Errno.EIO, `ffs: symlink inode ${vp.ino} has ${vp.size} bytes`);
  }
  if (isShortSymlink(inode, sb)) return decodeName(inode.blockBytes, 0, inode.size);
  const bytes = yield* ffs.readFileBlock(vp, 0, `symlink inode ${vp.ino}`);
  return decodeName(bytes, 0, vp.size);
}

export function ffsVnodeops(ffs: FfsMount): VnodeOps {
  return {
    *lookup(dvp, name) {
      return yield* ffs.mount.vget(yield* lookupName(ffs, dvp, name));
    },
    readdir: (dvp, cookie) => readDirectory(ffs, dvp, cookie),
    readlink: (vp) => readlink(ffs, vp),
    getattr,
    read: genfsRead,
    write: refuseWrite,
    getpagesNow,
    getpages,
    putpages,
    fsync: (vp, flags = 0) => flushVnode(vp, flags),
    bmap: (vp, lbn, out) => ffsBmap(ffs, vp, lbn, out),
  };
}
