/**
 * The search for contiguous frames under constraints: contigmalloc(9).
 *
 * First the free lists, which find a block that is large enough at once. When none fits, a scan in
 * order of address that joins free blocks over the borders of blocks and sections, and so finds any
 * run there is: a request fails only when no run of free frames obeys its limits. Either way the
 * highest reach comes first, and a reach is left for a lower one only when none of its blocks fits.
 * A request without `high` leaves the low reserve (low-reserve.ts). Follows vm_phys_alloc_contig,
 * vm_phys_find_queues_contig.
 *
 * One search is made once and used again; it holds numbers only and makes no garbage. 2 MiB from
 * 16 GiB in pieces take 120 ns while a block is free; a scan of it all that fails takes 10 ms.
 */
import type { Bytes, Frame, PhysAddr } from "@physio/kern";
import {
  alignUp,
  hex,
  isPowerOf2,
  isWhole,
  MAXADDR,
  MAXADDR_24BIT,
  MAXADDR_32BIT,
  NO_FRAME,
  PAGE_SIZE,
  withinBoundary,
} from "@physio/kern";
import type { Bank } from "./bank.ts";
import type { FrameAllocator } from "./buddy.ts";
import { MAX_ORDER, REACHES } from "./buddy.ts";
import type { FrameCache } from "./frame-cache.ts";
import { ROW_MASK, SECTION_FRAMES, SECTION_SHIFT } from "./section.ts";

// This module's own names: the compiler folds them.
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const FRAMES = SECTION_FRAMES;
const PAGE = PAGE_SIZE;
const TOP = MAX_ORDER;
const NONE: Frame = NO_FRAME;
/** Blocks of one list that are tried before the scan is the better way. */
const LOOKS = 24;
/** First address of each reach. */
const FROM_24 = MAXADDR_24BIT + 1;
const FROM_32 = MAXADDR_32BIT + 1;
const FLOOR = [0, FROM_24, FROM_32];
const MOST = MAXADDR;
const WHOLE_MOST = Number.MAX_SAFE_INTEGER;
const SMALL = 2 ** 30;
// Slots of the limits.
const LOW = 0;
const HIGH = 1;
const ALIGN = 2;
const BOUNDARY = 3;

/** Limits of a contiguous range. `align` and `boundary` are powers of 2; `boundary` 0 is none. */
export interface ContigLimits {
  /** Lowest and highest address that a byte of the range may have. */
  readonly low: PhysAddr;
  readonly high: PhysAddr;
  readonly align: Bytes;
  readonly boundary: Bytes;
  /** The domain that gives the frames; ANY_DOMAIN when absent. */
  readonly domain: number;
}

export class ContigSearch {
  /** What is searched for: written by `set`. `domain` −1 is any. */
  count: number;
  domain: number;
  /** Whether the last search had to scan. */
  scanned: boolean;
  /** The limits by LOW … BOUNDARY. */
  readonly #limits: Float64Array;
  readonly #frames: FrameAllocator;
  readonly #cache: FrameCache;
  /** By pool: the low reserve. */
  readonly #reserves: Int32Array;
  /** Whether the request may take that. */
  #reserved: boolean;
  /** Whether a list was left before all of its blocks were tried. */
  #cutShort: boolean;

  constructor(frames: FrameAllocator, cache: FrameCache, reserves: Int32Array) {
    this.count = 0;
    this.domain = -1;
    this.scanned = false;
    this.#limits = new Float64Array(4);
    this.#frames = frames;
    this.#cache = cache;
    this.#reserves = reserves;
    this.#reserved = false;
    this.#cutShort = false;
  }

