/**
 * DMA memory of x86: which allocator serves a tag, and which gets it back.
 *
 *   small        at most a page, aligned to at most a page, all RAM in reach, cacheable
 *   pages        else, when scattered pages fit the tag's segments and no boundary cuts a page
 *   contiguous   else
 *
 * Loads of this memory never bounce: it obeys the tag. Follows bus_dmamem_alloc and bus_dmamem_free
 * of sys/x86/x86/busdma_bounce.c in what they decide.
 */
import type { DmaTag } from "@physio/busdma";
import { BusDma } from "@physio/busdma";
import type { DmaAllocator, DmaAllocatorKind, DmaMemory } from "@physio/busdma/impl";
import type { VirtAddr } from "@physio/kern";
import { isAligned, PAGE_SIZE, pageOffset, panic } from "@physio/kern";
import type { Kmem } from "@physio/pmap";

/** What the original remembers of a tag. */
export interface MemoryHistory {
  /** Memory of whole pages was asked for. */
  usedPages: boolean;
}

export class X86Memory {
  readonly #kmem: Kmem;
  readonly #allocator: DmaAllocator;

  constructor(kmem: Kmem, allocator: DmaAllocator) {
    this.#kmem = kmem;
    this.#allocator = allocator;
  }

  /** @returns null: the allocator has none. @bsd #Y sys/x86/x86/busdma_bounce.c bounce_bus_dmamem_alloc */
  alloc(tag: DmaTag, history: MemoryHistory, flags: BusDma): DmaMemory | null {
    const uncacheable = (flags & BusDma.NOCACHE) !== 0;
    const allocator = this.#choose(tag, uncacheable);
    if (allocator !== "small") history.usedPages = true;
    const size = tag.maxSize;
    const va = this.#allocator.alloc({
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
    if (allocator === "small" && pageOffset(va) + size > PAGE_SIZE) {
      panic(`bus_dma: small dmamem of ${size} bytes at ${va} crosses a page`);
    }
    if (tag.context.semantics.memoryKeepsTag) tag.mapCount++;
    return { va, size, allocator, uncacheable, misaligned: this.#isMisaligned(tag, va) };
  }

  /** @bsd #Y sys/x86/x86/busdma_bounce.c bounce_bus_dmamem_free */
  free(tag: DmaTag, history: MemoryHistory, memory: DmaMemory): void {
    const { freeByAllocation, memoryKeepsTag } = tag.context.semantics;
    const pages = freeByAllocation ? memory.allocator !== "small" : history.usedPages;
    this.#allocator.free(memory.va, memory.size, pages ? "pages" : "small");
    if (memoryKeepsTag) tag.mapCount--;
  }

  #choose(tag: DmaTag, uncacheable: boolean): DmaAllocatorKind {
    const { alignment, boundary, lowAddr, maxSegSize, maxSize } = tag;
    const inPage = maxSize <= PAGE_SIZE && alignment <= PAGE_SIZE;
    if (inPage && lowAddr >= this.#kmem.mem.top && !uncacheable) return "small";
    const pieces = Math.ceil(maxSize / Math.min(maxSegSize, PAGE_SIZE));
    const scattered = tag.segments >= pieces && alignment <= PAGE_SIZE;
    return scattered && boundary % PAGE_SIZE === 0 ? "pages" : "contiguous";
  }

  /** The original warns only. */
  #isMisaligned(tag: DmaTag, va: VirtAddr): boolean {
    if (!tag.powersOf2) return false;
    return !isAligned(this.#kmem.pmap.extract(va), tag.alignment);
  }
}
