/**
 * What kernel memory looks at before it frees a range: all of it, so that a free that is wrong changes
 * nothing. A frame is freeable when nobody wired it and no other page maps it; physmem asks the same of
 * each frame again (vm_page_free_prep), but then those before it are gone.
 *
 * Only Kmem calls this. Pages go by number, which is below 2^31 in the kernel's range.
 */
import { hex, NO_FRAME, PAGE_SIZE, panic } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import { LEAF_PAGES } from "./page-table.ts";
import type { Pmap } from "./pmap.ts";
import type { PvTable } from "./pv.ts";

// This module's own names: the compiler folds them.
const ROW = ROW_MASK;
const LEAF_SHIFT = 9;
const IN_LEAF = LEAF_PAGES - 1;

/** Panic unless each of `pages` pages from `first` on has a frame that nobody wired or mapped elsewhere. */
export function checkFreeable(pmap: Pmap, pv: PvTable, first: number, pages: number): void {
  for (let page = first; page < first + pages; page++) {
    const leaf = page >> LEAF_SHIFT;
    const index = page & IN_LEAF;
    const frames = pmap.leaf(leaf);
    const frame = frames === null ? NO_FRAME : frames[index];
    if (frame === NO_FRAME) refuse(first, pages, `no memory at ${hex(page * PAGE_SIZE)}`);
    const section = pmap.mem.section(frame);
    if (section.wireCount[frame & ROW] !== 0) {
      refuse(first, pages, `${hex(page * PAGE_SIZE)} is wired`);
    }
    const row = section.pv[frame & ROW];
    if (row >= 0 && !(pv.next(row) < 0 && pv.is(row, pmap.id, leaf, index))) {
      refuse(first, pages, `${hex(page * PAGE_SIZE)} is mapped elsewhere`);
    }
  }
}

function refuse(first: number, pages: number, why: string): never {
  panic(`kmem: free of ${pages} pages at ${hex(first * PAGE_SIZE)}: ${why}`);
}
