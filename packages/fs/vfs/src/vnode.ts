/**
 * vnodes: files as the kernel sees them, whatever file system they are on.
 *
 * A vnode ties together a file system's inode (`data`), the operations on it and the object that
 * holds its pages. It is referenced while in use; unreferenced ones stay in their mount's cache
 * with their pages until room is needed. Follows sys/vnode.h.
 *
 * Operations of the I/O path return an errno; those on names and attributes, which are crossed once
 * a call, throw ErrnoError.
 */

import type { Disk, OutputCounter } from "@physio/blkio";
import type { Uio } from "@physio/carriers";
import type { Bytes, Errno, FileOffset } from "@physio/kern";
import { NO_FRAME } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { UvmObject } from "@physio/uvm";
import type { Mount } from "./mount.ts";

/** What a vnode is; the words that debugfs and stat use. */
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

/** A request to getpages. */
export class PageRequest {
  /** First page: a page-aligned offset in the file. */
  offset: FileOffset;
  /** Pages wanted, and which of them must not be missing. */
  count: number;
  center: number;
  /** For writing. */
  write: boolean;
  /** Pgo bits. */
  flags: number;
  /** Result: frames, busy for the caller; NO_FRAME where there is none. Entries may be preset to DONTCARE. */
  readonly pages: Int32Array;

  constructor(maxPages: number) {
    this.offset = 0;
    this.count = 0;
    this.center = 0;
    this.write = false;
    this.flags = 0;
    this.pages = new Int32Array(maxPages).fill(NO_FRAME);
  }
}

/** What a file system does with its vnodes. @bsd #P[the read side] sys/kern/vnode_if.src */
export interface VnodeOps {
  /** The vnode `name` of a directory, referenced. @throws {ErrnoError} ENOENT; EIO. */
  lookup(dvp: Vnode, name: string): Sleeps<Vnode>;
  /** Entries of a directory from `cookie` (0: the beginning) on. @throws {ErrnoError} EIO. */
  readdir(dvp: Vnode, cookie: number): Sleeps<DirBatch>;
  /** Target of a symlink. @throws {ErrnoError} EIO. */
  readlink(vp: Vnode): Sleeps<string>;
  getattr(vp: Vnode): Attributes;
  /** Read file data at `uio.offset`. @returns OK (a short read at the end of the file); EIO; ENOMEM; EFAULT. */
  read(vp: Vnode, uio: Uio, noReuse: boolean): Sleeps<Errno>;
  /** Pages of the file for reading. @returns OK; EINVAL: past the end; EIO; ENOMEM; EBUSY (asynchronous). */
  getpages(vp: Vnode, request: PageRequest): Sleeps<Errno>;
  /** Where logical block `lbn` is. @returns OK; EIO: a pointer outside of the file system; ENOMEM. */
  bmap(vp: Vnode, lbn: number, out: BlockMap): Sleeps<Errno>;
}

export class Vnode implements OutputCounter {
  readonly type: VnodeType;
  readonly mount: Mount;
  readonly ops: VnodeOps;
  /** Unique in its mount. */
  readonly ino: number;
  /** The file system's inode. */
  readonly data: unknown;
  readonly object: UvmObject;
  /** Where its blocks are. */
  readonly disk: Disk;
  /** Bytes of the file, and what it will be once a write under way has ended. */
  size: Bytes;
  writeSize: Bytes;
  useCount: number;
  numOutput: number;
  /** Links of the mount's list of unreferenced vnodes. */
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
  ) {
    this.type = type;
    this.mount = mount;
    this.ops = ops;
    this.ino = ino;
    this.data = data;
    this.object = object;
    this.disk = mount.disk;
    this.size = size;
    this.writeSize = size;
    this.useCount = 1;
    this.numOutput = 0;
    this.next = null;
    this.prev = null;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Vnode(${this.type} ${this.ino} of ${this.mount.disk.name}, ${this.size} bytes, ${this.useCount} uses, ${this.object.pageCount} pages)`;
  }
}
