/**
 * DMA tags: what a device can do, narrowed by everything between it and memory.
 *
 * A tag's constraints are settled when it is made: its own, merged with its parent's. A child can
 * only be narrower. Follows bus_dma_tag_create of bus_dma(9) and common_bus_dma_tag_create.
 *
 * Invariant: constraints never change; a tag is destroyed after its maps, its memory and its children.
 */
import type { BusAddr, Bytes, PhysAddr, VirtAddr } from "@physio/kern";
import { Errno, formatBits, hex, isPowerOf2, PAGE_SIZE, panic } from "@physio/kern";
import { SECTION_FRAMES } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import type { Scheduler, Sleeps } from "@physio/sched";
import type { Trace } from "@physio/trace";
import { Ktr, traceEvent } from "@physio/trace";
import type { DmaBackend } from "./backend.ts";
import type { Constraints, DmaFilter, TagOptions } from "./constraints.ts";
import { narrow } from "./constraints.ts";
import { DmaMem, waitForMemory } from "./dma-mem.ts";
import { BusDma } from "./flags.ts";
import { LoadSink } from "./load-sink.ts";
import type { LockFunction } from "./lock.ts";
import { DmaMap } from "./map.ts";
import { SegList } from "./seg-list.ts";
import type { DmaSemantics } from "./semantics.ts";
import { assertMaySleep, VerifiedMap } from "./verify.ts";

/** What all tags of one machine share. */
export interface DmaContext {
  readonly backend: DmaBackend;
  readonly semantics: DmaSemantics;
  readonly kernelPmap: Pmap;
  readonly trace: Trace;
  /** What happens to a tag with a filter: it is asked (default), or such a tag is EINVAL. */
  readonly filters?: "honoured" | "refused";
  /** For those who wait for DMA memory, and for `verify`. */
  readonly sched?: Scheduler;
  /** Whether drivers' locking is looked at (verify.ts). Needs `sched`. */
  readonly verify?: boolean;
}

/** Segments that a list has room for at first, however many its tag allows. */
const FIRST_CAPACITY = 4096;
const TRACED = Ktr.BUSDMA;
const CREATE = traceEvent(
  Ktr.BUSDMA,
  "dma_tag_create",
  "alignment",
  "lowaddr",
  "maxsize",
  "nsegments",
);
const DESTROY = traceEvent(Ktr.BUSDMA, "dma_tag_destroy", "error");
const MAP_CREATE = traceEvent(Ktr.BUSDMA, "dmamap_create", "flags", "trivial");
const MEM_ALLOC = traceEvent(Ktr.BUSDMA, "dmamem_alloc", "flags", "size", "va");
const MEM_FREE = traceEvent(Ktr.BUSDMA, "dmamem_free", "size", "va");

/** @bsd #Y bus_dma_tag_t */
export class DmaTag {
  readonly context: DmaContext;
  readonly backend: DmaBackend;
  readonly parent: DmaTag | null;
  readonly alignment: Bytes;
  readonly boundary: Bytes;
  readonly lowAddr: BusAddr;
  readonly highAddr: BusAddr;
  readonly maxSize: Bytes;
  readonly segments: number;
  readonly maxSegSize: Bytes;
  readonly flags: BusDma;
  readonly lock: LockFunction;
  readonly domain: number;
  /** Own filter, or the parent's; and the tag that is asked next, when this one lets an address pass. */
  readonly filter: DmaFilter | null;
  readonly filterArg: unknown;
  readonly filterParent: DmaTag | null;
  /** This tag or one that is asked after it has a filter. */
  readonly filtered: boolean;
  /** Alignment and boundary are powers of 2; else a backend panics when it looks at them. Always true in `fixed`. */
  readonly powersOf2: boolean;
  /** No chunk of a page or less is ever cut, and no filter asked: loads of pages may take `loadDirect`. */
  readonly flat: boolean;
  /** Frame numbers with none of these bits begin a boundary; −1: there is none. Valid when `flat`. */
  readonly boundaryMask: number;
  /** Copies of the context's, one look-up nearer for every load. */
  readonly kernelPmap: Pmap;
  /** Physmem's column of where sections of RAM begin. */
  readonly sectionAddr: Float64Array;
  readonly trace: Trace;
  readonly checkLength: boolean;
  /** Longest load that is taken without a look at the list: up to maxSize, or as its pages surely fit where that can grow. */
  readonly maxLoad: Bytes;
  /** Maps alive, and child tags alive. Backends may count memory among the maps. */
  mapCount: number;
  children: number;
  /** The list that callback loads write; one a tag. */
  readonly segs: SegList;
  readonly sink: LoadSink;
  /** The backend's. */
  md: unknown;
  #destroyed: boolean;

