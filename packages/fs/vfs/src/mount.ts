/**
 * Mounts and their vnode caches.
 *
 * A mount is one file system on one disk. Its vnodes are found by inode number; referenced ones are
 * in use, the others wait on a list, oldest first, and are reclaimed when there are too many.
 * Follows sys/mount.h and vcache of vfs_vnode.c.
 *
 * Invariant (`check`): a vnode is on the idle list if and only if nobody references it.
 */

import type { BufCache, Disk, IoBufs } from "@physio/blkio";
import { Errno, ErrnoError, panic, Tailq } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { PagerMap, UvmPages } from "@physio/uvm";
import type { Vnode } from "./vnode.ts";

/** What every file system needs from its machine. */
export interface FsContext {
  readonly bufs: IoBufs;
  readonly cache: BufCache;
  readonly pages: UvmPages;
  readonly pager: PagerMap;
}

/** What a file system does for its mount. */
export interface MountOps {
  readonly fsName: string;
  /** The vnode of an inode, referenced. @throws {ErrnoError} EIO: no such inode on the disk, or a damaged one. */
  vget(ino: number): Sleeps<Vnode>;
  readonly rootIno: number;
}

const IDLE_VNODES = 256;

export class Mount {
  readonly disk: Disk;
  readonly context: FsContext;
  /** log2 of the file system's block size and of the disk's unit. */
  readonly fsBshift: number;
  readonly devBshift: number;
  readonly ops: MountOps;
  readonly #vnodes: Map<number, Vnode>;
  readonly #idle: Tailq<Vnode>;
  /** Calls of vget under way, and whether new ones are refused. */
  #gets: number;
  #ending: boolean;

  constructor(disk: Disk, context: FsContext, fsBshift: number, devBshift: number, ops: MountOps) {
    this.disk = disk;
    this.context = context;
    this.fsBshift = fsBshift;
    this.devBshift = devBshift;
    this.ops = ops;
    this.#vnodes = new Map();
    this.#idle = new Tailq<Vnode>();
    this.#gets = 0;
    this.#ending = false;
  }

  /** The root directory, referenced. @throws {ErrnoError} ENOTDIR, EIO. @bsd #Y VFS_ROOT */
  *root(): Sleeps<Vnode> {
    const vp = yield* this.vget(this.ops.rootIno);
    if (vp.type === "directory") return vp;
    this.vrele(vp);
    throw new ErrnoError(Errno.ENOTDIR, `${this.ops.fsName}: root inode ${vp.ino} is a ${vp.type}`);
  }

  /** The vnode of an inode, referenced. @throws {ErrnoError} EIO; ENOMEM; ENXIO: the mount is ending. @bsd #Y VFS_VGET */
  *vget(ino: number): Sleeps<Vnode> {
    if (this.#ending) throw new ErrnoError(Errno.ENXIO, `inode ${ino}: the mount is ending`);
    this.#gets++;
    try {
      return yield* this.ops.vget(ino);
    } finally {
      this.#gets--;
    }
  }

  /** The cached vnode of an inode, referenced, or null. @bsd #Y vcache_get */
  cached(ino: number): Vnode | null {
    const vp = this.#vnodes.get(ino);
    if (vp === undefined) return null;
    this.vref(vp);
    return vp;
  }

  /** Enter a new vnode, which its maker references. => its inode has none. */
  enter(vp: Vnode): void {
    if (this.#vnodes.has(vp.ino)) panic(`mount: inode ${vp.ino} has a vnode already`);
    this.#vnodes.set(vp.ino, vp);
    for (let excess = this.#idle.length - IDLE_VNODES; excess > 0; excess--) {
      this.#reclaim(this.#idle.first!);
    }
  }

  /** One more user. @bsd #Y vref(9) */
  vref(vp: Vnode): void {
    if (vp.useCount === 0) this.#idle.remove(vp);
    vp.useCount++;
  }

  /** One user less; the vnode stays cached. @bsd #Y vrele(9) */
  vrele(vp: Vnode): void {
    if (!(vp.useCount > 0)) panic(`vrele: inode ${vp.ino} has ${vp.useCount} users`);
    vp.useCount--;
    if (vp.useCount === 0) this.#idle.insertTail(vp);
  }

  /** End the mount, asleep until read-ahead has ended. @throws {ErrnoError} EBUSY: a vnode is in use; its inode is named. @bsd #P[read-only] VFS_UNMOUNT */
  *unmount(): Sleeps<void> {
    this.#checkUnused();
    this.#ending = true; // from here on nobody gets a vnode that has no user
    try {
      for (let vp = this.#idle.first; vp !== null; vp = this.#idle.first) {
        yield* this.context.pages.drain(vp.object);
        this.#checkUnused();
        this.#reclaim(vp);
      }
      this.context.cache.invalidate(this.disk);
    } catch (error) {
      this.#ending = false;
      throw error;
    }
  }

  /** Vnodes that are in use. */
  get usedVnodes(): number {
    return this.#vnodes.size - this.#idle.length;
  }

  /** @throws {ErrnoError} EBUSY: a vnode is in use, or on its way. */
  #checkUnused(): void {
    if (this.#gets > 0) throw new ErrnoError(Errno.EBUSY, "unmount: an inode is being read");
    for (const vp of this.#vnodes.values()) {
      if (vp.useCount > 0) throw new ErrnoError(Errno.EBUSY, `unmount: inode ${vp.ino} is in use`);
    }
  }

  /** Throw an idle vnode away with its pages. @bsd #P[clean pages] vclean */
  #reclaim(vp: Vnode): void {
    this.#idle.remove(vp);
    if (this.context.pages.flush(vp.object) > 0) {
      // Read-ahead still fills some of its pages: it stays, as the youngest.
      this.#idle.insertTail(vp);
      return;
    }
    this.context.pages.destroyObject(vp.object);
    this.#vnodes.delete(vp.ino);
  }
}
