/**
 * vnodes: files as the kernel sees them, whatever file system they are on.
 *
 * A vnode ties together a file system's inode (`data`), the operations on it and the object that
 * holds its pages. It is referenced while in use; unreferenced ones stay in their mount's cache
 * with their pages until room is needed (vnode-cache.ts). Follows sys/vnode.h.
 *
 * `lock` orders what is done with the file as a whole: those who read it or look names up in it share
 * the lock, those who write, truncate, sync or end it have it alone. It is taken with `vnLock`, by
 * whoever calls the operation, never by the operation. Page requests take no vnode lock, so a fault on
 * a mapping of the file never waits for a reader of it.
 *
 * Operations of the I/O path return an errno; those on names and attributes, which are crossed once
 * a call, throw ErrnoError.
 */

import type { BlockDevice, BufOwner } from "@physio/blkio";
import type { Uio } from "@physio/carriers";
import type { Bits, Bytes, Errno, FileOffset } from "@physio/kern";
import { bitset } from "@physio/kern";
import type { DescribesWait, Sleeps } from "@physio/sched";
import { RwLock } from "@physio/sched";
import type { PageRequest, PagerOps, Pgo, UvmObject } from "@physio/uvm";
import { PageTag } from "@physio/uvm";
import { syncDelay } from "./delays.ts";
import type { Mount } from "./mount.ts";

/** What a vnode is; the words that debugfs and stat use. @bsd #Y enum vtype, VBLK */
export type VnodeType =
  | "regular"
  | "directory"
  | "symlink"
  | "character special"
  | "block special"
  | "FIFO"
  | "socket";

/** @bsd #P[no generation, no flags] struct vattr */
export interface Attributes {
  readonly type: VnodeType;
  /** Permission bits with set-id and sticky: the low 12 bits of st_mode. */
  readonly mode: number;
  readonly ino: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: Bytes;
  /** Blocks of 512 bytes, indirect ones included. */
  readonly sectors: number;
  readonly blockSize: Bytes;
  /** Seconds since 1970. */
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
  readonly rdev: { readonly major: number; readonly minor: number } | null;
}

export interface DirEntry {
  readonly name: string;
  readonly ino: number;
}

/** What is made under a new name. */
export interface NewFile {
  readonly type: VnodeType;
  /** The low 12 bits of st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a symlink: where it leads. */
  readonly target?: string;
  /** Of a special file: the device. */
  readonly rdev?: { readonly major: number; readonly minor: number };
}

/** What is changed of a file; what is absent stays. Times in seconds since 1970. */
export interface AttributeChanges {
  /** The low 12 bits of st_mode. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: Bytes;
  readonly atime?: number;
  readonly mtime?: number;
}

/** A name of a directory, and what it is; null: nothing. */
export interface NameOf<T extends Vnode | null> {
  readonly dvp: Vnode;
  readonly name: string;
  readonly vp: T;
}

/** Some entries of a directory, and where the next ones are. */
export interface DirBatch {
  readonly entries: readonly DirEntry[];
  /** For the next call; −1 at the end. */
  readonly next: number;
}

/** Where a run of a file's blocks lies on the disk; filled by bmap. */
export class BlockMap {
  /** First sector (DEV_BSIZE), or −1 for a hole. */
  blkno: number;
  /** Blocks after the first that follow it on the disk (or in the hole). */
  run: number;