  /**
   * What to search for. A limit that is absent is none. `all`: the low reserve, too.
   *
   * A large number that is read from an object of the caller's becomes an object of 16 bytes unless
   * it goes straight into an array of doubles, and only `in` tells that it is there without looking
   * at it; so a limit that is there but undefined fails `#isSane` and is looked at again.
   * @returns whether the limits are whole numbers and powers of 2 that leave room for the count.
   */
  set(count: number, limits: Partial<ContigLimits>, mayTakeAll: boolean): boolean {
    const all = this.#limits;
    this.count = count;
    this.#reserved = mayTakeAll;
    this.domain = limits.domain ?? -1;
    all[LOW] = "low" in limits ? limits.low! : 0;
    all[HIGH] = "high" in limits ? limits.high! : MOST;
    all[ALIGN] = "align" in limits ? limits.align! : PAGE;
    all[BOUNDARY] = "boundary" in limits ? limits.boundary! : 0;
    if (this.#isSane()) return true;
    all[LOW] = limits.low ?? 0;
    all[HIGH] = limits.high ?? MOST;
    all[ALIGN] = limits.align ?? PAGE;
    all[BOUNDARY] = limits.boundary ?? 0;
    return this.#isSane();
  }

  describe(): string {
    const [low, high, align, boundary] = this.#limits;
    return `${this.count} pages, ${hex(low)}-${hex(high)}, align ${align}, boundary ${boundary}`;
  }

  /** Find and take. => `set` said that all is well. @returns the first of `count` frames in a row that obey the limits, or NO_FRAME. */
  run(): Frame {
    const high = this.#limits[HIGH];
    if (high < MOST) this.#reserved = true;
    const top = high >= FROM_32 ? 2 : high >= FROM_24 ? 1 : 0;
    let scanned = 0; // a bit for every reach
    this.scanned = false;
    for (let reach = top; reach >= 0; reach--) {
      this.#cutShort = false;
      let at = this.#searchReach(reach);
      if (at === NONE && this.#drain(reach)) at = this.#searchReach(reach);
      if (at === NONE && this.#cutShort) {
        at = this.#scan(reach);
        scanned += 1 << reach;
      }
      if (at !== NONE) return this.#take(at);
    }
    for (let reach = top; reach >= 0; reach--) {
      const at = (scanned & (1 << reach)) === 0 ? this.#scan(reach) : NONE;
      if (at !== NONE) return this.#take(at);
    }
    return NONE;
  }

  /** Without calls that take an address: each would make 16 bytes of garbage of it. */
  #isSane(): boolean {
    const low = this.#limits[LOW];
    const high = this.#limits[HIGH];
    const align = this.#limits[ALIGN];
    const boundary = this.#limits[BOUNDARY];
    if (!(isWhole(this.count) && this.count > 0)) return false;
    if (!(low >= 0 && low <= WHOLE_MOST && Math.floor(low) === low)) return false;
    if (!(high >= 0 && high <= WHOLE_MOST && Math.floor(high) === high)) return false;
    // A large one is scaled down: what is left of a power of 2 is one.
    if (!isPowerOf2(align <= SMALL ? align : align / SMALL) || align > MOST + 1) return false;
    if (boundary === 0) return true;
    if (!isPowerOf2(boundary <= SMALL ? boundary : boundary / SMALL)) return false;
    return boundary >= this.count * PAGE && boundary <= MOST + 1;
  }

  #take(frame: Frame): Frame {
    this.#frames.carve(frame, this.count);
    return frame;
  }

  /** Give the cached frames of a reach back to the lists. @returns whether there were any. */
  #drain(reach: number): boolean {
    let any = false;
    for (let pool = reach; pool < this.#frames.pools; pool += REACHES) {
      if (this.#cache.depth[pool] === 0 || !this.#allows(pool)) continue;
      this.#cache.drain(pool);
      any = true;
    }
    return any;
  }

