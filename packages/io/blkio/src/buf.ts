/**
 * buf: one transfer between kernel memory and a disk, as file systems see it.
 *
 * A buf is made by `IoBufs.get` (for page I/O) or by the buffer cache (for metadata), handed to a
 * disk's `strategy`, and answered with `biodone`. What happens then is in the buf: `iodone` is
 * called, or an asynchronous buf is released, or whoever waits in `biowait` wakes up.
 * Follows NetBSD's sys/buf.h and vfs_bio.c.
 *
 * Field owners: b = whoever holds BUSY; d = the driver between strategy and biodone; c = the cache.
 */
import type { Bits, Bytes, Errno, FileOffset, VirtAddr } from "@physio/kern";
import { bitset, Errno as E, errnoName, formatBits } from "@physio/kern";
import type { Sleeps } from "@physio/sched";

/** @bsd #Y NetBSD sys/buf.h B_READ, B_ASYNC, BC_AGE, BO_DELWRI, BC_BUSY, BC_WANTED, BO_DONE, BC_INVAL, B_MEDIA_FUA */
export const BufFlag = bitset<"BufFlag">()({
  READ: 0x01, //   b: from the disk to memory; clear: to the disk
  ASYNC: 0x02, //  b: nobody waits; released when done
  AGE: 0x04, //    b: cached: the next to give its memory up; page I/O: an output of its own ends when its pages are done
  DELWRI: 0x08, // c: a delayed write: the data are newer than the disk's; set by bdwrite, cleared when the write starts
  BUSY: 0x10, //   c: somebody holds it
  WANTED: 0x20, // c: somebody waits for BUSY to clear
  DONE: 0x40, //   set by biodone and bdwrite, cleared when I/O starts: the data are valid
  INVAL: 0x80, //  b: contents are worthless; brelse throws it away
  FUA: 0x100, //   b: a write: it is done only when the data are lasting
  FLUSH: 0x200, // b: no data: it is done when all writes that the disk was given before are lasting
  ENDED: 0x400, // d: biodone was called, completion is on its way; cleared by completion
  RETRY: 0x800, // c: a delayed write of it failed; only a flush tries again
});
export type BufFlag = Bits<"BufFlag">;

/** How urgent a transfer is. @bsd #Y NetBSD sys/buf.h BPRIO_* */
export const BufPriority = Object.freeze({
  NONCRITICAL: 0,
  TIMELIMITED: 1,
  TIMECRITICAL: 2,
} as const);

/** Whoever counts writes in flight (a vnode): BSD's v_numoutput, without knowing vnodes here. */
export interface OutputCounter {
  numOutput: number;
}

/** Whose blocks the cache holds (a vnode): BSD's v_dirtyblkhd, without knowing vnodes here. */
export interface BufOwner extends OutputCounter {
  /** Delayed writes of its blocks; the cache counts. */
  dirtyBufs: number;
  /** Called when one more of its blocks waits to be written. => it does not sleep. @bsd #P[the worklist is the owner's] reassignbuf */
  onDirtyBuf?(): void;
}

/** Where bufs go: a disk, or what stands in front of one. @bsd #Y VOP_STRATEGY of a device's vnode */
export interface BlockDevice {
  readonly name: string;
  /** Start the transfer that `buf` describes; never sleeps; biodone tells its end. */
  strategy(buf: Buf): void;
  /** All that was written is lasting on return; absent: it is anyway. @returns OK; EIO: it may not be. */
  syncCache?(): Sleeps<Errno>;
}

export class Buf {
  flags: BufFlag;
  priority: number;
  /** b: kernel memory of `bufsize` bytes, of which `bcount` are to be moved. */
  data: VirtAddr;
  bufsize: Bytes;
  bcount: Bytes;
  /** d: bytes that were not moved. */
  resid: Bytes;
  /** b: first block on the disk, in units of DEV_BSIZE. */
  blkno: number;
  /** b: logical block, for its owner. */
  lblkno: number;
  error: Errno;
  /** b: called by biodone instead of waking a waiter. */
  iodone: ((buf: Buf) => void) | null;
  /** b: the master of a nested buf, or whatever iodone needs. */
  private: unknown;
  output: OutputCounter | null;
  /** d: parts of a transfer that a driver's limit cut up and that are not done yet. */
  pendingParts: number;
  /** c: a cached block's disk, and whose block it is. */
  disk: BlockDevice | null;
  owner: BufOwner | null;
  /** c: links of the free list. */
  next: Buf | null;
  prev: Buf | null;

  constructor() {
    this.flags = 0;
    this.priority = BufPriority.NONCRITICAL;
    this.data = 0;
    this.bufsize = 0;
    this.bcount = 0;
    this.resid = 0;
    this.blkno = 0;
    this.lblkno = 0;
    this.error = E.OK;
    this.iodone = null;
    this.private = null;
    this.output = null;
    this.pendingParts = 0;
    this.disk = null;
    this.owner = null;
    this.next = null;
    this.prev = null;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const { blkno, bcount, resid } = this;
    const error = this.error === E.OK ? "" : `, ${errnoName(this.error)}`;
    return `Buf(block ${blkno}, ${bcount} bytes, ${resid} left, ${formatBits(BufFlag, this.flags)}${error})`;
  }

  describeWait(): string {
    return `buf at block ${this.blkno}, ${this.bcount} bytes`;
  }
}

/** The unit of `blkno`. @bsd #Y DEV_BSIZE */
export const DEV_BSIZE = 512;
export const DEV_BSHIFT = 9;

/** Block number to byte offset on the disk. @bsd #Y dbtob */
export function blockOffset(blkno: number): FileOffset {
  return blkno * DEV_BSIZE;
}
