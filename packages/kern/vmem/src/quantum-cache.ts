/**
 * Quantum caches: small sizes, each from slabs of equal pieces.
 *
 * A slab is a used segment of the arena, several times the largest cached size, on a multiple of
 * that power of 2; so the slab of a piece is found by rounding down. Pieces are taken last in, first
 * out. A cache keeps one empty slab and gives up the others; a slab with free and used pieces is on
 * the cache's list, a full one on none. Follows Bonwick's "Magazines and Vmem" (the slabs) and
 * qc_init of subr_vmem.c. Used by arena.ts.
 *
 * Invariant (`check`): the pieces on a slab's stack are its unused ones, each once.
 */
import { panic } from "@physio/kern";
import type { Request } from "./constraints.ts";
import type { Segment } from "./segment.ts";

/** One segment, carved up. */
export class Slab {
  readonly cache: QuantumCache;
  segment: Segment | null;
  /** Numbers of the free pieces: the first `free` entries. */
  readonly stack: Uint16Array;
  free: number;
  /** 1: a caller holds the piece. */
  readonly held: Uint8Array;
  /** Links of the cache's list of slabs with some pieces free, or of its pool (`next`). */
  next: Slab | null;
  prev: Slab | null;

  constructor(cache: QuantumCache) {
    this.cache = cache;
    this.segment = null;
    this.stack = new Uint16Array(cache.pieces);
    this.free = 0;
    this.held = new Uint8Array(cache.pieces);
    this.next = null;
    this.prev = null;
  }
}

/** The cache of one size. @bsd #P[slabs of its own, no pool_cache, no per-CPU layer] struct qcache */
export class QuantumCache {
  readonly size: number;
  /** Pieces in a slab. */
  readonly pieces: number;
  /** Slabs of all kinds, and pieces free in them. */
  slabs: number;
  free: number;
  #partial: Slab | null;
  #spare: Slab | null;
  #pool: Slab | null;

  /** => `size` and `slabSize` are multiples of the arena's quantum; a slab has at most 2^16 pieces. */
  constructor(size: number, slabSize: number) {
    this.size = size;
    this.pieces = Math.floor(slabSize / size);
    this.slabs = 0;
    this.free = 0;
    this.#partial = null;
    this.#spare = null;
    this.#pool = null;
  }

  /** Take a piece and put its address into `want.at`. @returns false: no piece is free. */
  take(want: Request): boolean {
    let slab = this.#partial;
    if (slab === null) {
      slab = this.#spare;
      if (slab === null) return false;
      this.#spare = null;
      this.#list(slab);
    }
    const piece = slab.stack[--slab.free];
    slab.held[piece] = 1;
    this.free--;
    if (slab.free === 0) this.#unlist(slab);
    want.at = slab.segment!.start + piece * this.size;
    return true;
  }

  /**
   * Give back piece number `piece`. => it is held.
   * @returns the segment of a slab that became empty and is not kept, else null.
   */
  put(slab: Slab, piece: number): Segment | null {
    if (slab.free === 0) this.#list(slab);
    slab.held[piece] = 0;
    slab.stack[slab.free++] = piece;
    this.free++;
    if (slab.free < this.pieces) return null;
    this.#unlist(slab);
    if (this.#spare === null) {
      this.#spare = slab;
      return null;
    }
    return this.#dismiss(slab);
  }

  /** Make a slab of `seg`. => it is used, aligned, and of the size of slabs. */
  grow(seg: Segment): void {
    const slab = this.#pool ?? new Slab(this);
    this.#pool = slab.next;
    slab.next = null;
    slab.segment = seg;
    seg.slab = slab;
    slab.free = this.pieces;
    // The lowest piece is taken first.
    for (let i = 0; i < this.pieces; i++) slab.stack[i] = this.pieces - 1 - i;
    this.slabs++;
    this.free += this.pieces;
    this.#list(slab);
  }

  /** Give up the empty slab. @returns its segment, or null. */
  drain(): Segment | null {
    const slab = this.#spare;
    this.#spare = null;
    return slab === null ? null : this.#dismiss(slab);
  }

  /** Panic unless the lists agree with the counts. */
  check(name: string): void {
    let listed = 0;
    let free = 0;
    for (let slab = this.#partial; slab !== null; slab = slab.next) {
      const linked = slab.prev === null ? this.#partial === slab : slab.prev.next === slab;
      if (!linked || slab.segment?.slab !== slab || slab.free === 0 || slab.free === this.pieces) {
        panic(`vmem ${name}: slab at ${slab.segment?.start} with ${slab.free} free is listed`);
      }
      listed++;
      free += slab.free;
    }
    const spare = this.#spare;
    if (spare !== null) {
      if (spare.free !== this.pieces) panic(`vmem ${name}: spare slab has ${spare.free} free`);
      listed++;
      free += spare.free;
    }
    if (free !== this.free || listed > this.slabs) {
      panic(
        `vmem ${name}: cache ${this.size} lists ${listed} of ${this.slabs} slabs, ${free} of ${this.free} free`,
      );
    }
  }

  #list(slab: Slab): void {
    slab.prev = null;
    slab.next = this.#partial;
    if (slab.next !== null) slab.next.prev = slab;
    this.#partial = slab;
  }

  #unlist(slab: Slab): void {
    if (slab.prev === null) this.#partial = slab.next;
    else slab.prev.next = slab.next;
    if (slab.next !== null) slab.next.prev = slab.prev;
    slab.next = null;
    slab.prev = null;
  }

  #dismiss(slab: Slab): Segment | null {
    const seg = slab.segment!;
    seg.slab = null;
    slab.segment = null;
    slab.next = this.#pool;
    this.#pool = slab;
    this.slabs--;
    this.free -= this.pieces;
    return seg;
  }
}

/** Panic unless the pieces of `slab` are each on its stack or held. @returns units held. */
export function checkSlab(name: string, slab: Slab): number {
  const { cache, free, held } = slab;
  let used = 0;
  for (let i = 0; i < cache.pieces; i++) used += held[i];
  const loose = slab.stack.subarray(0, free);
  const good = new Set(loose).size === free && loose.every((i) => i < cache.pieces && !held[i]);
  if (!good || used + free !== cache.pieces) {
    panic(`vmem ${name}: slab at ${slab.segment?.start}: ${used} held, ${free} free`);
  }
  return used * cache.size;
}

/** Check all caches of an arena. => walking its segments found `units` in slabs. */
export function checkCaches(
  name: string,
  caches: readonly QuantumCache[],
  slabSize: number,
  units: number,
): void {
  let slabs = 0;
  for (const cache of caches) {
    cache.check(name);
    slabs += cache.slabs;
  }
  if (slabs * slabSize !== units) {
    panic(`vmem ${name}: ${slabs} slabs of ${slabSize}, found ${units} in slabs`);
  }
}
