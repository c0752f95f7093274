/**
 * Arenas of ranges: kernel virtual addresses, bus addresses, device windows.
 *
 * An arena hands out sub-ranges of the spans it was given and merges what comes back. Small sizes
 * may come from quantum caches, and an arena that runs out may import spans from a source, to which
 * they return when they are wholly free. Follows NetBSD's subr_vmem.c and Bonwick's "Magazines and
 * Vmem". An arena never sleeps: an allocation that cannot be met fails, and hooks of `onFree` are told
 * when to try again. Any code may call it, also out of those hooks and out of a source.
 *
 * Invariant (`check`): free segments + `allocated` + `cached` = `total`, and what spans.ts and
 * quantum-cache.ts say.
 */
import {
  alignDown,
  alignUp,
  Errno,
  ErrnoError,
  isPowerOf2,
  isWhole,
  MAXADDR,
  offsetIn,
  panic,
} from "@physio/kern";
import type { Constraints } from "./constraints.ts";
import { Fit, Request } from "./constraints.ts";
import type { ArenaOptions, ArenaSegment } from "./options.ts";
import { SizeOf, settle } from "./options.ts";
import { checkCaches, QuantumCache } from "./quantum-cache.ts";
import type { Segment } from "./segment.ts";
import type { ArenaSource } from "./source.ts";
import { ParentSource } from "./source.ts";
import { Spans } from "./spans.ts";

const MAX = MAXADDR;
const INSTANT = Fit.INSTANT;

/** Who is told of each `free`. */
interface Hook {
  readonly call: () => void;
  on: boolean;
}

const NO_HOOKS: readonly Hook[] = Object.freeze([]);

/** @bsd #P[never sleeps; not found by name; no vmem_destroy] struct vmem, vmem_create, vmem_xcreate, vmem_set_import */
export class Arena {
  readonly name: string;
  /** Every size and address is a multiple of this power of 2. */
  readonly quantum: number;
  /** Sum of all spans, in units of addresses. */
  total = 0;
  /** What callers hold, rounded up to the quantum. */
  allocated = 0;
  /** What slabs of the quantum caches hold and callers do not. */
  cached = 0;
  readonly #spans: Spans;
  readonly #source: ArenaSource | null;
  readonly #importSize: number;
  /** One for each multiple of the quantum, smallest first. */
  readonly #caches: QuantumCache[];
  readonly #cacheMax: number;
  readonly #slabSize: number;
  /** Scratch of the call under way, and of the search for a slab. */
  #want: Request;
  readonly #slabWant: Request;
  /** Replaced and never changed: a walk over it goes on while hooks come and go. */
  #hooks: readonly Hook[];

  /** @throws {ErrnoError} EINVAL: quantum not a power of 2; sizes of options that are not multiples of it, or too large. */
  constructor(name: string, quantum: number, options: ArenaOptions = {}) {
    const { cacheMax, caches, slabSize, importSize } = settle(name, quantum, options);
    this.name = name;
    this.quantum = quantum;
    const source = options.source ?? null;
    this.#hooks = NO_HOOKS;
    this.#spans = new Spans(quantum);
    this.#source = source instanceof ParentSource ? source.forQuantum(quantum) : source;
    this.#importSize = importSize;
    this.#caches = [];
    for (let i = 1; i <= caches; i++) this.#caches.push(new QuantumCache(i * quantum, slabSize));
    this.#cacheMax = cacheMax;
    this.#slabSize = slabSize;
    this.#want = new Request();
    this.#slabWant = new Request();
    if (slabSize === 0) return;
    this.#slabWant.given(slabSize, quantum, { align: slabSize });
    this.#slabWant.judge(name, quantum);
  }

