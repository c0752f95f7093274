/**
 * Pages of objects: allocate, find, unbusy, free.
 *
 * A page is a frame; its object's id, its number in the object and its state bits are columns of
 * the frame's section. When frames are down to a reserve, clean pages that nobody holds are taken from the
 * inactive queue, then from the active one; the page daemon will do that ahead of time.
 * Follows sys/uvm/uvm_page.c and uvn_findpages of uvm_vnode.c.
 *
 * Invariant (`check`): an object's index and its pages' columns agree; a page is on at most one queue.
 */
import type { Bits, Errno, Frame } from "@physio/kern";
import { bitset, formatBits, NO_FRAME, PAGE_SIZE, panic } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import { ROW_MASK } from "@physio/physmem";
import type { Scheduler, Sleeps } from "@physio/sched";
import type { Trace } from "@physio/trace";
import { Ktr, traceEvent } from "@physio/trace";
import { UvmObject } from "./object.ts";
import { DONTCARE, PageQueue, Pg } from "./page.ts";
import { PageQueues } from "./queues.ts";

/** How findPages looks for pages. @bsd #P[no dirty-only, no backward] NetBSD sys/uvm/uvm_extern.h UFP_* */
export const Ufp = bitset<"Ufp">()({
  ALL: 0,
  NOWAIT: 0x1, //   skip busy pages, and missing ones when memory is short
  NOALLOC: 0x2, //  skip pages that are not resident
  NORDONLY: 0x8, // skip read-only pages
});
export type Ufp = Bits<"Ufp">;

/** @bsd #P[pages give way, they do not wait] uvmexp.reserve_kernel */
const RESERVED_MOST = 64;

const ALLOC = traceEvent(Ktr.VM, "pagealloc", "object", "page", "frame");
const FREE = traceEvent(Ktr.VM, "pagefree", "object", "page", "frame");

export class UvmPages {
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly trace: Trace;
  readonly queues: PageQueues;
  /** Pages that were taken from an object because memory was short. */
  reclaimed: number;
  /** Pages of all objects. */
  resident: number;
  readonly #objects: Map<number, UvmObject>;
  #nextObject: number;
  /** Frames that pages leave to kernel memory as long as there is something to reclaim. */
  readonly #reserved: number;
  /** Threads that wait for a frame. */
  #shortOfMemory: number;

