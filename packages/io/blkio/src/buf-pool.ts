/**
 * The bufs of the cache: their memory, the idle ones, and the transfers that nobody waits for.
 *
 * A buf is busy or on the idle list. The next one to give its memory up is the first that is not a
 * failed write; when it is dirty, it is written first. A write under way keeps its buf busy, so what
 * the disk reads does not change. Follows vfs_bio.c (getnewbuf, brelse, buf_trim).
 *
 * A write that nobody waits for and that fails leaves its buf dirty, with RETRY: its owner is owed
 * the error, and only a flush writes it again. So a disk that fails every write costs memory, and
 * never loops.
 *
 * Invariant (`check`): a cached buf is on the idle list if and only if it is not busy.
 */
import type { Bytes, VirtAddr } from "@physio/kern";
import { Errno, panic, Tailq } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import type { BlockDevice, BufOwner } from "./buf.ts";
import { Buf, BufFlag, BufPriority } from "./buf.ts";
import { BufIndex } from "./buf-index.ts";
import type { IoBufs } from "./iodone.ts";

/** What a buf remembers while it is idle. */
const KEPT = BufFlag.DONE | BufFlag.DELWRI | BufFlag.RETRY;
/** Writes started at once for their memory. */
const RECLAIM_BATCH = 16;

export class BufPool {
  readonly index: BufIndex;
  readonly bufs: IoBufs;
  /** Transfers under way, but for reads that somebody waits for. */
  readonly underway: Set<Buf>;
  readonly limit: Bytes;
  /** Writes started. */
  writes: number;
  readonly #kmem: Kmem;
  readonly #idle: Tailq<Buf>;
  /** Memory that will be free when writes under way have ended. */
  #promised: Bytes;
  #trimming: boolean;

  constructor(bufs: IoBufs, kmem: Kmem, limit: Bytes) {
    this.index = new BufIndex();
    this.bufs = bufs;
    this.underway = new Set();
    this.limit = limit;
    this.writes = 0;
    this.#kmem = kmem;
    this.#idle = new Tailq<Buf>();
    this.#promised = 0;
    this.#trimming = false;
    bufs.release = (buf) => this.#ended(buf);
  }

  /** Make an idle buf busy. */
  claim(buf: Buf): void {
    this.#idle.remove(buf);
    buf.flags |= BufFlag.BUSY;
  }

  /** A busy buf for a block that is not cached. @returns null: there is no memory now; some may come, see `waitForMemory`. */
  make(disk: BlockDevice, blkno: number, size: Bytes, owner: BufOwner | null): Buf | null {
    const data = this.#memory(size);
    if (data < 0) return null;
    const buf = new Buf();
    buf.flags = BufFlag.BUSY;
    buf.data = data;
    buf.bufsize = size;
    buf.bcount = size;
    buf.blkno = blkno;
    buf.lblkno = blkno;
    buf.disk = disk;
    this.index.enter(buf);
    this.index.setOwner(buf, owner);
    return buf;
  }

  /** Sleep until a transfer has ended, which may bring memory. @returns false: none is under way. @bsd #Y needbuffer_cv */
  *waitForMemory(): Sleeps<boolean> {
    if (this.underway.size === 0) return false;
    yield* this.bufs.sched.sleep(this, "needbuf");
    return true;
  }

  /** Whether more is cached than should be, and will be given up when transfers end. */
  get crowded(): boolean {
    return this.index.bytes > this.limit && this.underway.size > 0;
  }

  startRead(buf: Buf, async: boolean): void {
    buf.flags |= BufFlag.READ;
    if (async) this.underway.add(buf);
    this.#start(buf, async);
  }

  startWrite(buf: Buf, async: boolean): void {
    const { owner } = buf;
    if ((buf.flags & BufFlag.BUSY) === 0) panic(`bwrite: block ${buf.blkno} is not busy`);
    this.index.markClean(buf);
    buf.flags &= ~(BufFlag.READ | BufFlag.RETRY);
    buf.output = owner;
    if (owner !== null) owner.numOutput++;
    this.writes++;
    this.underway.add(buf);
    this.#start(buf, async);
  }

  /** A write that somebody waited for has ended: the buf is given back. */
  written(buf: Buf): void {
    this.underway.delete(buf);
    this.release(buf);
    this.bufs.sched.wakeup(this);
  }

