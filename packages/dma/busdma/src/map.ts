/**
 * DMA maps: one transfer at a time, from load to unload.
 *
 * `load` and its relatives translate memory into segments that obey the tag and give them to a
 * callback: at once, or, when bounce pages are short and the caller may wait, later from a thread
 * with the tag's lock held (EINPROGRESS). The forms that end in Sg fill a list of the caller's and
 * call nothing. Follows bus_dmamap_load and its relatives in sys/kern/subr_bus_dma.c.
 *
 * => a map is loaded once between unloads; sync comes between load and unload.
 */

import type { Bio, Ccb, Mbuf, Memdesc, Uio } from "@physio/carriers";
import {
  assertPacketHeader,
  ccbHasNoData,
  ccbLength,
  mbufLength,
  memdescLength,
  uioLength,
  walkBio,
  walkCcb,
  walkMbuf,
  walkMemdesc,
  walkUio,
} from "@physio/carriers";
import type { Bytes, Errno, Frame, VirtAddr } from "@physio/kern";
import { Errno as E, PAGE_SIZE, panic } from "@physio/kern";
import type { TraceEvent } from "@physio/trace";
import { Ktr, traceEvent } from "@physio/trace";
import type { Sync } from "./flags.ts";
import { BusDma } from "./flags.ts";
import { loadChainDirect, loadDirect, NOT_DIRECT } from "./load-direct.ts";
import type { DmaMemory } from "./memory.ts";
import type { SegList } from "./seg-list.ts";
import type { DmaTag } from "./tag.ts";

// This module's own names for what every load looks at: the compiler folds them (3 ns a load).
const OK: Errno = E.OK;
const EINPROGRESS: Errno = E.EINPROGRESS;
const TRACED = Ktr.BUSDMA;
const NOWAIT = BusDma.NOWAIT;
const WAITOK = BusDma.WAITOK;
const PAGE = PAGE_SIZE;

/** Gets the segments of a load. `segs` is borrowed: valid until the callback returns. With an error `count` is 0. @bsd #Y bus_dmamap_callback_t */
export type LoadCallback<A> = (arg: A, segs: SegList, count: number, error: Errno) => void;

/** The same with the length of what was loaded: of the packet, or the residual of the uio. @bsd #Y bus_dmamap_callback2_t */
export type LoadCallback2<A> = (
  arg: A,
  segs: SegList,
  count: number,
  mapSize: Bytes,
  error: Errno,
) => void;

const loadEvent = (name: string) =>
  traceEvent(Ktr.BUSDMA, name, "flags", "length", "error", "nsegs");
const LOAD = loadEvent("dmamap_load");
const LOAD_MBUF = loadEvent("dmamap_load_mbuf");
const LOAD_MBUF_SG = loadEvent("dmamap_load_mbuf_sg");
const LOAD_UIO = loadEvent("dmamap_load_uio");
const LOAD_BIO = loadEvent("dmamap_load_bio");
const LOAD_CCB = loadEvent("dmamap_load_ccb");
const LOAD_MEM = loadEvent("dmamap_load_mem");
const LOAD_PAGES = loadEvent("dmamap_load_pages");
const SYNC = traceEvent(Ktr.BUSDMA, "dmamap_sync", "ops");
const UNLOAD = traceEvent(Ktr.BUSDMA, "dmamap_unload");
const DESTROY = traceEvent(Ktr.BUSDMA, "dmamap_destroy", "error");

/** @bsd #Y bus_dmamap_t, struct bus_dmamap */
export class DmaMap {
  readonly tag: DmaTag;
  /** Came with DMA memory and ends with it: `DmaMem.free`. */
  readonly ofMemory: boolean;
  /** That memory, until it is freed. */
  memory: DmaMemory | null;
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
  constructor(tag: DmaTag, ofMemory: boolean) {
    this.tag = tag;
    this.ofMemory = ofMemory;
    this.memory = null;
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
    const { segs } = tag;
    // The common case, without asking the backend: nothing bounces, nobody traces.
    if (this.md === null && tag.flat && length > 0 && length <= tag.maxLoad) {
      const direct = loadDirect(tag, tag.kernelPmap, va, length, segs);
      if (direct === OK && (tag.trace.mask & TRACED) === 0) {
        callback(arg, segs, segs.count, OK);
        return OK;
      }
      return this.#finish(LOAD, length, callback, arg, flags, direct);
    }
    let error = this.#begin(length, segs);
    if (error === OK) {
      error = tag.backend.loadBuffer(tag, this, tag.kernelPmap, va, length, flags, segs);
    }
    if (error === EINPROGRESS) this.#defer({ kind: "vaddr", va, length }, callback, arg);
    return this.#finish(LOAD, length, callback, arg, flags, error);
  }

