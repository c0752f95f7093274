/**
 * Where sync lists keep their entries: two columns a pool, of which a list has a run of rows while
 * its map is loaded.
 *
 * A run is a row for itself and one for each entry that it has room for: 12 bytes a row. Runs have a
 * few sizes, each at most a quarter above the one before, and a list of free runs for each; what
 * became a run of one size is not cut again. Entries in arrays of the maps' own took 600 bytes for 16
 * of them, also while nothing was loaded.
 *
 *   row      where                                         | length
 *   run      the physical address after its last entry     | its size, by number
 *   entry    a kernel address, or −1 − a physical one      | bytes; HUGE: `huge` has them
 *   free     the next free run of the size, or −1          | its size, by number
 *
 * Invariant (`check`): free runs and those in use lie side by side from row 0 on.
 * Only sync-list.ts writes the columns.
 */
import type { Bytes } from "@physio/kern";
import { panic } from "@physio/kern";

/** Lengths from here on do not fit the column. */
export const HUGE = 2 ** 32 - 1;
const NO_RUN = -1;
const FIRST_ROWS = 256;
/** Entries that runs have room for: 1 to 8, then four sizes for each doubling. */
const SIZES: readonly number[] = Object.freeze([
  ...[1, 2, 3],
  ...Array.from({ length: 100 }, (_, i) => (4 + (i % 4)) * 2 ** Math.floor(i / 4)),
]);

export class SyncSlab {
  /** The columns, replaced when they grow. */
  where: Float64Array;
  length: Uint32Array;
  /** Lengths of HUGE and more, by row; null: there was none yet. */
  huge: Map<number, Bytes> | null;
  /** Rows of all runs. */
  #end: number;
  /** By size: the first free run, or −1. */
  readonly #free: Int32Array;

  constructor() {
    this.where = new Float64Array(0);
    this.length = new Uint32Array(0);
    this.huge = null;
    this.#end = 0;
    this.#free = new Int32Array(SIZES.length).fill(NO_RUN);
  }

  /** Rows of runs in use. */
  get used(): number {
    return this.#end - this.#freeRows();
  }

  /** @returns the first row of a run with room for `entries`. */
  take(entries: number): number {
    let size = Math.min(entries, 8) - 1; // the first are 1 to 8
    while (SIZES[size] < entries) size++;
    const run = this.#free[size];
    if (run === NO_RUN) return this.#make(size);
    this.#free[size] = this.where[run];
    return run;
  }

  /** => `run` is in use, and nobody uses it again. */
  give(run: number): void {
    const size = this.length[run];
    if (this.huge !== null) for (let i = 1; i <= SIZES[size]; i++) this.huge.delete(run + i);
    this.where[run] = this.#free[size];
    this.#free[size] = run;
  }

  /** Entries that a run in use has room for. */
  room(run: number): number {
    return SIZES[this.length[run]];
  }

  /** Panic on a broken invariant. */
  check(): void {
    if (this.#end > this.length.length || this.#freeRows() > this.#end)
      panic(`sync slab: ${this.#freeRows()} rows free of ${this.#end}`);
  }

  #freeRows(): number {
    let free = 0;
    for (let size = 0; size < SIZES.length; size++) {
      for (let run = this.#free[size]; run !== NO_RUN; run = this.where[run]) {
        const rows = SIZES[size] + 1;
        const sane = this.length[run] === size && run >= 0 && run + rows <= this.#end;
        if (!sane || free > this.#end) panic(`sync slab: no free run of ${rows} rows at ${run}`);
        free += rows;
      }
    }
    return free;
  }

  #make(size: number): number {
    const run = this.#end;
    this.#end += SIZES[size] + 1;
    if (this.#end > this.length.length) this.#grow();
    this.length[run] = size;
    return run;
  }

  /** By an eighth, so that little of it is for nothing. */
  #grow(): void {
    const rows = Math.max(FIRST_ROWS, this.#end, Math.ceil(this.length.length * 1.125));
    const where = new Float64Array(rows);
    const length = new Uint32Array(rows);
    where.set(this.where);
    length.set(this.length);
    this.where = where;
    this.length = length;
  }
}
