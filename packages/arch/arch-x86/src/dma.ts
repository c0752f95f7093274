/**
 * The x86 bus_dma backend: coherent, with bounce pages.
 *
 * A tag may bounce when RAM reaches above its lowaddr or it wants an alignment; only then do its
 * maps have bounce state, and only then does a load look at more than translations. Follows
 * sys/x86/x86/busdma_bounce.c in what it decides, on top of busdma-bounce.
 */

import type { DmaMap, DmaTag, SegList } from "@physio/busdma";
import { BusDma, Sync } from "@physio/busdma";
import type { DmaBackend, DmaMemory } from "@physio/busdma/impl";
import { addRange, defineBackend } from "@physio/busdma/impl";
import type { BouncePool, BounceZone } from "@physio/busdma-bounce";
import {
  addBouncePage,
  addrNeedsBounce,
  BounceState,
  clearReservation,
  copyIn,
  copyOut,
  freeBouncePages,
  reservePages,
} from "@physio/busdma-bounce";
import type { BusAddr, Bytes, Errno, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import {
  alignUp,
  Errno as E,
  ErrnoError,
  NO_FRAME,
  PAGE_SIZE,
  pageOf,
  pageOffset,
  panic,
} from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import type { Kmem, Pmap } from "@physio/pmap";

/** Pages that all zones may grow to by map creation. @bsd #Y MAX_BPAGES (amd64) */
export const MAX_BPAGES = 8192;

/** Private state of a tag. */
class X86Tag {
  /** Some address or alignment may need a bounce page. @bsd #Y BUS_DMA_COULD_BOUNCE */
  readonly couldBounce: boolean;
  zone: BounceZone | null;
  /** The first map has given the zone its pages. @bsd #Y BUS_DMA_MIN_ALLOC_COMP */
  firstGrowthDone: boolean;

  constructor(couldBounce: boolean) {
    this.couldBounce = couldBounce;
    this.zone = null;
    this.firstGrowthDone = false;
  }
}

const x86Of = (tag: DmaTag): X86Tag => tag.md as X86Tag;

/** Bounce pages that cover `size` bytes. */
const pagesOf = (size: Bytes): number => Math.ceil(size / PAGE_SIZE);

class X86Dma {
  readonly #pool: BouncePool;
  readonly #kmem: Kmem;
  readonly #mem: PhysMem;

  constructor(pool: BouncePool, kmem: Kmem) {
    this.#pool = pool;
    this.#kmem = kmem;
    this.#mem = kmem.mem;
  }

  tagCreate(tag: DmaTag): X86Tag {
    const md = new X86Tag(tag.lowAddr < this.#mem.top - 1 || tag.alignment > 1);
    if (!md.couldBounce || (tag.flags & BusDma.ALLOCNOW) === 0) return md;
    md.zone = this.#pool.zoneFor(tag.lowAddr, tag.alignment);
    const lacking = pagesOf(tag.maxSize) - md.zone.total;
    if (lacking > 0 && this.#pool.grow(md.zone, lacking) < lacking) {
      throw new ErrnoError(E.ENOMEM, `dma tag: ALLOCNOW of ${pagesOf(tag.maxSize)} bounce pages`);
    }
    md.firstGrowthDone = true;
    return md;
  }

  mapCreate(tag: DmaTag): BounceState | null {
    const md = x86Of(tag);
    if (!md.couldBounce) return null;
    md.zone ??= this.#pool.zoneFor(tag.lowAddr, tag.alignment);
    const { zone } = md;
    const enough = this.#growForMap(tag, md, zone);
    zone.mapCount++;
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
    const wanted = Math.min(Math.max(pagesOf(tag.maxSize), 1), tag.segments);
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

  memAlloc(tag: DmaTag): DmaMemory | null {
    const va = this.#kmem.allocContig(tag.maxSize, {
      high: tag.lowAddr as number,
      align: Math.max(tag.alignment, PAGE_SIZE),
      boundary: tag.boundary >= tag.maxSize ? tag.boundary : 0,
    });
    return va < 0 ? null : { va, size: tag.maxSize };
  }

  memFree(memory: DmaMemory): void {
    this.#kmem.free(memory.va, memory.size);
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
    }
    const kernelVa = pmap === tag.context.kernelPmap;
    for (let done = 0; done < len; ) {
      const pa = pmap.extract(va + done);
      if (pa < 0)
        panic(`bus_dma: load of ${len} bytes at ${va}: nothing is mapped at ${va + done}`);
      let size = Math.min(len - done, PAGE_SIZE - pageOffset(pa));
      let addr: BusAddr = pa as number;
      if (state !== null && state.needed > 0 && addrNeedsBounce(map, pa)) {
        size = Math.min(this.#chunk(tag, size), len - done);
        const dataVa = kernelVa ? va + done : -1;
        addr = addBouncePage(
          map,
          state,
          dataVa,
          this.#mem.frameOf(pa),
          NO_FRAME,
          pageOffset(pa),
          size,
        );
      }
      if (!addRange(segs, addr, size, tag.maxSegSize, tag.boundary)) return E.EFBIG;
      done += size;
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
    return this.#addPhys(tag, map, state, pa, len, NO_FRAME, segs);
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
    if (state !== null) {
      if (state.needed === 0) this.#countPages(map, state, ma, offset, len);
      const error = this.#reserve(map, state, flags);
      if (error !== E.OK) return error;
    }
    for (let done = 0; done < len; ) {
      const at = offset + done;
      const pa = this.#mem.addrOf(ma[pageOf(at)]) + pageOffset(at);
      const run = Math.min(len - done, PAGE_SIZE - pageOffset(at));
      const error = this.#addPhys(tag, map, state, pa, run, NO_FRAME, segs);
      if (error !== E.OK) return error;
      done += run;
    }
    return E.OK;
  }

  #addPhys(
    tag: DmaTag,
    map: DmaMap,
    state: BounceState | null,
    pa: PhysAddr,
    len: Bytes,
    frame2: Frame,
    segs: SegList,
  ): Errno {
    for (let done = 0; done < len; ) {
      const at = pa + done;
      let size = Math.min(len - done, PAGE_SIZE - pageOffset(at));
      let addr: BusAddr = at as number;
      if (state !== null && state.needed > 0 && addrNeedsBounce(map, at)) {
        size = Math.min(this.#chunk(tag, size), len - done);
        addr = addBouncePage(map, state, -1, this.#mem.frameOf(at), frame2, pageOffset(at), size);
      }
      if (!addRange(segs, addr, size, tag.maxSegSize, tag.boundary)) return E.EFBIG;
      done += size;
    }
    return E.OK;
  }

  /** Length of a bounced chunk: the original rounds it up to the alignment, even past the page. */
  #chunk(tag: DmaTag, size: Bytes): Bytes {
    return tag.context.semantics.chunksStayInPage ? size : alignUp(size, tag.alignment);
  }

  #countBuffer(map: DmaMap, state: BounceState, pmap: Pmap, va: VirtAddr, len: Bytes): void {
    for (let done = 0; done < len; ) {
      const pa = pmap.extract(va + done);
      let size = Math.min(len - done, PAGE_SIZE - pageOffset(va + done));
      if (pa >= 0 && addrNeedsBounce(map, pa)) {
        size = this.#chunk(map.tag, size);
        state.needed++;
      }
      done += size;
    }
  }

  #countPhys(map: DmaMap, state: BounceState, pa: PhysAddr, len: Bytes): void {
    for (let done = 0; done < len; ) {
      let size = Math.min(len - done, PAGE_SIZE - pageOffset(pa + done));
      if (addrNeedsBounce(map, pa + done)) {
        size = this.#chunk(map.tag, size);
        state.needed++;
      }
      done += size;
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
      const run = Math.min(len - done, PAGE_SIZE - pageOffset(at));
      this.#countPhys(map, state, this.#mem.addrOf(ma[pageOf(at)]) + pageOffset(at), run);
      done += run;
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
    if (write) copyOut(this.#pool, map, state);
    if (!read) return;
    // After the PREWRITE copy the original's cursor stands at the end of the list: it counts the
    // POSTREAD and copies nothing.
    if (write && !tag.context.semantics.syncEachOperation) state.zone.totalBounced++;
    else copyIn(this.#pool, map, state);
  }

  unload(tag: DmaTag, map: DmaMap): void {
    const state = map.md as BounceState | null;
    if (state === null) return;
    freeBouncePages(this.#pool, state);
    if (tag.context.semantics.clearReservation) clearReservation(this.#pool, state);
  }

  isIdentity(tag: DmaTag, pa: PhysAddr, len: Bytes): boolean {
    if (!x86Of(tag).couldBounce) return true;
    for (let done = 0; done < len; done += PAGE_SIZE - pageOffset(pa + done)) {
      const at = pa + done;
      const excluded = at > tag.lowAddr && at <= tag.highAddr;
      if (excluded || (tag.alignment > 1 && at % tag.alignment !== 0)) return false;
    }
    return true;
  }
}

/** The backend of an x86 machine. @bsd #P[no NUMA domains, no filters] struct bus_dma_impl bus_dma_bounce_impl */
export function x86Backend(pool: BouncePool, kmem: Kmem): DmaBackend {
  const x86 = new X86Dma(pool, kmem);
  return defineBackend({
    name: "x86",
    tagCreate: (tag) => x86.tagCreate(tag),
    tagDestroy: () => {},
    mapCreate: (tag) => x86.mapCreate(tag),
    mapDestroy: (tag, map) => x86.mapDestroy(tag, map),
    memAlloc: (tag) => x86.memAlloc(tag),
    memFree: (_tag, memory) => x86.memFree(memory),
    loadBuffer: (tag, map, pmap, va, len, flags, segs) =>
      x86.loadBuffer(tag, map, pmap, va, len, flags, segs),
    loadPhys: (tag, map, pa, len, flags, segs) => x86.loadPhys(tag, map, pa, len, flags, segs),
    loadPages: (tag, map, ma, offset, len, flags, segs) =>
      x86.loadPages(tag, map, ma, offset, len, flags, segs),
    complete: (tag, map, _segs, error) => x86.complete(tag, map, error),
    sync: (tag, map, ops) => x86.sync(tag, map, ops),
    unload: (tag, map) => x86.unload(tag, map),
    isIdentity: (tag, pa, len) => x86.isIdentity(tag, pa, len),
  });
}
