/**
 * DMA tags: what a device can do, narrowed by everything between it and memory.
 *
 * A tag's constraints are settled when it is made: its own, merged with its parent's. A child can
 * only be narrower. Follows bus_dma_tag_create of bus_dma(9) and common_bus_dma_tag_create.
 *
 * Invariant: constraints never change; a tag is destroyed after its maps and its children.
 */
import type { BusAddr, Bytes } from "@physio/kern";
import {
  Errno,
  ErrnoError,
  formatBits,
  hex,
  isPowerOf2,
  isWhole,
  MAXADDR,
  PAGE_SIZE,
  truncPage,
} from "@physio/kern";
import { SECTION_FRAMES } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import type { Trace } from "@physio/trace";
import { Ktr, traceEvent } from "@physio/trace";
import type { DmaBackend, DmaMemory } from "./backend.ts";
import { BUS_SPACE_UNRESTRICTED, BusDma } from "./flags.ts";
import { LoadSink } from "./load-sink.ts";
import type { LockFunction } from "./lock.ts";
import { dfltLock } from "./lock.ts";
import { DmaMap } from "./map.ts";
import { SegList } from "./seg-list.ts";
import type { DmaSemantics } from "./semantics.ts";

/** Constraints as a driver states them. Sizes and addresses in bytes. */
export interface TagOptions {
  /** A power of 2; default 1. */
  readonly alignment?: Bytes;
  /** Addresses that no segment crosses a multiple of: a power of 2, or 0 for none (default). */
  readonly boundary?: Bytes;
  /** The device cannot reach above `lowAddr` and up to `highAddr`. Default: it reaches everything. */
  readonly lowAddr?: BusAddr;
  readonly highAddr?: BusAddr;
  /** Largest load. */
  readonly maxSize?: Bytes;
  /** Most segments of a load; BUS_SPACE_UNRESTRICTED (default) means as many as maxSize can need. */
  readonly segments?: number;
  /** Largest segment; default maxSize. */
  readonly maxSegSize?: Bytes;
  readonly flags?: BusDma;
  /** Taken round the callback of a deferred load; without one such a load panics. */
  readonly lock?: LockFunction;
}

/** What all tags of one machine share. */
export interface DmaContext {
  readonly backend: DmaBackend;
  readonly semantics: DmaSemantics;
  readonly kernelPmap: Pmap;
  readonly trace: Trace;
}

/** Segments that an unrestricted tag holds at most: a list of them is made once a tag. */
const UNRESTRICTED_CAPACITY = 4096;
const CREATE = traceEvent(
  Ktr.BUSDMA,
  "dma_tag_create",
  "alignment",
  "lowaddr",
  "maxsize",
  "nsegments",
);

const clampAddr = (a: BusAddr): BusAddr =>
  Math.min(truncPage(Math.min(a, MAXADDR)) + PAGE_SIZE - 1, MAXADDR);

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
  /** Alignment and boundary are powers of 2; else a backend panics when it looks at them. Always true in `fixed`. */
  readonly powersOf2: boolean;
  /** No chunk of a page or less is ever cut: loads of pages may take `loadDirect`. */
  readonly flat: boolean;
  /** Frame numbers with none of these bits begin a boundary; −1: there is none. Valid when `flat`. */
  readonly boundaryMask: number;
  /** Copies of the context's, one look-up nearer for every load. */
  readonly kernelPmap: Pmap;
  readonly trace: Trace;
  readonly checkLength: boolean;
  /** Maps alive, and child tags alive. */
  mapCount: number;
  children: number;
  /** The list that callback loads write; one a tag. */
  readonly segs: SegList;
  readonly sink: LoadSink;
  /** The backend's. */
  md: unknown;

  /** Use `createTag` or `child`. */
  constructor(context: DmaContext, parent: DmaTag | null, o: Required<TagOptions>) {
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
    this.powersOf2 = isPowerOf2(o.alignment) && (o.boundary === 0 || isPowerOf2(o.boundary));
    // Frame numbers agree with addresses modulo a section of RAM, so masks reach that far.
    const maskable = o.boundary >= PAGE_SIZE && o.boundary <= SECTION_FRAMES * PAGE_SIZE;
    this.flat = this.powersOf2 && o.maxSegSize >= PAGE_SIZE && (o.boundary === 0 || maskable);
    this.boundaryMask = maskable ? o.boundary / PAGE_SIZE - 1 : -1;
    this.kernelPmap = context.kernelPmap;
    this.trace = context.trace;
    this.checkLength = context.semantics.checkMaxSize;
    this.mapCount = 0;
    this.children = 0;
    this.segs = new SegList(Math.min(o.segments, UNRESTRICTED_CAPACITY));
    this.sink = new LoadSink(this);
    this.md = null;
    this.md = context.backend.tagCreate(this);
    if (parent !== null) parent.children++;
    context.trace.record(CREATE, this.alignment, this.lowAddr, this.maxSize, this.segments);
  }

  /** A narrower tag. @throws {ErrnoError} EINVAL: a constraint makes no sense; ENOMEM: ALLOCNOW and no memory. @bsd #P[no filter, no domain] bus_dma_tag_create */
  child(options: TagOptions): DmaTag {
    return createTag(this.context, this, options);
  }

  /** @returns OK; EBUSY: maps or child tags are left. @bsd #Y bus_dma_tag_destroy */
  destroy(): Errno {
    if (this.mapCount > 0) return Errno.EBUSY;
    if (this.children > 0 && this.context.semantics.childrenKeepParent) return Errno.EBUSY;
    this.backend.tagDestroy(this);
    if (this.parent !== null) this.parent.children--;
    return Errno.OK;
  }

  /** A map for one load at a time. @throws {ErrnoError} ENOMEM. @bsd #P[no flags] bus_dmamap_create */
  createMap(): DmaMap {
    const map = new DmaMap(this);
    map.md = this.backend.mapCreate(this, map);
    this.mapCount++;
    return map;
  }

  /**
   * Memory of `maxSize` bytes that obeys this tag, in one segment, with a map of its own.
   * @returns null when there is none (ENOMEM).
   * @bsd #P[contiguous always, no wait] bus_dmamem_alloc
   */
  allocMem(flags: BusDma = BusDma.NOWAIT): DmaMem | null {
    const memory = this.backend.memAlloc(this, flags);
    // Its map holds no resources of the backend: the memory obeys the tag and never bounces.
    return memory === null ? null : new DmaMem(this, memory, new DmaMap(this, true));
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const window = this.lowAddr >= this.highAddr ? "all" : `up to ${hex(this.lowAddr)}`;
    return (
      `DmaTag(${this.backend.name}, reaches ${window}, align ${this.alignment}, boundary ${this.boundary}, ` +
      `max ${this.maxSize} in ${this.segments} segments of ${this.maxSegSize}, ${formatBits(BusDma, this.flags)}, ${this.mapCount} maps)`
    );
  }
}

