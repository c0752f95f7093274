/**
 * The software page table: a radix tree from page numbers to frames.
 *
 *   page number (36 bits): [ top 14 | middle 13 | leaf 9 ]
 *
 * A leaf covers 2 MiB: 512 frames (−1: not mapped) and their access rights, as columns. The upper
 * levels are arrays made on demand. No mapping is ever an object. The hardware formats of the
 * arch packages will stand behind the same four functions.
 */
import type { Frame } from "@physio/kern";
import { NO_FRAME } from "@physio/kern";
import type { Prot } from "./prot.ts";

const LEAF = 512;
/** Pages that one leaf maps: a power of 2. */
export const LEAF_PAGES = LEAF;
const PER_LEAF = 1 / LEAF; // exact: a power of 2
const MIDDLE = 8192;
const TOP = 16384;
const PAGES = LEAF * MIDDLE * TOP;

class Leaf {
  readonly frames: Int32Array;
  readonly prots: Uint8Array;

  constructor() {
    this.frames = new Int32Array(LEAF).fill(NO_FRAME);
    this.prots = new Uint8Array(LEAF);
  }
}

/** How a pmap stores its mappings. Page numbers are whole and below 2^36. */
export interface PageTable {
  /** The frame that `page` maps to, or NO_FRAME. */
  frame(page: number): Frame;
  prot(page: number): Prot;
  /** The frames of the LEAF_PAGES pages, aligned, that hold `page`; null: none of them is mapped. Read only. */
  leaf(page: number): Int32Array | null;
  set(page: number, frame: Frame, prot: Prot): void;
  /** @returns the frame that was mapped, or NO_FRAME. */
  clear(page: number): Frame;
}

export class RadixTable implements PageTable {
  readonly #top: ((Leaf | null)[] | null)[];
  /** The leaf that was asked for last: neighbours ask for it again. Leaves are never given up. */
  #lastStart: number;
  #lastFrames: Int32Array | null;
  #lastLeaf: Leaf | null;

  constructor() {
    this.#top = [];
    this.#lastStart = PAGES; // no page is there
    this.#lastFrames = null;
    this.#lastLeaf = null;
  }

  frame(page: number): Frame {
    const leaf = this.#leaf(page);
    return leaf === null ? NO_FRAME : leaf.frames[page % LEAF];
  }

  leaf(page: number): Int32Array | null {
    if (page >= this.#lastStart && page < this.#lastStart + LEAF) return this.#lastFrames;
    return this.#leaf(page)?.frames ?? null;
  }

  prot(page: number): Prot {
    const leaf = this.#leaf(page);
    return leaf === null ? 0 : leaf.prots[page % LEAF];
  }

  set(page: number, frame: Frame, prot: Prot): void {
    const number = Math.floor(page / LEAF);
    const top = (number / MIDDLE) | 0;
    while (this.#top.length <= top && this.#top.length < TOP) this.#top.push(null);
    const middle = this.#top[top] ?? new Array<Leaf | null>(MIDDLE).fill(null);
    this.#top[top] = middle;
    const leaf = middle[number % MIDDLE] ?? new Leaf();
    middle[number % MIDDLE] = leaf;
    leaf.frames[page % LEAF] = frame;
    leaf.prots[page % LEAF] = prot;
  }

  clear(page: number): Frame {
    const leaf = this.#leaf(page);
    if (leaf === null) return NO_FRAME;
    const frame = leaf.frames[page % LEAF];
    leaf.frames[page % LEAF] = NO_FRAME;
    leaf.prots[page % LEAF] = 0;
    return frame;
  }

  #leaf(page: number): Leaf | null {
    if (!(page >= 0 && page < PAGES)) return null;
    const number = (page * PER_LEAF) | 0;
    if (number * LEAF === this.#lastStart) return this.#lastLeaf;
    const leaf = this.#top[(number / MIDDLE) | 0]?.[number % MIDDLE] ?? null;
    if (leaf !== null) {
      this.#lastStart = number * LEAF;
      this.#lastLeaf = leaf;
      this.#lastFrames = leaf.frames;
    }
    return leaf;
  }
}
