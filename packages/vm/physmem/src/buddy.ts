/**
 * Buddy free lists over sections.
 *
 * Blocks are powers of two up to a section. Blocks below a section hang on lists linked through the
 * columns of their first frame; whole free sections hang on a list of their own and have no columns
 * until one is split. There is one set of lists, a pool, for every domain and reach (24 bits, 32
 * bits, the rest). Follows sys/vm/vm_phys.c.
 *
 * Invariant (`checkFree`): the `order` column says of every frame whether it is free; a free frame is
 * in exactly one block or in the cache of single frames (frame-cache.ts); blocks are aligned to
 * their size and maximal; the counts by pool and by section are the sums.
 *
 * Who may call: alloc.ts and what it is made of. Nothing here checks its caller.
 */
import type { Frame, PhysAddr } from "@physio/kern";
import { MAXADDR_24BIT, MAXADDR_32BIT, NO_FRAME, PAGE_SIZE, panic } from "@physio/kern";
import type { Bank } from "./bank.ts";
import {
  INSIDE,
  NOT_FREE,
  NOT_RAM,
  ROW_MASK,
  SECTION_FRAMES,
  SECTION_SHIFT,
  Section,
} from "./section.ts";

/** Who holds the bytes of RAM: told of each section that has become wholly free. */
export interface SectionBytes {
  drop(section: number): void;
}

export const MAX_ORDER = SECTION_SHIFT;
/** Free lists by address: what 24 bits reach, what 32 bits reach, the rest. */
export const REACHES = 3;

// This module's own names: the compiler folds them.
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const FRAMES = SECTION_FRAMES;
const TOP = MAX_ORDER;
const ORDERS = MAX_ORDER + 1;
const USED = NOT_FREE;
const BODY = INSIDE;

// State of a section; 0: no RAM has these numbers.
const WHOLE_FREE = 1; // on a list of whole sections
const SPLIT = 2; //      has columns; free parts are on the frame lists

export class FrameAllocator {
  readonly banks: readonly Bank[];
  readonly sections: (Section | null)[];
  /** Address of each section's first number: an array look-up where a search through banks took 5 ns. */
  readonly sectionAddr: Float64Array;
  /** The first frame of each section that is RAM, and one past the last; both 0: it has none. */
  readonly sectionFirst: Int32Array;
  readonly sectionEnd: Int32Array;
  /** The pool of each section: `domain * REACHES + reach`. */
  readonly poolOf: Uint8Array;
  /** Frames of each section and of each pool that are in free blocks (not in the cache). */
  readonly sectionFree: Int32Array;
  readonly poolFree: Int32Array;
  /** RAM of each pool, in frames. */
  readonly poolTotal: Int32Array;
  readonly pools: number;
  totalFrames: number;
  /** Order of the block that the last `takeSmall` took. */
  tookOrder: number;
  /** Head of the list of free blocks, by pool and order: a frame, or a section for MAX_ORDER. */
  readonly #heads: Int32Array;
  readonly #state: Uint8Array;
  readonly #nextSection: Int32Array;
  readonly #prevSection: Int32Array;
  readonly #bytes: SectionBytes | null;

  /** `bytes` may drop those of a section that is wholly free; null: they stay. */
  constructor(banks: readonly Bank[], bytes: SectionBytes | null) {
    const count = ((banks[banks.length - 1].endFrame - 1) >> SHIFT) + 1;
    const pools = REACHES * (1 + banks.reduce((most, { domain }) => Math.max(most, domain), 0));
    this.banks = banks;
    this.sections = new Array<Section | null>(count).fill(null);
    this.sectionAddr = new Float64Array(count);
    this.sectionFirst = new Int32Array(count);
    this.sectionEnd = new Int32Array(count);
    this.poolOf = new Uint8Array(count);
    this.sectionFree = new Int32Array(count);
    this.poolFree = new Int32Array(pools);
    this.poolTotal = new Int32Array(pools);
    this.pools = pools;
    this.totalFrames = 0;
    this.tookOrder = 0;
    this.#heads = new Int32Array(pools * ORDERS).fill(-1);
    this.#state = new Uint8Array(count);
    this.#nextSection = new Int32Array(count).fill(-1);
    this.#prevSection = new Int32Array(count).fill(-1);
    this.#bytes = bytes;
    // From the last to the first: lists give the lowest section first.
    for (const bank of banks) this.#addBank(bank);
  }

  /** The section of an allocated frame. */
  section(frame: Frame): Section {
    return this.sections[frame >> SHIFT]!;
  }

  /** Whether `frame` is one: RAM has that number. => any number. */
  exists(frame: Frame): boolean {
    // The shifts would truncate a fraction and take NaN for 0.
    if (frame >>> 0 !== frame) return false;
    const s = frame >>> SHIFT;
    return frame < this.sectionEnd[s] && frame >= this.sectionFirst[s];
  }

  /** Whether `frame` exists and is neither free nor cached. => any number. */
  isAllocated(frame: Frame): boolean {
    if (frame >>> 0 !== frame) return false;
    return this.sections[frame >>> SHIFT]?.order[frame & ROW] === USED;
  }

