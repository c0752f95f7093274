/**
 * DMA memory of riscv: uncached where the driver wants it coherent and devices do not snoop.
 *
 * Its map never bounces and is in no zone, but counts as a map of its tag. Which allocator is asked
 * follows bounce_bus_dmamem_alloc of FreeBSD's riscv busdma_bounce.c.
 */
import type { DmaMap, DmaTag } from "@physio/busdma";
import { BusDma } from "@physio/busdma";
import type { DmaMemory } from "@physio/busdma/impl";
import type { WalkMap } from "@physio/busdma-bounce";
import { reachesAll } from "@physio/busdma-bounce";
import { isAligned, PAGE_SIZE, pageOffset } from "@physio/kern";
import type { RiscvParts } from "./state.ts";
import { riscvOf } from "./state.ts";

/** @returns null: ENOMEM. @bsd #Y bounce_bus_dmamem_alloc (riscv) */
export function allocMemory(
  parts: RiscvParts,
  tag: DmaTag,
  map: DmaMap,
  flags: BusDma,
): DmaMemory | null {
  const md = riscvOf(tag);
  const size = tag.maxSize;
  const wantsCoherent = (flags & BusDma.COHERENT) !== 0 && !md.coherent;
  const uncacheable = wantsCoherent || (flags & BusDma.NOCACHE) !== 0;
  const allocator = allocatorFor(parts, tag, uncacheable);
  if (allocator !== "small") md.usedPages = true;
  const va = parts.allocator.alloc({
    allocator,
    size,
    highest: tag.lowAddr,
    alignment: tag.alignment,
    boundary: tag.boundary,
    uncacheable,
    zero: (flags & BusDma.ZERO) !== 0,
    wait: (flags & BusDma.NOWAIT) === 0,
  });
  if (va < 0) return null;
  const coherent = md.coherent || (uncacheable && md.rules.uncachedIsCoherent);
  map.md = coherent ? null : md.newMap(null, false);
  tag.mapCount++;
  const misaligned = !isAligned(tag.kernelPmap.extract(va), tag.alignment);
  return { va, size, allocator, uncacheable, misaligned };
}

/** @bsd #Y bounce_bus_dmamem_free (riscv) */
export function freeMemory(parts: RiscvParts, tag: DmaTag, memory: DmaMemory, map: DmaMap): void {
  const md = riscvOf(tag);
  // The original asks the tag, which knows only that pages were used once.
  const pages = md.semantics.freeByAllocation ? memory.allocator !== "small" : md.usedPages;
  parts.allocator.free(memory.va, memory.size, pages ? "pages" : "small");
  (map.md as WalkMap | null)?.clear(); // loaded still: its entries are the pool's
  tag.mapCount--;
}

function allocatorFor(
  { mem }: RiscvParts,
  tag: DmaTag,
  uncacheable: boolean,
): DmaMemory["allocator"] {
  const { maxSize, alignment, boundary } = tag;
  const small = maxSize <= PAGE_SIZE && alignment <= maxSize && reachesAll(mem, tag);
  if (small && !uncacheable) return "small";
  const segments = Math.ceil(maxSize / Math.min(tag.maxSegSize, PAGE_SIZE));
  const scattered = alignment <= PAGE_SIZE && pageOffset(boundary) === 0;
  return tag.segments >= segments && scattered ? "pages" : "contiguous";
}