  constructor() {
    this.blkno = -1;
    this.run = 0;
  }
}

/** How read and write are done. Values of sys/vnode.h IO_*. @bsd #Y IO_APPEND, IO_SYNC, IO_DSYNC, IO_DIRECT, IO_JOURNALLOCKED */
export const IoFlag = bitset<"IoFlag">()({
  APPEND: 0x02, //        write: at the end of the file
  SYNC: 0x04, //          write: data and attributes are on the disk on return
  NOREUSE: 0x08, //       pages are not kept: a pass over a huge file
  DIRECT: 0x10, //        past the page cache, where that can be
  DSYNC: 0x20, //         write: data are on the disk on return
  JOURNALLOCKED: 0x40, // the caller is in a journal transaction already
});
export type IoFlag = Bits<"IoFlag">;

/** How fsync is done. Values of sys/vnode.h FSYNC_*. @bsd #Y FSYNC_WAIT, FSYNC_DATAONLY, FSYNC_RECLAIM, FSYNC_LAZY */
export const FsyncFlag = bitset<"FsyncFlag">()({
  WAIT: 0x1, //     on return everything is on the disk
  DATAONLY: 0x2, // times need not be
  RECLAIM: 0x4, //  the vnode is being ended
  LAZY: 0x8, //     the syncer: start what is due
  MOUNT: 0x1000, // part of a sync of the mount, which brings inodes and the disk's cache to an end itself
});
export type FsyncFlag = Bits<"FsyncFlag">;

/**
 * Where a vnode is in its life: in use or idle; being written back to be ended, when nobody can get
 * it; ended.   @bsd #Y VI_XLOCK, VI_CLEAN; VS_LOADED, VS_RECLAIMING, VS_RECLAIMED
 */
export type VnodeState = "loaded" | "cleaning" | "dead";

/**
 * What a file system does with its vnodes. => the caller holds `lock`: shared for lookup, readdir,
 * readlink, getattr, read; alone for write, setattr, fsync, inactive, reclaim; not at all for the
 * operations on pages, bmap and putpages.
 *
 * Operations that change names: the caller has all vnodes that he names locked alone, a directory before what is
 * in it, and is in a transaction of the mount, and of its journal. He has looked the names up again since he
 * locked the directories, none of which has been removed, and judged what POSIX says of types. They throw, and
 * then nothing has changed; the name cache is the caller's.   @bsd #Y sys/kern/vnode_if.src
 */
export interface VnodeOps {
  /** The vnode `name` of a directory, referenced. @throws {ErrnoError} ENOENT; EIO. */
  lookup(dvp: Vnode, name: string): Sleeps<Vnode>;
  /** The same, null for ENOENT: who makes names asks for what is not there, and an exception takes 20 µs. */
  find?(dvp: Vnode, name: string): Sleeps<Vnode | null>;
  /** Entries of a directory from `cookie` (0: the beginning) on. @throws {ErrnoError} EIO. */
  readdir(dvp: Vnode, cookie: number): Sleeps<DirBatch>;
  /** Target of a symlink. @throws {ErrnoError} EIO. */
  readlink(vp: Vnode): Sleeps<string>;
  getattr(vp: Vnode): Attributes;
  /** Make a file and its name, which is not there; its vnode is referenced, not locked. @throws {ErrnoError} ENOSPC; EMLINK: too many directories; ENAMETOOLONG: a target; EINVAL: a device number; EIO; ENOMEM. @bsd #Y VOP_CREATE, VOP_MKDIR, VOP_SYMLINK, VOP_MKNOD */
  make?(dvp: Vnode, name: string, file: NewFile): Sleeps<Vnode>;
  /** Take a name of a file away; without names the file goes when its last user leaves. => `vp` is no directory. @throws {ErrnoError} EIO; ENOMEM. @bsd #Y VOP_REMOVE */
  remove?(dvp: Vnode, name: string, vp: Vnode): Sleeps<void>;
  /** Take a directory away. @throws {ErrnoError} ENOTEMPTY; EIO; ENOMEM. @bsd #Y VOP_RMDIR */
  rmdir?(dvp: Vnode, name: string, vp: Vnode): Sleeps<void>;
  /** One more name for a file. => `vp` is no directory, and has a name. @throws {ErrnoError} EMLINK; ENOSPC; EIO; ENOMEM. @bsd #Y VOP_LINK */
  link?(dvp: Vnode, name: string, vp: Vnode): Sleeps<void>;
  /**
   * A name becomes another, in place of what that is now.
   * => both are directories or neither is, and they differ; a directory does not get below itself; the caller keeps others
   * from renaming in this mount, if a directory is renamed or the directories differ.
   * @throws {ErrnoError} ENOTEMPTY; EMLINK; ENOSPC; EIO; ENOMEM.   @bsd #Y VOP_RENAME
   */
  rename?(from: NameOf<Vnode>, to: NameOf<Vnode | null>): Sleeps<void>;
  /** Change attributes. => a new size is of a regular file. @throws {ErrnoError} EFBIG; EIO; ENOMEM. @bsd #Y VOP_SETATTR, VOP_TRUNCATE */
  setattr?(vp: Vnode, changes: AttributeChanges): Sleeps<void>;
  /** Read file data at `uio.offset`. @returns OK (a short read at the end of the file); EIO; ENOMEM; EFAULT. */
  read(vp: Vnode, uio: Uio, flags: IoFlag): Sleeps<Errno>;
  /** Write file data at `uio.offset`; the file grows. @returns OK; EIO; ENOSPC; EFBIG; ENOMEM; EFAULT; EROFS. */
  write(vp: Vnode, uio: Uio, flags: IoFlag): Sleeps<Errno>;
  /** Pages of the file that are resident, without sleeping. @returns OK; EBUSY: the centre page is not; EINVAL: past the end. */
  getpagesNow(vp: Vnode, request: PageRequest): Errno;
  /** Pages of the file. @returns OK; EINVAL: past the end; EIO; ENOMEM; ENOSPC; EBUSY (asynchronous). */
  getpages(vp: Vnode, request: PageRequest): Sleeps<Errno>;
  /** Write back, free or deactivate pages of [`lo`, `hi`), `hi` 0: to the end. @returns OK; EDEADLK: BUSYFAIL; EIO, ENOSPC, … */
  putpages(vp: Vnode, lo: FileOffset, hi: FileOffset, flags: Pgo): Sleeps<Errno>;
  /** Everything of the file that is not on the disk yet goes there. No flags: WAIT. @returns OK; EIO, ENOSPC. @bsd #P[whole file] VOP_FSYNC */
  fsync(vp: Vnode, flags?: FsyncFlag): Sleeps<Errno>;
  /** Where logical block `lbn` is. @returns OK; EIO: a pointer outside of the file system; ENOMEM. */
  bmap(vp: Vnode, lbn: number, out: BlockMap): Sleeps<Errno>;
  /** Whether `inactive` has anything to do now; absent: always. Plain, since most users leave nothing behind. */
  inactiveDue?(vp: Vnode): boolean;
  /** The last user has left. @returns whether the vnode is worthless (its file is gone): it ends at once. @bsd #Y VOP_INACTIVE */
  inactive?(vp: Vnode): Sleeps<boolean>;
  /** The vnode ends; its pages are gone. @returns OK; EIO, …: something of it could not be written, and it stays. @bsd #Y VOP_RECLAIM */
  reclaim?(vp: Vnode): Sleeps<Errno>;
}

export class Vnode implements BufOwner, DescribesWait {
  readonly type: VnodeType;
  readonly mount: Mount;
  readonly ops: VnodeOps;
  /** Unique in its mount. */
  readonly ino: number;
  /** The file system's inode. */
  readonly data: unknown;
  readonly object: UvmObject;
  /** Where its blocks are. */
  readonly disk: BlockDevice;
  /** Bytes of the file, and what it will be once a write under way has ended. @bsd #Y v_size, v_writesize */
  size: Bytes;
  writeSize: Bytes;
  useCount: number;
  /** Set by the vnode cache. */
  state: VnodeState;
  /** See the head of this file. */
  readonly lock: RwLock;
  /** Writes under way: two for each master of page I/O, one for each piece and each metadata block. @bsd #Y v_numoutput */
  numOutput: number;
  /** Metadata blocks of its own that wait to be written. @bsd #P[a count] v_dirtyblkhd */
  dirtyBufs: number;
  /** The syncer looks after it: it may have dirty pages or blocks. Set by the syncer. @bsd #Y VI_ONWORKLST */
  onWorklist: boolean;
  /** The syncer's: the slot that it is in; −1: none. */
  worklistSlot: number;
  /** It has been mapped, for writing, and pages may have been written through such a mapping. @bsd #Y VV_MAPPED, VI_WRMAP, VI_WRMAPDIRTY */
  mapped: boolean;
  writeMapped: boolean;
  writeMapDirty: boolean;
  /** The vnode cache's: the list of unreferenced vnodes that it is on, and its links. */
  unused: "idle" | "inactive" | null;
  next: Vnode | null;
  prev: Vnode | null;

