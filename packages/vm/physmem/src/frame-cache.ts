/**
 * A last-in first-out cache of single free frames for every pool, in front of the buddy lists.
 *
 * Most frames come and go alone, and splitting and merging blocks for each cost 63 ns for an
 * allocation and a free (112 ns for 4096 and 4096). So the last frames freed wait here, and the lists
 * are asked for sixteen at a time: 25 ns and 53. Follows the per-CPU page caches of sys/vm/vm_page.c
 * (vm_page_zone_import, vm_page_zone_release).
 *
 * A cached frame is free: its `order` is CACHED, and it counts as free everywhere but in the counts
 * of the lists. It keeps its block from merging, so a search for contiguous frames drains the cache
 * before it gives up (contig.ts).
 */
import type { Frame } from "@physio/kern";
import { NO_FRAME, panic } from "@physio/kern";
import type { FrameAllocator } from "./buddy.ts";
import type { Section } from "./section.ts";
import { CACHED, NOT_FREE, ROW_MASK, SECTION_SHIFT } from "./section.ts";

// This module's own names: the compiler folds them.
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const IN_CACHE = CACHED;
const USED = NOT_FREE;
/** Frames that a pool's cache holds at most, and how many a full one gives back at once. */
const MOST = 64;
const SPILL = 32;
/** An empty cache asks for up to 2^4 frames in a row. */
const REFILL_ORDER = 4;

export class FrameCache {
  /** Frames that each pool's cache holds. */
  readonly depth: Int32Array;
  readonly #frames: FrameAllocator;
  /** The allocator's columns, one look-up nearer. */
  readonly #sections: readonly (Section | null)[];
  readonly #poolOf: Uint8Array;
  readonly #stack: Int32Array;

  constructor(frames: FrameAllocator) {
    this.depth = new Int32Array(frames.pools);
    this.#frames = frames;
    this.#sections = frames.sections;
    this.#poolOf = frames.poolOf;
    this.#stack = new Int32Array(frames.pools * MOST);
  }

  /** Take a frame of `pool`: the one freed last. @returns NO_FRAME when the pool has none. */
  take(pool: number): Frame {
    const depth = this.depth[pool];
    if (depth === 0) return this.#refill(pool);
    const frame = this.#stack[pool * MOST + depth - 1];
    this.depth[pool] = depth - 1;
    const section = this.#sections[frame >> SHIFT]!;
    section.order[frame & ROW] = USED;
    section.pmapBits[frame & ROW] = 0; // a new owner: neither modified nor referenced
    return frame;
  }

  /** => `frame` is allocated. */
  give(frame: Frame): void {
    const s = frame >> SHIFT;
    const pool = this.#poolOf[s];
    let depth = this.depth[pool];
    if (depth === MOST) {
      this.#spill(pool, SPILL);
      depth = MOST - SPILL;
    }
    this.#sections[s]!.order[frame & ROW] = IN_CACHE;
    this.#stack[pool * MOST + depth] = frame;
    this.depth[pool] = depth + 1;
  }

  /** Give all of a pool's frames back to the lists. */
  drain(pool: number): void {
    this.#spill(pool, this.depth[pool]);
  }

  /** Panic on a broken invariant. @returns frames in the cache. */
  check(): number {
    let all = 0;
    const seen = new Set<number>();
    for (let pool = 0; pool < this.#frames.pools; pool++) {
      for (let i = 0; i < this.depth[pool]; i++) {
        const frame = this.#stack[pool * MOST + i];
        const order = this.#frames.section(frame).order[frame & ROW];
        if (order !== IN_CACHE || seen.has(frame) || this.#frames.poolOf[frame >> SHIFT] !== pool)
          panic(`physmem: frame ${frame} in the cache of pool ${pool} has order ${order}`);
        seen.add(frame);
      }
      all += this.depth[pool];
    }
    let marked = 0;
    for (const section of this.#frames.sections)
      if (section !== null) for (const order of section.order) if (order === IN_CACHE) marked++;
    if (marked !== all) panic(`physmem: ${marked} frames are marked as cached, ${all} are`);
    return all;
  }

  /** The lowest frame of a block is taken first, as from the lists themselves. */
  #refill(pool: number): Frame {
    const first = this.#frames.takeSmall(pool, REFILL_ORDER);
    if (first === NO_FRAME) return NO_FRAME;
    const rest = (1 << this.#frames.tookOrder) - 1;
    const { order, pmapBits } = this.#frames.section(first);
    pmapBits[first & ROW] = 0;
    for (let i = 0; i < rest; i++) {
      const frame = first + rest - i;
      this.#stack[pool * MOST + i] = frame;
      order[frame & ROW] = IN_CACHE;
    }
    this.depth[pool] = rest;
    return first;
  }

  /** Give the `count` frames that wait longest back to the lists. */
  #spill(pool: number, count: number): void {
    const base = pool * MOST;
    for (let i = 0; i < count; i++) this.#frames.freeOne(this.#stack[base + i]);
    this.#stack.copyWithin(base, base + count, base + this.depth[pool]);
    this.depth[pool] -= count;
  }
}
