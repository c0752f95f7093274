/**
 * The frame allocator: buddy free lists over sections.
 *
 * Blocks are powers of two up to a section. Blocks below a section hang on lists linked through the
 * columns of their first frame; whole free sections hang on a list of their own and have no columns
 * until one is split. There is one set of lists per reach (24 bits, 32 bits, the rest), and a
 * request takes from the highest reach that serves it, so memory that limited devices need is spent
 * last. Follows sys/vm/vm_phys.c.
 *
 * Invariant (`checkFree`): every free frame is in exactly one free block, blocks are aligned to
 * their size and maximal, `freeFrames` is the sum.
 */
import type { Frame } from "@physio/kern";
import { MAXADDR_24BIT, MAXADDR_32BIT, NO_FRAME, PAGE_SIZE, panic } from "@physio/kern";
import type { Bank } from "./bank.ts";
import { NOT_FREE, ROW_MASK, SECTION_FRAMES, SECTION_SHIFT, Section } from "./section.ts";

export const MAX_ORDER = SECTION_SHIFT;
const ORDERS = MAX_ORDER + 1;
const REACHES = 3;
const REACH_LIMIT = [MAXADDR_24BIT, MAXADDR_32BIT];

// State of a section; 0: no RAM has these numbers.
const WHOLE_FREE = 1; // on a list of whole sections
const SPLIT = 2; //      has columns; free parts are on the frame lists

export class FrameAllocator {
  readonly banks: readonly Bank[];
  readonly sections: (Section | null)[];
  /** Address of each section's first number: an array look-up where a search through banks took 5 ns. */
  readonly sectionAddr: Float64Array;
  /** One past the last frame of each section; 0: it has none. */
  readonly sectionEnd: Int32Array;
  totalFrames: number;
  freeFrames: number;
  /** Head of the list of free blocks, by reach and order: a frame, or a section for MAX_ORDER. */
  readonly #heads: Int32Array;
  readonly #state: Uint8Array;
  readonly #reach: Uint8Array;
  readonly #nextSection: Int32Array;
  readonly #prevSection: Int32Array;

  constructor(banks: readonly Bank[]) {
    const count = ((banks[banks.length - 1].endFrame - 1) >> SECTION_SHIFT) + 1;
    this.banks = banks;
    this.sections = new Array<Section | null>(count).fill(null);
    this.sectionAddr = new Float64Array(count);
    this.sectionEnd = new Int32Array(count);
    this.totalFrames = 0;
    this.freeFrames = 0;
    this.#heads = new Int32Array(REACHES * ORDERS).fill(-1);
    this.#state = new Uint8Array(count);
    this.#reach = new Uint8Array(count);
    this.#nextSection = new Int32Array(count).fill(-1);
    this.#prevSection = new Int32Array(count).fill(-1);
    for (const bank of banks) this.#addBank(bank);
  }

  /** The section of an allocated frame. */
  section(frame: Frame): Section {
    return this.sections[frame >> SECTION_SHIFT]!;
  }

  /** Section `s` with columns, made now if it never was split: RAM may be written before it is allocated. */
  materialise(s: number): Section {
    const section = this.sections[s] ?? new Section();
    this.sections[s] = section;
    return section;
  }

  /** State of section `s`, for the search of contiguous ranges. */
  isWholeFree(s: number): boolean {
    return this.#state[s] === WHOLE_FREE;
  }

  /**
   * Take a block of 2^order frames from reach `reach` or below.
   * @returns its first frame, or NO_FRAME.   @bsd #Y vm_phys_alloc_freelist_pages
   */
  allocBlock(order: number, reach: number = REACHES - 1): Frame {
    for (let r = reach; r >= 0; r--) {
      for (let o = order; o <= MAX_ORDER; o++) {
        const head = this.#heads[r * ORDERS + o];
        if (head < 0) continue;
        const frame = o === MAX_ORDER ? head << SECTION_SHIFT : head;
        this.takeBlock(frame, o);
        if (o > order) this.freeRange(frame + (1 << order), (1 << o) - (1 << order));
        return frame;
      }
    }
    return NO_FRAME;
  }

  /** First block of a list: `nextBlock` leads on. */
  firstBlock(reach: number, order: number): Frame {
    const head = this.#heads[reach * ORDERS + order];
    return head < 0 ? NO_FRAME : order === MAX_ORDER ? head << SECTION_SHIFT : head;
  }

  nextBlock(frame: Frame, order: number): Frame {
    if (order < MAX_ORDER) return this.section(frame).next[frame & ROW_MASK];
    const next = this.#nextSection[frame >> SECTION_SHIFT];
    return next < 0 ? NO_FRAME : next << SECTION_SHIFT;
  }

  /** Remove a free block from its list; its frames are allocated then. => it is a free block of that order. */
  takeBlock(frame: Frame, order: number): void {
    this.freeFrames -= 1 << order;
    if (order === MAX_ORDER) this.#takeSection(frame >> SECTION_SHIFT);
    else this.#unlink(frame, order);
  }

  /** Free [`frame`, `frame + count`), merging with free neighbours. => allocated frames of one bank. @bsd #Y vm_phys_free_contig */
  freeRange(frame: Frame, count: number): void {
    let at = frame;
    let left = count;
    while (left > 0) {
      const low = at & -at & (SECTION_FRAMES - 1);
      let order = low === 0 ? MAX_ORDER : 31 - Math.clz32(low);
      while (1 << order > left) order--;
      this.#freeBlock(at, order);
      at += 1 << order;
      left -= 1 << order;
    }
  }

