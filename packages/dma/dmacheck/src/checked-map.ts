/**
 * What the checker knows of one map: how far its load is, what it covers, and what is owed.
 *
 * It stands in the map's `md` slot, in front of the inner backend's state, so that every call of the
 * map reaches the checker; the inner state is put back for the time of each inner call, and while
 * the map waits for bounce pages. A load notes its ranges and copies its segments, and makes no
 * object. Where the client's memory is, is looked up when somebody first asks (`resolve`).
 *
 * Byte number i of the mapping is byte i along the segments and along the client's ranges.
 */
import type { DmaMap, SegList } from "@physio/busdma";
import type { BusAddr, Bytes, Frame, Nanoseconds, PhysAddr, VirtAddr } from "@physio/kern";
import { PAGE_SIZE, pageOffset } from "@physio/kern";
import type { Pmap } from "@physio/pmap";
import { ByteStates, CPU_WROTE } from "./byte-states.ts";
import type { Creator } from "./finding.ts";
import { poisonOf } from "./poison.ts";

/** How far a map's load is. */
export const Phase = Object.freeze({
  IDLE: 0,
  LOADING: 1, // ranges are being taken
  LOADED: 2,
  WAITING: 3, // for bounce pages
  TOO_BIG: 4, // EFBIG, not unloaded yet
  FAILED: 5, //  another error: may be unloaded, need not
  NOTHING: 6, // a request without data: the same
} as const);
export type Phase = (typeof Phase)[keyof typeof Phase];

const FIRST_RANGES = 4;
const FIRST_SEGMENTS = 8;

const grown = (old: Float64Array, needed: number): Float64Array => {
  if (needed <= old.length) return old;
  const column = new Float64Array(Math.max(needed, 2 * old.length));
  column.set(old);
  return column;
};

export class CheckedMap {
  readonly id: number;
  /** What stands in its segment lists when callbacks are over. */
  readonly poison: BusAddr;
  readonly map: DmaMap;
  readonly owner: string | null;
  readonly creator: Creator;
  /** The inner backend's state. */
  inner: unknown;
  phase: Phase;
  /** `complete` was called for the load whose callback is under way. */
  completed: boolean;
  /** Place among the live mappings, or −1. */
  liveAt: number;
  /** Segments: pairs of bus address and length. */
  segs: Float64Array;
  segCount: number;
  busLow: BusAddr;
  busEnd: BusAddr;
  readonly states: ByteStates;
  /** When the last of each was done; −1: not since the load. */
  loadedAt: Nanoseconds;
  unloadedAt: Nanoseconds;
  preReadAt: Nanoseconds;
  preWriteAt: Nanoseconds;
  postReadAt: Nanoseconds;
  postWriteAt: Nanoseconds;
  deviceReadAt: Nanoseconds;
  deviceWriteAt: Nanoseconds;
  cpuWriteAt: Nanoseconds;
  /** A device may be writing or reading: PREREAD or PREWRITE without its POST. */
  reading: boolean;
  writing: boolean;
  /** Client ranges as pairs: a kernel address, or −1 − a physical one, or −Infinity for no RAM; and the length. */
  #ranges: Float64Array;
  #rangeCount: number;
  #resolved: boolean;
  /** The same as physical runs. */
  #runs: Float64Array;
  #runCount: number;
  #physLow: PhysAddr;
  #physEnd: PhysAddr;

  constructor(id: number, map: DmaMap, inner: unknown, owner: string | null, creator: Creator) {
    this.id = id;
    this.poison = poisonOf(id);
    this.map = map;
    this.owner = owner;
    this.creator = creator;
    this.inner = inner;
    this.phase = Phase.IDLE;
    this.completed = false;
    this.liveAt = -1;
    this.segs = new Float64Array(2 * FIRST_SEGMENTS);
    this.segCount = 0;
    this.busLow = 0;
    this.busEnd = 0;
    this.states = new ByteStates();
    this.loadedAt = -1;
    this.unloadedAt = -1;
    this.preReadAt = -1;
    this.preWriteAt = -1;
    this.postReadAt = -1;
    this.postWriteAt = -1;
    this.deviceReadAt = -1;
    this.deviceWriteAt = -1;
    this.cpuWriteAt = -1;
    this.reading = false;
    this.writing = false;
    this.#ranges = new Float64Array(2 * FIRST_RANGES);
    this.#rangeCount = 0;
    this.#resolved = true;
    this.#runs = new Float64Array(2 * FIRST_RANGES);
    this.#runCount = 0;
    this.#physLow = 0;
    this.#physEnd = 0;
  }

  // ---- the load

  begin(): void {
    this.phase = Phase.LOADING;
    this.#rangeCount = 0;
  }

  /** A virtual range of the kernel's, or of another space, whose pages are looked up now. */
  addVirtual(pmap: Pmap, va: VirtAddr, length: Bytes): void {
    if (pmap === this.map.tag.kernelPmap) {
      this.#add(va, length);
      return;
    }
    for (let done = 0; done < length; ) {
      const run = Math.min(length - done, PAGE_SIZE - pageOffset(va + done));
      this.addPhysical(pmap.extract(va + done), run);
      done += run;
    }
  }

  /** −1: no RAM. */
  addPhysical(pa: PhysAddr, length: Bytes): void {
    this.#add(pa < 0 ? Number.NEGATIVE_INFINITY : -1 - pa, length);
  }

