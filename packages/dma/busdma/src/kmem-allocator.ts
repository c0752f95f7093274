/**
 * The default allocator of DMA memory: the machine's kernel memory.
 *
 * Small blocks come from kmem's zones, pages one by one under the address limit, contiguous memory
 * from the frame allocator. All of it comes zeroed, asked or not. Uncacheable memory is mapped so,
 * with no line of it left in the CPU's cache.
 */
import type { Bytes, VirtAddr } from "@physio/kern";
import { NO_FRAME, PAGE_SIZE, roundPage } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import { Enter, Prot } from "@physio/pmap";
import type { DmaAllocator, DmaMemRequest } from "./memory.ts";

class KmemAllocator implements DmaAllocator {
  readonly #kmem: Kmem;

  constructor(kmem: Kmem) {
    this.#kmem = kmem;
  }

  alloc(request: DmaMemRequest): VirtAddr {
    const { mem } = this.#kmem;
    const { size } = request;
    // More than all RAM is a tag without a limit, not a request.
    if (!(size > 0 && size <= mem.totalFrames * PAGE_SIZE)) return -1;
    const va = this.#alloc(request);
    if (va >= 0 && request.uncacheable) {
      this.#kmem.pmap.changeAttr(va, roundPage(size), Enter.UNCACHED);
    }
    return va;
  }

  free(va: VirtAddr, size: Bytes, how: "small" | "pages"): void {
    const kmem = this.#kmem;
    // A small block may be larger than asked for: its alignment was.
    const slab = how === "small" ? kmem.slabOf(va) : null;
    kmem.free(va, slab === null ? roundPage(size) : slab.zone.itemSize);
  }

  #alloc(request: DmaMemRequest): VirtAddr {
    const kmem = this.#kmem;
    const { allocator, size, alignment, boundary } = request;
    const high = request.highest as number;
    if (allocator === "small") return kmem.tryAlloc(Math.max(size, alignment));
    if (allocator === "pages") {
      return high >= kmem.mem.top - 1 ? kmem.tryAlloc(roundPage(size)) : this.#lowPages(size, high);
    }
    // A block longer than the boundary crosses it wherever it lies: loads of it are cut there.
    const limit = boundary >= roundPage(size) ? boundary : 0;
    return kmem.allocContig(size, { high, align: Math.max(alignment, PAGE_SIZE), boundary: limit });
  }

  /** Scattered pages at or below `high`. */
  #lowPages(size: Bytes, high: number): VirtAddr {
    const { mem, pmap, pmaps } = this.#kmem;
    const va = this.#kmem.kvaAlloc(size);
    if (va < 0) return -1;
    const length = roundPage(size);
    for (let at = 0; at < length; at += PAGE_SIZE) {
      const frame = mem.allocContig(1, { high });
      if (frame === NO_FRAME) {
        this.#giveUp(va, at, length);
        return -1;
      }
      pmaps.zeroPage(frame);
      pmap.kenter(va + at, frame, Prot.READ | Prot.WRITE);
    }
    return va;
  }

  #giveUp(va: VirtAddr, mapped: Bytes, length: Bytes): void {
    const { mem, pmap } = this.#kmem;
    for (let at = 0; at < mapped; at += PAGE_SIZE) {
      const frame = pmap.frameAt(va + at);
      pmap.remove(va + at, PAGE_SIZE);
      mem.freeFrame(frame);
    }
    this.#kmem.kvaFree(va, length);
  }
}

/** The default allocator, over a machine's kernel memory. */
export function kmemAllocator(kmem: Kmem): DmaAllocator {
  return new KmemAllocator(kmem);
}
