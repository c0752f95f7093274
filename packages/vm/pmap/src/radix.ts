/**
 * The software page table: a radix tree from leaf numbers to leaves of frames.
 *
 *   leaf number (27 bits): [ top 14 | middle 13 ]
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
import { LEAF_PAGES, LEAVES } from "./page-table.ts";
import type { Pte } from "./prot.ts";

// This module's own names: the compiler folds them.
const LEAF = LEAF_PAGES;
const COUNT = LEAVES;
const MIDDLE = 8192;
const MIDDLE_SHIFT = 13;
const MIDDLE_MASK = MIDDLE - 1;
const TOP = COUNT / MIDDLE;

/** 16 GiB of addresses: the columns of its leaves. */
class Middle {
  readonly frames: (Int32Array | null)[];
  readonly ptes: (Uint8Array | null)[];

  constructor() {
    this.frames = new Array<Int32Array | null>(MIDDLE).fill(null);
    this.ptes = new Array<Uint8Array | null>(MIDDLE).fill(null);
  }
}

/** Fills the columns of leaf `leaf`. @returns false: nothing is mapped there. */
export type LeafFiller = (leaf: number, frames: Int32Array, ptes: Uint8Array) => boolean;

export class RadixTable implements PageTable {
  foundLeaf: number;
  foundIndex: number;
  readonly #top: (Middle | null)[];
  /** Leaves from this one on come from the filler. */
  readonly #fillFrom: number;
  readonly #filler: LeafFiller | null;
  /** The leaf that was asked for last, or −1: neighbours ask for it again. */
  #last: number;
  #lastFrames: Int32Array | null;
  #lastPtes: Uint8Array | null;

  constructor(filler: LeafFiller | null = null, fillFrom: number = COUNT) {
    this.foundLeaf = -1;
    this.foundIndex = 0;
    this.#top = [];
    this.#fillFrom = fillFrom;
    this.#filler = filler;
    this.#last = -1;
    this.#lastFrames = null;
    this.#lastPtes = null;
  }

  frame(leaf: number, index: number): Frame {
    // Does not make the leaf the last one: three stores that lookups all over a space gain nothing by.
    const frames = leaf === this.#last ? this.#lastFrames : this.#look(leaf);
    return frames === null ? NO_FRAME : frames[index];
  }

  pte(leaf: number, index: number): Pte {
    const ptes = this.leafPtes(leaf);
    return ptes === null ? 0 : ptes[index];
  }

  leaf(leaf: number): Int32Array | null {
    if (leaf === this.#last) return this.#lastFrames;
    // Apart, so that loops inline what is above: with it here a load of 16 pages took 145 ns, not 85.
    return this.#find(leaf);
  }

  leafPtes(leaf: number): Uint8Array | null {
    return this.leaf(leaf) === null ? null : this.#lastPtes;
  }

  set(leaf: number, index: number, frame: Frame, pte: Pte): void {
    const frames = this.leaf(leaf) ?? this.#make(leaf);
    frames[index] = frame;
    this.leafPtes(leaf)![index] = pte;
  }

  setPte(leaf: number, index: number, pte: Pte): void {
    const ptes = this.leafPtes(leaf);
    if (ptes !== null) ptes[index] = pte;
  }

  clear(leaf: number, index: number): Frame {
    const frames = this.leaf(leaf);
    if (frames === null) return NO_FRAME;
    const frame = frames[index];
    frames[index] = NO_FRAME;
    this.leafPtes(leaf)![index] = 0;
    return frame;
  }

  next(leaf: number, index: number, endLeaf: number, endIndex: number): boolean {
    const made = this.#top.length * MIDDLE; // nothing was ever mapped from this leaf on
    let from = leaf < 0 ? 0 : index;
    for (let at = Math.max(leaf, 0); at <= endLeaf && at < made; ) {
      const middle = this.#top[at >> MIDDLE_SHIFT];
      const frames = middle === null ? null : middle.frames[at & MIDDLE_MASK];
      if (frames !== null) {
        const end = at === endLeaf ? endIndex : LEAF;
        while (from < end && frames[from] < 0) from++;
        if (from < end) {
          this.foundLeaf = at;
          this.foundIndex = from;
          return true;
        }
      }
      // Skip what the level that is missing would have covered.
      at = middle === null ? ((at >> MIDDLE_SHIFT) + 1) * MIDDLE : at + 1;
      from = 0;
    }
    return false;
  }

  /** Leaf `leaf`, made by the filler if it must be. */
  #look(leaf: number): Int32Array | null {
    const middle = this.#middle(leaf);
    const frames = middle === null ? null : middle.frames[leaf & MIDDLE_MASK];
    return frames === null && leaf >= this.#fillFrom ? this.#find(leaf) : frames;
  }

  /** The same, which is the last one then. */
  #find(leaf: number): Int32Array | null {
    const middle = this.#middle(leaf);
    const frames = middle === null ? null : middle.frames[leaf & MIDDLE_MASK];
    if (middle === null || frames === null) return leaf >= this.#fillFrom ? this.#fill(leaf) : null;
    this.#last = leaf;
    this.#lastFrames = frames;
    this.#lastPtes = middle.ptes[leaf & MIDDLE_MASK];
    return frames;
  }

  #middle(leaf: number): Middle | null {
    const top = leaf >= 0 && leaf < COUNT ? leaf >> MIDDLE_SHIFT : TOP;
    return top < this.#top.length ? this.#top[top] : null;
  }

  /** Make a leaf, empty. */
  #make(leaf: number): Int32Array {
    const top = leaf >> MIDDLE_SHIFT;
    while (this.#top.length <= top) this.#top.push(null);
    const middle = this.#top[top] ?? new Middle();
    this.#top[top] = middle;
    const frames = new Int32Array(LEAF).fill(NO_FRAME);
    middle.frames[leaf & MIDDLE_MASK] = frames;
    middle.ptes[leaf & MIDDLE_MASK] = new Uint8Array(LEAF);
    return frames;
  }

  #fill(leaf: number): Int32Array | null {
    if (this.#filler === null || !(leaf < COUNT)) return null;
    const frames = new Int32Array(LEAF).fill(NO_FRAME);
    const ptes = new Uint8Array(LEAF);
    if (!this.#filler(leaf, frames, ptes)) return null;
    this.#make(leaf).set(frames);
    this.leafPtes(leaf)!.set(ptes);
    return this.leaf(leaf);
  }
}