  #allows(pool: number): boolean {
    return this.domain < 0 || Math.floor(pool / REACHES) === this.domain;
  }

  /** Frames of `pool` that the request may take. */
  #spare(pool: number): number {
    const free = this.#frames.poolFree[pool] + this.#cache.depth[pool];
    return this.#reserved ? free : free - this.#reserves[pool];
  }

  #searchReach(reach: number): Frame {
    for (let pool = reach; pool < this.#frames.pools; pool += REACHES) {
      if (this.#frames.poolFree[pool] < this.count || !this.#allows(pool)) continue;
      if (this.#spare(pool) < this.count) continue;
      const at = this.count > FRAMES ? this.#scanPool(pool, reach, true) : this.#searchPool(pool);
      if (at !== NONE) return at;
    }
    return NONE;
  }

  /** Blocks that the alignment surely suits come first, smaller ones that may suit after them. */
  #searchPool(pool: number): Frame {
    const least = orderOf(this.count);
    const sure = Math.max(
      least,
      orderOf(Math.max(1, Math.min(this.#limits[ALIGN], FRAMES * PAGE) / PAGE)),
    );
    for (let order = sure; order <= TOP; order++) {
      const at = this.#searchList(pool, order);
      if (at !== NONE) return at;
    }
    for (let order = least; order < sure; order++) {
      const at = this.#searchList(pool, order);
      if (at !== NONE) return at;
    }
    return NONE;
  }

  #searchList(pool: number, order: number): Frame {
    const frames = this.#frames;
    let looks = LOOKS;
    for (let b = frames.firstBlock(pool, order); b !== NONE; b = frames.nextBlock(b, order)) {
      if (looks-- === 0) {
        this.#cutShort = true;
        return NONE;
      }
      const at = this.#place(b, b + (1 << order));
      if (at !== NONE) return at;
    }
    return NONE;
  }

  /** All free frames of a reach, and runs that begin in it. */
  #scan(reach: number): Frame {
    this.scanned = true;
    for (let pool = reach; pool < this.#frames.pools; pool += REACHES) {
      const at = this.#allows(pool) ? this.#scanPool(pool, reach, false) : NONE;
      if (at !== NONE) return at;
    }
    return NONE;
  }

  /**
   * The banks of a pool; `wholeOnly`: runs of whole free sections, for what no list has. A run may
   * go on into the next reach, and must leave the low reserve in both: so it begins no further below
   * their border, and ends no further above it, than there are frames to spare.
   */
  #scanPool(pool: number, reach: number, wholeOnly: boolean): Frame {
    const { banks } = this.#frames;
    const domain = Math.floor(pool / REACHES);
    const low = this.#limits[LOW];
    const high = this.#limits[HIGH];
    if (!this.#reserved && reach < REACHES - 1) {
      const spare = Math.max(this.#spare(pool), 0);
      const above = Math.max(this.#spare(pool + 1), 0);
      const border = FLOOR[reach + 1];
      if (spare < this.count) this.#limits[LOW] = Math.max(low, border - spare * PAGE);
      if (above < this.count) this.#limits[HIGH] = border + above * PAGE - 1;
    }
    let at: Frame = NONE;
    for (let i = 0; i < banks.length && at === NONE; i++)
      if (banks[i].domain === domain) at = this.#scanBank(banks[i], reach, wholeOnly);
    this.#limits[LOW] = low;
    this.#limits[HIGH] = high;
    return at;
  }

  /** The sections of `bank` that begin in `reach`, and those behind them while a run goes on. */
  #scanBank(bank: Bank, reach: number, wholeOnly: boolean): Frame {
    const { sectionFree } = this.#frames;
    const from = Math.max(bank.base, this.#limits[LOW], FLOOR[reach]);
    if (from >= bank.end || from > this.#limits[HIGH]) return NONE;
    const first = frameIn(bank, from) >> SHIFT;
    const last = frameIn(bank, Math.min(bank.end - 1, this.#limits[HIGH])) >> SHIFT;
    const stop = reach === REACHES - 1 ? bank.end : Math.min(bank.end, FLOOR[reach + 1]);
    const lastBegin = stop <= from ? first - 1 : frameIn(bank, stop - 1) >> SHIFT;
    let start: Frame = NONE; // of the run that reaches up to this section
    for (let s = first; s <= last; s++) {
      if (start === NONE && s > lastBegin) return NONE;
      const begin = s << SHIFT;
      if (sectionFree[s] === FRAMES) {
        if (start === NONE) start = begin;
        continue;
      }
      if (start !== NONE && (wholeOnly || sectionFree[s] === 0)) {
        const at = this.#place(start, begin);
        if (at !== NONE) return at;
        start = NONE;
      }
      if (wholeOnly || sectionFree[s] === 0) continue;
      start = this.#scanSection(s, start);
      if (start <= PLACED) return PLACED - start;
    }
    return start === NONE ? NONE : this.#place(start, Math.min((last + 1) << SHIFT, bank.endFrame));
  }

  /**
   * The free blocks of a split section. `start` is a run that ends where the section begins, or NO_FRAME.
   * @returns the run that the section ends with, or NO_FRAME; when a range fits, PLACED − its first frame.
   */
  #scanSection(s: number, start: Frame): number {
    const { order: orders } = this.#frames.sections[s]!;
    const begin = s << SHIFT;
    let run = start;
    let row = 0;
    while (row < FRAMES) {
      const order = orders[row];
      if (order <= TOP) {
        if (run === NONE) run = begin + row;
        row += 1 << order;
        continue;
      }
      if (run !== NONE) {
        const at = begin + row - run >= this.count ? this.#place(run, begin + row) : NONE;
        if (at !== NONE) return PLACED - at;
        run = NONE;
      }
      row++;
    }
    return run;
  }

  /** First frame of a fitting range in the free frames [`start`, `end`), which lie in one bank, or NO_FRAME. */
  #place(start: Frame, end: Frame): Frame {
    if (end - start < this.count) return NONE;
    const s = start >> SHIFT;
    const base = this.#frames.sectionAddr[s] + (start & ROW) * PAGE;
    const size = this.count * PAGE;
    const align = Math.max(this.#limits[ALIGN], PAGE);
    let at = alignUp(Math.max(base, this.#limits[LOW]), align);
    if (!withinBoundary(at, size, this.#limits[BOUNDARY])) at = alignUp(at, this.#limits[BOUNDARY]); // above `align`, or `at` would not cross it
    if (at + size > base + (end - start) * PAGE || at + size - 1 > this.#limits[HIGH]) return NONE;
    return start + (at - base) / PAGE;
  }
}

/** Below all frames: how a scan of a section says that it found a place. */
const PLACED = -2;

/** The smallest order whose blocks hold `count` frames. => 1 … 1024. */
function orderOf(count: number): number {
  return count === 1 ? 0 : 32 - Math.clz32(count - 1);
}

function frameIn(bank: Bank, pa: PhysAddr): Frame {
  return bank.firstFrame + Math.floor((pa - bank.base) / PAGE);
}
