/**
 * The buffer cache: metadata blocks of disks.
 *
 * `bread` gives a busy buf with the block's contents. Whoever has changed them ends with `bwrite`
 * (written now), `bawrite` (started now) or `bdwrite` (written later); whoever has not, with
 * `brelse`. A block stays cached until its memory is needed for another, least recently used first;
 * a dirty one is written before. A buf is busy for one thread at a time; others wait.
 *
 * Delayed writes are listed by owner, and counted: above `dirtyLimit` bytes the oldest are started.
 * One that fails stays dirty, and its owner is told by the next `flushOwner` (of a block without an
 * owner: `flushDevice`), once. Follows vfs_bio.c.
 */
import type { Bytes } from "@physio/kern";
import { Errno, ErrnoError, panic } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import type { BlockDevice, Buf, BufOwner } from "./buf.ts";
import { BufFlag } from "./buf.ts";
import { BufPool, transferError } from "./buf-pool.ts";
import { flushBufs, waitIdle } from "./flush.ts";
import type { IoBufs } from "./iodone.ts";

export interface BufCacheConfig {
  readonly bufs: IoBufs;
  readonly kmem: Kmem;
  /** Memory that idle bufs may hold. */
  readonly limit: Bytes;
  /** Memory that may wait to be written; default: half of `limit`. */
  readonly dirtyLimit?: Bytes;
}

export class BufCache {
  /** Blocks that bread found, and that it read. */
  hits: number;
  misses: number;
  /** Blocks that breadn began to read ahead. */
  readAheads: number;
  /** Blocks that bdwrite made dirty. */
  delayedWrites: number;
  readonly limit: Bytes;
  readonly dirtyLimit: Bytes;
  readonly #pool: BufPool;
  readonly #kmem: Kmem;

  constructor(config: BufCacheConfig) {
    this.hits = 0;
    this.misses = 0;
    this.readAheads = 0;
    this.delayedWrites = 0;
    this.limit = config.limit;
    this.dirtyLimit = config.dirtyLimit ?? config.limit / 2;
    this.#pool = new BufPool(config.bufs, config.kmem, config.limit);
    this.#kmem = config.kmem;
  }

  /** Memory of all bufs, busy and idle. */
  get bytes(): Bytes {
    return this.#pool.index.bytes;
  }

  /** Memory that waits to be written. */
  get dirtyBytes(): Bytes {
    return this.#pool.index.dirtyBytes;
  }

  /** Writes started. */
  get writes(): number {
    return this.#pool.writes;
  }

  /**
   * The block of `size` bytes at `blkno`, read if it is not cached. It is `owner`'s from now on, if one is given.
   * => the caller gives the buf back, also after an error.
   * @returns a busy buf; its `error` is OK, or EIO or what else the disk said. @throws {ErrnoError} ENOMEM. @bsd #Y bread
   */
  *bread(
    disk: BlockDevice,
    blkno: number,
    size: Bytes,
    owner: BufOwner | null = null,
  ): Sleeps<Buf> {
    const buf = yield* this.getblk(disk, blkno, size, owner);
    if (this.#isValid(buf)) return buf;
    return yield* this.#awaitRead(buf);
  }

  /** The same; reading begins of the blocks `ahead`, of the same size, and nobody waits for them. @bsd #P[blocks of one size] breadn */
  *breadn(
    disk: BlockDevice,
    blkno: number,
    size: Bytes,
    ahead: readonly number[],
    owner: BufOwner | null = null,
  ): Sleeps<Buf> {
    const buf = yield* this.getblk(disk, blkno, size, owner);
    const valid = this.#isValid(buf);
    for (const block of ahead) this.#readAhead(disk, block, size, owner);
    return valid ? buf : yield* this.#awaitRead(buf);
  }

  /** Whether a busy buf holds its block's data; reading begins when it does not. */
  #isValid(buf: Buf): boolean {
    if ((buf.flags & BufFlag.DONE) !== 0) {
      this.hits++;
      return true;
    }
    this.misses++;
    this.#pool.startRead(buf, false);
    return false;
  }

