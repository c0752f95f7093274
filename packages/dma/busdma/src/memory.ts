/**
 * DMA memory: what is asked of an allocator, and what a backend keeps of the answer.
 *
 * A backend decides by the tag which of three allocators serves: one block inside a page, pages that
 * adjoin in kernel addresses only, or pages in a row of physical memory. Who answers is injected, so
 * that machines, tests and replays each bring their own. Follows bus_dmamem_alloc of bus_dma(9).
 */
import type { BusAddr, Bytes, VirtAddr } from "@physio/kern";

/** small: one block of at most a page. pages: virtually contiguous. contiguous: physically too. */
export type DmaAllocatorKind = "small" | "pages" | "contiguous";

/** One request. What does not apply to the allocator is as unrestricted as can be. */
export interface DmaMemRequest {
  readonly allocator: DmaAllocatorKind;
  readonly size: Bytes;
  /** Last physical address allowed: of pages and contiguous memory. */
  readonly highest: BusAddr;
  /** Of small and contiguous memory: a power of 2. */
  readonly alignment: Bytes;
  /** Of contiguous memory: a power of 2 whose multiples it does not cross; 0: none. */
  readonly boundary: Bytes;
  /** Mapped so that the CPU does not cache it: pages and contiguous memory. */
  readonly uncacheable: boolean;
  readonly zero: boolean;
  /** The caller may sleep. An allocator that is called in plain code cannot; `tag.allocMemWait` does it round the call. */
  readonly wait: boolean;
}

/** Where backends get memory from. */
export interface DmaAllocator {
  /** @returns the kernel address, or −1: there is none. */
  alloc(request: DmaMemRequest): VirtAddr;
  /** Memory of `alloc`, by the allocator that the backend thinks it came from. */
  free(va: VirtAddr, size: Bytes, how: "small" | "pages"): void;
}

/** The memory that `memAlloc` found. */
export interface DmaMemory {
  readonly va: VirtAddr;
  /** What was asked for: the tag's maxSize, rounded as the backend needs. */
  readonly size: Bytes;
  readonly allocator: DmaAllocatorKind;
  readonly uncacheable: boolean;
  /** The allocator did not keep the alignment. A warning: the memory can be used. */
  readonly misaligned: boolean;
}