  constructor(mem: PhysMem, sched: Scheduler, trace: Trace) {
    this.mem = mem;
    this.sched = sched;
    this.trace = trace;
    this.queues = new PageQueues(mem);
    this.reclaimed = 0;
    this.resident = 0;
    this.#objects = new Map();
    this.#nextObject = 1;
    this.#reserved = Math.min(RESERVED_MOST, Math.floor(mem.totalFrames / 32));
    this.#shortOfMemory = 0;
    mem.pressure.onReclaim((wanted) => this.#give(wanted));
    mem.pressure.onRelief(() => this.sched.wakeup(this));
  }

  newObject(): UvmObject {
    const object = new UvmObject(this.#nextObject++);
    this.#objects.set(object.id, object);
    return object;
  }

  /** => the object has no pages. */
  destroyObject(object: UvmObject): void {
    if (object.pageCount !== 0) panic(`object ${object.id} still has ${object.pageCount} pages`);
    this.#objects.delete(object.id);
  }

  flags(frame: Frame): Pg {
    return this.mem.section(frame).flags[frame & ROW_MASK];
  }

  setFlags(frame: Frame, bits: Pg): void {
    this.mem.section(frame).flags[frame & ROW_MASK] |= bits;
  }

  clearFlags(frame: Frame, bits: Pg): void {
    this.mem.section(frame).flags[frame & ROW_MASK] &= ~bits;
  }

  /**
   * A new page `index` of `object`: busy, fake and clean, on no queue, contents undefined.
   * @returns NO_FRAME when memory is short.   @bsd #Y uvm_pagealloc
   */
  alloc(object: UvmObject, index: number): Frame {
    while (this.mem.freeFrames <= this.#reserved && this.#reclaim());
    const frame = this.mem.allocFrame();
    if (frame === NO_FRAME) return NO_FRAME;
    const section = this.mem.section(frame);
    const row = frame & ROW_MASK;
    section.flags[row] = Pg.BUSY | Pg.FAKE | Pg.CLEAN | Pg.TABLED;
    section.pmapBits[row] = 0;
    section.owner[row] = object.id;
    section.index[row] = index;
    object.insert(index, frame);
    this.resident++;
    this.trace.record(ALLOC, object.id, index, frame);
    return frame;
  }

  /** Give a page's frame back. @bsd #Y uvm_pagefree */
  free(frame: Frame): void {
    const section = this.mem.section(frame);
    const row = frame & ROW_MASK;
    const object = this.objectOf(frame);
    if ((section.flags[row] & Pg.WANTED) !== 0)
      this.sched.wakeup(object.takeChannel(section.index[row]));
    this.trace.record(FREE, object.id, section.index[row], frame);
    this.queues.remove(frame);
    object.remove(section.index[row]);
    section.flags[row] = 0;
    section.owner[row] = 0;
    this.resident--;
    this.mem.freeFrame(frame);
  }

  /** A page in words, for debugging. */
  describe(frame: Frame): string {
    const queue = ["no queue", "active", "inactive"][
      this.mem.section(frame).queue[frame & ROW_MASK]
    ];
    const owner = `page ${this.indexOf(frame)} of object ${this.objectOf(frame).id}`;
    return `Page(frame ${frame}, ${owner}, ${formatBits(Pg, this.flags(frame))}, ${queue})`;
  }

  objectOf(frame: Frame): UvmObject {
    const object = this.#objects.get(this.mem.section(frame).owner[frame & ROW_MASK]);
    if (object === undefined) panic(`frame ${frame} belongs to no object`);
    return object;
  }

  /** Page number of a frame in its object. */
  indexOf(frame: Frame): number {
    return this.mem.section(frame).index[frame & ROW_MASK];
  }

  /** Fill a page with zeros. @bsd #Y uvm_pagezero */
  zero(frame: Frame): void {
    this.mem.zero(this.mem.addrOf(frame), PAGE_SIZE);
  }

  /** @bsd #Y uvm_pageactivate */
  activate(frame: Frame): void {
    this.queues.move(frame, PageQueue.ACTIVE);
  }

  /** Put a page that is on no queue on the active one. @bsd #Y uvm_pageenqueue */
  enqueue(frame: Frame): void {
    if (this.mem.section(frame).queue[frame & ROW_MASK] === PageQueue.NONE) this.activate(frame);
  }

  /** @bsd #Y uvm_pagedeactivate */
  deactivate(frame: Frame): void {
    this.queues.move(frame, PageQueue.INACTIVE);
  }

  /** One page is no longer busy: wake who wants it, free it if it was released. */
  unbusy(frame: Frame): void {
    const flags = this.flags(frame);
    if ((flags & Pg.BUSY) === 0) panic(`unbusy of frame ${frame}, which is not busy`);
    if ((flags & Pg.RELEASED) !== 0) {
      this.free(frame);
      return;
    }
    if ((flags & Pg.WANTED) !== 0) {
      this.sched.wakeup(this.objectOf(frame).takeChannel(this.indexOf(frame)));
    }
    this.clearFlags(frame, Pg.BUSY | Pg.WANTED);
    if (this.#shortOfMemory > 0) this.sched.wakeup(this); // it may be reclaimed now
  }

  /** A busy page is not needed again: freed if it is clean, else unbusy. */
  release(frame: Frame): void {
    if ((this.flags(frame) & Pg.CLEAN) !== 0) this.setFlags(frame, Pg.RELEASED);
    this.unbusy(frame);
  }

  /** The pages of an array are no longer busy; empty entries are skipped. @bsd #Y uvm_page_unbusy */
  unbusyAll(pages: Int32Array, from: number, count: number): void {
    for (let i = from; i < from + count; i++) if (pages[i] >= 0) this.unbusy(pages[i]);
  }

  /**
   * Find pages without sleeping: busy ones are skipped. See findPages.
   * => `flags` has NOWAIT.
   * @returns how many pages were found (and are busy now).
   */
  findPagesNow(
    object: UvmObject,
    index: number,
    pages: Int32Array,
    at: number,
    count: number,
    flags: Ufp,
  ): number {
    let found = 0;
    for (let i = 0; i < count; i++) {
      if (pages[at + i] === DONTCARE) continue;
      const frame = this.#take(object, index + i, flags);
      pages[at + i] = frame;
      if (frame >= 0) found++;
    }
    return found;
  }

  /**
   * Fill `pages[at … at + count)` with the pages of `object` from page number `index` on, all busy
   * for the caller: resident ones when they become unbusy, missing ones fresh (FAKE). Entries that
   * are DONTCARE stay so; what the flags skip becomes NO_FRAME.
   * @returns how many pages were found.   @bsd #Y uvn_findpages
   */
  *findPages(
    object: UvmObject,
    index: number,
    pages: Int32Array,
    at: number,
    count: number,
    flags: Ufp,
  ): Sleeps<number> {
    let found = 0;
    for (let i = 0; i < count; i++) {
      if (pages[at + i] === DONTCARE) continue;
      let frame = this.#take(object, index + i, flags);
      while (frame === NO_FRAME && this.#mayCome(object, index + i, flags)) {
        yield* this.#waitFor(object, index + i);
        frame = this.#take(object, index + i, flags);
      }
      pages[at + i] = frame;
      if (frame >= 0) found++;
    }
    return found;
  }

  /** Free every page of `object` that nobody holds. @returns pages that stayed. */
  flush(object: UvmObject): number {
    for (const index of [...object.indexes()]) {
      const frame = object.lookup(index);
      if ((this.flags(frame) & Pg.BUSY) === 0) this.free(frame);
    }
    return object.pageCount;
  }

  /** Free every page of `object`, asleep while I/O still fills some. => nobody asks for new ones. */
  *drain(object: UvmObject): Sleeps<void> {
    while (this.flush(object) > 0) {
      const busy = object.indexes().next();
      if (busy.done !== true) yield* this.#waitFor(object, busy.value);
    }
  }

  /** Walk everything and panic on a broken invariant. */
  check(): void {
    let pages = 0;
    for (const object of this.#objects.values()) {
      let count = 0;
      for (const index of object.indexes()) {
        const frame = object.lookup(index);
        if (this.objectOf(frame) !== object || this.indexOf(frame) !== index) {
          panic(`object ${object.id}: page ${index} is frame ${frame}, which says otherwise`);
        }
        count++;
      }
      if (count !== object.pageCount)
        panic(`object ${object.id}: ${count} pages, counted ${object.pageCount}`);
      pages += count;
    }
    if (pages !== this.resident) panic(`uvm: ${pages} pages, counted ${this.resident}`);
    this.queues.check();
  }

  /** Pages that are busy now: none when nothing is going on. */
  busyCount(): number {
    let busy = 0;
    for (const object of this.#objects.values()) {
      for (const index of object.indexes()) {
        if ((this.flags(object.lookup(index)) & Pg.BUSY) !== 0) busy++;
      }
    }
    return busy;
  }

  /** One page, made busy; NO_FRAME when it is busy, missing or unwanted. */
  #take(object: UvmObject, index: number, flags: Ufp): Frame {
    const frame = object.lookup(index);
    if (frame === NO_FRAME)
      return (flags & Ufp.NOALLOC) === 0 ? this.alloc(object, index) : NO_FRAME;
    const state = this.flags(frame);
    if ((state & (Pg.BUSY | Pg.PAGEOUT)) !== 0) return NO_FRAME;
    if ((state & Pg.RDONLY) !== 0 && (flags & Ufp.NORDONLY) !== 0) return NO_FRAME;
    this.setFlags(frame, Pg.BUSY);
    return frame;
  }

  /** Whether a page that could not be taken can be had later: the flags do not skip it. */
  #mayCome(object: UvmObject, index: number, flags: Ufp): boolean {
    if ((flags & Ufp.NOWAIT) !== 0) return false;
    const frame = object.lookup(index);
    if (frame === NO_FRAME) return (flags & Ufp.NOALLOC) === 0;
    return (this.flags(frame) & (Pg.BUSY | Pg.PAGEOUT)) !== 0; // else it is read-only, and stays so
  }

  /** Sleep until page `index` may be had: it is unbusy, or a frame is free. */
  *#waitFor(object: UvmObject, index: number): Sleeps<Errno> {
    const frame = object.lookup(index);
    if (frame === NO_FRAME) {
      this.#shortOfMemory++;
      this.mem.pressure.expect(); // a frame that anybody frees wakes us
      const result = yield* this.sched.sleep(this, "uvm_wait");
      this.#shortOfMemory--;
      return result;
    }
    this.setFlags(frame, Pg.WANTED);
    return yield* this.sched.sleep(object.channel(index), "uvn_fp");
  }

  /** Memory is short: free up to `wanted` pages that are clean and held by nobody. @returns how many. */
  #give(wanted: number): number {
    let given = 0;
    while (given < wanted && this.#reclaim()) given++;
    return given;
  }

  /** Free one page that is clean and held by nobody. @returns whether there was one. */
  #reclaim(): boolean {
    for (const queue of [PageQueue.INACTIVE, PageQueue.ACTIVE]) {
      for (let f = this.queues.oldest(queue); f !== NO_FRAME; f = this.queues.after(f)) {
        const idle = (this.flags(f) & (Pg.BUSY | Pg.CLEAN)) === Pg.CLEAN;
        if (!idle || this.mem.section(f).wireCount[f & ROW_MASK] > 0) continue;
        this.free(f);
        this.reclaimed++;
        return true;
      }
    }
    return false;
  }
}