  /**
   * Load a packet. Never waits: NOWAIT is implied. The callback also gets the packet's length.
   * => `m` has a packet header (else panic).
   * @returns as `load`, and EFBIG, which the callback is told, too. @bsd #Y bus_dmamap_load_mbuf
   */
  loadMbuf<A>(m: Mbuf, callback: LoadCallback2<A>, arg: A, flags: BusDma = 0): Errno {
    assertPacketHeader(m);
    const { segs } = this.tag;
    const error = this.#loadMbuf(LOAD_MBUF, m, segs, flags | NOWAIT);
    callback(arg, segs, segs.count, error === OK ? m.packetLength : 0, error);
    if (this.md !== null) this.#delivered();
    return error;
  }

  /**
   * Load a chain into `segs`, a list of `tag.segList()`; with an error it is empty. Calls nothing and never waits.
   * @returns as `loadMbuf`. @bsd #Y bus_dmamap_load_mbuf_sg
   */
  loadMbufSg(m: Mbuf, segs: SegList, flags: BusDma = 0): Errno {
    const { tag } = this;
    if (this.md === null && tag.flat && segs.capacity <= tag.segments) {
      const direct = loadChainDirect(tag, m, segs);
      if (direct === OK && (tag.trace.mask & TRACED) === 0) return OK;
    }
    return this.#loadMbuf(LOAD_MBUF_SG, m, segs, flags | NOWAIT);
  }

  /**
   * Load the ranges of a uio, user or kernel. Never waits: NOWAIT is implied. The callback also gets the residual.
   * => user memory is resident and wired: `space.wire`.
   * @returns as `loadMbuf`. @bsd #Y bus_dmamap_load_uio
   */
  loadUio<A>(uio: Uio, callback: LoadCallback2<A>, arg: A, flags: BusDma = 0): Errno {
    const { tag } = this;
    const { segs } = tag;
    const length = tag.checkLength ? uioLength(uio) : uio.resid;
    let error = this.#begin(length, segs);
    if (error === OK) {
      tag.sink.begin(this, flags | NOWAIT, segs);
      error = walkUio(uio, tag.sink);
    }
    this.#complete(LOAD_UIO, length, segs, flags, error);
    callback(arg, segs, segs.count, error === OK ? uio.resid : 0, error);
    if (this.md !== null) this.#delivered();
    return error;
  }

  /** Load the data of a bio. @returns as `load`. @bsd #Y bus_dmamap_load_bio */
  loadBio<A>(bio: Bio, callback: LoadCallback<A>, arg: A, flags: BusDma = 0): Errno {
    const { tag } = this;
    let error = this.#begin(bio.bcount, tag.segs);
    if (error === OK) {
      tag.sink.begin(this, flags, tag.segs);
      error = walkBio(bio, tag.sink);
    }
    if (error === EINPROGRESS) this.#defer({ kind: "bio", bio }, callback, arg);
    return this.#finish(LOAD_BIO, bio.bcount, callback, arg, flags, error);
  }

