/**
 * The pager map: kernel addresses for pages while I/O is under way.
 *
 * The range is small on purpose, as on a real kernel: when it is used up, page I/O waits. Those who
 * must not wait use `tryMapIn`. Follows sys/uvm/uvm_pager.c.
 *
 * Invariant: `mappedPages` counts the pages of all ranges handed out.
 */
import type { Bytes, VirtAddr } from "@physio/kern";
import { MiB, PAGE_SIZE, panic } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import { Prot } from "@physio/pmap";
import type { Scheduler, Sleeps } from "@physio/sched";
import { Arena } from "@physio/vmem";

/** @bsd #Y PAGER_MAP_DEFAULT_SIZE */
export const PAGER_MAP_SIZE = 16 * MiB;

export class PagerMap {
  mappedPages: number;
  /** Times that a mapping had to wait for addresses. */
  waits: number;
  readonly #kmem: Kmem;
  readonly #sched: Scheduler;
  readonly #arena: Arena;

  constructor(kmem: Kmem, sched: Scheduler, size: Bytes = PAGER_MAP_SIZE) {
    this.mappedPages = 0;
    this.waits = 0;
    this.#kmem = kmem;
    this.#sched = sched;
    this.#arena = new Arena("pager", PAGE_SIZE);
    const base = kmem.arena.alloc(size);
    if (base < 0) panic(`pager map: no ${size} bytes of kernel addresses`);
    this.#arena.add(base, size);
  }

  /** Map `count` frames in a row of addresses. @returns the first address, or −1 when there are none. */
  tryMapIn(pages: Int32Array, count: number): VirtAddr {
    const va = this.#arena.alloc(count * PAGE_SIZE);
    if (va < 0) return -1;
    for (let i = 0; i < count; i++) {
      this.#kmem.pmap.kenter(va + i * PAGE_SIZE, pages[i], Prot.READ | Prot.WRITE);
    }
    this.mappedPages += count;
    return va;
  }

  /** The same, asleep until there are addresses. => `count` pages fit in the map at all. @bsd #Y uvm_pagermapin */
  *mapIn(pages: Int32Array, count: number): Sleeps<VirtAddr> {
    if (count * PAGE_SIZE > this.#arena.total) panic(`pager map: ${count} pages never fit`);
    let va = this.tryMapIn(pages, count);
    while (va < 0) {
      this.waits++;
      yield* this.#sched.sleep(this, "pgrmap");
      va = this.tryMapIn(pages, count);
    }
    return va;
  }

  /** End a mapping. @bsd #Y uvm_pagermapout */
  mapOut(va: VirtAddr, count: number): void {
    this.#kmem.pmap.remove(va, count * PAGE_SIZE);
    this.#arena.free(va, count * PAGE_SIZE);
    this.mappedPages -= count;
    this.#sched.wakeup(this);
  }
}
