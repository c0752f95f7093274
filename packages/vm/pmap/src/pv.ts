/**
 * pv lists: for each frame, the managed mappings of it.
 *
 * A mapping is a row of columns (whose pmap, which page, the next row of the frame); the first row of
 * a frame hangs on its `pv` column. Rows that end go to a free list, so a machine in steady state
 * makes no garbage. Follows struct pv_entry of the pmaps.
 *
 * Invariant: rows on frames' lists + rows on the free list = rows made.
 */
import type { Frame } from "@physio/kern";
import { panic } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import { ROW_MASK } from "@physio/physmem";

const END = -1;

export class PvTable {
  /** Mappings on lists. */
  count: number;
  readonly #mem: PhysMem;
  #pmap: Int32Array;
  #page: Float64Array;
  #next: Int32Array;
  #made: number;
  #free: number;

  constructor(mem: PhysMem) {
    this.count = 0;
    this.#mem = mem;
    this.#pmap = new Int32Array(64);
    this.#page = new Float64Array(64);
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

  /** Id of the pmap, and page number in it, of a row. */
  pmapOf(row: number): number {
    return this.#pmap[row];
  }

  pageOf(row: number): number {
    return this.#page[row];
  }

  insert(frame: Frame, pmap: number, page: number): void {
    const row = this.#take();
    const { pv } = this.#mem.section(frame);
    this.#pmap[row] = pmap;
    this.#page[row] = page;
    this.#next[row] = pv[frame & ROW_MASK];
    pv[frame & ROW_MASK] = row;
    this.count++;
  }

  /** => the mapping is on the frame's list. */
  remove(frame: Frame, pmap: number, page: number): void {
    const { pv } = this.#mem.section(frame);
    let before = END;
    let row = pv[frame & ROW_MASK];
    while (row !== END && !(this.#pmap[row] === pmap && this.#page[row] === page)) {
      before = row;
      row = this.#next[row];
    }
    if (row === END) panic(`pv: frame ${frame} has no mapping at page ${page} of pmap ${pmap}`);
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
    const page = new Float64Array(size);
    const next = new Int32Array(size).fill(END);
    pmap.set(this.#pmap);
    page.set(this.#page);
    next.set(this.#next);
    this.#pmap = pmap;
    this.#page = page;
    this.#next = next;
  }
}