  *#awaitRead(buf: Buf): Sleeps<Buf> {
    yield* this.#pool.bufs.biowait(buf);
    buf.error = transferError(buf);
    return buf;
  }

  /** Without memory, or of a block that is cached, nothing happens. */
  #readAhead(disk: BlockDevice, blkno: number, size: Bytes, owner: BufOwner | null): void {
    if (this.incore(disk, blkno) !== null) return;
    const buf = this.#pool.make(disk, blkno, size, owner);
    if (buf === null) return;
    this.readAheads++;
    this.#pool.startRead(buf, true);
  }

  /** The buf of a block, busy; DONE tells whether it holds the block's data. @throws {ErrnoError} ENOMEM. @bsd #Y getblk */
  *getblk(
    disk: BlockDevice,
    blkno: number,
    size: Bytes,
    owner: BufOwner | null = null,
  ): Sleeps<Buf> {
    let waited = false;
    for (;;) {
      const found = this.incore(disk, blkno);
      if (found !== null && (found.flags & BufFlag.BUSY) !== 0) {
        found.flags |= BufFlag.WANTED;
        yield* this.#pool.bufs.sched.sleep(found, "getblk");
      } else if (found !== null) {
        if (found.bufsize !== size)
          panic(`getblk: block ${blkno} has ${found.bufsize} bytes, not ${size}`);
        this.#pool.claim(found);
        if (owner !== null) this.#pool.index.setOwner(found, owner);
        return found;
      } else if (!waited && this.#pool.crowded) {
        // Whoever makes bufs dirty faster than they are written waits here, for one write each.
        waited = yield* this.#pool.waitForMemory();
      } else {
        const made = this.#pool.make(disk, blkno, size, owner);
        if (made !== null) return made;
        if (!(yield* this.#pool.waitForMemory()))
          throw new ErrnoError(Errno.ENOMEM, `getblk: block ${blkno}, ${size} bytes`);
      }
    }
  }

  /** The buf of a block if it is cached, busy or not. @bsd #Y incore */
  incore(disk: BlockDevice, blkno: number): Buf | null {
    return this.#pool.index.find(disk, blkno);
  }

  /**
   * Write a busy buf, wait, and give it back. After an error the block is not cached any more, but
   * what a delayed write had left in it stays dirty.
   * @returns OK; EIO or what else the disk said. @bsd #Y bwrite
   */
  *bwrite(buf: Buf): Sleeps<Errno> {
    const delayed = (buf.flags & BufFlag.DELWRI) !== 0;
    this.#pool.startWrite(buf, false);
    yield* this.#pool.bufs.biowait(buf);
    const error = transferError(buf);
    buf.error = error;
    if (error !== Errno.OK && delayed && (buf.flags & BufFlag.INVAL) === 0)
      this.#pool.keepDirty(buf);
    this.#pool.written(buf);
    return error;
  }

  /** Start to write a busy buf; it is given back at the end. @bsd #Y bawrite */
  bawrite(buf: Buf): void {
    this.#pool.startWrite(buf, true);
  }

  /** Give a busy buf back, to be written later. @bsd #Y bdwrite */
  bdwrite(buf: Buf): void {
    const { index } = this.#pool;
    buf.error = Errno.OK;
    buf.resid = 0;
    buf.flags |= BufFlag.DONE;
    if ((buf.flags & BufFlag.DELWRI) === 0) this.delayedWrites++;
    index.markDirty(buf);
    this.brelse(buf);
    if (index.dirtyBytes > this.dirtyLimit) this.#writeBehind();
  }

  /** Start the oldest delayed writes, until no more than the limit is left. */
  #writeBehind(): void {
    const { index } = this.#pool;
    for (const buf of index.dirty) {
      if (index.dirtyBytes <= this.dirtyLimit) return;
      if ((buf.flags & (BufFlag.BUSY | BufFlag.RETRY)) !== 0) continue;
      this.#pool.claim(buf);
      this.#pool.startWrite(buf, true);
    }
  }

  /** Give a busy buf back. With INVAL or an error it is not cached any more, also if it was dirty; with AGE it goes first. @bsd #Y brelse */
  brelse(buf: Buf): void {
    this.#pool.release(buf);
  }

  /** Give a busy buf back and do not cache it. @bsd #Y brelse of a BC_INVAL buf */
  forget(buf: Buf): void {
    buf.flags |= BufFlag.INVAL;
    this.brelse(buf);
  }

  /** Copy a busy buf's bytes out. => `into` is not longer than the buf. @returns `into`. */
  copy(buf: Buf, into: Uint8Array): Uint8Array {
    this.#kmem.read(buf.data, into);
    return into;
  }

  /** Copy `from` into a busy buf, to byte `at`. => it fits. */
  store(buf: Buf, from: Uint8Array, at: Bytes = 0): void {
    if (!(at >= 0 && at + from.length <= buf.bufsize))
      panic(`buf: ${from.length} bytes at ${at} of ${buf.bufsize}`);
    this.#kmem.write(buf.data + at, from);
  }

  /** Fill a busy buf with zeros. @bsd #Y clrbuf */
  clear(buf: Buf): void {
    this.#kmem.write(buf.data, new Uint8Array(buf.bufsize));
    buf.resid = 0;
  }

  /**
   * Write all dirty blocks of `owner`, each once. Without `wait` it never sleeps: blocks that are
   * busy are left out. => who waits holds none of them.
   * @returns the error of a delayed write that the owner was not told of; OK without `wait`. @bsd #P[blocks; numOutput is the owner's] vflushbuf
   */
  *flushOwner(owner: BufOwner, wait: boolean): Sleeps<Errno> {
    const pool = this.#pool;
    const blocks = [...pool.index.dirtyOf(owner)];
    if (wait) for (const buf of pool.underway) if (buf.owner === owner) blocks.push(buf);
    yield* flushBufs(pool, blocks, wait);
    return wait ? pool.index.takeError(owner) : Errno.OK;
  }

  /**
   * The same for all dirty blocks of `disk`; with `wait`, nothing of the cache is under way
   * afterwards, read-ahead included. The disk's own cache is another matter: `Disk.syncCache`.
   * @returns the first error of a block without an owner; else EIO if a block of an owner could not be written. Owners are told as well. @bsd #P[no V_SAVE] vinvalbuf
   */
  *flushDevice(disk: BlockDevice, wait: boolean): Sleeps<Errno> {
    const pool = this.#pool;
    const blocks = [...pool.index.dirty].filter((buf) => buf.disk === disk);
    if (wait) for (const buf of pool.underway) if (buf.disk === disk) blocks.push(buf);
    yield* flushBufs(pool, blocks, wait);
    if (!wait) return Errno.OK;
    const error = pool.index.takeError(disk);
    if (error !== Errno.OK) return error;
    return blocks.some((buf) => (buf.flags & BufFlag.RETRY) !== 0) ? Errno.EIO : Errno.OK;
  }

  /** Forget all blocks of `disk`, also what waits to be written: flush before. => none is busy. @bsd #P[whole device] vinvalbuf */
  invalidate(disk: BlockDevice): void {
    for (const buf of this.#pool.index.blocksOf(disk)) {
      if ((buf.flags & BufFlag.BUSY) !== 0) panic(`vinvalbuf: block ${buf.blkno} is busy`);
      this.#pool.destroy(buf);
    }
    this.#pool.index.dropDisk(disk);
  }

  /** The same for the blocks of `owner`, and the error that it was not told of. Busy ones are waited for. => the caller holds none. @bsd #Y vinvalbuf */
  *invalidateOwner(owner: BufOwner): Sleeps<void> {
    const { index } = this.#pool;
    for (const buf of [...index.ownedBy(owner)]) {
      yield* waitIdle(this.#pool, buf);
      if (buf.owner === owner && index.find(buf.disk!, buf.blkno) === buf) this.#pool.destroy(buf);
    }
    index.takeError(owner);
  }

  /** `owner` ends: its blocks stay cached, as nobody's. @bsd #Y brelvp */
  disown(owner: BufOwner): void {
    const { index } = this.#pool;
    for (const buf of [...index.ownedBy(owner)]) index.setOwner(buf, null);
    index.takeError(owner);
  }

  /** Walk everything and panic on a broken invariant. */
  check(): void {
    this.#pool.check();
  }
}
