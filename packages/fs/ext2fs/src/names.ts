/**
 * Names and the files behind them: make, remove, rmdir, link, rename.
 *
 * Each does first what can fail for want of room, then what can only fail if the disk does, and last what
 * cannot fail: link counts and times. What has gone wrong is undone. Follows ext2_vnops.c.
 *
 * => callers hold the locks that VnodeOps asks for, and have judged types.
 */
import { GopUpdate } from "@physio/genfs";
import { Errno as E, ErrnoError, encodeName } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { NameOf, NewFile, Vnode } from "@physio/vfs";
import { vnRelease } from "@physio/vfs";
import {
  appendBlock,
  checkEmpty,
  enterName,
  prepareName,
  removeName,
  replaceName,
  startDirectory,
} from "./dir-write.ts";
import { readDirBlock } from "./directory.ts";
import { isFastSymlink } from "./inode.ts";
import { LINK_MAX } from "./layout.ts";
import { makeInode } from "./make-inode.ts";
import type { Ext2Mount } from "./mount.ts";
import { markUpdate, touch, vtoi } from "./node.ts";
import { addOrphan } from "./orphans.ts";

function checkLinks(vp: Vnode): void {
  const { links } = vtoi(vp);
  if (links < LINK_MAX) return;
  throw new ErrnoError(E.EMLINK, `ext2: inode ${vp.ino} has ${links} links`);
}

/** @bsd #Y ext2_create, ext2_mkdir, ext2_symlink, ext2_mknod, ext2_makeinode */
export function* make(ext2: Ext2Mount, dvp: Vnode, name: string, file: NewFile): Sleeps<Vnode> {
  const directory = file.type === "directory";
  if (directory) checkLinks(dvp);
  const vp = yield* makeInode(ext2, dvp, file);
  try {
    if (directory) yield* startDirectory(ext2, vp, dvp);
    if (file.type === "symlink") yield* putTarget(ext2, vp, encodeName(file.target ?? ""));
    yield* enterName(ext2, dvp, name, vp);
  } catch (error) {
    vtoi(vp).links = 0;
    yield* vnRelease(vp);
    throw error;
  }
  if (directory) vtoi(dvp).links++;
  markUpdate(ext2, dvp, GopUpdate.MODIFIED);
  return vp;
}

/** A target that does not fit into the inode gets a block. */
function* putTarget(ext2: Ext2Mount, vp: Vnode, target: Uint8Array): Sleeps<void> {
  if (isFastSymlink(vtoi(vp), ext2.sb.blockSize)) return;
  yield* appendBlock(ext2, vp, 0, (bytes) => bytes.set(target));
}

/** One name less. @bsd #Y ext2_remove */
export function* remove(ext2: Ext2Mount, dvp: Vnode, name: string, vp: Vnode): Sleeps<void> {
  checkNamed(ext2, vp, 1);
  yield* removeName(ext2, dvp, name);
  dropLink(ext2, vp);
  markUpdate(ext2, dvp, GopUpdate.MODIFIED);
}

/** @bsd #Y ext2_rmdir */
export function* rmdir(ext2: Ext2Mount, dvp: Vnode, name: string, vp: Vnode): Sleeps<void> {
  checkNamed(ext2, dvp, 3);
  yield* checkEmpty(ext2, vp);
  yield* removeName(ext2, dvp, name);
  endDirectory(ext2, dvp, vp);
  markUpdate(ext2, dvp, GopUpdate.MODIFIED);
}

/** @bsd #Y ext2_link */
export function* link(ext2: Ext2Mount, dvp: Vnode, name: string, vp: Vnode): Sleeps<void> {
  checkLinks(vp);
  yield* enterName(ext2, dvp, name, vp);
  const inode = vtoi(vp);
  inode.links++;
  inode.ctime = ext2.now();
  touch(ext2, vp);
  markUpdate(ext2, dvp, GopUpdate.MODIFIED);
}

/** @throws {ErrnoError} EIO: it has fewer links than names. */
function checkNamed(ext2: Ext2Mount, vp: Vnode, least: number): void {
  const { links } = vtoi(vp);
  if (links >= least) return;
  throw ext2.corrupt(`inode ${vp.ino} has ${links} links, and ${least} names at least`);
}

function dropLink(ext2: Ext2Mount, vp: Vnode): void {
  const inode = vtoi(vp);
  inode.links--;
  inode.ctime = ext2.now();
  if (inode.links === 0) addOrphan(ext2, vp);
  else touch(ext2, vp);
}

/** A directory has lost its name, and with it `dvp` its "..". */
function endDirectory(ext2: Ext2Mount, dvp: Vnode, vp: Vnode): void {
  const inode = vtoi(vp);
  inode.links = 0;
  inode.ctime = ext2.now();
  addOrphan(ext2, vp);
  ext2.directories.forget(vp);
  vtoi(dvp).links--;
}

/** @bsd #Y ext2_rename */
export function* rename(
  ext2: Ext2Mount,
  from: NameOf<Vnode>,
  to: NameOf<Vnode | null>,
): Sleeps<void> {
  const { vp } = from;
  const directory = vp.type === "directory";
  const moves = directory && from.dvp !== to.dvp;
  if (moves) checkNamed(ext2, from.dvp, 3);
  if (moves && to.vp === null) checkLinks(to.dvp);
  if (to.vp !== null) checkNamed(ext2, to.vp, 1);
  if (to.vp?.type === "directory") {
    checkNamed(ext2, to.dvp, 3);
    yield* checkEmpty(ext2, to.vp);
  }
  yield* prepareName(ext2, from.dvp, from.name);
  if (moves) yield* readDirBlock(ext2, vp, 0);
  yield* moveName(ext2, from, to, moves);
  if (to.vp?.type === "directory") endDirectory(ext2, to.dvp, to.vp);
  else if (to.vp !== null) dropLink(ext2, to.vp);
  if (moves) {
    vtoi(from.dvp).links--;
    vtoi(to.dvp).links++;
    ext2.directories.forget(vp);
  }
  vtoi(vp).ctime = ext2.now();
  touch(ext2, vp);
  markUpdate(ext2, from.dvp, GopUpdate.MODIFIED);
  markUpdate(ext2, to.dvp, GopUpdate.MODIFIED);
}

/** The new name first, so that the file always has one. */
function* moveName(
  ext2: Ext2Mount,
  from: NameOf<Vnode>,
  to: NameOf<Vnode | null>,
  moves: boolean,
): Sleeps<void> {
  const { vp } = from;
  if (to.vp === null) yield* enterName(ext2, to.dvp, to.name, vp);
  else yield* replaceName(ext2, to.dvp, to.name, vp);
  try {
    if (moves) yield* replaceName(ext2, vp, "..", to.dvp);
    yield* removeName(ext2, from.dvp, from.name);
  } catch (error) {
    if (moves) yield* replaceName(ext2, vp, "..", from.dvp);
    if (to.vp === null) yield* removeName(ext2, to.dvp, to.name);
    else yield* replaceName(ext2, to.dvp, to.name, to.vp);
    throw error;
  }
}
