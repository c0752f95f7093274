/**
 * What a scenario gives the machine instead of allocators: bounce pages and DMA memory.
 *
 * Both answer as the scenario says and keep no account of their own; DMA memory notes what it was
 * asked for, which is part of an outcome.
 */
import type { DmaAllocator, DmaMemRequest } from "@physio/busdma/impl";
import type { BusAddr, PhysAddr, VirtAddr } from "@physio/kern";
import { MAXADDR, PAGE_SIZE, pageOffset } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import { Prot } from "@physio/pmap";
import type { Op, Outcome } from "./vectors.ts";

/** Bounce pages in supply order: the first one that lies low enough. */
export function bouncePageSupply(pages: readonly number[]): (highest: BusAddr) => PhysAddr {
  const left = [...pages];
  return (highest) => {
    const at = left.findIndex((pa) => pa + PAGE_SIZE - 1 <= highest);
    return at < 0 ? -1 : left.splice(at, 1)[0];
  };
}

/** The fields of a request that apply to its allocator, as the vectors show them. */
function showRequest(r: DmaMemRequest): Outcome {
  const { allocator, size, alignment, boundary, uncacheable, zero, wait } = r;
  const highest = r.highest >= MAXADDR ? "MAXADDR" : r.highest;
  if (allocator === "small") return { allocator, size, alignment, zero, wait };
  if (allocator === "pages") return { allocator, size, highest, uncacheable, zero, wait };
  return { allocator, size, highest, uncacheable, alignment, boundary, zero, wait };
}

export class SuppliedMemory implements DmaAllocator {
  readonly #kmem: Kmem;
  #supply: Op["supply"];
  /** Since the operation began. */
  #requests: Outcome[];
  #freedWith: string[];

  constructor(kmem: Kmem) {
    this.#kmem = kmem;
    this.#supply = null;
    this.#requests = [];
    this.#freedWith = [];
  }

  /** An operation begins; `supply` is what its one call of the allocator gives. */
  begin(supply: Op["supply"]): void {
    this.#supply = supply;
    this.#requests = [];
    this.#freedWith = [];
  }

  /** What was asked for since then: one request and no list when it is one, as it should be. */
  get request(): unknown {
    return this.#requests.length === 1 ? this.#requests[0] : this.#requests;
  }

  get freedWith(): unknown {
    return this.#freedWith.length === 1 ? this.#freedWith[0] : this.#freedWith;
  }

  alloc(request: DmaMemRequest): VirtAddr {
    this.#requests.push(showRequest(request));
    const supply = this.#supply;
    this.#supply = null;
    if (supply === null) return -1;
    const { cpu, mem, pmap } = this.#kmem;
    const first = supply.va - pageOffset(supply.va);
    for (const [i, pa] of supply.pages.entries()) {
      pmap.enter(first + i * PAGE_SIZE, mem.frameOf(pa), Prot.READ | Prot.WRITE);
    }
    for (let done = 0; request.zero && done < request.size; ) {
      const at = supply.va + done;
      const run = Math.min(request.size - done, PAGE_SIZE - pageOffset(at));
      cpu.zero(pmap.extract(at), run);
      done += run;
    }
    return supply.va;
  }

  free(_va: VirtAddr, _size: number, how: "small" | "pages"): void {
    this.#freedWith.push(how);
  }
}