  /**
   * A source that allocates from `parent`: for arenas that import from another one. What it gives
   * starts on a multiple of `align`, or of the importing arena's quantum where that is larger.
   * @throws {ErrnoError} EINVAL: `parent` is no arena, `align` no power of 2.
   */
  static from(parent: Arena, align = 1): ArenaSource {
    if (!(parent instanceof Arena)) {
      throw new ErrnoError(Errno.EINVAL, `vmem: a source from ${typeof parent}, no arena`);
    }
    if (!isPowerOf2(align)) {
      throw new ErrnoError(Errno.EINVAL, `vmem ${parent.name}: a source with align ${align}`);
    }
    return new ParentSource(parent, align);
  }

  /** Units that are not allocated, those in caches included. */
  get freeSize(): number {
    return this.total - this.allocated;
  }

  /** Units of the largest free segment. Walks one free list. */
  get maxFree(): number {
    return this.#spans.maxFree();
  }

  /** Give the arena [`start`, `start + size`). @throws {ErrnoError} EINVAL; EEXIST: overlaps a span. @bsd #Y vmem_add */
  add(start: number, size: number): void {
    if (!this.#isRange(start, size)) {
      throw new ErrnoError(Errno.EINVAL, `vmem ${this.name}: span ${start}+${size}`);
    }
    if (!this.#spans.add(start, size, false)) {
      throw new ErrnoError(Errno.EEXIST, `vmem ${this.name}: span ${start}+${size} overlaps`);
    }
    this.total += size;
  }

  /**
   * Allocate `size`, rounded up to the quantum. With `constraints`, which the caller may keep and
   * give again, quantum caches are passed by.
   * @returns the first address, or −1 when nothing fits.
   * @throws {ErrnoError} EINVAL: a size of 0, or constraints that contradict themselves.
   * @bsd #P[no sleep] vmem_alloc
   */
  alloc(size: number, constraints?: Constraints): number {
    if (constraints === undefined) this.#allocPlain(size);
    else {
      this.#want.given(size, this.quantum, constraints);
      this.#allocWanted();
    }
    return this.#want.at;
  }

  /**
   * `alloc` with its constraints in place, and past the quantum caches. `align`, `nocross`: 0 is none.
   * @returns the first address, or −1 when nothing fits.
   * @throws {ErrnoError} EINVAL: as `alloc`.
   * @bsd #P[no sleep] vmem_xalloc
   */
  xalloc(
    size: number,
    align = 0,
    phase = 0,
    nocross = 0,
    min = 0,
    max: number = MAX,
    fit: Fit = INSTANT,
  ): number {
    const want = this.#want;
    want.round(size, this.quantum);
    want.align = align === 0 ? this.quantum : align;
    want.phase = phase;
    want.nocross = nocross;
    want.min = min;
    want.max = max;
    want.fit = fit;
    this.#allocWanted();
    return want.at;
  }

