/** New inodes: where they are, and what stands in them before there is a name for them. */
import { Errno as E, ErrnoError, encodeName } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { NewFile, Vnode } from "@physio/vfs";
import { allocInode, freeInode } from "./ialloc.ts";
import type { DeviceNumber, Inode } from "./inode.ts";
import { newInode } from "./inode.ts";
import {
  BLOCK_SLOT_BYTES,
  Ino,
  MODE_PERMISSIONS,
  readU16,
  readU32,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
} from "./layout.ts";
import type { Ext2Mount } from "./mount.ts";
import { touch, vtoe } from "./node.ts";

const TYPE_BITS = Object.freeze({
  regular: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  "character special": S_IFCHR,
  "block special": S_IFBLK,
  FIFO: S_IFIFO,
  socket: S_IFSOCK,
});
const MAJOR_MAX = 0xfff;
const MINOR_MAX = 0xfffff;

/**
 * The vnode of a new inode, near directory `dvp`, referenced: as `file` says, without blocks and with one link, or two.
 * @throws {ErrnoError} ENOSPC: no inode; EINVAL: a device number; ENAMETOOLONG: a target; EIO; ENOMEM.
 */
export function* makeInode(ext2: Ext2Mount, dvp: Vnode, file: NewFile): Sleeps<Vnode> {
  checkFile(ext2, file);
  const directory = file.type === "directory";
  const ino = yield* allocInode(ext2, dvp.ino, directory);
  try {
    const generation = yield* checkSlot(ext2, ino);
    const inode = newInode(
      ext2.sb,
      ino,
      TYPE_BITS[file.type] | (file.mode & MODE_PERMISSIONS),
      generation,
    );
    fillInode(ext2, inode, file);
    const vp = ext2.makeVnode(inode);
    vtoe(vp).fresh = true;
    touch(ext2, vp);
    return vp;
  } catch (error) {
    if (!ext2.damaged) yield* freeInode(ext2, ino, directory);
    throw error;
  }
}

function checkFile(ext2: Ext2Mount, { target, rdev }: NewFile): void {
  if (target !== undefined && encodeName(target).length >= ext2.sb.blockSize) {
    throw new ErrnoError(E.ENAMETOOLONG, `ext2: a target of ${target.length} characters`);
  }
  if (rdev === undefined) return;
  const { major, minor } = rdev;
  if (major >= 0 && major <= MAJOR_MAX && minor >= 0 && minor <= MINOR_MAX) return;
  throw new ErrnoError(E.EINVAL, `ext2: device ${major}, ${minor}`);
}

/** An inode that a bitmap calls free must be so. @returns the generation of its next use. */
function* checkSlot(ext2: Ext2Mount, ino: number): Sleeps<number> {
  if (ext2.mount.vnodes.has(ino)) throw ext2.corrupt(`inode ${ino} is in use and marked free`);
  const { block, offset } = ext2.placeOf(ino);
  const bytes = yield* ext2.readBlock(block, `inode ${ino}`);
  const links = readU16(bytes, offset + Ino.links);
  if (links !== 0) throw ext2.corrupt(`inode ${ino} has ${links} links and is marked free`);
  return (readU32(bytes, offset + Ino.generation) + 1) % 2 ** 32;
}

function fillInode(ext2: Ext2Mount, inode: Inode, file: NewFile): void {
  const now = ext2.now();
  inode.uid = file.uid;
  inode.gid = file.gid;
  inode.atime = now;
  inode.mtime = now;
  inode.ctime = now;
  inode.links = file.type === "directory" ? 2 : 1;
  if (file.type === "symlink") {
    const target = encodeName(file.target ?? "");
    inode.size = target.length;
    if (target.length < BLOCK_SLOT_BYTES) inode.blockBytes.set(target);
  }
  if (file.type === "character special" || file.type === "block special") {
    putDevice(inode, file.rdev ?? { major: 0, minor: 0 });
  }
}

/** Small numbers in the old form in slot 0, others in the new one in slot 1. */
function putDevice(inode: Inode, rdev: DeviceNumber): void {
  const { major, minor } = rdev;
  inode.rdev = rdev;
  if (major < 256 && minor < 256) inode.block[0] = major * 256 + minor;
  else inode.block[1] = (minor % 256) + major * 256 + Math.floor(minor / 256) * 2 ** 20;
}