  /** Use `createTag` or `child`. */
  constructor(context: DmaContext, parent: DmaTag | null, own: boolean, o: Constraints) {
    this.context = context;
    this.backend = context.backend;
    this.parent = parent;
    this.alignment = o.alignment;
    this.boundary = o.boundary;
    this.lowAddr = o.lowAddr;
    this.highAddr = o.highAddr;
    this.maxSize = o.maxSize;
    this.segments = o.segments;
    this.maxSegSize = o.maxSegSize;
    this.flags = o.flags;
    this.lock = o.lock;
    this.domain = o.domain;
    this.filter = o.filter;
    this.filterArg = o.filterArg;
    // A tag that took its parent's filter has everything of it; the walk goes on above.
    this.filterParent = parent === null ? null : own ? parent : parent.filterParent;
    this.filtered = o.filter !== null;
    this.powersOf2 = isPowerOf2(o.alignment) && (o.boundary === 0 || isPowerOf2(o.boundary));
    // Frame numbers agree with addresses modulo a section of RAM, so masks reach that far.
    const maskable = o.boundary >= PAGE_SIZE && o.boundary <= SECTION_FRAMES * PAGE_SIZE;
    const whole = o.maxSegSize >= PAGE_SIZE && (o.boundary === 0 || maskable);
    this.flat = this.powersOf2 && whole && !this.filtered;
    this.boundaryMask = maskable ? o.boundary / PAGE_SIZE - 1 : -1;
    this.kernelPmap = context.kernelPmap;
    this.sectionAddr = context.kernelPmap.mem.sectionAddr;
    this.trace = context.trace;
    this.checkLength = context.semantics.checkMaxSize;
    const sure = o.segments > FIRST_CAPACITY ? (FIRST_CAPACITY - 1) * PAGE_SIZE : Infinity;
    this.maxLoad = Math.min(this.checkLength ? o.maxSize : Number.MAX_SAFE_INTEGER, sure);
    this.mapCount = 0;
    this.children = 0;
    this.segs = this.segList();
    this.sink = new LoadSink(this);
    this.md = null;
    this.#destroyed = false;
    this.md = context.backend.tagCreate(this);
    if (parent !== null) parent.children++;
    context.trace.record(CREATE, this.alignment, this.lowAddr, this.maxSize, this.segments);
  }

  /** A narrower tag. @throws {ErrnoError} EINVAL: a constraint makes no sense, or a filter where they are refused; ENOMEM: ALLOCNOW and no memory. @bsd #Y bus_dma_tag_create */
  child(options: TagOptions): DmaTag {
    return createTag(this.context, this, options);
  }

  /** @returns OK; EBUSY: maps, memory or child tags are left. @bsd #Y bus_dma_tag_destroy */
  destroy(): Errno {
    const error = this.#destroy();
    if ((this.trace.mask & TRACED) !== 0) this.trace.record(DESTROY, error);
    return error;
  }

  #destroy(): Errno {
    if (this.#destroyed) panic("bus_dma: a tag is destroyed twice");
    if (this.mapCount > 0) {
      this.backend.tagBusy?.(this);
      return Errno.EBUSY;
    }
    if (this.children > 0 && this.context.semantics.childrenKeepParent) return Errno.EBUSY;
    this.backend.tagDestroy(this);
    this.#destroyed = true;
    if (this.parent !== null) this.parent.children--;
    return Errno.OK;
  }

  /** A map for one load at a time; `flags`: COHERENT. @throws {ErrnoError} ENOMEM: no bounce pages for it. @bsd #Y bus_dmamap_create */
  createMap(flags: BusDma = 0): DmaMap {
    this.#mayMake("a map");
    const map = this.#newMap(false);
    map.md = this.backend.mapCreate(this, map, flags);
    this.mapCount++;
    if ((this.trace.mask & TRACED) !== 0) {
      this.trace.record(MAP_CREATE, flags, map.md === null ? 1 : 0);
    }
    return map;
  }

