/**
 * What a backend for caches that devices may not snoop keeps of its machine, of a tag and of a map.
 *
 * The walk (walk.ts) reads it; arm64 and riscv hang it in `tag.md` and `map.md`. How their loads
 * differ is said once, when a tag is made: by `WalkManner`, which is the architecture's, and by
 * decisions, which are those of its semantics. Follows struct bus_dma_tag and struct bus_dmamap of
 * FreeBSD's arm64 and riscv busdma_bounce.c.
 */
import type { DmaMap, DmaSemantics, DmaTag } from "@physio/busdma";
import { BusDma } from "@physio/busdma";
import type { DmaAllocator } from "@physio/busdma/impl";
import { kmemAllocator } from "@physio/busdma/impl";
import type { Bytes } from "@physio/kern";
import { MAXADDR } from "@physio/kern";
import type { CpuPort } from "@physio/membus";
import type { PhysMem } from "@physio/physmem";
import type { Kmem } from "@physio/pmap";
import type { CachedMap } from "./cached-sync.ts";
import type { CacheHook } from "./dma-cache.ts";
import { cacheLineOf, DmaCache } from "./dma-cache.ts";
import type { BounceState } from "./map-state.ts";
import type { BouncePool } from "./pool.ts";
import { SyncList, SyncRoom } from "./sync-list.ts";
import type { BounceZone } from "./zone.ts";

/** Decisions that each of these backends has among its own; theirs say what each means. */
export interface WalkDecisions {
  readonly cutAfterBounce: boolean;
  readonly listGrows: boolean;
  readonly entriesKeepKind: boolean;
  readonly directBeforeCopies: boolean;
}

/** How an architecture's loads go, whatever its semantics. */
export interface WalkManner {
  /** What does not fill its cache lines bounces. */
  readonly lineRule: boolean;
  /**
   * A bounced piece of a virtual range is cut and rounded the same way when it is counted and when it
   * is loaded; else it is counted to the end of its page, and not rounded when it is loaded.
   */
  readonly countsPieces: boolean;
  /**
   * Misaligned data bounces whatever a filter says; an alignment that is no power of 2 panics before
   * anything else is looked at, and one above a page panics a load that bounces, or a virtual one.
   */
  readonly strictAlignment: boolean;
  /** DMA memory is translated page by page; else it is taken for contiguous. */
  readonly memoryByPage: boolean;
}

/** What such a backend is made of. `R`: its decisions. */
export interface CachedOptions<R> {
  readonly pool: BouncePool;
  readonly kmem: Kmem;
  /** What maintenance goes to; default `kmem.cpu`. */
  readonly cpu?: CpuPort;
  /** Where DMA memory comes from; default `kmem`. */
  readonly allocator?: DmaAllocator;
  /** Bytes of a cache line: a power of 2 up to a page. Default: the CPU port's, or 64 when that is coherent. */
  readonly cacheLine?: Bytes;
  /** Told of every cache call. */
  readonly onCache?: CacheHook;
  /** In place of those that the context's semantics stand for. */
  readonly decisions?: R;
}

/** The parts of the machine that such a backend works on. */
export interface CachedParts<R> {
  readonly pool: BouncePool;
  readonly mem: PhysMem;
  readonly cache: DmaCache;
  readonly allocator: DmaAllocator;
  /** All devices snoop. */
  readonly coherent: boolean;
  /** Null: those of the context's semantics. */
  readonly decisions: R | null;
  /** Stands in for the state of a map that has none: nothing bounces, nothing is maintained. */
  readonly idle: WalkMap;
}

/** => `arch`: for messages. @throws {ErrnoError} EINVAL: see `cacheLine`. */
export function cachedParts<R>(
  arch: string,
  options: CachedOptions<R>,
  coherent: boolean,
): CachedParts<R> {
  const { pool, kmem, cpu = kmem.cpu, onCache = null } = options;
  const line = cacheLineOf(arch, cpu, options.cacheLine);
  return {
    pool,
    mem: kmem.mem,
    cache: new DmaCache(line, cpu, kmem.pmap, onCache),
    allocator: options.allocator ?? kmemAllocator(kmem),
    coherent,
    decisions: options.decisions ?? null,
    idle: new WalkMap(null, 0, new SyncRoom(pool.syncSlab, 0)),
  };
}

