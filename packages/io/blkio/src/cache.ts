/**
 * The buffer cache: metadata blocks of disks.
 *
 * `bread` gives a busy buf with the block's contents; `brelse` gives it back, and it stays cached
 * until its memory is needed for another (least recently used first). A buf is busy for one thread
 * at a time; others wait. After an error the buf is invalid and `brelse` throws it away. Writing
 * (bwrite, bdwrite, bawrite) is not here yet. Follows vfs_bio.c.
 *
 * Invariant (`check`): every cached buf is in its disk's table; it is on the free list if and only
 * if it is not busy; `bytes` is the sum of their sizes.
 */
import type { Bytes, VirtAddr } from "@physio/kern";
import { Errno, ErrnoError, panic, Tailq } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Buf, BufFlag, BufPriority } from "./buf.ts";
import type { Disk } from "./disk.ts";
import type { IoBufs } from "./iodone.ts";

export interface BufCacheConfig {
  readonly bufs: IoBufs;
  readonly kmem: Kmem;
  /** Memory that idle bufs may hold. */
  readonly limit: Bytes;
}

export class BufCache {
  hits: number;
  misses: number;
  /** Memory of all bufs, busy and idle. */
  bytes: Bytes;
  readonly limit: Bytes;
  readonly #bufs: IoBufs;
  readonly #kmem: Kmem;
  readonly #tables: Map<Disk, Map<number, Buf>>;
  readonly #diskOf: Map<Buf, Disk>;
  readonly #idle: Tailq<Buf>;

  constructor(config: BufCacheConfig) {
    this.hits = 0;
    this.misses = 0;
    this.bytes = 0;
    this.limit = config.limit;
    this.#bufs = config.bufs;
    this.#kmem = config.kmem;
    this.#tables = new Map();
    this.#diskOf = new Map();
    this.#idle = new Tailq<Buf>();
    config.bufs.release = (buf) => this.brelse(buf);
  }

  /**
   * The block of `size` bytes at `blkno`, read if it is not cached.
   * => the caller gives the buf back with `brelse`, also after an error.
   * @returns a busy buf; its `error` is OK, or EIO or what else the disk said.   @bsd #Y bread
   */
  *bread(disk: Disk, blkno: number, size: Bytes): Sleeps<Buf> {
    const buf = yield* this.getblk(disk, blkno, size);
    if ((buf.flags & BufFlag.DONE) !== 0) {
      this.hits++;
      return buf;
    }
    this.misses++;
    buf.flags |= BufFlag.READ;
    buf.priority = BufPriority.TIMECRITICAL;
    disk.strategy(buf);
    yield* this.#bufs.biowait(buf);
    return buf;
  }

  /** The buf of a block, busy; DONE tells whether it holds the disk's data. @throws {ErrnoError} ENOMEM. @bsd #Y getblk */
  *getblk(disk: Disk, blkno: number, size: Bytes): Sleeps<Buf> {
    for (;;) {
      const found = this.#tables.get(disk)?.get(blkno);
      if (found === undefined) return this.#make(disk, blkno, size);
      if ((found.flags & BufFlag.BUSY) === 0) {
        if (found.bufsize !== size)
          panic(`getblk: block ${blkno} has ${found.bufsize} bytes, not ${size}`);
        this.#idle.remove(found);
        found.flags |= BufFlag.BUSY;
        return found;
      }
      found.flags |= BufFlag.WANTED;
      yield* this.#bufs.sched.sleep(found, "getblk");
    }
  }

  /** Give a busy buf back. @bsd #Y brelse */
  brelse(buf: Buf): void {
    if ((buf.flags & BufFlag.BUSY) === 0) panic(`brelse: block ${buf.blkno} is not busy`);
    if ((buf.flags & BufFlag.WANTED) !== 0) this.#bufs.sched.wakeup(buf);
    const worthless =
      buf.error !== Errno.OK || (buf.flags & (BufFlag.INVAL | BufFlag.DONE)) !== BufFlag.DONE;
    buf.flags &= BufFlag.DONE;
    this.#idle.insertTail(buf);
    if (worthless) this.#destroy(buf);
    while (this.bytes > this.limit && this.#idle.first !== null) this.#destroy(this.#idle.first);
  }

  /** Copy a busy buf's bytes out. => `into` is not longer than the buf. @returns `into`. */
  copy(buf: Buf, into: Uint8Array): Uint8Array {
    this.#kmem.read(buf.data, into);
    return into;
  }

  /** Give a busy buf back and do not cache it. @bsd #Y brelse of a BC_INVAL buf */
  forget(buf: Buf): void {
    buf.flags |= BufFlag.INVAL;
    this.brelse(buf);
  }

  /** Forget all blocks of `disk`. => none is busy. @bsd #P[whole device, nothing dirty] vinvalbuf */
  invalidate(disk: Disk): void {
    for (const buf of this.#tables.get(disk)?.values() ?? []) {
      if ((buf.flags & BufFlag.BUSY) !== 0) panic(`vinvalbuf: block ${buf.blkno} is busy`);
      this.#destroy(buf);
    }
    this.#tables.delete(disk);
  }

  /** Walk everything and panic on a broken invariant. */
  check(): void {
    let bytes = 0;
    let idle = 0;
    for (const [disk, table] of this.#tables) {
      for (const [blkno, buf] of table) {
        if (buf.blkno !== blkno || this.#diskOf.get(buf) !== disk)
          panic(`bufcache: block ${blkno}`);
        if ((buf.flags & BufFlag.BUSY) === 0) idle++;
        bytes += buf.bufsize;
      }
    }
    if (idle !== this.#idle.length || bytes !== this.bytes) {
      panic(
        `bufcache: ${idle} idle, ${this.#idle.length} listed; ${bytes} bytes, counted ${this.bytes}`,
      );
    }
  }

  #make(disk: Disk, blkno: number, size: Bytes): Buf {
    const buf = new Buf();
    buf.flags = BufFlag.BUSY;
    buf.data = this.#memory(size);
    buf.bufsize = size;
    buf.bcount = size;
    buf.blkno = blkno;
    buf.lblkno = blkno;
    let table = this.#tables.get(disk);
    if (table === undefined) {
      table = new Map();
      this.#tables.set(disk, table);
    }
    table.set(blkno, buf);
    this.#diskOf.set(buf, disk);
    this.bytes += size;
    return buf;
  }

  /** Memory for a buf; idle bufs give theirs up when there is none. @throws {ErrnoError} ENOMEM. */
  #memory(size: Bytes): VirtAddr {
    for (;;) {
      try {
        return this.#kmem.alloc(size);
      } catch (error) {
        if (!(error instanceof ErrnoError) || this.#idle.first === null) throw error;
        this.#destroy(this.#idle.first);
      }
    }
  }

  /** => `buf` is idle. */
  #destroy(buf: Buf): void {
    this.#idle.remove(buf);
    this.#tables.get(this.#diskOf.get(buf)!)?.delete(buf.blkno);
    this.#diskOf.delete(buf);
    this.bytes -= buf.bufsize;
    this.#kmem.free(buf.data, buf.bufsize);
  }
}
