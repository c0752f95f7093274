/**
 * The x86 bus_dma backend: coherent, with bounce pages.
 *
 * A tag may bounce when RAM reaches above its lowaddr or it wants an alignment; only then do its
 * maps have bounce state, and only then does a load look at more than translations. Follows
 * sys/x86/x86/busdma_bounce.c in what it decides, on top of busdma-bounce.
 */

import type { DmaMap, DmaTag, SegList } from "@physio/busdma";
import { BusDma, Sync } from "@physio/busdma";
import type { DmaAllocator, DmaBackend } from "@physio/busdma/impl";
import { addRange, defineBackend, kmemAllocator, loadDirect } from "@physio/busdma/impl";
import type { BouncePool, BounceZone } from "@physio/busdma-bounce";
import {
  addBouncePage,
  addrNeedsBounce,
  attachBouncePage,
  BounceState,
  clearReservation,
  copyIn,
  copyOut,
  frameNeedsBounce,
  freeBouncePages,
  reservePages,
} from "@physio/busdma-bounce";
import type { BusAddr, Bytes, Errno, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import {
  alignUp,
  Errno as E,
  ErrnoError,
  isPowerOf2,
  NO_FRAME,
  PAGE_SIZE,
  pageOf,
  pageOffset,
  panic,
} from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import { ROW_MASK, SECTION_SHIFT } from "@physio/physmem";
import type { Kmem, Pmap } from "@physio/pmap";
import { LEAF_PAGES, leafIndex, leafOf } from "@physio/pmap";
import type { MemoryHistory } from "./memory.ts";
import { X86Memory } from "./memory.ts";

// This module's own names: the compiler folds them.
const PAGE = PAGE_SIZE;
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const LEAF = LEAF_PAGES;

/** Pages that all zones may grow to by map creation. @bsd #Y MAX_BPAGES (amd64) */
export const MAX_BPAGES = 8192;

/** Private state of a tag. */
class X86Tag implements MemoryHistory {
  /** Some address or alignment may need a bounce page. @bsd #Y BUS_DMA_COULD_BOUNCE */
  readonly couldBounce: boolean;
  zone: BounceZone | null;
  /** The first map has given the zone its pages. @bsd #Y BUS_DMA_MIN_ALLOC_COMP */
  firstGrowthDone: boolean;
  /** Memory of whole pages was asked for. @bsd #Y BUS_DMA_KMEM_ALLOC */
  usedPages: boolean;

  constructor(couldBounce: boolean) {
    this.couldBounce = couldBounce;
    this.zone = null;
    this.firstGrowthDone = false;
    this.usedPages = false;
  }
}

const x86Of = (tag: DmaTag): X86Tag => tag.md as X86Tag;

/** Tell the device of one more chunk. @returns false: EFBIG. */
function add(tag: DmaTag, segs: SegList, addr: BusAddr, size: Bytes): boolean {
  if (!tag.powersOf2 && tag.boundary !== 0 && !isPowerOf2(tag.boundary))
    panic(`bus_dma: boundary ${tag.boundary} is not a power of 2`);
  return addRange(segs, addr, size, tag.maxSegSize, tag.boundary);
}

/** Bounce pages for a load of maxSize bytes: the original forgets a last part of a page. */
function pagesOf(tag: DmaTag): number {
  const pages = tag.maxSize / PAGE_SIZE;
  return tag.context.semantics.poolCoversMaxSize ? Math.ceil(pages) : Math.floor(pages);
}

class X86Dma {
  readonly #pool: BouncePool;
  readonly #mem: PhysMem;

  constructor(pool: BouncePool, kmem: Kmem) {
    this.#pool = pool;
    this.#mem = kmem.mem;
  }

  tagCreate(tag: DmaTag): X86Tag {
    const { parent } = tag;
    const inherited = parent !== null && (tag.filter !== null || x86Of(parent).couldBounce);
    const md = new X86Tag(inherited || tag.lowAddr < this.#mem.top || tag.alignment > 1);
    if (!md.couldBounce || (tag.flags & BusDma.ALLOCNOW) === 0) return md;
    md.zone = this.#pool.zoneFor(tag.lowAddr, tag.alignment, tag.domain);
    const lacking = pagesOf(tag) - md.zone.total;
    if (lacking > 0 && this.#pool.grow(md.zone, lacking) < lacking) {
      throw new ErrnoError(E.ENOMEM, `dma tag: ALLOCNOW of ${pagesOf(tag)} bounce pages`);
    }
    md.firstGrowthDone = true;
    return md;
  }

  mapCreate(tag: DmaTag): BounceState | null {
    const md = x86Of(tag);
    if (!md.couldBounce) return null;
    md.zone ??= this.#pool.zoneFor(tag.lowAddr, tag.alignment, tag.domain);
    const { zone } = md;
    const enough = this.#growForMap(tag, md, zone);
    if (enough || !tag.context.semantics.failedMapNotCounted) zone.mapCount++;
    if (!enough) throw new ErrnoError(E.ENOMEM, "dma map: no bounce pages for the tag's first map");
    return new BounceState(zone);
  }

  /**
   * Grow the zone for one more map: always for a tag's first map, later up to the cap.
   * @returns false when the first map's pages are not to be had.
   */
  #growForMap(tag: DmaTag, md: X86Tag, zone: BounceZone): boolean {
    // The cap counts pages above lowaddr; where RAM ends below it, the original's unsigned
    // subtraction wraps, which leaves MAX_BPAGES.
    const above = pageOf(this.#mem.top) - pageOf(tag.lowAddr);
    const cap = tag.alignment > 1 || above < 0 ? MAX_BPAGES : Math.min(MAX_BPAGES, above);
    if (md.firstGrowthDone && !(zone.mapCount > 0 && zone.total < cap)) return true;
    const wanted = Math.min(Math.max(pagesOf(tag), 1), tag.segments);
    const pages = Math.max(Math.min(wanted, cap - zone.total), 1);
    const got = this.#pool.grow(zone, pages);
    if (md.firstGrowthDone) return true;
    md.firstGrowthDone = got === pages;
    return md.firstGrowthDone;
  }

  mapDestroy(tag: DmaTag, map: DmaMap): Errno {
    const state = map.md as BounceState | null;
    if (state === null) return E.OK;
    if (state.pages.count > 0) return E.EBUSY;
    x86Of(tag).zone!.mapCount--;
    return E.OK;
  }

  // ---- loads

  loadBuffer(
    tag: DmaTag,
    map: DmaMap,
    pmap: Pmap,
    va: VirtAddr,
    len: Bytes,
    flags: BusDma,
    segs: SegList,
  ): Errno {
    const state = map.md as BounceState | null;
    if (state !== null) {
      if (state.needed === 0) this.#countBuffer(map, state, pmap, va, len);
      const error = this.#reserve(map, state, flags);
      if (error !== E.OK) return error;
      if (state.needed === 0 && tag.flat && segs.count === 0 && len > 0) {
        return loadDirect(tag, pmap, va, len, segs);
      }
    }
    return this.#loadVirtual(tag, state, pmap, va, len, segs);
  }

  /** Page by page, by frame: no address crosses a call but that of a chunk. */
  #loadVirtual(
    tag: DmaTag,
    state: BounceState | null,
    pmap: Pmap,
    va: VirtAddr,
    len: Bytes,
    segs: SegList,
  ): Errno {
    const kernelVa = pmap === tag.kernelPmap;
    const keep = (tag.flags & BusDma.KEEP_PG_OFFSET) !== 0;
    const { sectionAddr } = pmap.mem;
    let leaf = leafOf(va);
    let index = leafIndex(va);
    let frames = pmap.leaf(leaf);
    let offset = pageOffset(va);
    for (let done = 0; done < len; ) {
      const frame = frames === null ? NO_FRAME : frames[index];
      if (frame < 0)
        panic(`bus_dma: load of ${len} bytes at ${va}: nothing is mapped at ${va + done}`);
      let size = Math.min(len - done, PAGE - offset);
      let addr = sectionAddr[frame >> SHIFT] + (frame & ROW) * PAGE + offset;
      if (state !== null && state.needed > 0 && frameNeedsBounce(tag, frame, offset)) {
        size = Math.min(this.#chunk(tag, size), len - done);
        const row = attachBouncePage(state, frame, NO_FRAME, offset, size);
        if (kernelVa) state.zone.dataVa[row] = va + done;
        addr = state.zone.busAddr[row] + (keep ? offset : 0);
      }
      if (!add(tag, segs, addr, size)) return E.EFBIG;
      done += size;
      for (offset += size; offset >= PAGE; offset -= PAGE) {
        if (++index === LEAF) {
          frames = pmap.leaf(++leaf);
          index = 0;
        }
      }
    }
    return E.OK;
  }

  loadPhys(
    tag: DmaTag,
    map: DmaMap,
    pa: PhysAddr,
    len: Bytes,
    flags: BusDma,
    segs: SegList,
  ): Errno {
    const state = map.md as BounceState | null;
    if (state !== null) {
      if (state.needed === 0) this.#countPhys(map, state, pa, len);
      const error = this.#reserve(map, state, flags);
      if (error !== E.OK) return error;
    }
    for (let done = 0; done < len; ) {
      const at = pa + done;
      let size = len - done;
      let addr: BusAddr = at as number;
      if (state !== null && state.needed > 0) {
        const bounces = addrNeedsBounce(map, at);
        size = this.#physRun(map, at, size, bounces);
        if (bounces) {
          addr = addBouncePage(
            map,
            state,
            -1,
            this.#mem.frameOf(at),
            NO_FRAME,
            pageOffset(at),
            size,
          );
        }
      }
      if (!add(tag, segs, addr, size)) return E.EFBIG;
      done += size;
    }
    return E.OK;
  }

  loadPages(
    tag: DmaTag,
    map: DmaMap,
    ma: readonly Frame[],
    offset: Bytes,
    len: Bytes,
    flags: BusDma,
    segs: SegList,
  ): Errno {
    const state = map.md as BounceState | null;
    // A chunk of two pages has no one offset to keep.
    const { chunksStayInPage } = tag.context.semantics;
    if (!chunksStayInPage && (tag.flags & BusDma.KEEP_PG_OFFSET) !== 0) {
      return this.#loadPagesSingly(tag, map, ma, offset, len, flags, segs);
    }
    if (state !== null) {
      if (state.needed === 0) this.#countPages(map, state, ma, offset, len);
      const error = this.#reserve(map, state, flags);
      if (error !== E.OK) return error;
    }
    for (let done = 0; done < len; ) {
      const at = offset + done;
      const frame = ma[pageOf(at)];
      const pa = this.#mem.addrOf(frame) + pageOffset(at);
      let size = Math.min(len - done, PAGE_SIZE - pageOffset(at));
      let addr: BusAddr = pa as number;
      if (state !== null && state.needed > 0 && addrNeedsBounce(map, pa)) {
        size = this.#pagesChunk(tag, size, len - done);
        const frame2 = pageOffset(at) + size > PAGE_SIZE ? ma[pageOf(at) + 1] : NO_FRAME;
        addr = addBouncePage(map, state, -1, frame, frame2, pageOffset(at), size);
      }
      if (!add(tag, segs, addr, size)) return E.EFBIG;
      done += size;
    }
    return E.OK;
  }

  /** A page list as one physical load a page. @bsd #Y bus_dmamap_load_ma_triv */
  #loadPagesSingly(
    tag: DmaTag,
    map: DmaMap,
    ma: readonly Frame[],
    offset: Bytes,
    len: Bytes,
    flags: BusDma,
    segs: SegList,
  ): Errno {
    for (let done = 0; done < len; ) {
      const at = offset + done;
      const pa = this.#mem.addrOf(ma[pageOf(at)]) + pageOffset(at);
      const run = Math.min(len - done, PAGE_SIZE - pageOffset(at));
      const error = this.loadPhys(tag, map, pa, run, flags, segs);
      if (error !== E.OK) return error;
      done += run;
    }
    return E.OK;
  }

  /**
   * How many of the `left` bytes at `at` go one way: a bounced run ends with its page, a direct one
   * where the next page must bounce. The original looks at the first address only.
   */
  #physRun(map: DmaMap, at: PhysAddr, left: Bytes, bounces: boolean): Bytes {
    let size = PAGE_SIZE - pageOffset(at);
    if (!bounces) {
      if (!map.tag.context.semantics.testEveryPage) return left;
      while (size < left && !addrNeedsBounce(map, at + size)) size += PAGE_SIZE;
    }
    return Math.min(size, left);
  }

  /** Length of a bounced chunk: the original rounds it up to the alignment, even past the page. */
  #chunk(tag: DmaTag, size: Bytes): Bytes {
    return tag.context.semantics.chunksStayInPage ? size : alignUp(size, tag.alignment);
  }

  /** The same in a list of frames, where the rounding must not pass the end. */
  #pagesChunk(tag: DmaTag, size: Bytes, left: Bytes): Bytes {
    const chunk = this.#chunk(tag, size);
    if (chunk > left) panic(`bus_dma: a chunk of ${chunk} bytes overruns the transfer's ${left}`);
    return chunk;
  }

  #countBuffer(map: DmaMap, state: BounceState, pmap: Pmap, va: VirtAddr, len: Bytes): void {
    const { tag } = map;
    let leaf = leafOf(va);
    let index = leafIndex(va);
    let frames = pmap.leaf(leaf);
    let offset = pageOffset(va);
    for (let done = 0; done < len; ) {
      const frame = frames === null ? NO_FRAME : frames[index];
      let size = Math.min(len - done, PAGE - offset);
      if (frame >= 0 && frameNeedsBounce(tag, frame, offset)) {
        size = this.#chunk(tag, size);
        state.needed++;
      }
      done += size;
      for (offset += size; offset >= PAGE; offset -= PAGE) {
        if (++index === LEAF) {
          frames = pmap.leaf(++leaf);
          index = 0;
        }
      }
    }
  }

  #countPhys(map: DmaMap, state: BounceState, pa: PhysAddr, len: Bytes): void {
    for (let done = 0; done < len; ) {
      const bounces = addrNeedsBounce(map, pa + done);
      if (bounces) state.needed++;
      done += this.#physRun(map, pa + done, len - done, bounces);
    }
  }

  #countPages(
    map: DmaMap,
    state: BounceState,
    ma: readonly Frame[],
    offset: Bytes,
    len: Bytes,
  ): void {
    for (let done = 0; done < len; ) {
      const at = offset + done;
      let size = Math.min(len - done, PAGE_SIZE - pageOffset(at));
      if (addrNeedsBounce(map, this.#mem.addrOf(ma[pageOf(at)]) + pageOffset(at))) {
        size = this.#pagesChunk(map.tag, size, len - done);
        state.needed++;
      }
      done += size;
    }
  }

  #reserve(map: DmaMap, state: BounceState, flags: BusDma): Errno {
    return state.needed === 0 ? E.OK : reservePages(this.#pool, map, state, flags);
  }

  // ---- after the load

  complete(tag: DmaTag, map: DmaMap, error: Errno): void {
    if (error !== E.OK && tag.context.semantics.clearReservation) this.unload(tag, map);
  }

  sync(tag: DmaTag, map: DmaMap, ops: Sync): void {
    const state = map.md as BounceState | null;
    if (state === null || state.pages.count === 0) return;
    const write = (ops & Sync.PREWRITE) !== 0;
    const read = (ops & Sync.POSTREAD) !== 0;
    // Together: the POST operation ends a transfer, so it goes before the PRE operation of the next.
    // In the original PREWRITE goes first and leaves its cursor at the end of the list: POSTREAD is
    // counted and copies nothing.
    const skipped = read && write && !tag.context.semantics.syncEachOperation;
    if (read && !skipped) copyIn(this.#pool, map, state);
    if (write) copyOut(this.#pool, map, state);
    if (skipped) state.zone.totalBounced++;
  }

  unload(tag: DmaTag, map: DmaMap): void {
    const state = map.md as BounceState | null;
    if (state === null) return;
    freeBouncePages(this.#pool, state);
    if (tag.context.semantics.clearReservation) clearReservation(this.#pool, state);
  }

  isIdentity(tag: DmaTag, pa: PhysAddr, len: Bytes): boolean {
    if (!x86Of(tag).couldBounce) return true;
    const every = tag.context.semantics.testEveryPage;
    for (let done = 0; done < len; done += every ? PAGE_SIZE - pageOffset(pa + done) : len) {
      if (addrNeedsBounce({ tag }, pa + done)) return false;
    }
    return true;
  }
}

/** The backend of an x86 machine. `allocator` gives DMA memory; default the machine's kernel memory. @bsd #Y struct bus_dma_impl bus_dma_bounce_impl */
export function x86Backend(
  pool: BouncePool,
  kmem: Kmem,
  allocator: DmaAllocator = kmemAllocator(kmem),
): DmaBackend {
  const x86 = new X86Dma(pool, kmem);
  const memory = new X86Memory(kmem, allocator);
  return defineBackend({
    name: "x86",
    tagCreate: (tag) => x86.tagCreate(tag),
    tagDestroy: () => {},
    mapCreate: (tag) => x86.mapCreate(tag),
    mapDestroy: (tag, map) => x86.mapDestroy(tag, map),
    memAlloc: (tag, _map, flags) => memory.alloc(tag, x86Of(tag), flags),
    memFree: (tag, given) => memory.free(tag, x86Of(tag), given),
    // Small, so that it is inlined into DmaMap.load; what may bounce goes on in a function of its own.
    loadBuffer: (tag, map, pmap, va, len, flags, segs) =>
      tag.flat && map.md === null && segs.count === 0 && len > 0
        ? loadDirect(tag, pmap, va, len, segs)
        : x86.loadBuffer(tag, map, pmap, va, len, flags, segs),
    loadPhys: (tag, map, pa, len, flags, segs) => x86.loadPhys(tag, map, pa, len, flags, segs),
    loadPages: (tag, map, ma, offset, len, flags, segs) =>
      x86.loadPages(tag, map, ma, offset, len, flags, segs),
    complete: (tag, map, _segs, error) => x86.complete(tag, map, error),
    sync: (tag, map, ops) => x86.sync(tag, map, ops),
    unload: (tag, map) => x86.unload(tag, map),
    isIdentity: (tag, pa, len) => x86.isIdentity(tag, pa, len),
  });
}
