/**
 * DMA memory of arm64: rounded up to cache lines, uncached where the driver wants it coherent.
 *
 * Its map never bounces and is in no zone, but counts as a map of its tag. Which allocator is asked
 * follows bounce_bus_dmamem_alloc of FreeBSD's arm64 busdma_bounce.c.
 */
import type { DmaMap, DmaTag } from "@physio/busdma";
import { BusDma } from "@physio/busdma";
import type { DmaMemory } from "@physio/busdma/impl";
import type { WalkMap } from "@physio/busdma-bounce";
import { reachesAll } from "@physio/busdma-bounce";
import type { Bytes } from "@physio/kern";
import { alignUp, isAligned, PAGE_SIZE, pageOffset } from "@physio/kern";
import type { Arm64Parts, Arm64Tag } from "./state.ts";
import { arm64Of } from "./state.ts";

/** Bytes that are allocated for the tag: whole lines, unless devices snoop. */
const sizeOf = (tag: DmaTag, md: Arm64Tag): Bytes =>
  md.coherent ? tag.maxSize : alignUp(tag.maxSize, md.line);

/** @returns null: ENOMEM. @bsd #Y bounce_bus_dmamem_alloc (arm64) */
export function allocMemory(
  parts: Arm64Parts,
  tag: DmaTag,
  map: DmaMap,
  flags: BusDma,
): DmaMemory | null {
  const md = arm64Of(tag);
  const size = sizeOf(tag, md);
  const alignment = md.coherent ? tag.alignment : Math.max(tag.alignment, md.line);
  const wantsCoherent = (flags & BusDma.COHERENT) !== 0 && !md.coherent;
  const uncacheable = wantsCoherent || (flags & BusDma.NOCACHE) !== 0;
  const allocator = allocatorFor(parts, tag, size, alignment, uncacheable);
  if (allocator !== "small") md.usedPages = true;
  const va = parts.allocator.alloc({
    allocator,
    size,
    highest: tag.lowAddr,
    alignment,
    boundary: tag.boundary,
    uncacheable,
    zero: (flags & BusDma.ZERO) !== 0,
    wait: (flags & BusDma.NOWAIT) === 0,
  });
  if (va < 0) return null;
  map.md = md.newMap(null, uncacheable || md.coherent);
  tag.mapCount++;
  const misaligned = !isAligned(tag.kernelPmap.extract(va), alignment);
  return { va, size, allocator, uncacheable, misaligned };
}

/** @bsd #Y bounce_bus_dmamem_free (arm64) */
export function freeMemory(parts: Arm64Parts, tag: DmaTag, memory: DmaMemory, map: DmaMap): void {
  const md = arm64Of(tag);
  // The original asks the tag, which knows only that pages were used once.
  const pages = md.semantics.freeByAllocation ? memory.allocator !== "small" : md.usedPages;
  parts.allocator.free(memory.va, memory.size, pages ? "pages" : "small");
  (map.md as WalkMap | null)?.clear(); // loaded still: its entries are the pool's
  tag.mapCount--;
}

function allocatorFor(
  { mem }: Arm64Parts,
  tag: DmaTag,
  size: Bytes,
  alignment: Bytes,
  uncacheable: boolean,
): DmaMemory["allocator"] {
  const small = size <= PAGE_SIZE && alignment <= PAGE_SIZE && reachesAll(mem, tag);
  if (small && !uncacheable) return "small";
  const segments = Math.ceil(size / Math.min(tag.maxSegSize, PAGE_SIZE));
  const scattered = alignment <= PAGE_SIZE && pageOffset(tag.boundary) === 0;
  return tag.segments >= segments && scattered ? "pages" : "contiguous";
}