/** A tag's state. @bsd #Y struct bus_dma_tag (arm64 and riscv) */
export class WalkTag<R extends WalkDecisions = WalkDecisions> {
  /** Devices of this tag snoop: no map of it needs maintenance. @bsd #Y BF_COHERENT */
  readonly coherent: boolean;
  /** An address or alignment may need a bounce page. @bsd #Y BF_COULD_BOUNCE */
  readonly couldBounce: boolean;
  /** The line that data must fill; 0: there is no such rule, or nothing to maintain. */
  readonly line: Bytes;
  readonly rules: R;
  readonly semantics: DmaSemantics;
  // The walk's parameters, from `rules`, `semantics` and the manner.
  readonly cutAfterBounce: boolean;
  readonly strictAlignment: boolean;
  readonly memoryByPage: boolean;
  /** Most bytes of a piece, when it is counted and when it is loaded. */
  readonly mostCounted: Bytes;
  readonly mostLoaded: Bytes;
  /** For the sync lists of the tag's maps, and of those that need none. */
  readonly room: SyncRoom;
  readonly noRoom: SyncRoom;
  /** What the length of a bounced piece is rounded up to, when it is counted and when it is loaded. */
  readonly roundCounted: Bytes;
  readonly roundLoaded: Bytes;
  zone: BounceZone | null;
  /** The first map, or ALLOCNOW, has given the zone its pages. @bsd #Y BF_MIN_ALLOC_COMP */
  firstGrowthDone: boolean;
  /** Some memory of the tag was asked of the page allocator. @bsd #Y BF_KMEM_ALLOC */
  usedPages: boolean;

  constructor(parts: CachedParts<R>, tag: DmaTag, rules: R, manner: WalkManner) {
    const parent = tag.parent === null ? null : walkTagOf(tag.parent);
    const { semantics } = tag.context;
    const flagged = (tag.flags & BusDma.COHERENT) !== 0;
    const { countsPieces } = manner;
    this.coherent = parts.coherent || flagged || parent?.coherent === true;
    this.couldBounce =
      parent?.couldBounce === true ||
      tag.filtered ||
      !reachesAll(parts.mem, tag) ||
      tag.alignment > 1;
    this.line = manner.lineRule && !this.coherent ? parts.cache.line : 0;
    this.rules = rules;
    this.semantics = semantics;
    this.cutAfterBounce = rules.cutAfterBounce;
    this.strictAlignment = manner.strictAlignment;
    this.memoryByPage = manner.memoryByPage;
    this.mostLoaded = rules.cutAfterBounce ? MAXADDR : tag.maxSegSize;
    this.mostCounted = countsPieces ? this.mostLoaded : MAXADDR;
    const entries = rules.listGrows ? Number.POSITIVE_INFINITY : tag.segments;
    this.room = new SyncRoom(parts.pool.syncSlab, entries);
    this.noRoom = parts.idle.room;
    this.roundCounted = semantics.chunksStayInPage ? 1 : tag.alignment;
    this.roundLoaded = countsPieces ? this.roundCounted : 1;
    this.zone = null;
    this.firstGrowthDone = false;
    this.usedPages = false;
  }

  /** The state of a new map of the tag, which bounces or, with null, does not. */
  newMap(bounce: BounceState | null, coherent: boolean): WalkMap {
    const room = coherent ? this.noRoom : this.room;
    return new WalkMap(bounce, bounce === null ? 0 : this.line, room);
  }
}

/** A map's state. It is its sync list itself, as there are many maps: 64 bytes, 112 with a list beside it. */
export class WalkMap extends SyncList implements CachedMap {
  /** Null: no load of it bounces, as that of DMA memory. */
  readonly bounce: BounceState | null;
  /** The line that the data in hand must fill; 0: none, as for data of mapped mbufs. @bsd #Y DMAMAP_MBUF */
  line: Bytes;

  /** => `room`: the tag's, or for a coherent map one without a place. */
  constructor(bounce: BounceState | null, line: Bytes, room: SyncRoom) {
    super(room);
    this.bounce = bounce;
    this.line = line;
  }

  /** Nothing of it needs maintenance. @bsd #Y DMAMAP_COHERENT */
  get coherent(): boolean {
    return this.room.limit === 0;
  }

  /** What the device uses in place. */
  get list(): SyncList {
    return this;
  }

  override toString(): string {
    const bounced = this.bounce === null ? "never bounces" : this.bounce.toString();
    return `${bounced}, ${this.coherent ? "coherent" : `${this.list.count} ranges to maintain`}`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `WalkMap(${this.toString()})`;
  }
}

export const walkTagOf = (tag: DmaTag): WalkTag => tag.md as WalkTag;
export const walkMapOf = (map: DmaMap): WalkMap => map.md as WalkMap;

/** Whether the device reaches all RAM. MAXADDR stands for the last address of 64 bits: nothing lies above it. */
export const reachesAll = (mem: PhysMem, { lowAddr }: DmaTag): boolean =>
  lowAddr >= mem.top || lowAddr === MAXADDR;
