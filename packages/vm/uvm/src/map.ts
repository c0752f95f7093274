/**
 * The map of an address space: which range shows what.
 *
 * Entries are sorted, do not overlap, and are found by bisection. An operation on a part of an entry
 * first clips it: the entry is split at that address, and both parts keep the object and the amap, each
 * from its own place on. Neighbours that continue each other are joined again. Follows
 * sys/uvm/uvm_map.c; there are no submaps, no inheritance and no maps in maps.
 *
 * Invariant (`check`): entries ascend, are whole pages within the limits, and are not empty; an amap
 * counts the entries that have it. Each entry holds one reference to its object.
 */
import type { Bytes, FileOffset, VirtAddr } from "@physio/kern";
import { hex, isAligned, PAGE_SIZE, panic } from "@physio/kern";
import type { Prot } from "@physio/pmap";
import type { Amap } from "./amap.ts";
import type { UvmObject } from "./object.ts";

/** How a mapping will be used. Values of sys/mman.h. @bsd #Y MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE */
export const Advice = Object.freeze({
  NORMAL: 0, //     faults map a few resident neighbours
  RANDOM: 1, //     none
  SEQUENTIAL: 2, // more, and what lies behind is used up
  WILLNEED: 3, //   read it now, do not wait
  DONTNEED: 4, //   its pages may be reused first
  FREE: 6, //       its anonymous pages are worth nothing any more
} as const);
export type Advice = (typeof Advice)[keyof typeof Advice];

/** One range and what it shows. @bsd #P[no inheritance, no guard] struct vm_map_entry */
export interface MapEntry {
  start: VirtAddr;
  end: VirtAddr;
  /** Rights now, and those that `mprotect` may give. */
  prot: Prot;
  readonly maxProt: Prot;
  /** Null: anonymous memory, zeroes. `offset`: of `start` in it. */
  readonly object: UvmObject | null;
  offset: FileOffset;
  /** PRIVATE: pages that are written to become the map's own, in `amap` from `slot` on. @bsd #Y UVM_ET_COPYONWRITE */
  readonly copyOnWrite: boolean;
  /** Made with its first page. @bsd #Y aref, UVM_ET_NEEDSCOPY */
  amap: Amap | null;
  slot: number;
  advice: Advice;
}

/** @bsd #P[no submaps, no tree] struct vm_map */
export class VmMap {
  readonly min: VirtAddr;
  readonly max: VirtAddr;
  /** Ascending. For reading. */
  readonly entries: MapEntry[];
  /** Grows with every change: who slept looks whether what it knows still holds. @bsd #Y timestamp */
  version: number;

  constructor(min: VirtAddr, max: VirtAddr) {
    this.min = min;
    this.max = max;
    this.entries = [];
    this.version = 0;
  }

  /** The entry that has `va`, or null. @bsd #Y uvm_map_lookup_entry */
  lookup(va: VirtAddr): MapEntry | null {
    const at = this.indexOf(va);
    return at < this.entries.length && this.entries[at].start <= va ? this.entries[at] : null;
  }