  #start(buf: Buf, async: boolean): void {
    buf.priority = async ? BufPriority.TIMELIMITED : BufPriority.TIMECRITICAL;
    if (async) buf.flags |= BufFlag.ASYNC;
    buf.disk!.strategy(buf);
  }

  /** A transfer that nobody waited for has ended. */
  #ended(buf: Buf): void {
    if (!this.underway.delete(buf))
      panic(`biodone: asynchronous block ${buf.blkno} is not the cache's, and has no iodone`);
    if ((buf.flags & BufFlag.READ) === 0) {
      if ((buf.flags & BufFlag.AGE) !== 0) this.#promised -= buf.bufsize;
      const error = transferError(buf);
      if (error !== Errno.OK) this.#writeFailed(buf, error);
    }
    this.release(buf);
    this.bufs.sched.wakeup(this);
  }

  #writeFailed(buf: Buf, error: Errno): void {
    this.index.noteError(buf, error);
    if ((buf.flags & BufFlag.INVAL) === 0) this.keepDirty(buf);
  }

  /** The data of a write that failed are not lost. => the buf is busy. */
  keepDirty(buf: Buf): void {
    buf.error = Errno.OK;
    buf.flags = (buf.flags & ~BufFlag.AGE) | BufFlag.DONE | BufFlag.RETRY;
    this.index.markDirty(buf);
  }

  /** A busy buf becomes idle, or is destroyed when its contents are worthless. */
  release(buf: Buf): void {
    const { DONE, INVAL, WANTED, READ, AGE, DELWRI } = BufFlag;
    if ((buf.flags & BufFlag.BUSY) === 0) panic(`brelse: block ${buf.blkno} is not busy`);
    if ((buf.flags & WANTED) !== 0) this.bufs.sched.wakeup(buf);
    const failed = buf.error !== Errno.OK || ((buf.flags & READ) !== 0 && buf.resid > 0);
    const worthless = failed || (buf.flags & (INVAL | DONE)) !== DONE;
    const first = (buf.flags & (AGE | DELWRI)) === AGE;
    buf.flags &= KEPT;
    if (first) this.#idle.insertHead(buf);
    else this.#idle.insertTail(buf);
    if (worthless) this.destroy(buf);
    this.#trim();
  }

  /** => `buf` is idle. */
  destroy(buf: Buf): void {
    this.#idle.remove(buf);
    this.index.remove(buf);
    this.#kmem.free(buf.data, buf.bufsize);
  }

  /** Idle bufs beyond the limit give up their memory. @bsd #Y buf_trim */
  #trim(): void {
    // Writes may end at once, which comes back here: one loop does it all.
    if (this.#trimming) return;
    this.#trimming = true;
    while (this.index.bytes - this.#promised > this.limit) {
      const victim = this.#victim();
      if (victim === null) break;
      this.#giveUp(victim);
    }
    this.#trimming = false;
  }

  /** The idle buf that goes next. @bsd #P[one list] getnewbuf */
  #victim(): Buf | null {
    let buf = this.#idle.first;
    while (buf !== null && (buf.flags & BufFlag.RETRY) !== 0) buf = buf.next;
    return buf;
  }

  /** Destroy an idle buf; a dirty one is written first, and goes after that. */
  #giveUp(buf: Buf): void {
    if ((buf.flags & BufFlag.DELWRI) === 0) {
      this.destroy(buf);
      return;
    }
    this.claim(buf);
    buf.flags |= BufFlag.AGE;
    this.#promised += buf.bufsize;
    this.startWrite(buf, true);
  }

  /** Memory for a buf; idle bufs give theirs up when there is none. @returns −1: none now. */
  #memory(size: Bytes): VirtAddr {
    let started = 0;
    for (;;) {
      const va = this.#kmem.tryAlloc(size);
      if (va >= 0) return va;
      const victim = this.#victim();
      if (victim === null || (started >= RECLAIM_BATCH && this.underway.size > 0)) return -1;
      if ((victim.flags & BufFlag.DELWRI) !== 0) started++;
      this.#giveUp(victim);
    }
  }

  check(): void {
    const idle = this.index.check();
    if (idle !== this.#idle.length)
      panic(`bufcache: ${idle} bufs are idle, ${this.#idle.length} are listed`);
  }
}

/** What a transfer's buf says: a short one is EIO. */
export function transferError(buf: Buf): Errno {
  return buf.error === Errno.OK && buf.resid > 0 ? Errno.EIO : buf.error;
}
