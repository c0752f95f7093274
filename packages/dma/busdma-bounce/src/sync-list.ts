/**
 * Sync lists: what of a load the device uses in place, where caches do not snoop.
 *
 * One entry is a range that lies in a row in physical memory, and in the kernel's map too when it
 * has a kernel address. Adjoining pieces share an entry. Follows struct sync_list of FreeBSD's arm64
 * and riscv busdma_bounce.c. Used by the backends of such machines, one list a map; DmaCache
 * (dma-cache.ts) works on it.
 *
 * An entry says where it is, a kernel address, or −1 − the physical address of a range that has none,
 * and its length in bytes. They are in a run of rows of the pool's slab (sync-slab.ts), which the list
 * has from its first entry until it is cleared.
 */
import type { SegList } from "@physio/busdma";
import type { Bytes, PhysAddr, VirtAddr } from "@physio/kern";
import type { SyncSlab } from "./sync-slab.ts";
import { HUGE } from "./sync-slab.ts";

// This module's own names: the compiler folds them.
const FIRST_HUGE = HUGE;
const NO_RUN = -1;
const NO_LIMIT = 2 ** 30;

/** What the lists of a tag share: where their entries are, and the most that one list has. */
export class SyncRoom {
  readonly slab: SyncSlab;
  readonly limit: number;

  /** @param limit 0: they stay empty; may be infinite */
  constructor(slab: SyncSlab, limit: number) {
    this.slab = slab;
    this.limit = Math.min(limit, NO_LIMIT);
  }
}

export class SyncList {
  readonly room: SyncRoom;
  /** Its rows in the slab, or −1: none. */
  run: number;
  count: number;

  constructor(room: SyncRoom) {
    this.room = room;
    this.run = NO_RUN;
    this.count = 0;
  }

  /** Kernel address of entry `i`, or −1 − its physical address. */
  where(i: number): number {
    return this.room.slab.where[this.run + 1 + i];
  }

  length(i: number): Bytes {
    return lengthAt(this.room.slab, this.run + 1 + i);
  }

  /**
   * Add `length` bytes at `pa`, whose kernel address is `va`, or −1.
   * => `keepKind`: a range without kernel address never lengthens an entry that has one, as it does
   *   in the original.
   * @returns entries made: 1, or 0 when the last one was lengthened; −1: the list is full.
   */
  append(va: VirtAddr, pa: PhysAddr, length: Bytes, keepKind: boolean): number {
    const { count, room } = this;
    const { slab } = room;
    if (count > 0 && pa === slab.where[this.run]) {
      const last = this.run + count;
      const where = slab.where[last];
      const had = lengthAt(slab, last);
      if (va < 0 ? where < 0 || !keepKind : where >= 0 && where + had === va) {
        putLength(slab, last, had + length);
        slab.where[this.run] = pa + length;
        return 0;
      }
    }
    if (count === room.limit) return -1;
    if (this.run === NO_RUN) this.run = slab.take(1);
    else if (count === slab.room(this.run)) grow(this, 1);
    const row = this.run + count + 1;
    slab.where[row] = va < 0 ? -1 - pa : va;
    slab.where[this.run] = pa + length;
    putLength(slab, row, length);
    this.count = count + 1;
    return 1;
  }

  /**
   * Add the segments of a load that used [`va`, …) in place, or −1: memory without kernel address.
   * The same as `append` for each, with all addresses in columns: a call would box them (32 B a load).
   * @returns false: the list is full.
   */
  appendSegments(va: VirtAddr, segs: SegList, keepKind: boolean): boolean {
    const { slab, limit } = this.room;
    const { addr, len } = segs;
    const kernel = va >= 0;
    if (segs.count === 0) return true;
    // Room as if none were joined.
    if (this.run === NO_RUN) this.run = slab.take(segs.count);
    else if (this.count + segs.count > slab.room(this.run)) grow(this, segs.count);
    const { where } = slab;
    const { run } = this;
    let { count } = this;
    // The last entry, and where it ends.
    let at = -1;
    let length = 0;
    let end: PhysAddr = -1;
    if (count > 0) {
      at = where[run + count];
      length = lengthAt(slab, run + count);
      end = where[run];
    }
    let done = 0;
    let i = 0;
    for (; i < segs.count; i++) {
      const start = addr[i];
      const size = len[i];
      if (start === end && (kernel ? at >= 0 && at + length === va + done : at < 0 || !keepKind)) {
        length += size;
      } else {
        if (count === limit) break;
        if (count > 0) putLength(slab, run + count, length);
        count++;
        at = kernel ? va + done : -1 - start;
        where[run + count] = at;
        length = size;
      }
      end = start + size;
      done += size;
    }
    if (count > 0) putLength(slab, run + count, length);
    where[run] = end;
    this.count = count;
    return i === segs.count;
  }

  /** Give the entries back. */
  clear(): void {
    if (this.run !== NO_RUN) this.room.slab.give(this.run);
    this.run = NO_RUN;
    this.count = 0;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const entries = Array.from({ length: this.count }, (_, i) => {
      const where = this.where(i);
      const at = where < 0 ? `phys 0x${(-1 - where).toString(16)}` : `0x${where.toString(16)}`;
      return `${at}+${this.length(i)}`;
    });
    return `SyncList(${this.count}) [${entries.join(", ")}]`;
  }
}

/**
 * Move to a run with room for `more` entries, or a quarter more: for those that come one by one.
 * No private method: each object of a class that has one is 8 bytes longer.
 */
function grow(list: SyncList, more: number): void {
  const { slab } = list.room;
  const { run, count } = list;
  const moved = slab.take(Math.max(count + more, Math.ceil(count * 1.25)));
  list.run = moved;
  slab.where[moved] = slab.where[run];
  for (let i = 1; i <= count; i++) {
    slab.where[moved + i] = slab.where[run + i];
    putLength(slab, moved + i, lengthAt(slab, run + i));
  }
  slab.give(run);
}

function lengthAt(slab: SyncSlab, row: number): Bytes {
  const length = slab.length[row];
  return length === FIRST_HUGE ? slab.huge!.get(row)! : length;
}

function putLength(slab: SyncSlab, row: number, length: Bytes): void {
  if (length >= FIRST_HUGE) {
    slab.huge ??= new Map();
    slab.huge.set(row, length);
    slab.length[row] = FIRST_HUGE;
  } else slab.length[row] = length;
}
