/**
 * The software page table: a radix tree from page numbers to frames.
 *
 *   page number (36 bits): [ top 14 | middle 13 | leaf 9 ]
 *
 * A leaf covers 2 MiB: 512 frames (−1: not mapped) and their entries, two columns. The levels above
 * are arrays made on demand. No mapping is ever an object. Leaves are never given up before the
 * table is: a range that was mapped once will be mapped again.
 *
 * A table may have a `filler`, which makes leaves of a range that is mapped as a whole (the direct
 * map) when somebody first looks there.
 */
import type { Frame } from "@physio/kern";
import { NO_FRAME } from "@physio/kern";
import type { PageTable } from "./page-table.ts";
import { LEAF_PAGES } from "./page-table.ts";
import type { Pte } from "./prot.ts";

// This module's own names: the compiler folds them.
const LEAF = LEAF_PAGES;
const IN_LEAF = LEAF - 1; // exact below 2^53; a remainder of doubles costs 10 ns
const PER_LEAF = 1 / LEAF; // exact: a power of 2
const MIDDLE = 8192;
const MIDDLE_SHIFT = 13;
const MIDDLE_MASK = MIDDLE - 1;
const TOP = 16384;
const PAGES = LEAF * MIDDLE * TOP;

/** 16 GiB of addresses: the columns of its leaves. */
class Middle {
  readonly frames: (Int32Array | null)[];
  readonly ptes: (Uint8Array | null)[];

  constructor() {
    this.frames = new Array<Int32Array | null>(MIDDLE).fill(null);
    this.ptes = new Array<Uint8Array | null>(MIDDLE).fill(null);
  }
}

/** Fills the columns of a leaf that begins at page number `first`. @returns false: nothing is mapped there. */
export type LeafFiller = (first: number, frames: Int32Array, ptes: Uint8Array) => boolean;

export class RadixTable implements PageTable {
  readonly #top: (Middle | null)[];
  /** Leaves from this page number on come from the filler. */
  readonly #fillFrom: number;
  readonly #filler: LeafFiller | null;
  /** The leaf that was asked for last: neighbours ask for it again. */
  #lastStart: number;
  #lastFrames: Int32Array | null;
  #lastPtes: Uint8Array | null;

  constructor(filler: LeafFiller | null = null, fillFrom: number = PAGES) {
    this.#top = [];
    this.#fillFrom = fillFrom;
    this.#filler = filler;
    this.#lastStart = PAGES; // no page is there
    this.#lastFrames = null;
    this.#lastPtes = null;
  }

  frame(page: number): Frame {
    const frames = this.leaf(page);
    return frames === null ? NO_FRAME : frames[page & IN_LEAF];
  }

  pte(page: number): Pte {
    const ptes = this.leafPtes(page);
    return ptes === null ? 0 : ptes[page & IN_LEAF];
  }

  leaf(page: number): Int32Array | null {
    if (page >= this.#lastStart && page < this.#lastStart + LEAF) return this.#lastFrames;
    // Apart, so that loops inline what is above: with it here a load of 16 pages took 145 ns, not 85.
    return this.#find(page);
  }

  leafPtes(page: number): Uint8Array | null {
    return this.leaf(page) === null ? null : this.#lastPtes;
  }

  set(page: number, frame: Frame, pte: Pte): void {
    const frames = this.leaf(page) ?? this.#make((page * PER_LEAF) | 0);
    frames[page & IN_LEAF] = frame;
    this.leafPtes(page)![page & IN_LEAF] = pte;
  }

  setPte(page: number, pte: Pte): void {
    const ptes = this.leafPtes(page);
    if (ptes !== null) ptes[page & IN_LEAF] = pte;
  }

  clear(page: number): Frame {
    const frames = this.leaf(page);
    if (frames === null) return NO_FRAME;
    const frame = frames[page & IN_LEAF];
    frames[page & IN_LEAF] = NO_FRAME;
    this.leafPtes(page)![page & IN_LEAF] = 0;
    return frame;
  }

  next(page: number, end: number): number {
    const stop = Math.min(end, this.#top.length * MIDDLE * LEAF); // nothing was ever mapped above
    for (let at = Math.max(page, 0); at < stop; ) {
      const number = (at * PER_LEAF) | 0;
      const middle = this.#middle(number);
      const frames = middle === null ? null : middle.frames[number & MIDDLE_MASK];
      if (frames === null) {
        // Skip what the level that is missing would have covered.
        const span = middle === null ? MIDDLE : 1;
        at = (Math.floor(number / span) + 1) * span * LEAF;
        continue;
      }
      const first = number * LEAF;
      for (let i = at - first; i < LEAF && first + i < stop; i++) {
        if (frames[i] >= 0) return first + i;
      }
      at = first + LEAF;
    }
    return -1;
  }

  /** The leaf of `page`, which is the last one then. */
  #find(page: number): Int32Array | null {
    if (!(page >= 0 && page < PAGES)) return null;
    const number = (page * PER_LEAF) | 0;
    const middle = this.#middle(number);
    const frames = middle === null ? null : middle.frames[number & MIDDLE_MASK];
    if (middle === null || frames === null)
      return page >= this.#fillFrom ? this.#fill(number) : null;
    this.#lastStart = number * LEAF;
    this.#lastFrames = frames;
    this.#lastPtes = middle.ptes[number & MIDDLE_MASK];
    return frames;
  }

  #middle(number: number): Middle | null {
    const top = number >> MIDDLE_SHIFT;
    return top < this.#top.length ? this.#top[top] : null;
  }

  /** Make leaf `number`, empty. */
  #make(number: number): Int32Array {
    while (this.#top.length <= number >> MIDDLE_SHIFT) this.#top.push(null);
    const middle = this.#top[number >> MIDDLE_SHIFT] ?? new Middle();
    this.#top[number >> MIDDLE_SHIFT] = middle;
    const frames = new Int32Array(LEAF).fill(NO_FRAME);
    middle.frames[number & MIDDLE_MASK] = frames;
    middle.ptes[number & MIDDLE_MASK] = new Uint8Array(LEAF);
    return frames;
  }

  #fill(number: number): Int32Array | null {
    if (this.#filler === null) return null;
    const frames = new Int32Array(LEAF).fill(NO_FRAME);
    const ptes = new Uint8Array(LEAF);
    if (!this.#filler(number * LEAF, frames, ptes)) return null;
    this.#make(number).set(frames);
    this.leafPtes(number * LEAF)!.set(ptes);
    return this.leaf(number * LEAF);
  }
}
