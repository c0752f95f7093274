/**
 * DMA maps: one transfer at a time, from load to unload.
 *
 * `load` and its relatives translate memory into segments that obey the tag and give them to a
 * callback: at once, or, when bounce pages are short and the caller may wait, later from a thread
 * with the tag's lock held (EINPROGRESS). Follows bus_dmamap_load and its relatives in
 * sys/kern/subr_bus_dma.c.
 *
 * => a map is loaded once between unloads; sync comes between load and unload.
 */

import type { Bio, Memdesc } from "@physio/carriers";
import { memdescLength, walkMemdesc } from "@physio/carriers";
import type { Bytes, Errno, VirtAddr } from "@physio/kern";
import { Errno as E, panic } from "@physio/kern";
import { Ktr, traceEvent } from "@physio/trace";
import type { Sync } from "./flags.ts";
import { BusDma } from "./flags.ts";
import type { SegList } from "./seg-list.ts";
import type { DmaTag } from "./tag.ts";

// This module's own names for what every load looks at: the compiler folds them (3 ns a load).
const OK: Errno = E.OK;
const EINPROGRESS: Errno = E.EINPROGRESS;
const TRACED = Ktr.BUSDMA;

/** Gets the segments of a load. `segs` is borrowed: valid until the callback returns. With an error `count` is 0. @bsd #Y bus_dmamap_callback_t */
export type LoadCallback<A> = (arg: A, segs: SegList, count: number, error: Errno) => void;

const LOAD = traceEvent(Ktr.BUSDMA, "dmamap_load", "flags", "length", "error", "nsegs");
const SYNC = traceEvent(Ktr.BUSDMA, "dmamap_sync", "ops");
const UNLOAD = traceEvent(Ktr.BUSDMA, "dmamap_unload");

/** @bsd #Y bus_dmamap_t, struct bus_dmamap */
export class DmaMap {
  readonly tag: DmaTag;
  /** Came with DMA memory and ends with it: `DmaMem.free`. */
  readonly ofMemory: boolean;
  /** The backend's; null: loads of this map never bounce. */
  md: unknown;
  /** A deferred load: its memory, whom to call, and whether it still waits. */
  waiting: boolean;
  #mem: Memdesc | null;
  #callback: LoadCallback<never> | null;
  #arg: unknown;
  /** Link of the backend's waiting list. */
  next: DmaMap | null;

  /** Use `tag.createMap`. */
  constructor(tag: DmaTag, ofMemory = false) {
    this.tag = tag;
    this.ofMemory = ofMemory;
    this.md = null;
    this.waiting = false;
    this.#mem = null;
    this.#callback = null;
    this.#arg = null;
    this.next = null;
  }

  /**
   * Load `length` bytes of kernel memory.
   * @returns OK: the callback was called (with OK or EFBIG); EINPROGRESS: it will be, from a thread;
   *   ENOMEM: NOWAIT and too few bounce pages, or more than there are at all (the callback was told);
   *   EINVAL: longer than the tag's maxSize, or not a length (the callback was told).
   * @bsd #Y bus_dmamap_load
   */
  load<A>(
    va: VirtAddr,
    length: Bytes,
    callback: LoadCallback<A>,
    arg: A,
    flags: BusDma = 0,
  ): Errno {
    const { tag } = this;
    let error = this.#begin(length);
    if (error === OK) {
      const { segs } = tag;
      error = tag.backend.loadBuffer(tag, this, tag.kernelPmap, va, length, flags, segs);
      // The common end, without a call: nothing bounced, nobody traces (2 ns of 20).
      if (this.md === null && error === OK && (tag.trace.mask & TRACED) === 0) {
        callback(arg, segs, segs.count, OK);
        return OK;
      }
    }
    if (error === EINPROGRESS) this.#defer({ kind: "vaddr", va, length }, callback, arg);
    return this.#finish(length, callback, arg, flags, error);
  }

  /** Load the data of a bio. @returns as `load`. @bsd #Y bus_dmamap_load_bio */
  loadBio<A>(bio: Bio, callback: LoadCallback<A>, arg: A, flags: BusDma = 0): Errno {
    return this.loadMem({ kind: "bio", bio }, callback, arg, flags);
  }