  /** Panic if a free block begins in [`frame`, `frame + count`); freeRange sees those that hold one of its blocks. */
  checkNoneFree(frame: Frame, count: number): void {
    for (let f = frame; f < frame + count; f++) {
      const section = this.sections[f >> SECTION_SHIFT];
      if (section !== null && section.order[f & ROW_MASK] !== NOT_FREE)
        panic(`physmem: frame ${f} is freed twice`);
    }
  }

  /** Highest reach whose lists may hold addresses up to `high`. */
  reachOf(high: number): number {
    for (let r = 0; r < REACHES - 1; r++) if (high <= REACH_LIMIT[r]) return r;
    return REACHES - 1;
  }

  /** Walk all lists and panic on a broken invariant. */
  checkFree(): void {
    let free = 0;
    for (let list = 0; list < REACHES * ORDERS; list++) {
      const order = list % ORDERS;
      const reach = (list - order) / ORDERS;
      for (let f = this.firstBlock(reach, order); f !== NO_FRAME; f = this.nextBlock(f, order)) {
        this.#checkBlock(f, order, reach);
        free += 1 << order;
      }
    }
    if (free !== this.freeFrames)
      panic(`physmem: ${free} frames are free, counted ${this.freeFrames}`);
  }

  #checkBlock(frame: Frame, order: number, reach: number): void {
    const s = frame >> SECTION_SHIFT;
    if (this.#reach[s] !== reach)
      panic(`physmem: frame ${frame} is on the lists of reach ${reach}`);
    if (order === MAX_ORDER) {
      if (this.#state[s] !== WHOLE_FREE) panic(`physmem: section ${s} is on the free list`);
      return;
    }
    const { order: orders } = this.section(frame);
    if (orders[frame & ROW_MASK] !== order) panic(`physmem: frame ${frame} is on list ${order}`);
    const buddy = (frame & ROW_MASK) ^ (1 << order);
    if (orders[buddy] === order) panic(`physmem: frames ${frame} and its buddy are not merged`);
  }

  #addBank(bank: Bank): void {
    this.totalFrames += bank.endFrame - bank.firstFrame;
    const last = (bank.endFrame - 1) >> SECTION_SHIFT;
    for (let s = last; s >= bank.firstFrame >> SECTION_SHIFT; s--) {
      const from = Math.max(bank.firstFrame, s << SECTION_SHIFT);
      const to = Math.min(bank.endFrame, (s + 1) << SECTION_SHIFT);
      const address = bank.base + (from - bank.firstFrame) * PAGE_SIZE;
      this.#reach[s] = this.reachOf(address);
      this.sectionEnd[s] = to;
      this.sectionAddr[s] = address - (from - (s << SECTION_SHIFT)) * PAGE_SIZE;
      if (to - from === SECTION_FRAMES) this.#freeSection(s);
      else {
        this.#state[s] = SPLIT;
        this.materialise(s);
        this.freeRange(from, to - from);
      }
    }
  }

  #freeBlock(frame: Frame, order: number): void {
    this.#checkNotFree(frame, order);
    if (order === MAX_ORDER) {
      this.#freeSection(frame >> SECTION_SHIFT);
      return;
    }
    const { order: orders } = this.section(frame);
    const base = frame - (frame & ROW_MASK);
    let row = frame & ROW_MASK;
    let o = order;
    this.freeFrames += 1 << order;
    while (o < MAX_ORDER && orders[row ^ (1 << o)] === o) {
      this.#unlink(base + (row ^ (1 << o)), o);
      row &= ~(1 << o);
      o++;
    }
    if (o < MAX_ORDER) {
      this.#link(base + row, o);
      return;
    }
    this.freeFrames -= SECTION_FRAMES; // counted block by block; #freeSection counts it whole
    this.#freeSection(base >> SECTION_SHIFT);
  }

  #checkNotFree(frame: Frame, order: number): void {
    const section = this.sections[frame >> SECTION_SHIFT];
    if (section === null || this.#state[frame >> SECTION_SHIFT] !== SPLIT) {
      panic(`physmem: free of frame ${frame}, which is not allocated`);
    }
    const row = frame & ROW_MASK;
    for (let o = order; o <= MAX_ORDER; o++) {
      if (section.order[row & ~((1 << o) - 1)] === o)
        panic(`physmem: frame ${frame} is freed twice`);
    }
  }

  #link(frame: Frame, order: number): void {
    const list = this.#reach[frame >> SECTION_SHIFT] * ORDERS + order;
    const section = this.section(frame);
    const head = this.#heads[list];
    const row = frame & ROW_MASK;
    section.order[row] = order;
    section.next[row] = head;
    section.prev[row] = -1;
    if (head >= 0) this.section(head).prev[head & ROW_MASK] = frame;
    this.#heads[list] = frame;
  }

  #unlink(frame: Frame, order: number): void {
    const section = this.section(frame);
    const row = frame & ROW_MASK;
    const { next, prev } = section;
    if (prev[row] < 0)
      this.#heads[this.#reach[frame >> SECTION_SHIFT] * ORDERS + order] = next[row];
    else this.section(prev[row]).next[prev[row] & ROW_MASK] = next[row];
    if (next[row] >= 0) this.section(next[row]).prev[next[row] & ROW_MASK] = prev[row];
    section.order[row] = NOT_FREE;
    next[row] = -1;
    prev[row] = -1;
  }

  #freeSection(s: number): void {
    const list = this.#reach[s] * ORDERS + MAX_ORDER;
    const head = this.#heads[list];
    this.freeFrames += SECTION_FRAMES;
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
    if (prev < 0) this.#heads[this.#reach[s] * ORDERS + MAX_ORDER] = next;
    else this.#nextSection[prev] = next;
    if (next >= 0) this.#prevSection[next] = prev;
    this.#state[s] = SPLIT;
    this.materialise(s);
  }
}
