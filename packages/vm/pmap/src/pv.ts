/**
 * pv lists: for each frame, the managed mappings of it.
 *
 * A mapping is a row of columns (whose pmap, which leaf and index there, the next row of the frame); the first row of
 * a frame hangs on its `pv` column. Rows that end go to a free list, so a machine in steady state
 * makes no garbage. Follows struct pv_entry of the pmaps.
 *
 * Invariant: rows on frames' lists + rows on the free list = rows made.
 */
import type { Frame } from "@physio/kern";
import { panic } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import { ROW_MASK } from "@physio/physmem";
import { LEAF_PAGES } from "./page-table.ts";

const LEAF = LEAF_PAGES;
const END = -1;

export class PvTable {
  /** Mappings on lists. */
  count: number;
  readonly #mem: PhysMem;
  #pmap: Int32Array;
  #leaf: Int32Array;
  #index: Uint16Array;
  #next: Int32Array;
  #made: number;
  #free: number;

  constructor(mem: PhysMem) {
    this.count = 0;
    this.#mem = mem;
    this.#pmap = new Int32Array(64);
    this.#leaf = new Int32Array(64);
    this.#index = new Uint16Array(64);
    this.#next = new Int32Array(64).fill(END);
    this.#made = 0;
    this.#free = END;
  }

  /** First row of `frame`'s list; −1: it has no managed mapping. => the frame is allocated, else panic. */
  first(frame: Frame): number {
    this.#mem.assertAllocated(frame);
    return this.#mem.section(frame).pv[frame & ROW_MASK];
  }

  next(row: number): number {
    return this.#next[row];
  }

  /** Id of the pmap of a row. */
  pmapOf(row: number): number {
    return this.#pmap[row];
  }

  /** Leaf of its page, and index there. */
  leafOf(row: number): number {
    return this.#leaf[row];
  }

  indexOf(row: number): number {
    return this.#index[row];
  }

  insert(frame: Frame, pmap: number, leaf: number, index: number): void {
    const row = this.#take();
    const { pv } = this.#mem.section(frame);
    this.#pmap[row] = pmap;
    this.#leaf[row] = leaf;
    this.#index[row] = index;
    this.#next[row] = pv[frame & ROW_MASK];
    pv[frame & ROW_MASK] = row;
    this.count++;
  }

  /** Whether a row is the mapping at that page of that pmap. */
  is(row: number, pmap: number, leaf: number, index: number): boolean {
    return this.#pmap[row] === pmap && this.#leaf[row] === leaf && this.#index[row] === index;
  }

  /** => the mapping is on the frame's list. */
  remove(frame: Frame, pmap: number, leaf: number, index: number): void {
    const { pv } = this.#mem.section(frame);
    let before = END;
    let row = pv[frame & ROW_MASK];
    while (row !== END && !this.is(row, pmap, leaf, index)) {
      before = row;
      row = this.#next[row];
    }
    if (row === END) {
      panic(`pv: frame ${frame} has no mapping at page ${leaf * LEAF + index} of pmap ${pmap}`);
    }
    if (before === END) pv[frame & ROW_MASK] = this.#next[row];
    else this.#next[before] = this.#next[row];
    this.#next[row] = this.#free;
    this.#free = row;
    this.count--;
  }

  /** Panic unless the free list and the count agree. */
  check(): void {
    let free = 0;
    for (let row = this.#free; row !== END && free <= this.#made; row = this.#next[row]) free++;
    if (free + this.count !== this.#made) {
      panic(`pv: ${free} rows are free and ${this.count} used of ${this.#made}`);
    }
  }

  #take(): number {
    const row = this.#free;
    if (row !== END) {
      this.#free = this.#next[row];
      return row;
    }
    if (this.#made === this.#pmap.length) this.#grow();
    return this.#made++;
  }

  #grow(): void {
    const size = this.#pmap.length * 2;
    const pmap = new Int32Array(size);
    const leaf = new Int32Array(size);
    const index = new Uint16Array(size);
    const next = new Int32Array(size).fill(END);
    pmap.set(this.#pmap);
    leaf.set(this.#leaf);
    index.set(this.#index);
    next.set(this.#next);
    this.#pmap = pmap;
    this.#leaf = leaf;
    this.#index = index;
    this.#next = next;
  }
}
