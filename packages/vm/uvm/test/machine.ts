/** A machine of RAM, kernel memory and pages, and the check that a test leaves nothing behind. */
import { MiB, PAGE_SIZE } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import { expect } from "vitest";
import type { PageSemantics, UvmObject } from "../src/index.ts";
import { PageQueue, PagerMap, Pg, UvmPages } from "../src/index.ts";

const FIRST_SEED = Number(process.env.PHYSIO_SEED ?? 1);

export const seeds = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => FIRST_SEED + i);

/** Whole numbers from 0 to 2^32 − 1, named by a seed. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x27d4eb2f);
  }

  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    const mixed = Math.imul(this.#state ^ (this.#state >>> 16), 0x85ebca6b);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }

  /** 0 … `limit` − 1. */
  below(limit: number): number {
    return this.next() % limit;
  }
}

export class UvmMachine {
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly kmem: Kmem;
  readonly pages: UvmPages;
  readonly pager: PagerMap;
  readonly objects: UvmObject[] = [];

  constructor(
    frames = 64,
    seed: number | null = null,
    pagerPages = 8,
    semantics: PageSemantics = "fixed",
  ) {
    const trace = new Trace();
    this.mem = new PhysMem({ banks: [{ base: MiB, size: frames * PAGE_SIZE }] });
    this.sched = new Scheduler(seed === null ? { trace } : { trace, random: new Chance(seed) });
    this.kmem = new Kmem(this.mem);
    const { pmaps } = this.kmem;
    this.pages = new UvmPages({ mem: this.mem, pmaps, sched: this.sched, trace, semantics });
    this.pager = new PagerMap(this.kmem, this.sched, pagerPages * PAGE_SIZE);
  }

  object(): UvmObject {
    const object = this.pages.newObject();
    this.objects.push(object);
    return object;
  }

  /** A page that was read: clean, not busy, on a queue. */
  resident(object: UvmObject, index: number, queue: PageQueue = PageQueue.ACTIVE): number {
    const frame = this.pages.alloc(object, index);
    this.pages.clearFlags(frame, Pg.FAKE);
    this.pages.queues.move(frame, queue);
    this.pages.unbusy(frame);
    return frame;
  }

  /** Nothing is busy, and when the objects go every frame comes back. */
  finish(): void {
    const { pages, mem } = this;
    expect(pages.busyCount()).toBe(0);
    expect(this.pager.mappedPages).toBe(0);
    pages.check();
    this.kmem.arena.check();
    for (const object of this.objects) {
      expect(pages.flush(object)).toBe(0);
      pages.destroyObject(object);
    }
    pages.check();
    mem.check();
    expect(pages.resident).toBe(0);
    expect(pages.queues.length(PageQueue.ACTIVE)).toBe(0);
    expect(pages.queues.length(PageQueue.INACTIVE)).toBe(0);
    expect(mem.freeFrames).toBe(mem.totalFrames);
  }
}