  /** Give back what `alloc` or `xalloc` returned. => `size` is what was asked for. @bsd #Y vmem_free, vmem_xfree */
  free(start: number, size: number): void {
    this.#want.at = start;
    this.#want.size = size;
    this.#giveBack();
    if (this.#hooks !== NO_HOOKS) this.#tell();
  }

  /**
   * Let `hook` be called after each `free`, when the arena is in order again: for those who wait for
   * room. Hooks are called in the order of their coming; one that throws keeps the later ones from
   * being called, and what it throws leaves `free`.
   * @returns what ends that. @throws {ErrnoError} EINVAL: `hook` is no function.
   */
  onFree(hook: () => void): () => void {
    if (typeof hook !== "function") {
      throw new ErrnoError(Errno.EINVAL, `vmem ${this.name}: onFree with ${typeof hook}`);
    }
    const entry: Hook = { call: hook, on: true };
    this.#hooks = [...this.#hooks, entry];
    return () => {
      entry.on = false;
      const left = this.#hooks.filter((other) => other !== entry);
      this.#hooks = left.length === 0 ? NO_HOOKS : left;
    };
  }

  /** Give up the empty slab that each quantum cache keeps. @returns units given up. @bsd #Y vmem_reap */
  drainCaches(): number {
    let units = 0;
    for (let i = 0; i < this.#caches.length; i++) {
      const seg = this.#caches[i].drain();
      if (seg === null) continue;
      units += this.#slabSize;
      this.cached -= this.#slabSize;
      this.#release(seg);
    }
    return units;
  }

  /** One of the sizes of SizeOf, or ALLOC | FREE: all spans. Panics on other sets. @bsd #Y vmem_size */
  size(kinds: number): number {
    if (kinds === SizeOf.ALLOC) return this.allocated;
    if (kinds === SizeOf.FREE) return this.freeSize;
    if (kinds === (SizeOf.ALLOC | SizeOf.FREE)) return this.total;
    if (kinds === SizeOf.MAXFREE) return this.maxFree;
    return panic(`vmem ${this.name}: size of kinds ${kinds}`);
  }

  /**
   * All segments, in address order; a slab counts as one that is used.
   * => the arena does not change during the walk.
   * @bsd #P[a generator, and no markers that let the arena change] vmem_walk
   */
  *segments(): Generator<ArenaSegment, void, undefined> {
    for (let span = this.#spans.first; span !== null; span = span.next) {
      for (let seg = span.first; seg !== null; seg = seg.above) {
        const { start, size, free, slab } = seg;
        yield { start, size, free, span: span.start, pieceSize: slab?.cache.size ?? 0 };
      }
    }
  }

  /** Walk everything and panic on a broken invariant. @bsd #Y vmem_check */
  check(): void {
    const sums = this.#spans.check(this.name);
    const pieces = sums.total - sums.free - sums.slabs + sums.held;
    const cached = sums.slabs - sums.held;
    if (pieces !== this.allocated || cached !== this.cached || sums.total !== this.total) {
      panic(
        `vmem ${this.name}: ${pieces} used, ${cached} cached of ${sums.total}, counted ${this.allocated}, ${this.cached} of ${this.total}`,
      );
    }
    checkCaches(this.name, this.#caches, this.#slabSize, sums.slabs);
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const { name, quantum, total, allocated, cached } = this;
    const caches = this.#cacheMax === 0 ? "" : `, ${cached} cached up to size ${this.#cacheMax}`;
    const source = this.#source === null ? "" : ", imports";
    return `Arena(${name}: ${allocated} of ${total} allocated, quantum ${quantum}${caches}${source})`;
  }

  #tell(): void {
    const hooks = this.#hooks;
    for (let i = 0; i < hooks.length; i++) if (hooks[i].on) hooks[i].call();
  }

  #allocPlain(size: number): void {
    const want = this.#want;
    want.plain(size, this.quantum);
    if (want.size <= this.#cacheMax && want.size > 0 && this.#takePiece(want)) return;
    this.#allocWanted();
  }

  /** Meet the request in #want past the caches. */
  #allocWanted(): void {
    const want = this.#want;
    want.judge(this.name, this.quantum);
    let seg = this.#obtain(want);
    if (seg === null && this.#drainFor(want)) seg = this.#obtain(want);
    if (seg === null) return;
    this.#spans.carve(seg, want);
    this.allocated += want.size;
  }

  #takePiece(want: Request): boolean {
    const cache = this.#caches[want.size / this.quantum - 1];
    if (cache === undefined) return false; // the size is no multiple: judge refuses it
    if (!cache.take(want)) {
      const seg = this.#obtain(this.#slabWant);
      if (seg === null) return false;
      cache.grow(this.#spans.carve(seg, this.#slabWant));
      this.cached += this.#slabSize;
      if (!cache.take(want)) return panic(`vmem ${this.name}: no piece in a new slab`);
    }
    this.allocated += cache.size;
    this.cached -= cache.size;
    return true;
  }

  /** A free segment with a place for `want`, imported if need be; the place is in `want.at`. */
  #obtain(want: Request): Segment | null {
    const seg = this.#spans.search(want);
    return seg === null && this.#import(want) ? this.#spans.search(want) : seg;
  }