/** DMA memory: allocated for a tag and loaded for good by its owner. */
export class DmaMem {
  readonly tag: DmaTag;
  readonly memory: DmaMemory;
  readonly map: DmaMap;

  constructor(tag: DmaTag, memory: DmaMemory, map: DmaMap) {
    this.tag = tag;
    this.memory = memory;
    this.map = map;
  }

  /** Load it. @returns the bus address of its one segment. @throws {ErrnoError} EFBIG: the tag cuts it into several; else what the load said. */
  load(): BusAddr {
    let at: BusAddr = -1;
    let failed: Errno = Errno.OK;
    this.map.load(
      this.memory.va,
      this.tag.maxSize,
      (_arg, segs, count, error) => {
        failed = error === Errno.OK && count !== 1 ? Errno.EFBIG : error;
        at = segs.addr[0];
      },
      null,
      BusDma.NOWAIT,
    );
    if (failed === Errno.OK) return at;
    this.map.unload();
    throw new ErrnoError(failed, `dmamem load of ${this.tag.maxSize} bytes`);
  }

  /** => it is unloaded, and the device does not use it any more. @bsd #Y bus_dmamem_free */
  free(): void {
    this.tag.backend.memFree(this.tag, this.memory);
  }
}

function checkOptions(o: Required<TagOptions>, semantics: DmaSemantics): void {
  const wrong = (what: string) => new ErrnoError(Errno.EINVAL, `dma tag: ${what}`);
  const sane = semantics.checkPowersOf2 ? isPowerOf2 : (n: number) => isWhole(n) && n > 0;
  if (!sane(o.alignment)) throw wrong(`alignment ${o.alignment} is not a power of 2`);
  if (o.boundary !== 0 && !sane(o.boundary))
    throw wrong(`boundary ${o.boundary} is not a power of 2`);
  if (!isWhole(o.lowAddr) || !isWhole(o.highAddr))
    throw wrong(`window ${o.lowAddr} - ${o.highAddr}`);
  if (!(o.maxSize > 0)) throw wrong(`maxSize ${o.maxSize}`);
  if (!(Number.isInteger(o.segments) && o.segments > 0)) throw wrong(`${o.segments} segments`);
  if (!(o.maxSegSize > 0)) throw wrong(`maxSegSize ${o.maxSegSize}`);
}

/** Settle a tag's constraints: its own, then its parent's. @bsd #Y common_bus_dma_tag_create */
function narrow(
  parent: DmaTag | null,
  options: TagOptions,
  semantics: DmaSemantics,
): Required<TagOptions> {
  const maxSize = options.maxSize ?? MAXADDR;
  const own: Required<TagOptions> = {
    alignment: options.alignment ?? 1,
    boundary: options.boundary ?? 0,
    lowAddr: options.lowAddr ?? MAXADDR,
    highAddr: options.highAddr ?? MAXADDR,
    maxSize,
    segments: options.segments ?? BUS_SPACE_UNRESTRICTED,
    maxSegSize: options.maxSegSize ?? maxSize,
    flags: options.flags ?? 0,
    lock: options.lock ?? dfltLock,
  };
  checkOptions(own, semantics);
  const above = parent?.boundary ?? 0;
  const boundary =
    own.boundary === 0 ? above : above === 0 ? own.boundary : Math.min(own.boundary, above);
  const cut = semantics.inheritedBoundaryLowersSegment ? boundary : own.boundary;
  const alignment = semantics.inheritAlignment
    ? Math.max(own.alignment, parent?.alignment ?? 1)
    : own.alignment;
  return {
    ...own,
    alignment,
    boundary,
    lowAddr: Math.min(clampAddr(own.lowAddr), parent?.lowAddr ?? MAXADDR),
    highAddr: Math.max(clampAddr(own.highAddr), parent?.highAddr ?? 0),
    maxSegSize: cut === 0 ? own.maxSegSize : Math.min(own.maxSegSize, cut),
  };
}

/** Make a tag; `parent` null makes the root of a machine's tree. @throws {ErrnoError} see DmaTag.child. */
export function createTag(context: DmaContext, parent: DmaTag | null, options: TagOptions): DmaTag {
  return new DmaTag(context, parent, narrow(parent, options, context.semantics));
}
