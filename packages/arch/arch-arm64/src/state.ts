/**
 * What the arm64 backend keeps of a machine, a tag and a map.
 *
 * A tag's state hangs in `tag.md` and a map's in `map.md`. Every map has one: there is no trivial
 * map on this machine. Memory's own maps have no bounce state, as they never bounce.
 */
import type { DmaMap, DmaSemantics, DmaTag } from "@physio/busdma";
import { BusDma } from "@physio/busdma";
import type { DmaAllocator } from "@physio/busdma/impl";
import type {
  BouncePool,
  BounceState,
  BounceZone,
  CachedMap,
  DmaCache,
} from "@physio/busdma-bounce";
import { SyncList } from "@physio/busdma-bounce";
import type { Bytes } from "@physio/kern";
import { MAXADDR } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import type { Arm64Decisions } from "./decisions.ts";
import { ARM64_FIXED, ARM64_SEED } from "./decisions.ts";

/** The parts of the machine that the backend works on. */
export interface Arm64Parts {
  readonly pool: BouncePool;
  readonly mem: PhysMem;
  readonly cache: DmaCache;
  readonly allocator: DmaAllocator;
  /** All devices snoop. */
  readonly coherent: boolean;
  /** Null: those of the context's semantics. */
  readonly decisions: Arm64Decisions | null;
}

/** @bsd #Y struct bus_dma_tag (arm64) */
export class Arm64Tag {
  /** Devices of this tag snoop: no map of it needs maintenance. @bsd #Y BF_COHERENT */
  readonly coherent: boolean;
  /** An address or alignment may need a bounce page. @bsd #Y BF_COULD_BOUNCE */
  readonly couldBounce: boolean;
  readonly line: Bytes;
  readonly rules: Arm64Decisions;
  readonly semantics: DmaSemantics;
  zone: BounceZone | null;
  /** The first map, or ALLOCNOW, has given the zone its pages. @bsd #Y BF_MIN_ALLOC_COMP */
  firstGrowthDone: boolean;
  /** Some memory of the tag was asked of the page allocator. @bsd #Y BF_KMEM_ALLOC */
  usedPages: boolean;

  constructor(parts: Arm64Parts, tag: DmaTag) {
    const parent = tag.parent === null ? null : arm64Of(tag.parent);
    const { semantics } = tag.context;
    const flagged = (tag.flags & BusDma.COHERENT) !== 0;
    this.coherent = parts.coherent || flagged || parent?.coherent === true;
    this.couldBounce =
      parent?.couldBounce === true ||
      tag.filtered ||
      !reachesAll(parts.mem, tag) ||
      tag.alignment > 1;
    this.line = parts.cache.line;
    this.rules = parts.decisions ?? (semantics.name === "seed" ? ARM64_SEED : ARM64_FIXED);
    this.semantics = semantics;
    this.zone = null;
    this.firstGrowthDone = false;
    this.usedPages = false;
  }
}

/** @bsd #Y struct bus_dmamap (arm64) */
export class Arm64Map implements CachedMap {
  /** Null: the map of DMA memory. */
  readonly bounce: BounceState | null;
  /** Nothing of it needs maintenance. @bsd #Y DMAMAP_COHERENT */
  readonly coherent: boolean;
  /** The line rule does not hold: coherent, or of DMA memory. */
  readonly lineFree: boolean;
  /** It holds the data of a mapped mbuf. @bsd #Y DMAMAP_MBUF */
  mbuf: boolean;
  /** What the device uses in place. */
  readonly list: SyncList;

  constructor(bounce: BounceState | null, coherent: boolean, entries: number) {
    this.bounce = bounce;
    this.coherent = coherent;
    this.lineFree = coherent || bounce === null;
    this.mbuf = false;
    this.list = new SyncList(entries);
  }

  toString(): string {
    const bounced = this.bounce === null ? "of DMA memory" : this.bounce.toString();
    return `${bounced}, ${this.coherent ? "coherent" : `${this.list.count} ranges to maintain`}`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Arm64Map(${this.toString()})`;
  }
}

export const arm64Of = (tag: DmaTag): Arm64Tag => tag.md as Arm64Tag;
export const stateOf = (map: DmaMap): Arm64Map => map.md as Arm64Map;

/** Whether the device reaches all RAM. MAXADDR stands for the last address of 64 bits: nothing lies above it. */
export const reachesAll = (mem: PhysMem, { lowAddr }: DmaTag): boolean =>
  lowAddr >= mem.top || lowAddr === MAXADDR;

/** Entries that a sync list of the tag's maps may have. */
export const listLimit = (tag: DmaTag, { rules }: Arm64Tag): number =>
  rules.listGrows ? Number.POSITIVE_INFINITY : tag.segments;
