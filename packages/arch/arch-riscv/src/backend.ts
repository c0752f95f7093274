/**
 * The riscv bus_dma backend: bounce pages, on machines whose devices snoop and on others.
 *
 * Follows sys/riscv/riscv/busdma_bounce.c of FreeBSD, over the pool of later revisions
 * (busdma-bounce). It maintains caches as arm64 does, but a cache line that a transfer shares does
 * not bounce: buffers of a device that does not snoop must fill their lines, or their neighbours stay
 * unwritten while it works. A load that does not fit keeps its bounce pages, as on x86. `fixed` and
 * `seed` differ in the points of decisions.ts too.
 */
import type { DmaBackend } from "@physio/busdma/impl";
import { defineBackend, loadDirect } from "@physio/busdma/impl";
import type { CachedOptions } from "@physio/busdma-bounce";
import {
  cachedParts,
  isIdentity,
  syncCached,
  unloadWalk,
  walkBuffer,
  walkPages,
  walkPhys,
} from "@physio/busdma-bounce";
import { Errno } from "@physio/kern";
import type { RiscvDecisions } from "./decisions.ts";
import { allocMemory, freeMemory } from "./memory.ts";
import { riscvOf } from "./state.ts";
import { createMapState, createTagState, destroyMapState } from "./tags.ts";

export interface RiscvOptions extends CachedOptions<RiscvDecisions> {
  /** All devices snoop, whatever their tags say; default: whether the CPU port is coherent. */
  readonly coherent?: boolean;
}

/** The backend of a riscv machine. @throws {ErrnoError} EINVAL: see `cacheLine`. @bsd #P[no IOMMU] struct bus_dma_impl bus_dma_bounce_impl (riscv) */
export function riscvBackend(options: RiscvOptions): DmaBackend {
  const { cpu = options.kmem.cpu } = options;
  const parts = cachedParts("riscv", options, options.coherent ?? cpu.coherent);
  return defineBackend({
    name: "riscv",
    tagCreate: (tag) => createTagState(parts, tag),
    tagDestroy: () => {},
    mapCreate: (tag) => createMapState(parts, tag),
    mapDestroy: (_tag, map) => destroyMapState(map),
    memAlloc: (tag, map, flags) => allocMemory(parts, tag, map, flags),
    memFree: (tag, memory, map) => freeMemory(parts, tag, memory, map),
    // Small, so that it is inlined into DmaMap.load; what needs more goes on in a function of its own.
    loadBuffer: (tag, map, pmap, va, len, flags, segs) =>
      tag.flat && map.md === null && segs.count === 0 && len > 0
        ? loadDirect(tag, pmap, va, len, segs)
        : walkBuffer(parts, map, pmap, va, len, flags, segs),
    loadPhys: (_tag, map, pa, len, flags, segs) => walkPhys(parts, map, pa, len, flags, segs),
    loadPages: (_tag, map, ma, offset, len, flags, segs) =>
      walkPages(parts, map, ma, offset, len, flags, segs),
    complete: (tag, map, _segs, error) => {
      if (error !== Errno.OK && tag.context.semantics.clearReservation) unloadWalk(parts, map);
    },
    sync: (tag, map, ops) =>
      syncCached(parts.pool, parts.cache, map, ops, riscvOf(tag).rules.directBeforeCopies),
    unload: (_tag, map) => unloadWalk(parts, map),
    isIdentity: (tag, pa, len) => isIdentity(tag, pa, len),
  });
}
