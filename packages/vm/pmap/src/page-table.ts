/**
 * What a pmap needs of a page table, whatever its format.
 *
 * The software radix (radix.ts) is one; the hardware formats of the arch packages are others. A
 * table knows nothing of frames but their numbers, and nothing of counts, pv lists or rules: those
 * are the pmap's.
 */
import type { Frame } from "@physio/kern";
import type { Pte } from "./prot.ts";

/** Pages that one leaf maps: a power of 2. */
export const LEAF_PAGES = 512;

/** How a pmap stores its mappings. Page numbers are whole and below 2^36; others map to nothing. */
export interface PageTable {
  /** The frame that `page` maps to, or NO_FRAME. */
  frame(page: number): Frame;
  /** The entry of `page`; 0: not mapped. */
  pte(page: number): Pte;
  /** The frames of the LEAF_PAGES pages, aligned, that hold `page`; null: none of them is mapped. Read only. */
  leaf(page: number): Int32Array | null;
  /** The entries of the same pages. */
  leafPtes(page: number): Uint8Array | null;
  /** => `page` is below 2^36; `pte` is not 0. */
  set(page: number, frame: Frame, pte: Pte): void;
  /** Change the entry of a mapped page; the frame stays. */
  setPte(page: number, pte: Pte): void;
  /** @returns the frame that was mapped, or NO_FRAME. */
  clear(page: number): Frame;
  /** The first mapped page in [`page`, `end`), or −1. Costs what is mapped, not what is not. */
  next(page: number, end: number): number;
}