  addPages(ma: readonly Frame[], offset: Bytes, length: Bytes): void {
    const { mem } = this.map.tag.kernelPmap;
    for (let i = 0, left = length, within = offset; left > 0; i++) {
      const run = Math.min(PAGE_SIZE - within, left);
      this.addPhysical(mem.addrOf(ma[i]) + within, run);
      left -= run;
      within = 0;
    }
  }

  /** The load is done, with these segments. */
  finish(segs: SegList, now: Nanoseconds): void {
    const { addr, len, count } = segs;
    if (2 * count > this.segs.length) this.segs = grown(this.segs, 2 * count);
    const pairs = this.segs;
    let total = 0;
    let low = count > 0 ? addr[0] : 0;
    let end = low;
    for (let i = 0; i < count; i++) {
      const at = addr[i];
      const size = len[i];
      pairs[2 * i] = at;
      pairs[2 * i + 1] = size;
      total += size;
      if (at < low) low = at;
      if (at + size > end) end = at + size;
    }
    this.segCount = count;
    this.busLow = low;
    this.busEnd = end;
    this.states.reset(total, CPU_WROTE);
    this.phase = Phase.LOADED;
    this.loadedAt = now;
    this.preReadAt = -1;
    this.preWriteAt = -1;
    this.postReadAt = -1;
    this.postWriteAt = -1;
    this.deviceReadAt = -1;
    this.deviceWriteAt = -1;
    this.cpuWriteAt = -1;
    this.reading = false;
    this.writing = false;
    this.#resolved = false;
  }

  // ---- where bytes are

  /** The segment that holds bus address `at`, from segment `from` on, or −1. */
  segmentAt(at: BusAddr, from = 0): number {
    const { segs } = this;
    for (let i = from; i < this.segCount; i++) {
      const begin = segs[2 * i];
      if (at >= begin && at < begin + segs[2 * i + 1]) return i;
    }
    return -1;
  }

  /** Number of the byte at bus address `at` of segment `i`. */
  byteAt(i: number, at: BusAddr): Bytes {
    let before = 0;
    for (let j = 0; j < i; j++) before += this.segs[2 * j + 1];
    return before + at - this.segs[2 * i];
  }

  segmentEnd(i: number): BusAddr {
    return this.segs[2 * i] + this.segs[2 * i + 1];
  }

  /** Bus address of byte `n`. => the mapping has it. */
  busOf(n: Bytes): BusAddr {
    let left = n;
    let i = 0;
    while (i < this.segCount - 1 && left >= this.segs[2 * i + 1]) left -= this.segs[2 * i++ + 1];
    return this.segs[2 * i] + left;
  }

  get runCount(): number {
    this.#resolve();
    return this.#runCount;
  }

  /** Whether any of [`pa`, `end`) may be the client's: a quick no. */
  mayTouch(pa: PhysAddr, end: PhysAddr): boolean {
    this.#resolve();
    return pa < this.#physEnd && end > this.#physLow;
  }

  /** Physical run `i` of the client's memory, −1 where there is no RAM; runs follow each other in the order of bytes. */
  runStart(i: number): PhysAddr {
    return this.#runs[2 * i];
  }

  runLength(i: number): Bytes {
    return this.#runs[2 * i + 1];
  }

  /** The first address that both mappings' clients share, or −1. */
  sharedWith(other: CheckedMap): PhysAddr {
    this.#resolve();
    if (!other.mayTouch(this.#physLow, this.#physEnd)) return -1;
    for (let i = 0; i < this.#runCount; i++) {
      const [low, end] = [this.runStart(i), this.runStart(i) + this.runLength(i)];
      for (let j = 0; low >= 0 && j < other.runCount; j++) {
        const begin = other.runStart(j);
        if (begin >= 0 && begin < end && begin + other.runLength(j) > low)
          return Math.max(low, begin);
      }
    }
    return -1;
  }

  toString(): string {
    const inner = this.inner as { toString(): string } | null;
    return `${inner === null ? "never bounces" : inner.toString()}, checked`;
  }

  #add(where: number, length: Bytes): void {
    const at = 2 * this.#rangeCount;
    if (at === this.#ranges.length) this.#ranges = grown(this.#ranges, at + 2);
    this.#ranges[at] = where;
    this.#ranges[at + 1] = length;
    this.#rangeCount++;
  }

  #resolve(): void {
    if (this.#resolved) return;
    this.#resolved = true;
    this.#runCount = 0;
    this.#physLow = Number.POSITIVE_INFINITY;
    this.#physEnd = 0;
    const { kernelPmap } = this.map.tag;
    for (let i = 0; i < this.#rangeCount; i++) {
      const where = this.#ranges[2 * i];
      const length = this.#ranges[2 * i + 1];
      if (where < 0) {
        this.#addRun(where === Number.NEGATIVE_INFINITY ? -1 : -1 - where, length);
        continue;
      }
      for (let done = 0; done < length; ) {
        const run = Math.min(length - done, PAGE_SIZE - pageOffset(where + done));
        this.#addRun(kernelPmap.extract(where + done), run);
        done += run;
      }
    }
  }

  #addRun(pa: PhysAddr, length: Bytes): void {
    if (pa >= 0) {
      this.#physLow = Math.min(this.#physLow, pa);
      this.#physEnd = Math.max(this.#physEnd, pa + length);
    }
    const last = 2 * this.#runCount - 2;
    if (last >= 0 && pa >= 0 && this.#runs[last] + this.#runs[last + 1] === pa) {
      this.#runs[last + 1] += length;
      return;
    }
    if (last + 2 === this.#runs.length) this.#runs = grown(this.#runs, last + 4);
    this.#runs[last + 2] = pa;
    this.#runs[last + 3] = length;
    this.#runCount++;
  }
}
