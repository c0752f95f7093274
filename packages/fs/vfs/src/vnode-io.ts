/**
 * What programs do with a vnode: lock it, read, write and sync it.
 *
 * A transaction of the mount comes before the vnode's lock, so that whoever suspends the mount finds no
 * vnode locked by a thread that waits for him. One vnode is locked at a time; who needs two takes
 * a directory before what is in it. Follows vn_lock, vn_rdwr and vn_sync of vfs_vnops.c.
 */
import type { Uio } from "@physio/carriers";
import type { Errno } from "@physio/kern";
import { Errno as E } from "@physio/kern";
import type { RwMode, Sleeps } from "@physio/sched";
import { RW_READER, RW_WRITER } from "@physio/sched";
import { Pgo } from "@physio/uvm";
import type { TransMode } from "./fstrans.ts";
import { MountFlag } from "./mount-flags.ts";
import type { Vnode } from "./vnode.ts";
import { FsyncFlag, IoFlag } from "./vnode.ts";

/**
 * Lock a vnode, to share (RW_READER) or alone (RW_WRITER), inside a transaction of its mount.
 * => the caller references it, holds no lock of it, and calls `vnUnlock`.   @bsd #Y vn_lock
 */
export function* vnLock(vp: Vnode, mode: RwMode, trans: TransMode = "shared"): Sleeps<void> {
  yield* vp.mount.trans.start(trans);
  if (!vp.lock.tryEnter(mode)) yield* vp.lock.enter(mode);
}

/** The same without sleeping. @returns whether it is locked. @bsd #Y vn_lock LK_NOWAIT */
export function vnTryLock(vp: Vnode, mode: RwMode, trans: TransMode = "shared"): boolean {
  const { trans: transactions } = vp.mount;
  if (transactions.startNow(trans) !== E.OK) return false;
  if (vp.lock.tryEnter(mode)) return true;
  transactions.done();
  return false;
}

/** Undo `vnLock`. @bsd #Y VOP_UNLOCK */
export function vnUnlock(vp: Vnode): void {
  vp.lock.exit();
  vp.mount.trans.done();
}

/**
 * Read a file at `uio.offset`. => the caller references the vnode and has not locked it.
 * @returns OK (a short read at the end of the file); EISDIR; EINVAL: a type that has no data; EIO; ENOMEM;
 *   EFAULT.   @bsd #P[no credentials, no file pointer] vn_read
 */
export function* vnRead(vp: Vnode, uio: Uio, flags: IoFlag): Sleeps<Errno> {
  const error = checkData(vp);
  if (error !== E.OK) return error;
  yield* vnLock(vp, RW_READER);
  try {
    return yield* vp.ops.read(vp, uio, flags);
  } finally {
    vnUnlock(vp);
  }
}

/**
 * Write a file at `uio.offset`, with APPEND at its end. => as for vnRead
 * @returns OK; EROFS: mounted read-only; EISDIR; EINVAL; EIO; ENOSPC; EFBIG; ENOMEM; EFAULT.
 * @bsd #P[no credentials, no file pointer] vn_write
 */
export function* vnWrite(vp: Vnode, uio: Uio, flags: IoFlag): Sleeps<Errno> {
  const error = checkData(vp);
  if (error !== E.OK) return error;
  if ((vp.mount.flags & MountFlag.RDONLY) !== 0) return E.EROFS;
  yield* vnLock(vp, RW_WRITER);
  try {
    const end: number = vp.size;
    if ((flags & IoFlag.APPEND) !== 0) uio.offset = end;
    return yield* vp.ops.write(vp, uio, flags);
  } finally {
    vnUnlock(vp);
  }
}

/**
 * Everything of a file goes to the disk. With `errors`, an opener's, a write-back that failed since
 * the last time is told once, also when this one goes well.
 * => as for vnRead. @returns OK; EIO, ENOSPC.   @bsd #Y sys_fsync
 */
export function* vnFsync(vp: Vnode, errors: WriteErrors | null = null): Sleeps<Errno> {
  yield* vnLock(vp, RW_WRITER);
  try {
    const error = yield* vp.ops.fsync(vp, FsyncFlag.WAIT);
    const earlier = errors === null ? E.OK : errors.take();
    return error === E.OK ? earlier : error;
  } finally {
    vnUnlock(vp);
  }
}

/** The failed write-backs of a file, as one opener sees them: each is told once. */
export class WriteErrors {
  readonly #vp: Vnode;
  #seen: number;

  /** => made when the file is opened: what failed before is not this opener's. */
  constructor(vp: Vnode) {
    this.#vp = vp;
    this.#seen = vp.object.writeErrors;
  }

  /** @returns OK; the error of the last write-back that has failed since the last call. */
  take(): Errno {
    const { writeErrors, writeError } = this.#vp.object;
    if (writeErrors === this.#seen) return E.OK;
    this.#seen = writeErrors;
    return writeError;
  }
}

/**
 * fsync for a file system whose files have nothing but pages and cached blocks: write them, and with WAIT
 * wait until all writes of the vnode have ended.
 * => the vnode is locked alone. @returns OK; EIO, ENOSPC, …   @bsd #Y vflushbuf
 */
export function* flushVnode(vp: Vnode, flags: FsyncFlag): Sleeps<Errno> {
  const wait = (flags & FsyncFlag.LAZY) === 0;
  const { bufs, cache } = vp.mount.context;
  const how = Pgo.ALLPAGES | Pgo.CLEANIT | (wait ? Pgo.SYNCIO : 0);
  const pagesError = yield* vp.ops.putpages(vp, 0, 0, how);
  const blocksError = yield* cache.flushOwner(vp, wait);
  if (wait) while (vp.numOutput > 0) yield* bufs.sched.sleep(vp, "vflushbuf");
  return pagesError === E.OK ? blocksError : pagesError;
}

/** Whether a vnode has data that read and write move. */
function checkData(vp: Vnode): Errno {
  if (vp.type === "regular" || vp.type === "block special") return E.OK;
  return vp.type === "directory" ? E.EISDIR : E.EINVAL;
}
