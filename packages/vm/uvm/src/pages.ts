/**
 * Pages of objects: allocate, make dirty and clean, unbusy, free.
 *
 * A page is a frame; its object's id, its number in the object and its state bits are columns of
 * the frame's section. Frames come from a supply (supply.ts), which takes clean pages away when few are
 * free; the page daemon (daemon.ts) does that ahead of time and has dirty ones written.
 * Follows sys/uvm/uvm_page.c.
 *
 * Invariants (`check`): an object's index and its pages' columns agree; a page is on at most one queue;
 * the dirty tag covers every page that is not CLEAN or that is mapped for writing. So whoever takes CLEAN
 * away does it by `markDirty`, and whoever maps a page for writing calls `tagDirty`.
 */
import type { Errno, Frame } from "@physio/kern";
import { formatBits, NO_FRAME, panic } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import { ROW_MASK } from "@physio/physmem";
import type { Pmaps, Prot } from "@physio/pmap";
import { isModified } from "@physio/pmap";
import type { Scheduler, Sleeps, Thread } from "@physio/sched";
import type { Trace } from "@physio/trace";
import { Ktr, traceEvent } from "@physio/trace";
import { UvmObject } from "./object.ts";
import { PageQueue, Pg } from "./page.ts";
import { PageTag } from "./page-index.ts";
import { PageQueues } from "./queues.ts";
import { FrameSupply } from "./supply.ts";

// This module's own names: the compiler folds them.
const { BUSY, WANTED, PAGEOUT, RELEASED } = Pg;
const ROW = ROW_MASK;

const ALLOC = traceEvent(Ktr.VM, "pagealloc", "object", "page", "frame");
const FREE = traceEvent(Ktr.VM, "pagefree", "object", "page", "frame");

/** Whose word counts where the original and its successors differ. */
export type PageSemantics = "seed" | "fixed";

export interface UvmPagesOptions {
  readonly mem: PhysMem;
  readonly pmaps: Pmaps;
  readonly sched: Scheduler;
  readonly trace: Trace;
  /** Default `fixed`. */
  readonly semantics?: PageSemantics;
  /** Where frames come from; default: `mem`, which is asked for more when it is short. @returns NO_FRAME: none. */
  readonly allocFrame?: () => Frame;
}

/** Owns no page: frames without an owner have id 0. */
const NO_OBJECT = /* @__PURE__ */ new UvmObject(-1);
/** What a page that is only busy has one of. */
const BUSY_STATES = BUSY | PAGEOUT | RELEASED | WANTED;

/** The named decisions, read once. */
interface PageDecisions {
  /** Objects keep the order in which their pages came. */
  readonly ordered: boolean;
  /** A failed write that is no shortage of memory leaves the page clean: its data are lost. */
  readonly writeErrorLosesData: boolean;
  /** A page that was to be freed after it is written is freed although the write failed. */
  readonly freedUnwritten: boolean;
  /** A failed read ahead frees all pages of its request, also those that were valid before. */
  readonly readErrorFreesValid: boolean;
  /** A page that is freed while it is wired loses its wirings, and others may get its frame. */
  readonly freeUnwires: boolean;
}

const SEED: PageDecisions = /* @__PURE__ */ Object.freeze({
  ordered: true,
  writeErrorLosesData: true,
  freedUnwritten: true,
  readErrorFreesValid: true,
  freeUnwires: true,
});
const FIXED: PageDecisions = /* @__PURE__ */ Object.freeze({
  ordered: false,
  writeErrorLosesData: false,
  freedUnwritten: false,
  readErrorFreesValid: false,
  freeUnwires: false,
});

export class UvmPages {
  readonly mem: PhysMem;
  readonly pmaps: Pmaps;
  readonly sched: Scheduler;
  readonly trace: Trace;
  readonly queues: PageQueues;
  readonly supply: FrameSupply;
  /** Pages of all objects, and pages freed so far. */
  resident: number;
  freed: number;
  readonly semantics: PageSemantics;
  readonly decisions: PageDecisions;
  /** The page daemon's thread; null: there is none. Page I/O that it starts is told apart by it. */
  daemon: Thread | null;
  /** Pages that the daemon is having written, to be freed then, and those it has freed. @bsd #Y uvmexp.paging, uvmexp.pdfreed */
  paging: number;
  daemonFreed: number;
  readonly #objects: Map<number, UvmObject>;
  #nextObject: number;
  /** The one that `objectOf` found last. */
  #lastObject: UvmObject;

