/**
 * What the riscv backend keeps of a machine, a tag and a map.
 *
 * A tag's state hangs in `tag.md` and a map's in `map.md`. A map that neither bounces nor needs
 * maintenance has none.
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
import { MAXADDR } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import type { RiscvDecisions } from "./decisions.ts";
import { RISCV_FIXED, RISCV_SEED } from "./decisions.ts";

/** The parts of the machine that the backend works on. */
export interface RiscvParts {
  readonly pool: BouncePool;
  readonly mem: PhysMem;
  readonly cache: DmaCache;
  readonly allocator: DmaAllocator;
  /** All devices snoop. */
  readonly coherent: boolean;
  /** Null: those of the context's semantics. */
  readonly decisions: RiscvDecisions | null;
}

/** @bsd #Y struct bus_dma_tag (riscv) */
export class RiscvTag {
  /** Devices of this tag snoop: no map of it needs maintenance. @bsd #Y BF_COHERENT */
  readonly coherent: boolean;
  /** An address or alignment may need a bounce page. @bsd #Y BF_COULD_BOUNCE */
  readonly couldBounce: boolean;
  readonly rules: RiscvDecisions;
  readonly semantics: DmaSemantics;
  zone: BounceZone | null;
  /** The first map, or ALLOCNOW, has given the zone its pages. @bsd #Y BF_MIN_ALLOC_COMP */
  firstGrowthDone: boolean;
  /** Some memory of the tag was asked of the page allocator. @bsd #Y BF_KMEM_ALLOC */
  usedPages: boolean;

  constructor(parts: RiscvParts, tag: DmaTag) {
    const parent = tag.parent === null ? null : riscvOf(tag.parent);
    const { semantics } = tag.context;
    const flagged = (tag.flags & BusDma.COHERENT) !== 0;
    this.coherent = parts.coherent || flagged || parent?.coherent === true;
    this.couldBounce =
      parent?.couldBounce === true ||
      tag.filtered ||
      !reachesAll(parts.mem, tag) ||
      tag.alignment > 1;
    this.rules = parts.decisions ?? (semantics.name === "seed" ? RISCV_SEED : RISCV_FIXED);
    this.semantics = semantics;
    this.zone = null;
    this.firstGrowthDone = false;
    this.usedPages = false;
  }
}

/** @bsd #Y struct bus_dmamap (riscv) */
export class RiscvMap implements CachedMap {
  /** Null: no load of it bounces. */
  readonly bounce: BounceState | null;
  /** Nothing of it needs maintenance. */
  readonly coherent: boolean;
  /** What the device uses in place. */
  readonly list: SyncList;

  constructor(bounce: BounceState | null, coherent: boolean, entries: number) {
    this.bounce = bounce;
    this.coherent = coherent;
    this.list = new SyncList(entries);
  }

  toString(): string {
    const bounced = this.bounce === null ? "never bounces" : this.bounce.toString();
    return `${bounced}, ${this.coherent ? "coherent" : `${this.list.count} ranges to maintain`}`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `RiscvMap(${this.toString()})`;
  }
}

export const riscvOf = (tag: DmaTag): RiscvTag => tag.md as RiscvTag;
export const stateOf = (map: DmaMap): RiscvMap | null => map.md as RiscvMap | null;

/** Whether the device reaches all RAM. MAXADDR stands for the last address of 64 bits: nothing lies above it. */
export const reachesAll = (mem: PhysMem, { lowAddr }: DmaTag): boolean =>
  lowAddr >= mem.top || lowAddr === MAXADDR;

/** Entries that a sync list of the tag's maps may have. */
export const listLimit = (tag: DmaTag, { rules }: RiscvTag): number =>
  rules.listGrows ? Number.POSITIVE_INFINITY : tag.segments;