  /**
   * Import a span that has a place for `want`: multiples of the import size, or else, if the source
   * has no such span, just what is needed.   @bsd #Y vmem_import
   */
  #import(want: Request): boolean {
    const least = this.#source === null ? -1 : want.sizeToImport(this.quantum);
    if (least < 0) return false;
    const size = Math.ceil(least / this.#importSize) * this.#importSize;
    return this.#importSpan(size) || (size > least && this.#importSpan(least));
  }

  /** Import a span of `size`. */
  #importSpan(size: number): boolean {
    if (this.#source === null || !(size <= MAX)) return false;
    // The source may call this arena: such calls get a scratch of their own.
    const outer = this.#want;
    this.#want = outer.inner();
    let start = -1;
    try {
      start = this.#source.import(size);
    } finally {
      this.#want = outer;
    }
    if (start === -1) return false;
    if (!this.#isRange(start, size) || !this.#spans.add(start, size, true)) {
      panic(`vmem ${this.name}: the source gave ${start}+${size}`);
    }
    this.total += size;
    return true;
  }

  /** Make room by giving up empty slabs. */
  #drainFor(want: Request): boolean {
    if (this.cached === 0) return false;
    this.#want = want.inner();
    try {
      return this.drainCaches() > 0;
    } finally {
      this.#want = want;
    }
  }

  /** Take back what #want says. */
  #giveBack(): void {
    const { at, size } = this.#want;
    if (typeof at !== "number" || typeof size !== "number") this.#noNumbers(at, size);
    const rounded = alignUp(size, this.quantum);
    const { used } = this.#spans;
    used.key = at;
    const seg = used.find();
    if (seg === null || seg.slab !== null) {
      this.#putPiece();
      return;
    }
    if (!(seg.size === rounded)) this.#wrongSize(at, size, seg.size);
    this.allocated -= seg.size;
    this.#release(seg);
  }

  /** Take back a piece of a slab. */
  #putPiece(): void {
    const { at, size } = this.#want;
    const { used } = this.#spans;
    if (this.#slabSize === 0) this.#notAllocated(at);
    used.key = alignDown(at, this.#slabSize);
    const seg = used.find();
    const slab = seg === null ? null : seg.slab;
    if (seg === null || slab === null) this.#notAllocated(at);
    const { cache } = slab;
    const piece = (at - seg.start) / cache.size;
    if (!(slab.held[piece] === 1)) this.#notAllocated(at);
    if (!(cache.size === alignUp(size, this.quantum))) this.#wrongSize(at, size, cache.size);
    this.allocated -= cache.size;
    this.cached += cache.size;
    const empty = cache.put(slab, piece);
    if (empty === null) return;
    this.cached -= this.#slabSize;
    this.#release(empty);
  }

  /** Free `seg`, and return its span to the source when that is imported and wholly free now. */
  #release(seg: Segment): void {
    const span = this.#spans.release(seg);
    if (span === null) return;
    const { start, size } = span;
    this.#spans.remove(span);
    this.total -= size;
    this.#source!.release(start, size);
  }

  #isRange(start: number, size: number): boolean {
    if (!isWhole(start) || !isWhole(size) || size === 0 || start + size - 1 > MAX) return false;
    return offsetIn(start, this.quantum) === 0 && offsetIn(size, this.quantum) === 0;
  }

  #noNumbers(at: unknown, size: unknown): never {
    const kinds = `${typeof at} ${String(at)} with size ${typeof size} ${String(size)}`;
    throw new ErrnoError(Errno.EINVAL, `vmem ${this.name}: free of ${kinds}`);
  }

  #notAllocated(at: number): never {
    panic(`vmem ${this.name}: free of ${at}, which is not allocated`);
  }

  #wrongSize(at: number, size: number, held: number): never {
    panic(`vmem ${this.name}: free of ${at} with size ${size}, allocated ${held}`);
  }
}
