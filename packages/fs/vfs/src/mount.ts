/**
 * Mounts: one file system on one disk.
 *
 * A mount has the vnodes of its file system (vnode-cache.ts), the names that were looked up in it
 * (namecache.ts) and its transactions. It ends when nobody uses a vnode of it and all that was
 * dirty is on the disk. Follows sys/mount.h and vfs_mount.c.
 */

import type { BlockDevice, BufCache, IoBufs } from "@physio/blkio";
import { Errno, ErrnoError } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { RwLock } from "@physio/sched";
import type { PageArraySource, PagerMap, UvmPages } from "@physio/uvm";
import type { Transactions } from "./fstrans.ts";
import { Fstrans } from "./fstrans.ts";
import type { Journal } from "./journal.ts";
import { MountFlag } from "./mount-flags.ts";
import { NameCache } from "./namecache.ts";
import type { Syncer } from "./syncer.ts";
import type { Vnode } from "./vnode.ts";
import { VnodeCache } from "./vnode-cache.ts";

/** What every file system needs from its machine. */
export interface FsContext {
  readonly bufs: IoBufs;
  readonly cache: BufCache;
  readonly pages: UvmPages;
  readonly pager: PagerMap;
  readonly kmem: Kmem;
  readonly syncer: Syncer;
  readonly pageArrays: PageArraySource;
}

export interface MountOptions {
  readonly disk: BlockDevice;
  readonly context: FsContext;
  /** log2 of the file system's block size and of the unit of disk block numbers. */
  readonly fsBshift: number;
  readonly devBshift: number;
  readonly ops: MountOps;
  readonly flags?: MountFlag;
  /** Default: Fstrans. */
  readonly trans?: Transactions;
  /** Default: there is none. */
  readonly journal?: Journal | null;
  /** Unused vnodes that are kept; default 256. */
  readonly idleVnodes?: number;
  /** Names that are remembered; default 2048. */
  readonly names?: number;
}

/** How much of a file system is used. @bsd #P[counts] struct statvfs */
export interface FsStatistics {
  /** Bytes of a block, and blocks that files can have together, in use or free. */
  readonly blockSize: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  /** Free, and not kept for the super user. */
  readonly availableBlocks: number;
  readonly inodes: number;
  readonly freeInodes: number;
}

/** What a file system does for its mount. */
export interface MountOps {
  readonly fsName: string;
  /**
   * Make the vnode of an inode, `enter` it and return it, referenced. Called by `Mount.vget` when there is
   * none, by one thread at a time for an inode.
   * @throws {ErrnoError} EIO: no such inode on the disk, or a damaged one.   @bsd #Y VFS_LOADVNODE
   */
  vget(ino: number): Sleeps<Vnode>;
  readonly rootIno: number;
  /** Bring what the file system keeps to itself (inodes, bitmaps, counts) to the buffer cache: a part of `Mount.sync`. @returns OK; EIO, ENOMEM. @bsd #Y VFS_SYNC */
  sync?(): Sleeps<Errno>;
  /** @bsd #Y VFS_STATVFS */
  statistics?(): FsStatistics;
  /** The mount ends; all vnodes have: the last word to the disk. @returns OK; EIO. @bsd #Y VFS_UNMOUNT */
  end?(): Sleeps<Errno>;
}

const IDLE_VNODES = 256;
const NAMES = 2048;

export class Mount {
  readonly disk: BlockDevice;
  readonly context: FsContext;
  /** log2 of the file system's block size and of the disk's unit. */
  readonly fsBshift: number;
  readonly devBshift: number;
  readonly ops: MountOps;
  flags: MountFlag;
  readonly trans: Transactions;
  /** @bsd #Y mnt_wapbl */
  readonly journal: Journal | null;
  readonly vnodes: VnodeCache;
  readonly names: NameCache;
  /** Held by who renames a directory, or from one directory to another: so the tree stays as he sees it. */
  readonly renames: RwLock;
  /** Unless it is mounted, new users are refused. */
  #state: "mounted" | "ending" | "ended";

  constructor(options: MountOptions) {
    const { disk, context, ops } = options;
    this.disk = disk;
    this.context = context;
    this.fsBshift = options.fsBshift;
    this.devBshift = options.devBshift;
    this.ops = ops;
    this.flags = options.flags ?? 0;
    this.trans = options.trans ?? new Fstrans(context.bufs.sched, disk.name);
    this.journal = options.journal ?? null;
    this.vnodes = new VnodeCache(this, options.idleVnodes ?? IDLE_VNODES);
    this.names = new NameCache(options.names ?? NAMES);
    this.renames = new RwLock(context.bufs.sched, `renames in ${disk.name}`);
    this.#state = "mounted";
  }

  get readOnly(): boolean {
    return (this.flags & MountFlag.RDONLY) !== 0;
  }

  /** From here on nothing is written any more: the file system is damaged. What is dirty stays in memory. */
  stopWriting(): void {
    this.flags |= MountFlag.RDONLY;
  }

  /** The root directory, referenced. @throws {ErrnoError} ENOTDIR, EIO. @bsd #Y VFS_ROOT */
  *root(): Sleeps<Vnode> {
    const vp = yield* this.vget(this.ops.rootIno);
    if (vp.type === "directory") return vp;
    this.vrele(vp);
    throw new ErrnoError(Errno.ENOTDIR, `${this.ops.fsName}: root inode ${vp.ino} is a ${vp.type}`);
  }

