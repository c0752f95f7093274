/**
 * The pager map: kernel addresses for pages while I/O is under way.
 *
 * The range is small on purpose, as on a real kernel: when it is used up, page I/O waits. Those who
 * must not wait use `tryMapIn`. One window is kept back for the page daemon, which must get on when all
 * others wait for it. Follows sys/uvm/uvm_pager.c.
 *
 * Invariant: `mappedPages` counts the pages of all ranges handed out.
 */
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import { KiB, MiB, NO_FRAME, PAGE_SIZE, pageOf, panic } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import { LEAF_PAGES, Prot, Pte } from "@physio/pmap";
import type { Scheduler, Sleeps } from "@physio/sched";
import { Arena } from "@physio/vmem";

/** @bsd #Y PAGER_MAP_DEFAULT_SIZE */
export const PAGER_MAP_SIZE = 16 * MiB;

const LEAF_SHIFT = 9;
const IN_LEAF = LEAF_PAGES - 1;
const ENTRY = Prot.READ | Prot.WRITE | Pte.WIRED;

/** Pages of the daemon's own window: its largest cluster. @bsd #Y emergva, MAXPHYS */
const RESERVE_PAGES = (64 * KiB) / PAGE_SIZE;

export class PagerMap {
  mappedPages: number;
  /** Times that a mapping had to wait for addresses. */
  waits: number;
  readonly #kmem: Kmem;
  readonly #sched: Scheduler;
  readonly #arena: Arena;
  readonly #reserve: VirtAddr;
  #reserveUsed: boolean;

  constructor(kmem: Kmem, sched: Scheduler, size: Bytes = PAGER_MAP_SIZE) {
    this.mappedPages = 0;
    this.waits = 0;
    this.#kmem = kmem;
    this.#sched = sched;
    this.#arena = new Arena("pager", PAGE_SIZE);
    const base = kmem.arena.alloc(size);
    if (base < 0) panic(`pager map: no ${size} bytes of kernel addresses`);
    this.#arena.add(base, size);
    this.#reserve = kmem.arena.alloc(RESERVE_PAGES * PAGE_SIZE);
    if (this.#reserve < 0) panic("pager map: no kernel addresses for the page daemon");
    this.#reserveUsed = false;
  }

  /** Map `count` frames, `pages[at …]`, in a row of addresses. @returns the first address, or −1 when there are none. */
  tryMapIn(pages: Int32Array, count: number, at = 0): VirtAddr {
    const va = this.#arena.alloc(count * PAGE_SIZE);
    if (va < 0) return -1;
    this.#map(va, pages, count, at);
    return va;
  }

  /** The same in the page daemon's own window, if it is not in use. => `count` pages are one cluster. */
  tryReserve(pages: Int32Array, count: number): VirtAddr {
    if (this.#reserveUsed) return -1;
    if (count > RESERVE_PAGES) panic(`pager map: the page daemon maps ${count} pages`);
    this.#reserveUsed = true;
    this.#map(this.#reserve, pages, count, 0);
    return this.#reserve;
  }

  /** The same, asleep until there are addresses. => `count` pages fit in the map at all. @bsd #Y uvm_pagermapin */
  *mapIn(pages: Int32Array, count: number, daemon = false): Sleeps<VirtAddr> {
    if (count * PAGE_SIZE > this.#arena.total) panic(`pager map: ${count} pages never fit`);
    for (;;) {
      const va = this.tryMapIn(pages, count);
      if (va >= 0) return va;
      const reserve = daemon ? this.tryReserve(pages, count) : -1;
      if (reserve >= 0) return reserve;
      this.waits++;
      yield* this.#sched.sleep(this, "pgrmap");
    }
  }

  /** The frame mapped at a page of a mapping; NO_FRAME: none. @bsd #Y uvm_pageratop */
  frameAt(va: VirtAddr, page: number): Frame {
    const at = pageOf(va) + page;
    const frames = this.#kmem.pmap.leaf(at >> LEAF_SHIFT);
    return frames === null ? NO_FRAME : frames[at & IN_LEAF];
  }

  /** End a mapping. @bsd #Y uvm_pagermapout */
  mapOut(va: VirtAddr, count: number): void {
    const { pmap } = this.#kmem;
    const first = pageOf(va);
    for (let page = first; page < first + count; page++) {
      pmap.removePage(page >> LEAF_SHIFT, page & IN_LEAF);
    }
    if (va === this.#reserve) this.#reserveUsed = false;
    else this.#arena.free(va, count * PAGE_SIZE);
    this.mappedPages -= count;
    this.#sched.wakeup(this);
  }

  #map(va: VirtAddr, pages: Int32Array, count: number, at: number): void {
    // By page, not by address: an address is taken apart and checked for each page (40 ns, not 15).
    const { pmap } = this.#kmem;
    const first = pageOf(va);
    for (let i = 0; i < count; i++) {
      const page = first + i;
      pmap.enterPage(page >> LEAF_SHIFT, page & IN_LEAF, pages[at + i], ENTRY);
    }
    this.mappedPages += count;
  }
}
