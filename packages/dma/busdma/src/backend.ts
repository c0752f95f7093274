/**
 * What a bus_dma backend supplies. The machine-independent code owns tags' inheritance, carriers
 * and callbacks; a backend decides only where bytes land.
 *
 * A backend is a table of functions made by `defineBackend`, so that all backends have one shape
 * and `tag.backend.sync(…)` stays a cheap call whatever machines are alive. Its private state of a
 * tag or a map hangs in their `md` slot. Backends share code by calling busdma-bounce.
 *
 * A load function that returns EINPROGRESS has queued the map and calls `resumeLoad(map)` later,
 * from a thread. This replaces bus_dmamap_waitok: the description of the memory is kept only when a
 * load really is deferred. @bsd #Y struct bus_dma_impl, _bus_dmamap_waitok
 */
import type { Bytes, Errno, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import type { Pmap } from "@physio/pmap";
import type { BusDma, Sync } from "./flags.ts";
import type { DmaMap } from "./map.ts";
import type { DmaMemory } from "./memory.ts";
import type { SegList } from "./seg-list.ts";
import type { DmaTag } from "./tag.ts";

/** @bsd #Y struct bus_dma_impl */
export interface DmaBackend {
  readonly name: string;
  /** Private state of a tag whose constraints are narrowed already. @throws {ErrnoError} ENOMEM: ALLOCNOW, too few pages. */
  readonly tagCreate: (tag: DmaTag) => unknown;
  /** => the tag has no maps. */
  readonly tagDestroy: (tag: DmaTag) => void;
  /** The tag is not destroyed, as it still has maps. For those who watch; most leave it out. */
  readonly tagBusy?: ((tag: DmaTag) => void) | null;
  /** Private state of a map; null when no load of it ever needs anything: then loads of kernel memory are translated without asking, and complete, sync and unload are not called. `flags`: COHERENT. @throws {ErrnoError} ENOMEM. */
  readonly mapCreate: (tag: DmaTag, map: DmaMap, flags: BusDma) => unknown;
  /** @returns OK; EBUSY: it holds resources of a load. */
  readonly mapDestroy: (tag: DmaTag, map: DmaMap) => Errno;
  /**
   * Memory of `tag.maxSize` bytes that obeys the tag. `map` is new and belongs to it (`map.ofMemory`):
   * its `md` is null and may be set here. @returns null: ENOMEM.
   */
  readonly memAlloc: (tag: DmaTag, map: DmaMap, flags: BusDma) => DmaMemory | null;
  /** => `memory` and `map` are of one memAlloc, and the map is unloaded. */
  readonly memFree: (tag: DmaTag, memory: DmaMemory, map: DmaMap) => void;
  /** Append a virtual range to `segs`. `flags` has LOAD_MBUF for the data of a mapped mbuf. @returns OK; EFBIG; EINPROGRESS; ENOMEM (NOWAIT, or never possible). @bsd #Y _bus_dmamap_load_buffer */
  readonly loadBuffer: (
    tag: DmaTag,
    map: DmaMap,
    pmap: Pmap,
    va: VirtAddr,
    len: Bytes,
    flags: BusDma,
    segs: SegList,
  ) => Errno;
  /** Append a physical range. @returns as loadBuffer. @bsd #Y _bus_dmamap_load_phys */
  readonly loadPhys: (
    tag: DmaTag,
    map: DmaMap,
    pa: PhysAddr,
    len: Bytes,
    flags: BusDma,
    segs: SegList,
  ) => Errno;
  /** Append `len` bytes that begin `offset` bytes into the first of `ma`. @returns as loadBuffer. @bsd #Y _bus_dmamap_load_ma */
  readonly loadPages: (
    tag: DmaTag,
    map: DmaMap,
    ma: readonly Frame[],
    offset: Bytes,
    len: Bytes,
    flags: BusDma,
    segs: SegList,
  ) => Errno;
  /** The load has ended with `error`; last chance to change `segs` or to clean up. @bsd #Y _bus_dmamap_complete */
  readonly complete: (tag: DmaTag, map: DmaMap, segs: SegList, error: Errno) => void;
  /** The callback of a load has returned; `segs`, which it was given, is nobody's now. For those who watch; most leave it out. */
  readonly delivered?: ((tag: DmaTag, map: DmaMap, segs: SegList) => void) | null;
  /** Copy bounced data and maintain caches. */
  readonly sync: (tag: DmaTag, map: DmaMap, ops: Sync) => void;
  readonly unload: (tag: DmaTag, map: DmaMap) => void;
  /** Whether the range would be used as it is. @bsd #Y bus_dma_id_mapped */
  readonly isIdentity: (tag: DmaTag, pa: PhysAddr, len: Bytes) => boolean;
}

/** Make a backend's table: every slot, in one order. */
export function defineBackend(b: DmaBackend): DmaBackend {
  return Object.freeze({
    name: b.name,
    tagCreate: b.tagCreate,
    tagDestroy: b.tagDestroy,
    tagBusy: b.tagBusy ?? null,
    mapCreate: b.mapCreate,
    mapDestroy: b.mapDestroy,
    memAlloc: b.memAlloc,
    memFree: b.memFree,
    loadBuffer: b.loadBuffer,
    loadPhys: b.loadPhys,
    loadPages: b.loadPages,
    complete: b.complete,
    delivered: b.delivered ?? null,
    sync: b.sync,
    unload: b.unload,
    isIdentity: b.isIdentity,
  });
}