  /**
   * Take a block of at most 2^most frames out of `pool`, from the smallest block there is; its order
   * is in `tookOrder`. @returns its first frame, or NO_FRAME.   @bsd #Y vm_phys_alloc_freelist_pages
   */
  takeSmall(pool: number, most: number): Frame {
    for (let order = 0; order <= TOP; order++) {
      const frame = this.firstBlock(pool, order);
      if (frame === NO_FRAME) continue;
      this.tookOrder = Math.min(order, most);
      this.#detach(frame, order);
      // The halves that stay are maximal already: their buddies are what is taken or split further.
      for (let o = order - 1; o >= most; o--) this.#link(frame + (1 << o), o);
      this.#markUsed(frame, this.tookOrder);
      return frame;
    }
    return NO_FRAME;
  }

  /** First block of a list: `nextBlock` leads on. */
  firstBlock(pool: number, order: number): Frame {
    const head = this.#heads[pool * ORDERS + order];
    return head < 0 ? NO_FRAME : order === TOP ? head << SHIFT : head;
  }

  nextBlock(frame: Frame, order: number): Frame {
    if (order < TOP) return this.section(frame).next[frame & ROW];
    const next = this.#nextSection[frame >> SHIFT];
    return next < 0 ? NO_FRAME : next << SHIFT;
  }

  /** Remove a free block from its list; its frames are allocated then. => it is a free block of that order. */
  takeBlock(frame: Frame, order: number): void {
    this.#detach(frame, order);
    this.#markUsed(frame, order);
  }

  /** Allocate [`frame`, `frame + count`) out of the free blocks that hold it. => all are in free blocks. */
  carve(frame: Frame, count: number): void {
    let at = this.#blockAt(frame);
    while (at < frame + count) {
      const order = this.#orderAt(at);
      const end = at + (1 << order);
      this.takeBlock(at, order);
      if (at < frame) this.freeRange(at, frame - at);
      if (end > frame + count) this.freeRange(frame + count, end - frame - count);
      at = end;
    }
  }

  /** Free [`frame`, `frame + count`), merging with free neighbours. => allocated frames of one bank. @bsd #Y vm_phys_free_contig */
  freeRange(frame: Frame, count: number): void {
    let at = frame;
    let left = count;
    while (left > 0) {
      const low = at & -at & (FRAMES - 1);
      let order = low === 0 ? TOP : 31 - Math.clz32(low);
      while (1 << order > left) order--;
      this.#freeBlock(at, order);
      at += 1 << order;
      left -= 1 << order;
    }
  }

  /** Free one frame, used or cached. */
  freeOne(frame: Frame): void {
    this.#freeBlock(frame, 0);
  }

  /** Walk all lists and panic on a broken invariant. @returns frames in free blocks. */
  checkFree(): number {
    let free = 0;
    for (let pool = 0; pool < this.pools; pool++) {
      let inPool = 0;
      for (let order = 0; order <= TOP; order++) {
        for (let f = this.firstBlock(pool, order); f !== NO_FRAME; f = this.nextBlock(f, order)) {
          this.#checkBlock(f, order, pool);
          inPool += 1 << order;
        }
      }
      if (inPool !== this.poolFree[pool])
        panic(`physmem: ${inPool} frames of pool ${pool} are free, counted ${this.poolFree[pool]}`);
      free += inPool;
    }
    for (let s = 0; s < this.sections.length; s++) this.#checkSection(s);
    return free;
  }

  #checkBlock(frame: Frame, order: number, pool: number): void {
    const s = frame >> SHIFT;
    if (this.poolOf[s] !== pool) panic(`physmem: frame ${frame} is on the lists of pool ${pool}`);
    if (order === TOP) {
      if (this.#state[s] !== WHOLE_FREE) panic(`physmem: section ${s} is on the free list`);
      return;
    }
    const { order: orders } = this.section(frame);
    const row = frame & ROW;
    if (orders[row] !== order) panic(`physmem: frame ${frame} is on list ${order}`);
    if (orders[row ^ (1 << order)] === order)
      panic(`physmem: frames ${frame} and its buddy are not merged`);
    for (let r = row + 1; r < row + (1 << order); r++)
      if (orders[r] !== BODY) panic(`physmem: row ${r} of section ${s} is not in its block`);
  }