  /** A list for loads without a callback that holds all segments a load of this tag can have; above 4096 it grows. */
  segList(): SegList {
    return new SegList(Math.min(this.segments, FIRST_CAPACITY), this.segments);
  }

  /** Whether a load would use the physical range as it is. @bsd #Y bus_dma_id_mapped */
  isIdentity(pa: PhysAddr, length: Bytes): boolean {
    return this.backend.isIdentity(this, pa, length);
  }

  /**
   * Memory of `maxSize` bytes that obeys this tag, with a map of its own. `flags`: ZERO, COHERENT, NOCACHE.
   * @returns null when there is none (ENOMEM).
   * @bsd #Y bus_dmamem_alloc
   */
  allocMem(flags: BusDma = BusDma.NOWAIT): DmaMem | null {
    this.#mayMake("memory");
    const map = this.#newMap(true);
    const memory = this.backend.memAlloc(this, map, flags);
    map.memory = memory;
    if ((this.trace.mask & TRACED) !== 0) {
      this.trace.record(MEM_ALLOC, flags, this.maxSize, memory === null ? -1 : memory.va);
    }
    return memory === null ? null : new DmaMem(this, memory, map);
  }

  /**
   * The same, asleep until there is some. => the context has a scheduler.
   * @throws {ErrnoError} ENOMEM: more than the machine has.   @bsd #Y bus_dmamem_alloc BUS_DMA_WAITOK
   */
  *allocMemWait(flags: BusDma = 0): Sleeps<DmaMem> {
    const asked = flags - (flags & BusDma.NOWAIT);
    let mem = this.allocMem(asked);
    while (mem === null) {
      yield* waitForMemory(this);
      mem = this.allocMem(asked);
    }
    return mem;
  }

  /**
   * Give memory back, with the map that came with it.
   * => it is unloaded, and the device does not use it any more. Panics on any other map.
   * @bsd #Y bus_dmamem_free
   */
  freeMem(va: VirtAddr, map: DmaMap): void {
    const { memory } = map;
    if (memory === null || map.tag !== this || memory.va !== va) {
      panic(`bus_dma: dmamem free of ${hex(va)} with a map that did not come with it`);
    }
    map.memory = null;
    if ((this.trace.mask & TRACED) !== 0) this.trace.record(MEM_FREE, memory.size, va);
    this.backend.memFree(this, memory, map);
  }

  #newMap(ofMemory: boolean): DmaMap {
    const { sched, verify } = this.context;
    if (verify !== true || sched === undefined) return new DmaMap(this, ofMemory);
    return new VerifiedMap(this, ofMemory, sched);
  }

  #mayMake(what: string): void {
    if (this.#destroyed) panic(`bus_dma: ${what} of a tag that was destroyed`);
    mayMake(this.context, what);
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const window = this.lowAddr >= this.highAddr ? "all" : `up to ${hex(this.lowAddr)}`;
    const filter = this.filtered ? ", filtered" : "";
    return (
      `DmaTag(${this.backend.name}, reaches ${window}${filter}, align ${this.alignment}, boundary ${this.boundary}, ` +
      `max ${this.maxSize} in ${this.segments} segments of ${this.maxSegSize}, ${formatBits(BusDma, this.flags)}, ${this.mapCount} maps)`
    );
  }
}

/** Making things may sleep. */
function mayMake({ sched, verify }: DmaContext, what: string): void {
  if (verify === true && sched !== undefined) assertMaySleep(sched, `${what} is made`);
}

/** Make a tag; `parent` null makes the root of a machine's tree. @throws {ErrnoError} see DmaTag.child. */
export function createTag(context: DmaContext, parent: DmaTag | null, options: TagOptions): DmaTag {
  mayMake(context, "a tag");
  const filters = context.filters ?? "honoured";
  const constraints = narrow(parent, options, context.semantics, filters);
  const own = options.filter !== undefined && options.filter !== null;
  return new DmaTag(context, parent, own, constraints);
}