  /** Load what a memdesc describes. @returns as `load`. @bsd #P[no uio, mbuf, ccb] bus_dmamap_load_mem */
  loadMem<A>(mem: Memdesc, callback: LoadCallback<A>, arg: A, flags: BusDma = 0): Errno {
    const length = memdescLength(mem);
    let error = this.#begin(length);
    this.tag.sink.begin(this, flags);
    if (error === OK) error = walkMemdesc(mem, this.tag.sink);
    if (error === EINPROGRESS) this.#defer(mem, callback, arg);
    return this.#finish(length, callback, arg, flags, error);
  }

  /** Make memory and the device's view of it agree. @bsd #Y bus_dmamap_sync */
  sync(ops: Sync): void {
    const { tag } = this;
    if ((tag.trace.mask & TRACED) !== 0) tag.trace.record(SYNC, ops);
    if (this.md !== null) tag.backend.sync(tag, this, ops);
  }

  /** End the transfer; gives bounce pages back. Copies nothing: sync does. @bsd #Y bus_dmamap_unload */
  unload(): void {
    const { trace } = this.tag;
    if (this.md === null && (trace.mask & TRACED) === 0) return; // such a map never waits
    if (this.waiting) panic("bus_dma: unload of a map whose load still waits");
    const { tag } = this;
    if ((trace.mask & TRACED) !== 0) trace.record(UNLOAD);
    if (this.md !== null) tag.backend.unload(tag, this);
  }

  /** => not the map of DMA memory. @returns OK; EBUSY: loaded with bounce pages, or waiting. @bsd #Y bus_dmamap_destroy */
  destroy(): Errno {
    if (this.ofMemory) panic("bus_dma: destroy of a map that came with DMA memory");
    if (this.waiting) return E.EBUSY;
    const error = this.tag.backend.mapDestroy(this.tag, this);
    if (error === OK) this.tag.mapCount--;
    return error;
  }

  /** For backends: load again what was deferred. => its resources are reserved now; called from a thread, under the tag's lock. */
  resumeLoad(): void {
    const mem = this.#mem;
    const callback = this.#callback;
    if (mem === null || callback === null) panic("bus_dma: nothing to resume on this map");
    this.waiting = false;
    this.#mem = null;
    this.#callback = null;
    this.loadMem(mem, callback, this.#arg as never, BusDma.WAITOK);
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const state = this.waiting ? "waiting for bounce pages" : "not waiting";
    const md = this.md as { toString(): string } | null;
    return `DmaMap(${state}, ${md === null ? "never bounces" : md.toString()})`;
  }

  #begin(length: Bytes): Errno {
    if (this.md !== null && this.waiting) {
      panic("bus_dma: load of a map whose load still waits");
    }
    const { tag } = this;
    tag.segs.count = 0;
    if (!tag.checkLength) return OK;
    return length > 0 && length <= tag.maxSize ? OK : E.EINVAL;
  }

  /** Keep what a later resume needs. @bsd #Y _bus_dmamap_waitok */
  #defer<A>(mem: Memdesc, callback: LoadCallback<A>, arg: A): void {
    this.waiting = true;
    this.#mem = mem;
    this.#callback = callback as LoadCallback<never>;
    this.#arg = arg;
  }

  #finish<A>(length: Bytes, callback: LoadCallback<A>, arg: A, flags: BusDma, error: Errno): Errno {
    const { tag } = this;
    const { segs } = tag;
    const { trace } = tag;
    if ((trace.mask & TRACED) !== 0) trace.record(LOAD, flags, length, error, segs.count);
    if (error === EINPROGRESS) return error;
    if (this.md !== null) tag.backend.complete(tag, this, segs, error);
    if (error !== OK) segs.count = 0;
    callback(arg, segs, segs.count, error);
    // EFBIG goes to the callback only; the other two also to the caller, who can pass them on.
    return error === E.ENOMEM || error === E.EINVAL ? error : OK;
  }
}