  constructor(options: UvmPagesOptions) {
    const { mem, sched } = options;
    this.mem = mem;
    this.pmaps = options.pmaps;
    this.sched = sched;
    this.trace = options.trace;
    this.semantics = options.semantics ?? "fixed";
    this.decisions = this.semantics === "seed" ? SEED : FIXED;
    this.daemon = null;
    this.paging = 0;
    this.daemonFreed = 0;
    this.queues = new PageQueues(mem);
    this.resident = 0;
    this.freed = 0;
    this.#objects = new Map();
    this.#nextObject = 1;
    this.#lastObject = NO_OBJECT;
    this.supply = new FrameSupply(this, options.allocFrame ?? null);
  }

  /** Pages that were taken from an object because memory was short. */
  get reclaimed(): number {
    return this.supply.reclaimed;
  }

  newObject(): UvmObject {
    const object = new UvmObject(this.#nextObject++, this.decisions.ordered);
    this.#objects.set(object.id, object);
    return object;
  }

  /** => the object has no pages. */
  destroyObject(object: UvmObject): void {
    if (object.pageCount !== 0) panic(`object ${object.id} still has ${object.pageCount} pages`);
    this.#objects.delete(object.id);
    this.#lastObject = NO_OBJECT;
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
    const frame = this.supply.take();
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

  /**
   * A page is its object's no more, and its frame is free; one that is wired lives on until it is unwired.
   * => no mapping of it is left.   @bsd #Y uvm_pagefree
   */
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
    this.freed++;
    if (this.decisions.freeUnwires) while (section.wireCount[row] > 0) this.mem.unwire(frame);
    if (section.wireCount[row] > 0) this.supply.adopt(frame);
    else this.mem.freeFrame(frame);
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
    const id = this.mem.section(frame).owner[frame & ROW_MASK];
    // The pages of a transfer are all of one object: 10 ns less for each.
    if (id === this.#lastObject.id) return this.#lastObject;
    const object = this.#objects.get(id);
    if (object === undefined) panic(`frame ${frame} belongs to no object`);
    this.#lastObject = object;
    return object;
  }

  /** Page number of a frame in its object. */
  indexOf(frame: Frame): number {
    return this.mem.section(frame).index[frame & ROW_MASK];
  }

  /** Fill a page with zeros. @bsd #Y uvm_pagezero */
  zero(frame: Frame): void {
    this.pmaps.zeroPage(frame);
  }

  // ---- clean and dirty

  /** The page differs from what its object's pager has. */
  markDirty(frame: Frame): void {
    this.clearFlags(frame, Pg.CLEAN);
    this.tagDirty(frame);
  }

  /** The page may become dirty without a call: it is mapped for writing. */
  tagDirty(frame: Frame): void {
    this.objectOf(frame).index.set(PageTag.DIRTY, this.indexOf(frame));
  }

  /** Forget the dirty tag of a page that is clean and that nobody can write to unseen. */
  untagClean(frame: Frame): void {
    const settled = (this.flags(frame) & Pg.CLEAN) !== 0 && !isModified(this.mem, frame);
    if (!settled || this.pmaps.isWriteMapped(frame)) return;
    this.objectOf(frame).index.clear(PageTag.DIRTY, this.indexOf(frame));
  }

  // ---- queues and wirings

  /** To the end of the active queue; a wired page stays on none. @bsd #Y uvm_pageactivate */
  activate(frame: Frame): void {
    if (this.wireCount(frame) === 0) this.queues.move(frame, PageQueue.ACTIVE);
  }

  /** A page that somebody held goes back to a queue. @bsd #Y uvm_pageenqueue */
  enqueue(frame: Frame): void {
    this.activate(frame);
  }

  /** To the inactive queue, if it is not there; a wired page stays on none. @bsd #Y uvm_pagedeactivate */
  deactivate(frame: Frame): void {
    if (this.mem.section(frame).queue[frame & ROW_MASK] === PageQueue.INACTIVE) return;
    if (this.wireCount(frame) === 0) this.queues.move(frame, PageQueue.INACTIVE);
  }

  /** Off its queue: the daemon does not look at it. @bsd #Y uvm_pagedequeue */
  dequeue(frame: Frame): void {
    this.queues.remove(frame);
  }

  wireCount(frame: Frame): number {
    return this.mem.section(frame).wireCount[frame & ROW_MASK];
  }

  /** The page stays resident until `unwire`. @bsd #Y uvm_pagewire */
  wire(frame: Frame): void {
    if (this.wireCount(frame) === 0) this.queues.remove(frame);
    this.mem.wire(frame);
  }

  /** Undo one `wire`; the last one activates the page, or frees a frame that lost it. @bsd #Y uvm_pageunwire */
  unwire(frame: Frame): void {
    if (this.mem.unwire(frame) > 0) return;
    if (this.isPage(frame)) this.activate(frame);
    else this.supply.reap();
  }

  /** Whether a frame is a page of some object. => it is allocated. */
  isPage(frame: Frame): boolean {
    return this.mem.section(frame).owner[frame & ROW_MASK] !== 0;
  }

  /** Take rights away from all mappings of a page. @bsd #Y pmap_page_protect(9) */
  protect(frame: Frame, prot: Prot): void {
    this.pmaps.pageProtect(frame, prot);
  }

  // ---- the page daemon's account

  /** A page is being written by the daemon, to be freed. @bsd #Y uvm_pageout_start */
  pageoutStart(frame: Frame): void {
    this.setFlags(frame, Pg.PAGEOUT);
    this.dequeue(frame);
    this.paging++;
  }

  /** That has ended. => PAGEOUT is set. @bsd #Y uvm_pageout_done */
  pageoutDone(frame: Frame): void {
    this.clearFlags(frame, Pg.PAGEOUT);
    this.paging--;
    if (this.paging === 0) this.sched.wakeup(this.queues);
    this.supply.retry();
  }

  /** Whether the running thread is the page daemon. */
  get inDaemon(): boolean {
    return this.daemon !== null && this.sched.current === this.daemon;
  }

  /** One page is no longer busy: wake who wants it, free it if it was released. */
  unbusy(frame: Frame): void {
    // The columns once and the rare cases apart, as every page that is handed out comes here: 3 ns, not 8.
    const column = this.mem.section(frame).flags;
    const state = column[frame & ROW];
    if ((state & BUSY_STATES) !== BUSY) {
      this.#endBusy(frame, state);
      return;
    }
    column[frame & ROW] = state & ~BUSY;
    this.supply.relieve(); // it may be reclaimed now
  }

  /** `unbusy` of a page that somebody waits for, or that is to be freed. */
  #endBusy(frame: Frame, state: Pg): void {
    if ((state & (BUSY | PAGEOUT)) !== BUSY) refuseUnbusy(this, frame);
    if ((state & RELEASED) !== 0) {
      this.free(frame);
      return;
    }
    if ((state & WANTED) !== 0) {
      this.sched.wakeup(this.objectOf(frame).takeChannel(this.indexOf(frame)));
    }
    this.clearFlags(frame, BUSY | WANTED);
    this.supply.relieve();
  }

  /** A busy page is not needed again: freed, unless it is dirty, mapped or wired: then unbusy, and on a queue. */
  release(frame: Frame): void {
    const dirty = (this.flags(frame) & Pg.CLEAN) === 0 || isModified(this.mem, frame);
    const used = dirty || this.wireCount(frame) > 0 || this.pmaps.mappings(frame) > 0;
    if (!used) this.setFlags(frame, Pg.RELEASED);
    else if (this.mem.section(frame).queue[frame & ROW_MASK] === PageQueue.NONE)
      this.deactivate(frame);
    this.unbusy(frame);
  }

  /** The pages of an array are no longer busy; empty entries are skipped. @bsd #Y uvm_page_unbusy */
  unbusyAll(pages: Int32Array, from: number, count: number): void {
    for (let i = from; i < from + count; i++) if (pages[i] >= 0) this.unbusy(pages[i]);
  }

  /** Sleep until page `index` may be had: it is unbusy, or there is a frame for it. */
  *waitFor(object: UvmObject, index: number): Sleeps<Errno> {
    const frame = object.lookup(index);
    if (frame === NO_FRAME) return yield* this.waitMemory();
    return yield* this.waitPage(frame);
  }

  /** Sleep until a busy page is unbusy, or gone. */
  *waitPage(frame: Frame): Sleeps<Errno> {
    const object = this.objectOf(frame);
    this.setFlags(frame, Pg.WANTED);
    return yield* this.sched.sleep(object.channel(this.indexOf(frame)), "uvn_fp");
  }

  /** Sleep until a frame is free; with `mayFail`, or until none can be had. @returns OK; ENOMEM. @bsd #Y uvm_wait */
  waitMemory(mayFail = false): Sleeps<Errno> {
    return this.supply.wait(mayFail);
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
      if (busy.done !== true) yield* this.waitFor(object, busy.value);
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
        this.#checkDirty(object, index, frame);
        count++;
      }
      object.index.check(`object ${object.id}`);
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

  /** @throws {Panic} The dirty tag does not cover a page that is, or may become, dirty. */
  #checkDirty(object: UvmObject, index: number, frame: Frame): void {
    const may = (this.flags(frame) & Pg.CLEAN) === 0 || this.pmaps.isWriteMapped(frame);
    if (!may || this.semantics === "seed" || object.isTagged(PageTag.DIRTY, index)) return;
    panic(`${this.describe(frame)} may be dirty, and is not tagged`);
  }
}

function refuseUnbusy(pages: UvmPages, frame: Frame): never {
  panic(`unbusy of ${pages.describe(frame)}: not busy, or being written by the page daemon`);
}