  /** Load the data of a CAM request; one without data (DIR_NONE) has no segments. @returns as `load`. @bsd #Y bus_dmamap_load_ccb */
  loadCcb<A>(ccb: Ccb, callback: LoadCallback<A>, arg: A, flags: BusDma = 0): Errno {
    const { tag } = this;
    if (ccbHasNoData(ccb)) {
      tag.segs.count = 0;
      if ((tag.trace.mask & TRACED) !== 0) tag.trace.record(LOAD_CCB, flags, 0, OK, 0);
      callback(arg, tag.segs, 0, OK);
      if (this.md !== null) this.#delivered();
      return OK;
    }
    const length = ccbLength(ccb);
    let error = this.#begin(length, tag.segs);
    if (error === OK) {
      tag.sink.begin(this, flags, tag.segs);
      error = walkCcb(ccb, tag.sink);
    }
    if (error === EINPROGRESS) this.#defer({ kind: "ccb", ccb }, callback, arg);
    return this.#finish(LOAD_CCB, length, callback, arg, flags, error);
  }

  /** Load what a memdesc describes. All kinds may wait, mbufs and uios too. @returns as `load`. @bsd #Y bus_dmamap_load_mem */
  loadMem<A>(mem: Memdesc, callback: LoadCallback<A>, arg: A, flags: BusDma = 0): Errno {
    const { tag } = this;
    const length = memdescLength(mem);
    let error = this.#begin(length, tag.segs);
    if (error === OK) {
      tag.sink.begin(this, flags, tag.segs);
      error = walkMemdesc(mem, tag.sink);
    }
    if (error === EINPROGRESS) this.#defer(mem, callback, arg);
    return this.#finish(LOAD_MEM, length, callback, arg, flags, error);
  }

  /** Load `length` bytes that begin `offset` bytes into the first of the frames `ma`. @returns as `load`. @bsd #Y _bus_dmamap_load_ma */
  loadPages<A>(
    ma: readonly Frame[],
    offset: Bytes,
    length: Bytes,
    callback: LoadCallback<A>,
    arg: A,
    flags: BusDma = 0,
  ): Errno {
    const { tag } = this;
    const { segs } = tag;
    let error = this.#begin(length, segs);
    if (error === OK) {
      error = tag.backend.loadPages(tag, this, ma, offset, length, flags, segs);
    }
    if (error === EINPROGRESS) {
      this.#defer({ kind: "vmpages", ma, offset, length }, callback, arg);
    }
    return this.#finish(LOAD_PAGES, length, callback, arg, flags, error);
  }

  /**
   * The same page by page, as physical ranges, into `segs`: what a backend without a form of its own
   * for lists of pages does. Calls nothing and never waits.
   * @returns OK; EFBIG; ENOMEM; EINVAL. @bsd #Y bus_dmamap_load_ma_triv
   */
  loadPagesSg(
    ma: readonly Frame[],
    offset: Bytes,
    length: Bytes,
    segs: SegList,
    flags: BusDma = 0,
  ): Errno {
    const { tag } = this;
    const { mem } = tag.kernelPmap;
    if (!(offset >= 0 && offset < PAGE)) panic(`bus_dma: pages from offset ${offset}`);
    let error = this.#begin(length, this.#listOf(segs));
    let within = offset;
    for (let i = 0, left = length; left > 0 && error === OK; i++) {
      const run = Math.min(PAGE - within, left);
      const pa = mem.addrOf(ma[i]) + within;
      error = tag.backend.loadPhys(tag, this, pa, run, flags | NOWAIT, segs);
      left -= run;
      within = 0;
    }
    this.#complete(LOAD_PAGES, length, segs, flags, error);
    return error;
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
    if (this.waiting) this.#refuse("unload");
    const { tag } = this;
    if ((trace.mask & TRACED) !== 0) trace.record(UNLOAD);
    if (this.md !== null) tag.backend.unload(tag, this);
  }

  /** => not the map of DMA memory. @returns OK; EBUSY: loaded with what the backend keeps, or waiting. @bsd #Y bus_dmamap_destroy */
  destroy(): Errno {
    const { tag } = this;
    if (this.ofMemory) panic("bus_dma: destroy of a map that came with DMA memory");
    const error = this.waiting ? E.EBUSY : tag.backend.mapDestroy(tag, this);
    if (error === OK) tag.mapCount--;
    if ((tag.trace.mask & TRACED) !== 0) tag.trace.record(DESTROY, error);
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
    this.loadMem(mem, callback, this.#arg as never, WAITOK);
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const state = this.waiting ? "waiting for bounce pages" : "not waiting";
    const md = this.md as { toString(): string } | null;
    return `DmaMap(${state}, ${md === null ? "never bounces" : md.toString()})`;
  }

  #begin(length: Bytes, segs: SegList): Errno {
    if (this.md !== null && this.waiting) this.#refuse("load");
    const { tag } = this;
    segs.count = 0;
    if (segs.capacity < segs.limit) this.#expect(length, segs);
    if (!tag.checkLength) return OK;
    return length > 0 && length <= tag.maxSize ? OK : E.EINVAL;
  }

