/**
 * The arm64 bus_dma backend: bounce pages, and caches that devices do not snoop.
 *
 * Follows sys/arm64/arm64/busdma_bounce.c of FreeBSD about release 14, over the pool of later
 * revisions (busdma-bounce). What is different from x86: a cache line that a transfer shares bounces,
 * every map has a zone, what a device uses in place is listed for maintenance, and a load that does
 * not fit unloads its map. `fixed` and `seed` differ in the points of decisions.ts too.
 */
import type { DmaBackend } from "@physio/busdma/impl";
import { defineBackend } from "@physio/busdma/impl";
import type { CachedOptions } from "@physio/busdma-bounce";
import { cachedParts, isIdentity, syncCached, unloadWalk } from "@physio/busdma-bounce";
import { Errno } from "@physio/kern";
import type { Arm64Decisions } from "./decisions.ts";
import { loadBuffer, loadPages, loadPhys } from "./load.ts";
import { allocMemory, freeMemory } from "./memory.ts";
import { arm64Of } from "./state.ts";
import { createMapState, createTagState, destroyMapState } from "./tags.ts";

export interface Arm64Options extends CachedOptions<Arm64Decisions> {
  /** All devices snoop, whatever their tags say; default false. */
  readonly coherent?: boolean;
}

/** The backend of an arm64 machine. @throws {ErrnoError} EINVAL: see `cacheLine`. @bsd #P[no IOMMU] struct bus_dma_impl bus_dma_bounce_impl (arm64) */
export function arm64Backend(options: Arm64Options): DmaBackend {
  const parts = cachedParts("arm64", options, options.coherent ?? false);
  return defineBackend({
    name: "arm64",
    tagCreate: (tag) => createTagState(parts, tag),
    tagDestroy: () => {},
    mapCreate: (tag) => createMapState(parts, tag),
    mapDestroy: (tag, map) => destroyMapState(tag, map),
    memAlloc: (tag, map, flags) => allocMemory(parts, tag, map, flags),
    memFree: (tag, memory, map) => freeMemory(parts, tag, memory, map),
    loadBuffer: (tag, map, pmap, va, len, flags, segs) =>
      loadBuffer(parts, tag, map, pmap, va, len, flags, segs),
    loadPhys: (tag, map, pa, len, flags, segs) => loadPhys(parts, tag, map, pa, len, flags, segs),
    loadPages: (tag, map, ma, offset, len, flags, segs) =>
      loadPages(parts, tag, map, ma, offset, len, flags, segs),
    complete: (tag, map, _segs, error) => {
      if (error !== Errno.OK && tag.context.semantics.clearReservation) unloadWalk(parts, map);
    },
    sync: (tag, map, ops) =>
      syncCached(parts.pool, parts.cache, map, ops, arm64Of(tag).rules.directBeforeCopies),
    unload: (_tag, map) => unloadWalk(parts, map),
    isIdentity: (tag, pa, len) => isIdentity(tag, pa, len),
  });
}