  /**
   * The vnode of an inode, referenced; asleep while it is read, or while an old one is being ended.
   * @throws {ErrnoError} EIO; ENOMEM; ENXIO: the mount is ending.   @bsd #Y VFS_VGET
   */
  *vget(ino: number): Sleeps<Vnode> {
    this.#checkMounted(ino);
    const found = this.vnodes.lookup(ino);
    return found ?? (yield* this.vnodes.get(ino, this.#load));
  }

  /** The cached vnode of an inode, referenced, or null. Plain. @bsd #Y vcache_tryvget */
  cached(ino: number): Vnode | null {
    return this.vnodes.lookup(ino);
  }

  /** Enter a new vnode, which its maker references. => its inode has none. */
  enter(vp: Vnode): void {
    this.vnodes.enter(vp);
  }

  /** One more user. => the caller knows that somebody uses it, or that it is idle. @bsd #Y vref(9) */
  vref(vp: Vnode): void {
    this.vnodes.ref(vp);
  }

  /**
   * One user less; the vnode stays cached. What the file system has to do when the last one leaves
   * is done by a thread.   @bsd #Y vrele(9), vrele_async
   */
  vrele(vp: Vnode): void {
    this.vnodes.release(vp);
  }

  /** Unlock a vnode (see vnLock), and one user less; what has to be done for the last one is done on return. @bsd #Y vput(9) */
  *vput(vp: Vnode): Sleeps<void> {
    vp.lock.exit();
    this.trans.done();
    yield* this.vnodes.releaseNow(vp);
  }

  /** Write everything that is dirty, vnodes and metadata blocks. @returns OK; the first error: EIO, ENOSPC, … @bsd #Y VFS_SYNC MNT_WAIT */
  *sync(): Sleeps<Errno> {
    const { syncer, cache } = this.context;
    const vnodes = yield* syncer.sync(this);
    const own = this.ops.sync === undefined ? Errno.OK : yield* this.ops.sync();
    const blocks = yield* cache.flushDevice(this.disk, true);
    const stable = yield* this.#syncDisk();
    if (vnodes !== Errno.OK) return vnodes;
    if (own !== Errno.OK) return own;
    return blocks === Errno.OK ? stable : blocks;
  }

  /**
   * End the mount: what is dirty is written, then all vnodes end. After an error it goes on as before; a
   * mount that has ended stays so.
   * @throws {ErrnoError} EBUSY: a vnode is in use, its inode is named, or another unmount is under way; EIO,
   *   ENOSPC, …: something cannot be written.   @bsd #P[no MNT_FORCE] VFS_UNMOUNT, dounmount
   */
  *unmount(): Sleeps<void> {
    if (this.#state === "ended") return;
    yield* this.vnodes.settle();
    if (this.#state === "ending") throw new ErrnoError(Errno.EBUSY, "unmount: it is under way");
    this.#checkUnused();
    this.#state = "ending"; // from here on nobody gets a vnode that has no user
    try {
      if ((this.flags & MountFlag.RDONLY) === 0) {
        // An error may be an old one, told late: what counts is whether anything fails now.
        let error = yield* this.sync();
        if (error !== Errno.OK) error = yield* this.sync();
        if (error !== Errno.OK) throw new ErrnoError(error, `unmount: ${this.disk.name}`);
      }
      yield* this.vnodes.flush();
      this.#checkUnused();
      yield* this.#endOnDisk();
      this.names.clear();
      this.context.cache.invalidate(this.disk);
      this.#state = "ended";
    } catch (error) {
      this.#state = "mounted";
      throw error;
    }
  }

  /** Vnodes that are in use. */
  get usedVnodes(): number {
    return this.vnodes.used;
  }

  /** @throws {ErrnoError} EIO: what the file system writes last does not get to the disk. */
  *#endOnDisk(): Sleeps<void> {
    if (this.readOnly || this.ops.end === undefined) return;
    let error = yield* this.ops.end();
    if (error === Errno.OK) error = yield* this.context.cache.flushDevice(this.disk, true);
    if (error === Errno.OK) error = yield* this.#syncDisk();
    if (error !== Errno.OK) throw new ErrnoError(error, `unmount: ${this.disk.name}`);
  }

  *#syncDisk(): Sleeps<Errno> {
    return this.disk.syncCache === undefined ? Errno.OK : yield* this.disk.syncCache();
  }

  #checkMounted(ino: number): void {
    if (this.#state === "mounted") return;
    throw new ErrnoError(Errno.ENXIO, `inode ${ino}: the mount is ending`);
  }

  /** @throws {ErrnoError} EBUSY: a vnode is in use, or on its way. */
  #checkUnused(): void {
    if (this.vnodes.loading > 0)
      throw new ErrnoError(Errno.EBUSY, "unmount: an inode is being read");
    const vp = this.vnodes.firstUsed();
    if (vp !== null) throw new ErrnoError(Errno.EBUSY, `unmount: inode ${vp.ino} is in use`);
  }

  /** @throws {ErrnoError} ENXIO: who slept for an old vnode of the inode finds the mount ending. */
  readonly #load = (ino: number): Sleeps<Vnode> => {
    this.#checkMounted(ino);
    return this.ops.vget(ino);
  };
}
