/**
 * The arm64 bus_dma backend: bounce pages, and caches that devices do not snoop.
 *
 * Follows sys/arm64/arm64/busdma_bounce.c of FreeBSD about release 14, over the pool of later
 * revisions (busdma-bounce). What is different from x86: a cache line that a transfer shares bounces,
 * every map has a zone, what a device uses in place is listed for maintenance, and a load that does
 * not fit unloads its map. `fixed` and `seed` differ in the points of decisions.ts too.
 */
import type { DmaAllocator, DmaBackend } from "@physio/busdma/impl";
import { defineBackend, kmemAllocator } from "@physio/busdma/impl";
import type { BouncePool, CacheHook } from "@physio/busdma-bounce";
import { cacheLineOf, DmaCache, syncCached } from "@physio/busdma-bounce";
import type { Bytes } from "@physio/kern";
import { Errno } from "@physio/kern";
import type { CpuPort } from "@physio/membus";
import type { Kmem } from "@physio/pmap";
import type { Arm64Decisions } from "./decisions.ts";
import { loadBuffer, loadPages, loadPhys, unload } from "./load.ts";
import { allocMemory, freeMemory } from "./memory.ts";
import { isIdentity } from "./rules.ts";
import type { Arm64Parts } from "./state.ts";
import { arm64Of } from "./state.ts";
import { createMapState, createTagState, destroyMapState } from "./tags.ts";

export interface Arm64Options {
  readonly pool: BouncePool;
  readonly kmem: Kmem;
  /** What maintenance goes to; default `kmem.cpu`. */
  readonly cpu?: CpuPort;
  /** Where DMA memory comes from; default `kmem`. */
  readonly allocator?: DmaAllocator;
  /** All devices snoop, whatever their tags say; default false. */
  readonly coherent?: boolean;
  /** Bytes of a cache line: a power of 2 up to a page. Default: the CPU port's, or 64 when that is coherent. */
  readonly cacheLine?: Bytes;
  /** Told of every cache call. */
  readonly onCache?: CacheHook;
  /** In place of those that the context's semantics stand for. */
  readonly decisions?: Arm64Decisions;
}

/** The backend of an arm64 machine. @throws {ErrnoError} EINVAL: see `cacheLine`. @bsd #P[no IOMMU] struct bus_dma_impl bus_dma_bounce_impl (arm64) */
export function arm64Backend(options: Arm64Options): DmaBackend {
  const { pool, kmem, cpu = kmem.cpu, decisions = null, onCache = null } = options;
  const parts: Arm64Parts = {
    pool,
    mem: kmem.mem,
    cache: new DmaCache(cacheLineOf("arm64", cpu, options.cacheLine), cpu, kmem.pmap, onCache),
    allocator: options.allocator ?? kmemAllocator(kmem),
    coherent: options.coherent ?? false,
    decisions,
  };
  return defineBackend({
    name: "arm64",
    tagCreate: (tag) => createTagState(parts, tag),
    tagDestroy: () => {},
    mapCreate: (tag) => createMapState(parts, tag),
    mapDestroy: (tag, map) => destroyMapState(tag, map),
    memAlloc: (tag, map, flags) => allocMemory(parts, tag, map, flags),
    memFree: (tag, memory) => freeMemory(parts, tag, memory),
    loadBuffer: (tag, map, pmap, va, len, flags, segs) =>
      loadBuffer(parts, tag, map, pmap, va, len, flags, segs),
    loadPhys: (tag, map, pa, len, flags, segs) => loadPhys(parts, tag, map, pa, len, flags, segs),
    loadPages: (tag, map, ma, offset, len, flags, segs) =>
      loadPages(parts, tag, map, ma, offset, len, flags, segs),
    complete: (tag, map, _segs, error) => {
      if (error !== Errno.OK && tag.context.semantics.clearReservation) unload(parts, map);
    },
    sync: (tag, map, ops) =>
      syncCached(pool, parts.cache, map, ops, arm64Of(tag).rules.directBeforeCopies),
    unload: (_tag, map) => unload(parts, map),
    isIdentity: (tag, pa, len) => isIdentity(tag, pa, len),
  });
}