  /** Room for all pages of a load, in a list that may grow; no load is longer than the RAM. */
  #expect(length: Bytes, segs: SegList): void {
    const pages = Math.ceil(length / PAGE) + 1;
    if (pages > segs.capacity && pages <= this.tag.kernelPmap.mem.totalFrames + 1) segs.grow(pages);
  }

  /** What the original takes, and loses track of. */
  #refuse(what: string): void {
    if (this.tag.context.semantics.waitingMapsAreBusy) {
      panic(`bus_dma: ${what} of a map whose load still waits`);
    }
  }

  /** A list of the caller's holds no more than the tag allows. */
  #listOf(segs: SegList): SegList {
    const { tag } = this;
    if (!(segs.capacity <= tag.segments)) {
      panic(`bus_dma: a list for ${segs.capacity} segments, of a tag for ${tag.segments}`);
    }
    return segs;
  }

  #loadMbuf(event: TraceEvent, m: Mbuf, segs: SegList, flags: BusDma): Errno {
    const { tag } = this;
    if (this.md === null && tag.flat && segs.capacity <= tag.segments) {
      const direct = loadChainDirect(tag, m, segs);
      const mayGrow = direct === E.EFBIG && segs.capacity < segs.limit;
      if (direct !== NOT_DIRECT && !mayGrow) {
        if (direct !== OK) segs.count = 0;
        if ((tag.trace.mask & TRACED) !== 0) {
          tag.trace.record(event, flags, mbufLength(m), direct, segs.count);
        }
        return direct;
      }
    }
    const length = tag.checkLength ? mbufLength(m) : 0;
    let error = this.#begin(length, this.#listOf(segs));
    if (error === OK) {
      tag.sink.begin(this, flags, segs);
      error = walkMbuf(m, tag.sink);
    }
    this.#complete(event, length, segs, flags, error);
    return error;
  }

  /** A callback has had its list. */
  #delivered(): void {
    const { tag } = this;
    tag.backend.delivered?.(tag, this, tag.segs);
  }

  /** Keep what a later resume needs. @bsd #Y _bus_dmamap_waitok */
  #defer<A>(mem: Memdesc, callback: LoadCallback<A>, arg: A): void {
    this.waiting = true;
    this.#mem = mem;
    this.#callback = callback as LoadCallback<never>;
    this.#arg = arg;
  }

  /** The end of every load that does not wait. */
  #complete(event: TraceEvent, length: Bytes, segs: SegList, flags: BusDma, error: Errno): void {
    const { tag } = this;
    const { trace } = tag;
    if ((trace.mask & TRACED) !== 0) trace.record(event, flags, length, error, segs.count);
    if (this.md !== null) tag.backend.complete(tag, this, segs, error);
    if (error !== OK) segs.count = 0;
  }

  #finish<A>(
    event: TraceEvent,
    length: Bytes,
    callback: LoadCallback<A>,
    arg: A,
    flags: BusDma,
    error: Errno,
  ): Errno {
    const { tag } = this;
    const { segs } = tag;
    if (error === EINPROGRESS) {
      if ((tag.trace.mask & TRACED) !== 0) {
        tag.trace.record(event, flags, length, error, segs.count);
      }
      return error;
    }
    this.#complete(event, length, segs, flags, error);
    callback(arg, segs, segs.count, error);
    if (this.md !== null) this.#delivered();
    // EFBIG goes to the callback only; the other two also to the caller, who can pass them on.
    return error === E.ENOMEM || error === E.EINVAL ? error : OK;
  }
}
