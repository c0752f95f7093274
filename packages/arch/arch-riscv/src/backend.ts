/**
 * The riscv bus_dma backend: bounce pages, on machines whose devices snoop and on others.
 *
 * Follows sys/riscv/riscv/busdma_bounce.c of FreeBSD, over the pool of later revisions
 * (busdma-bounce). It maintains caches as arm64 does, but a cache line that a transfer shares does
 * not bounce: buffers of a device that does not snoop must fill their lines, or their neighbours stay
 * unwritten while it works. A load that does not fit keeps its bounce pages, as on x86. `fixed` and
 * `seed` differ in the points of decisions.ts too.
 */
import type { DmaAllocator, DmaBackend } from "@physio/busdma/impl";
import { defineBackend, kmemAllocator, loadDirect } from "@physio/busdma/impl";
import type { BouncePool, CacheHook } from "@physio/busdma-bounce";
import { cacheLineOf, DmaCache, syncCached } from "@physio/busdma-bounce";
import type { Bytes } from "@physio/kern";
import { Errno } from "@physio/kern";
import type { CpuPort } from "@physio/membus";
import type { Kmem } from "@physio/pmap";
import type { RiscvDecisions } from "./decisions.ts";
import { isIdentity, loadBuffer, loadPages, loadPhys, unload } from "./load.ts";
import { allocMemory, freeMemory } from "./memory.ts";
import type { RiscvParts } from "./state.ts";
import { riscvOf } from "./state.ts";
import { createMapState, createTagState, destroyMapState } from "./tags.ts";

export interface RiscvOptions {
  readonly pool: BouncePool;
  readonly kmem: Kmem;
  /** What maintenance goes to; default `kmem.cpu`. */
  readonly cpu?: CpuPort;
  /** Where DMA memory comes from; default `kmem`. */
  readonly allocator?: DmaAllocator;
  /** All devices snoop, whatever their tags say; default: whether the CPU port is coherent. */
  readonly coherent?: boolean;
  /** Bytes of a cache line: a power of 2 up to a page. Default: the CPU port's, or 64 when that is coherent. */
  readonly cacheLine?: Bytes;
  /** Told of every cache call. */
  readonly onCache?: CacheHook;
  /** In place of those that the context's semantics stand for. */
  readonly decisions?: RiscvDecisions;
}

/** The backend of a riscv machine. @throws {ErrnoError} EINVAL: see `cacheLine`. @bsd #P[no IOMMU] struct bus_dma_impl bus_dma_bounce_impl (riscv) */
export function riscvBackend(options: RiscvOptions): DmaBackend {
  const { pool, kmem, cpu = kmem.cpu, decisions = null, onCache = null } = options;
  const parts: RiscvParts = {
    pool,
    mem: kmem.mem,
    cache: new DmaCache(cacheLineOf("riscv", cpu, options.cacheLine), cpu, kmem.pmap, onCache),
    allocator: options.allocator ?? kmemAllocator(kmem),
    coherent: options.coherent ?? cpu.coherent,
    decisions,
  };
  return defineBackend({
    name: "riscv",
    tagCreate: (tag) => createTagState(parts, tag),
    tagDestroy: () => {},
    mapCreate: (tag) => createMapState(parts, tag),
    mapDestroy: (_tag, map) => destroyMapState(map),
    memAlloc: (tag, map, flags) => allocMemory(parts, tag, map, flags),
    memFree: (tag, memory) => freeMemory(parts, tag, memory),
    // Small, so that it is inlined into DmaMap.load; what needs more goes on in a function of its own.
    loadBuffer: (tag, map, pmap, va, len, flags, segs) =>
      tag.flat && map.md === null && segs.count === 0 && len > 0
        ? loadDirect(tag, pmap, va, len, segs)
        : loadBuffer(parts, tag, map, pmap, va, len, flags, segs),
    loadPhys: (tag, map, pa, len, flags, segs) => loadPhys(parts, tag, map, pa, len, flags, segs),
    loadPages: (tag, map, ma, offset, len, flags, segs) =>
      loadPages(parts, tag, map, ma, offset, len, flags, segs),
    complete: (tag, map, _segs, error) => {
      if (error !== Errno.OK && tag.context.semantics.clearReservation) unload(parts, map);
    },
    sync: (tag, map, ops) =>
      syncCached(pool, parts.cache, map, ops, riscvOf(tag).rules.directBeforeCopies),
    unload: (_tag, map) => unload(parts, map),
    isIdentity: (tag, pa, len) => isIdentity(tag, pa, len),
  });
}
