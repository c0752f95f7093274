/**
 * What a pmap needs of a page table, whatever its format, and how it names a page.
 *
 *   virtual address (48 bits): [ leaf 27 | index 9 | offset in the page 12 ]
 *
 * A page is named by the number of its leaf and its index there: two small integers, since an address
 * or a page number above 2^31 is boxed (16 bytes) by each call that is not inlined. The software
 * radix (radix.ts) is one table; the hardware formats of the arch packages are others. A table knows
 * nothing of frames but their numbers, and nothing of counts, pv lists or rules: those are the pmap's.
 */
import type { Frame, VirtAddr } from "@physio/kern";
import { offsetIn, PAGE_SIZE } from "@physio/kern";
import type { Pte } from "./prot.ts";

// This module's own names: the compiler folds them.
const PAGE = PAGE_SIZE;
const PAGE_SHIFT = 12;
const PAGES = 512;
const BYTES = PAGES * PAGE;
const PER_LEAF = 1 / BYTES; // exact: a power of 2
const LIMIT = 2 ** 48;

/** Pages that one leaf maps: a power of 2. */
export const LEAF_PAGES = PAGES;
/** Virtual addresses lie below this. */
export const VA_LIMIT = LIMIT;
/** Leaves have numbers below this. */
export const LEAVES = LIMIT / BYTES;

/** Number of the leaf that maps `va`; LEAVES for VA_LIMIT, where a range may end; −1: no page table has such an address. */
export function leafOf(va: VirtAddr): number {
  return va >= 0 && va <= LIMIT ? (va * PER_LEAF) | 0 : -1;
}

/** Index in its leaf of the page that holds `va`, below LEAF_PAGES. => `va`: 0 … 2^53 − 1. */
export function leafIndex(va: VirtAddr): number {
  return offsetIn(va, BYTES) >> PAGE_SHIFT;
}

/** First address of page `index` of a leaf. `index` may exceed a leaf. */
export function leafAddr(leaf: number, index: number): VirtAddr {
  return leaf * BYTES + index * PAGE;
}

/** How a pmap stores its mappings. `leaf`: 0 … LEAVES − 1, any other number maps to nothing; `index`: 0 … LEAF_PAGES − 1. */
export interface PageTable {
  /** Where `next` found a page. */
  readonly foundLeaf: number;
  readonly foundIndex: number;
  /** The frame that a page maps to, or NO_FRAME. */
  frame(leaf: number, index: number): Frame;
  /** The entry of a page; 0: not mapped. */
  pte(leaf: number, index: number): Pte;
  /** The frames of a leaf; null: none of its pages is mapped. Read only. */
  leaf(leaf: number): Int32Array | null;
  /** The entries of the same pages. */
  leafPtes(leaf: number): Uint8Array | null;
  /** => there is such a leaf; `pte` is not 0. */
  set(leaf: number, index: number, frame: Frame, pte: Pte): void;
  /** Change the entry of a mapped page; the frame stays. */
  setPte(leaf: number, index: number, pte: Pte): void;
  /** @returns the frame that was mapped, or NO_FRAME. */
  clear(leaf: number, index: number): Frame;
  /**
   * Find the first mapped page from a page on and before another one: in `foundLeaf` and `foundIndex`.
   * Costs what is mapped, not what is not. => either index may be LEAF_PAGES, `endLeaf` may be LEAVES.
   * @returns whether there is one.
   */
  next(leaf: number, index: number, endLeaf: number, endIndex: number): boolean;
}
