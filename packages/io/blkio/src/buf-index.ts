/**
 * What the buffer cache holds: by place, by owner, and which of it waits to be written.
 *
 * A block has one place, a disk and a block number, and at most one owner. Whoever owns it is told
 * when it becomes dirty, and is owed the error of a delayed write that failed, once. Book-keeping
 * only: nothing here starts a transfer or frees memory. Follows vfs_subr.c (bgetvp, brelvp,
 * reassignbuf).
 *
 * Invariant (`check`): every block is in its disk's table under its number, and in its owner's set;
 * the dirty sets hold the bufs with DELWRI and no others; an owner's `dirtyBufs` counts them;
 * `bytes` and `dirtyBytes` are their sums.
 */
import type { Bytes } from "@physio/kern";
import { Errno, panic } from "@physio/kern";
import type { BlockDevice, Buf, BufOwner } from "./buf.ts";
import { BufFlag } from "./buf.ts";

interface Owned {
  readonly blocks: Set<Buf>;
  /** Oldest first. */
  readonly dirty: Set<Buf>;
}

export class BufIndex {
  bytes: Bytes;
  dirtyBytes: Bytes;
  /** Blocks that wait to be written, oldest first. */
  readonly dirty: Set<Buf>;
  readonly #tables: Map<BlockDevice, Map<number, Buf>>;
  readonly #owners: Map<BufOwner, Owned>;
  /** Errors of delayed writes that nobody was told of: by owner, or by disk for blocks without one. */
  readonly #errors: Map<BufOwner | BlockDevice, Errno>;

  constructor() {
    this.bytes = 0;
    this.dirtyBytes = 0;
    this.dirty = new Set();
    this.#tables = new Map();
    this.#owners = new Map();
    this.#errors = new Map();
  }

  find(disk: BlockDevice, blkno: number): Buf | null {
    return this.#tables.get(disk)?.get(blkno) ?? null;
  }

  /** => `disk`, `blkno` and `bufsize` are set, and nothing is cached there. */
  enter(buf: Buf): void {
    const disk = buf.disk!;
    let table = this.#tables.get(disk);
    if (table === undefined) {
      table = new Map();
      this.#tables.set(disk, table);
    }
    table.set(buf.blkno, buf);
    this.bytes += buf.bufsize;
  }

  remove(buf: Buf): void {
    this.markClean(buf);
    this.setOwner(buf, null);
    this.#tables.get(buf.disk!)!.delete(buf.blkno);
    this.bytes -= buf.bufsize;
  }

  /** A block changes hands, with what waits to be written. @bsd #Y bgetvp, brelvp */
  setOwner(buf: Buf, owner: BufOwner | null): void {
    if (buf.owner === owner) return;
    const wasDirty = (buf.flags & BufFlag.DELWRI) !== 0;
    this.markClean(buf);
    if (buf.owner !== null) this.#disown(buf, buf.owner);
    buf.owner = owner;
    if (owner !== null) {
      let owned = this.#owners.get(owner);
      if (owned === undefined) {
        owned = { blocks: new Set(), dirty: new Set() };
        this.#owners.set(owner, owned);
      }
      owned.blocks.add(buf);
    }
    if (wasDirty) this.markDirty(buf);
  }

  #disown(buf: Buf, owner: BufOwner): void {
    const { blocks } = this.#owners.get(owner)!;
    blocks.delete(buf);
    if (blocks.size === 0) this.#owners.delete(owner);
  }

  markDirty(buf: Buf): void {
    if ((buf.flags & BufFlag.DELWRI) !== 0) return;
    const { owner } = buf;
    buf.flags |= BufFlag.DELWRI;
    this.dirty.add(buf);
    this.dirtyBytes += buf.bufsize;
    if (owner === null) return;
    this.#owners.get(owner)!.dirty.add(buf);
    owner.dirtyBufs++;
    owner.onDirtyBuf?.();
  }

  markClean(buf: Buf): void {
    if ((buf.flags & BufFlag.DELWRI) === 0) return;
    const { owner } = buf;
    buf.flags &= ~BufFlag.DELWRI;
    this.dirty.delete(buf);
    this.dirtyBytes -= buf.bufsize;
    if (owner === null) return;
    this.#owners.get(owner)!.dirty.delete(buf);
    owner.dirtyBufs--;
  }

  blocksOf(disk: BlockDevice): Buf[] {
    return [...(this.#tables.get(disk)?.values() ?? [])];
  }

  ownedBy(owner: BufOwner): Iterable<Buf> {
    return this.#owners.get(owner)?.blocks ?? [];
  }

  dirtyOf(owner: BufOwner): Iterable<Buf> {
    return this.#owners.get(owner)?.dirty ?? [];
  }

  /** A delayed write of `buf` failed: whoever owns it will be told. The first error stays. */
  noteError(buf: Buf, error: Errno): void {
    const whom = buf.owner ?? buf.disk!;
    if (!this.#errors.has(whom)) this.#errors.set(whom, error);
  }

  /** The error that `whom` was not told of. */
  takeError(whom: BufOwner | BlockDevice): Errno {
    const error = this.#errors.get(whom) ?? Errno.OK;
    this.#errors.delete(whom);
    return error;
  }

  /** => nothing of it is cached. */
  dropDisk(disk: BlockDevice): void {
    this.#tables.delete(disk);
    this.#errors.delete(disk);
  }

  /** Walk everything and panic on a broken invariant. @returns the blocks that are not busy. */
  check(): number {
    let bytes = 0;
    let dirty = 0;
    let idle = 0;
    for (const [disk, table] of this.#tables) {
      for (const [blkno, buf] of table) {
        if (buf.blkno !== blkno || buf.disk !== disk) panic(`bufcache: block ${blkno}`);
        const owned = buf.owner === null ? null : this.#owners.get(buf.owner);
        if (owned !== null && !owned?.blocks.has(buf)) panic(`bufcache: owner of block ${blkno}`);
        const delayed = (buf.flags & BufFlag.DELWRI) !== 0;
        const listed = this.dirty.has(buf);
        if (delayed !== listed || (owned != null && delayed !== owned.dirty.has(buf)))
          panic(`bufcache: block ${blkno} is ${delayed ? "dirty" : "clean"}, and not listed so`);
        if ((buf.flags & BufFlag.BUSY) === 0) idle++;
        if (delayed) dirty += buf.bufsize;
        bytes += buf.bufsize;
      }
    }
    for (const [owner, owned] of this.#owners) {
      if (owner.dirtyBufs !== owned.dirty.size)
        panic(`bufcache: ${owned.dirty.size} dirty bufs, their owner counts ${owner.dirtyBufs}`);
    }
    if (bytes !== this.bytes || dirty !== this.dirtyBytes)
      panic(`bufcache: ${bytes} bytes, ${dirty} dirty; counted ${this.bytes}, ${this.dirtyBytes}`);
    return idle;
  }
}