  constructor(
    mount: Mount,
    ops: VnodeOps,
    type: VnodeType,
    ino: number,
    size: Bytes,
    object: UvmObject,
    data: unknown,
    disk: BlockDevice = mount.disk,
  ) {
    this.type = type;
    this.mount = mount;
    this.ops = ops;
    this.ino = ino;
    this.data = data;
    this.object = object;
    this.disk = disk;
    this.size = size;
    this.writeSize = size;
    this.useCount = 1;
    this.state = "loaded";
    this.lock = new RwLock(mount.context.bufs.sched, `inode ${ino}`);
    this.numOutput = 0;
    this.dirtyBufs = 0;
    this.onWorklist = false;
    this.worklistSlot = -1;
    this.mapped = false;
    this.writeMapped = false;
    this.writeMapDirty = false;
    this.unused = null;
    this.next = null;
    this.prev = null;
    object.pager = new VnodePager(this);
  }

  /** Whether something of it may not be on the disk yet. */
  get dirty(): boolean {
    const { index } = this.object;
    return this.onWorklist || this.dirtyBufs > 0 || this.numOutput > 0 || index.any(PageTag.DIRTY);
  }

  /** A metadata block of its own waits to be written. @bsd #P[the list is the buffer cache's] reassignbuf */
  onDirtyBuf(): void {
    if (!this.onWorklist) this.mount.context.syncer.add(this, syncDelay(this.type));
  }

  describeWait(): string {
    return `inode ${this.ino} of ${this.mount.disk.name}: ${this.state}, ${this.numOutput} writes under way`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Vnode(${this.type} ${this.ino} of ${this.mount.disk.name}, ${this.size} bytes, ${this.useCount} uses, ${this.object.pageCount} pages)`;
  }
}

/** What uvm calls up through: the vnode's own operations. @bsd #Y uvm_vnodeops */
class VnodePager implements PagerOps {
  readonly #vp: Vnode;

  constructor(vp: Vnode) {
    this.#vp = vp;
  }

  getNow(request: PageRequest): Errno {
    return this.#vp.ops.getpagesNow(this.#vp, request);
  }

  get(request: PageRequest): Sleeps<Errno> {
    return this.#vp.ops.getpages(this.#vp, request);
  }

  put(lo: FileOffset, hi: FileOffset, flags: Pgo): Sleeps<Errno> {
    return this.#vp.ops.putpages(this.#vp, lo, hi, flags);
  }

  reference(): void {
    this.#vp.mount.vref(this.#vp);
  }

  detach(): void {
    this.#vp.mount.vrele(this.#vp);
  }

  mapped(write: boolean): void {
    this.#vp.mapped = true;
    if (write) this.#vp.writeMapped = true;
  }
}