  /** Number of the first entry that ends after `va`; `entries.length`: none does. */
  indexOf(va: VirtAddr): number {
    const { entries } = this;
    let low = 0;
    let high = entries.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (entries[mid].end > va) high = mid;
      else low = mid + 1;
    }
    return low;
  }

  /** Where `length` bytes are free, from `hint` on, else anywhere. @returns −1: nowhere. @bsd #Y uvm_map_findspace */
  findSpace(length: Bytes, hint: VirtAddr): VirtAddr {
    const from = this.#gapFrom(Math.max(hint, this.min), length);
    return from >= 0 ? from : this.#gapFrom(this.min, length);
  }

  /** Whether no entry touches [`start`, `end`). */
  isFree(start: VirtAddr, end: VirtAddr): boolean {
    const at = this.indexOf(start);
    return at === this.entries.length || this.entries[at].start >= end;
  }

  /** Whether entries cover [`start`, `end`) without a hole. @bsd #Y uvm_map_checkprot */
  covers(start: VirtAddr, end: VirtAddr): boolean {
    let va = start;
    for (let at = this.indexOf(va); va < end; at++) {
      if (at === this.entries.length || this.entries[at].start > va) return false;
      va = this.entries[at].end;
    }
    return true;
  }

  /** Add an entry, with its reference to the object. => its range is free. @bsd #Y uvm_map_enter */
  insert(entry: MapEntry): void {
    if (!this.isFree(entry.start, entry.end)) panic(`map: ${describe(entry)} is not free`);
    this.version++;
    const at = this.indexOf(entry.start);
    this.entries.splice(at, 0, entry);
    this.#joinAt(at);
    this.#joinAt(at - 1);
  }

  /** The entries of [`start`, `end`), split at its ends. @bsd #Y uvm_map_clip_start, uvm_map_clip_end */
  clip(start: VirtAddr, end: VirtAddr): MapEntry[] {
    this.version++;
    this.#splitAt(start);
    this.#splitAt(end);
    return this.entries.slice(this.indexOf(start), this.#from(end));
  }

  /** Join again what `clip` split in [`start`, `end`] and is alike. */
  join(start: VirtAddr, end: VirtAddr): void {
    for (let at = this.#from(end); at >= 0; at--) {
      if (at < this.entries.length && this.entries[at].end < start) return;
      this.#joinAt(at);
    }
  }

  /** Take the entries of [`start`, `end`) out; their references are the caller's now. */
  remove(start: VirtAddr, end: VirtAddr): MapEntry[] {
    const gone = this.clip(start, end);
    this.entries.splice(this.indexOf(start), gone.length);
    return gone;
  }

  /** Panic on a broken invariant. */
  check(): void {
    let before = this.min;
    const users = new Map<Amap, number>();
    for (const entry of this.entries) {
      const { start, end, amap, offset } = entry;
      const whole = isAligned(start, PAGE_SIZE) && isAligned(end, PAGE_SIZE);
      const sane = whole && isAligned(offset, PAGE_SIZE) && end > start;
      if (!sane || start < before || end > this.max) panic(`map: ${describe(entry)}`);
      if (amap !== null) users.set(amap, (users.get(amap) ?? 0) + 1);
      before = end;
    }
    for (const [amap, count] of users) {
      if (amap.users !== count) panic(`map: an amap of ${count} entries counts ${amap.users}`);
    }
  }

  #gapFrom(from: VirtAddr, length: Bytes): VirtAddr {
    let va = from;
    for (let at = this.indexOf(va); at < this.entries.length; at++) {
      if (this.entries[at].start >= va + length) break;
      va = this.entries[at].end;
    }
    return va + length <= this.max ? va : -1;
  }

  /** Number of the first entry that starts at `va` or after it. */
  #from(va: VirtAddr): number {
    const at = this.indexOf(va);
    return at < this.entries.length && this.entries[at].start < va ? at + 1 : at;
  }

  #splitAt(va: VirtAddr): void {
    const at = this.indexOf(va);
    if (at === this.entries.length) return;
    const low = this.entries[at];
    if (low.start >= va) return;
    const bytes = va - low.start;
    const high: MapEntry = { ...low, start: va, offset: low.offset + bytes };
    high.slot = low.slot + bytes / PAGE_SIZE;
    low.end = va;
    low.object?.pager?.reference();
    if (low.amap !== null) low.amap.users++;
    this.entries.splice(at + 1, 0, high);
  }

  /** Join entry `at` with the next one, if that continues it. */
  #joinAt(at: number): void {
    if (at < 0 || at + 1 >= this.entries.length) return;
    const low = this.entries[at];
    const high = this.entries[at + 1];
    if (!continues(low, high)) return;
    low.end = high.end;
    high.object?.pager?.detach();
    if (high.amap !== null) high.amap.users--;
    this.entries.splice(at + 1, 1);
  }
}

function continues(low: MapEntry, high: MapEntry): boolean {
  const bytes = low.end - low.start;
  const alike =
    low.end === high.start &&
    low.prot === high.prot &&
    low.maxProt === high.maxProt &&
    low.advice === high.advice &&
    low.copyOnWrite === high.copyOnWrite;
  if (!alike || low.object !== high.object || low.amap !== high.amap) return false;
  if (low.object !== null && low.offset + bytes !== high.offset) return false;
  return low.amap === null || low.slot + bytes / PAGE_SIZE === high.slot;
}

function describe(entry: MapEntry): string {
  return `[${hex(entry.start)}, ${hex(entry.end)})`;
}