  /** The column against the count: every free frame is in a block. */
  #checkSection(s: number): void {
    const section = this.sections[s];
    let free = this.#state[s] === WHOLE_FREE ? FRAMES : 0;
    if (section !== null) {
      free = 0;
      for (const order of section.order) if (order <= TOP || order === BODY) free++;
    }
    if (free !== this.sectionFree[s])
      panic(`physmem: ${free} rows of section ${s} are free, counted ${this.sectionFree[s]}`);
  }

  #addBank(bank: Bank): void {
    this.totalFrames += bank.endFrame - bank.firstFrame;
    const last = (bank.endFrame - 1) >> SHIFT;
    for (let s = last; s >= bank.firstFrame >> SHIFT; s--) {
      const from = Math.max(bank.firstFrame, s << SHIFT);
      const to = Math.min(bank.endFrame, (s + 1) << SHIFT);
      const address = bank.base + (from - bank.firstFrame) * PAGE_SIZE;
      const pool = bank.domain * REACHES + reachOf(address);
      this.poolOf[s] = pool;
      this.poolTotal[pool] += to - from;
      this.sectionFirst[s] = from;
      this.sectionEnd[s] = to;
      this.sectionAddr[s] = address - (from - (s << SHIFT)) * PAGE_SIZE;
      if (to - from === FRAMES) {
        this.#freeSection(s);
        this.sectionFree[s] = FRAMES;
        this.poolFree[pool] += FRAMES;
      } else {
        this.#state[s] = SPLIT;
        const section = new Section();
        section.order.fill(NOT_RAM);
        this.sections[s] = section;
        this.freeRange(from, to - from);
      }
    }
  }

  /** The free block that holds `frame`. */
  #blockAt(frame: Frame): Frame {
    const s = frame >> SHIFT;
    if (this.#state[s] === WHOLE_FREE) return s << SHIFT;
    const { order: orders } = this.sections[s]!;
    for (let o = 0; o < TOP; o++) {
      const row = frame & ROW & ~((1 << o) - 1);
      if (orders[row] === o) return (s << SHIFT) + row;
    }
    panic(`physmem: frame ${frame} is in no free block`);
  }

  #orderAt(frame: Frame): number {
    if (this.#state[frame >> SHIFT] === WHOLE_FREE) return TOP;
    return this.section(frame).order[frame & ROW];
  }

  #freeBlock(frame: Frame, order: number): void {
    const s = frame >> SHIFT;
    const { order: orders } = this.sections[s]!;
    this.sectionFree[s] += 1 << order;
    this.poolFree[this.poolOf[s]] += 1 << order;
    let row = frame & ROW;
    let o = order;
    if (order === 0) orders[row] = BODY;
    else orders.fill(BODY, row, row + (1 << order));
    while (o < TOP && orders[row ^ (1 << o)] === o) {
      const buddy = row ^ (1 << o);
      this.#unlink((s << SHIFT) + buddy, o);
      orders[buddy] = BODY;
      row &= buddy;
      o++;
    }
    if (o < TOP) this.#link((s << SHIFT) + row, o);
    else this.#freeSection(s);
    if (this.#bytes !== null && this.sectionFree[s] === this.sectionEnd[s] - this.sectionFirst[s])
      this.#bytes.drop(s);
  }

  #detach(frame: Frame, order: number): void {
    if (order === TOP) this.#takeSection(frame >> SHIFT);
    else this.#unlink(frame, order);
  }

  /** Count a detached block, or the first part of one, as allocated. */
  #markUsed(frame: Frame, order: number): void {
    const s = frame >> SHIFT;
    const row = frame & ROW;
    const { order: orders } = this.sections[s]!;
    this.sectionFree[s] -= 1 << order;
    this.poolFree[this.poolOf[s]] -= 1 << order;
    if (order === 0) orders[row] = USED;
    else orders.fill(USED, row, row + (1 << order));
  }

  #link(frame: Frame, order: number): void {
    const s = frame >> SHIFT;
    const list = this.poolOf[s] * ORDERS + order;
    const section = this.sections[s]!;
    const head = this.#heads[list];
    const row = frame & ROW;
    section.order[row] = order;
    section.next[row] = head;
    section.prev[row] = -1;
    if (head >= 0) this.sections[head >> SHIFT]!.prev[head & ROW] = frame;
    this.#heads[list] = frame;
  }

  #unlink(frame: Frame, order: number): void {
    const s = frame >> SHIFT;
    const row = frame & ROW;
    const { next, prev } = this.sections[s]!;
    const after = next[row];
    const before = prev[row];
    if (before < 0) this.#heads[this.poolOf[s] * ORDERS + order] = after;
    else this.sections[before >> SHIFT]!.next[before & ROW] = after;
    if (after >= 0) this.sections[after >> SHIFT]!.prev[after & ROW] = before;
    next[row] = -1;
    prev[row] = -1;
  }

  #freeSection(s: number): void {
    const list = this.poolOf[s] * ORDERS + TOP;
    const head = this.#heads[list];
    this.#state[s] = WHOLE_FREE;
    this.#nextSection[s] = head;
    this.#prevSection[s] = -1;
    if (head >= 0) this.#prevSection[head] = s;
    this.#heads[list] = s;
  }

  #takeSection(s: number): void {
    if (this.#state[s] !== WHOLE_FREE) panic(`physmem: section ${s} is not free`);
    const next = this.#nextSection[s];
    const prev = this.#prevSection[s];
    if (prev < 0) this.#heads[this.poolOf[s] * ORDERS + TOP] = next;
    else this.#nextSection[prev] = next;
    if (next >= 0) this.#prevSection[next] = prev;
    this.#state[s] = SPLIT;
    if (this.sections[s] !== null) return;
    const section = new Section();
    section.order.fill(BODY);
    this.sections[s] = section;
  }
}

function reachOf(pa: PhysAddr): number {
  if (pa <= MAXADDR_24BIT) return 0;
  return pa <= MAXADDR_32BIT ? 1 : 2;
}
