/**
 * Allocation of frames: what PhysMem offers, made of its parts.
 *
 * A single frame comes from the cache (frame-cache.ts) over the free lists (buddy.ts), a range from
 * the search (contig.ts). Here is what all of them share: the free count, the marks that a request
 * must leave (pressure.ts), the low reserve (low-reserve.ts), the counters, wire counts, the verifying
 * mode; free-prep.ts has the checks of a free.
 * Follows vm_page_alloc_domain_after, vm_page_wire of sys/vm/vm_page.c.
 *
 * Invariant (`check`): `freeFrames` is what the lists and the cache hold.
 *
 * Who may call: physmem.ts.
 */
import type { Frame } from "@physio/kern";
import { Errno, ErrnoError, isWhole, NO_FRAME, Panic, panic } from "@physio/kern";
import type { Bank } from "./bank.ts";
import type { SectionBytes } from "./buddy.ts";
import { FrameAllocator, MAX_ORDER, REACHES } from "./buddy.ts";
import type { ContigLimits } from "./contig.ts";
import { ContigSearch } from "./contig.ts";
import { FrameCache } from "./frame-cache.ts";
import type { FrameBytes } from "./frame-check.ts";
import { FrameCheck } from "./frame-check.ts";
import { checkFreeable, checkRangeFreeable, stateOf } from "./free-prep.ts";
import type { LowReserve } from "./low-reserve.ts";
import { lowReserves } from "./low-reserve.ts";
import { AllocClass, Pressure, RELIEF_FROM, SHORT_BELOW } from "./pressure.ts";
import type { DomainFrames } from "./report.ts";
import { AllocCounters } from "./report.ts";
import { ROW_MASK, SECTION_SHIFT } from "./section.ts";

/** Any domain: the highest reach of all first, then the lowest domain. */
export const ANY_DOMAIN = -1;

// This module's own names: the compiler folds them.
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const NONE: Frame = NO_FRAME;
const ANY = ANY_DOMAIN;
const SYSTEM = AllocClass.SYSTEM;
const INTERRUPT = AllocClass.INTERRUPT;
const SHORT = SHORT_BELOW;
const RELIEF = RELIEF_FROM;
const WIRES_MOST = 0xffff;
/** Times that a request is tried again after the hooks gave frames; each time they are asked for twice as many. */
const RECLAIMS_MOST = 10;

export class FrameSource {
  readonly frames: FrameAllocator;
  readonly domainCount: number;
  readonly counters: AllocCounters;
  readonly pressure: Pressure;
  freeFrames: number;
  readonly #cache: FrameCache;
  readonly #search: ContigSearch;
  readonly #check: FrameCheck | null;
  /** Pools in the order in which a request tries them: a row for any domain, then one for each; −1 ends a row. */
  readonly #routes: Int32Array;
  readonly #routeLength: number;
  /** By pool: the free frames that a plain request leaves. */
  readonly #reserves: Int32Array;
  /** Columns of the parts, one look-up nearer. */
  readonly #poolFree: Int32Array;
  readonly #cached: Int32Array;
  readonly #floors: Int32Array;
  readonly #edges: Int32Array;

  /** `bytes` drops those of free sections; `verify` is the memory whose bytes are to be checked, or null: then they stay. */
  constructor(
    banks: readonly Bank[],
    bytes: SectionBytes,
    verify: FrameBytes | null,
    lowReserve: LowReserve | undefined,
  ) {
    this.frames = new FrameAllocator(banks, verify === null ? bytes : null);
    this.domainCount = this.frames.pools / REACHES;
    this.counters = new AllocCounters();
    this.freeFrames = this.frames.totalFrames;
    this.#reserves = lowReserves(this.frames, lowReserve);
    const held = this.#reserves.reduce((sum, frames) => sum + frames, 0);
    const most = this.frames.totalFrames - held;
    this.pressure = new Pressure(most, held, () => this.plainFrames(), this.counters);
    this.#cache = new FrameCache(this.frames);
    this.#search = new ContigSearch(this.frames, this.#cache, this.#reserves);
    this.#check = verify === null ? null : new FrameCheck(verify, this.frames.sections.length);
    this.#routeLength = this.frames.pools + 1;
    this.#routes = makeRoutes(this.frames);
    this.#poolFree = this.frames.poolFree;
    this.#cached = this.#cache.depth;
    this.#floors = this.pressure.floors;
    this.#edges = this.pressure.edges;
  }

  allocFrame(domain: number, cls: AllocClass): Frame {
    let frame = NONE;
    if (this.freeFrames > this.#floors[cls]) frame = this.#takeOne(domain, cls);
    if (frame === NONE) {
      frame = this.#reclaimOne(domain, cls);
      if (frame === NONE) return NONE;
    }
    this.freeFrames--;
    this.counters.allocs++;
    if (this.#check !== null) this.#check.onAlloc(frame, 1);
    if (this.freeFrames < this.#edges[SHORT]) this.#tellShortage(frame, 1);
    return frame;
  }

  allocContig(count: number, limits: Partial<ContigLimits>, cls: AllocClass): Frame {
    this.#setSearch(count, limits, cls);
    let frame = this.#takeRange(cls);
    for (let i = 0; i < RECLAIMS_MOST && frame === NONE; i++) {
      if (!this.pressure.reclaim(this.#wanted(count, cls, i))) break;
      this.#setSearch(count, limits, cls); // a hook may have searched for something else
      frame = this.#takeRange(cls);
    }
    if (frame === NONE) {
      this.counters.failures++;
      return NONE;
    }
    this.freeFrames -= count;
    this.counters.contigAllocs++;
    this.#forgetBits(frame, count);
    if (this.#check !== null) this.#check.onAlloc(frame, count);
    if (this.freeFrames < this.#edges[SHORT]) this.#tellShortage(frame, count);
    return frame;
  }

  freeFrame(frame: Frame, count: number): void {
    if (count === 1) {
      checkFreeable(this.frames, frame);
      if (this.#check !== null) this.#check.onFree(frame, 1);
      this.#cache.give(frame);
    } else {
      checkRangeFreeable(this.frames, frame, count);
      if (this.#check !== null) this.#check.onFree(frame, count);
      this.frames.freeRange(frame, count);
    }
    this.freeFrames += count;
    this.counters.frees++;
    if (this.freeFrames >= this.#edges[RELIEF]) this.pressure.afterFree();
  }

  wire(frame: Frame): void {
    this.assertAllocated(frame);
    const { wireCount } = this.frames.section(frame);
    const count = wireCount[frame & ROW];
    if (!(count < WIRES_MOST)) panic(`physmem: frame ${frame} is wired ${count} times`);
    wireCount[frame & ROW] = count + 1;
  }

  unwire(frame: Frame): number {
    this.assertAllocated(frame);
    const { wireCount } = this.frames.section(frame);
    const count = wireCount[frame & ROW];
    if (!(count > 0)) panic(`physmem: frame ${frame} is unwired, but not wired`);
    wireCount[frame & ROW] = count - 1;
    return count - 1;
  }

  assertAllocated(frame: Frame): void {
    if (!this.frames.isAllocated(frame))
      panic(`physmem: frame ${frame} is not allocated: ${stateOf(this.frames, frame)}`);
  }

  domainOf(frame: Frame): number {
    if (!this.frames.exists(frame)) panic(`physmem: frame ${frame} does not exist`);
    return Math.floor(this.frames.poolOf[frame >> SHIFT] / REACHES);
  }

  freeIn(domain: number): number {
    this.#checkDomain(domain);
    let free = 0;
    for (let pool = domain * REACHES; pool < (domain + 1) * REACHES; pool++)
      free += this.frames.poolFree[pool] + this.#cache.depth[pool];
    return free;
  }

  /** What requests of a class without `high` can have of a domain. */
  freeFor(domain: number, cls: AllocClass): number {
    this.#checkDomain(domain);
    this.#checkClass(cls);
    if (cls === INTERRUPT) return this.freeIn(domain);
    let free = 0;
    for (let pool = domain * REACHES; pool < (domain + 1) * REACHES; pool++)
      free += Math.max(0, this.#poolFree[pool] + this.#cached[pool] - this.#reserves[pool]);
    return free;
  }

  lowReserve(reach: number): number {
    let frames = 0;
    for (let pool = reach; pool < this.#reserves.length; pool += REACHES)
      frames += this.#reserves[pool];
    return frames;
  }

  domain(domain: number): DomainFrames {
    const freeFrames = this.freeIn(domain);
    const totals = this.frames.poolTotal.subarray(domain * REACHES, (domain + 1) * REACHES);
    return { totalFrames: totals.reduce((sum, total) => sum + total, 0), freeFrames };
  }

  freeBlocks(domain: number, reach: number): number[] {
    this.#checkDomain(domain);
    if (!isWhole(reach) || reach >= REACHES)
      throw new ErrnoError(Errno.EINVAL, `freeBlocks: reach ${reach}`);
    const pool = domain * REACHES + reach;
    const blocks = Array.from({ length: MAX_ORDER + 1 }, (_, order) => {
      let count = 0;
      for (let f = this.frames.firstBlock(pool, order); f !== NONE; ) {
        f = this.frames.nextBlock(f, order);
        count++;
      }
      return count;
    });
    blocks[0] += this.#cache.depth[pool];
    return blocks;
  }

  /** Walk everything and panic on a broken invariant. */
  check(): void {
    const held = this.frames.checkFree() + this.#cache.check();
    if (held !== this.freeFrames)
      panic(`physmem: ${held} frames are free, counted ${this.freeFrames}`);
    if (this.#check !== null) this.#check.check();
  }

  #takeOne(domain: number, cls: AllocClass): Frame {
    if (domain !== ANY) this.#checkDomain(domain);
    let i = (domain + 1) * this.#routeLength;
    for (let pool = this.#routes[i]; pool >= 0; pool = this.#routes[++i]) {
      const reserve = this.#reserves[pool];
      if (reserve > 0 && cls !== INTERRUPT) {
        if (this.#poolFree[pool] + this.#cached[pool] <= reserve) continue;
      }
      const frame = this.#cache.take(pool);
      if (frame !== NONE) return frame;
    }
    return NONE;
  }

  /** One frame when there is none to be had at first: bad arguments end here, too. */
  #reclaimOne(domain: number, cls: AllocClass): Frame {
    if (domain !== ANY) this.#checkDomain(domain);
    this.#checkClass(cls);
    let frame = NONE;
    for (let i = 0; i < RECLAIMS_MOST && frame === NONE; i++) {
      if (!this.pressure.reclaim(this.#wanted(1, cls, i))) break;
      if (this.freeFrames > this.#floors[cls]) frame = this.#takeOne(domain, cls);
    }
    if (frame === NONE) this.counters.failures++;
    return frame;
  }

  #takeRange(cls: AllocClass): Frame {
    if (!(this.freeFrames - this.#search.count >= this.#floors[cls])) return NONE;
    const frame = this.#search.run();
    if (this.#search.scanned) this.counters.contigScans++;
    return frame;
  }

  /** How many frames must come back for a request of `count`; twice as many each `time` that these did not do. */
  #wanted(count: number, cls: AllocClass, time: number): number {
    const missing = this.#floors[cls] + count - this.freeFrames;
    return Math.min(Math.max(missing, count) * 2 ** time, this.frames.totalFrames);
  }

  /** Free frames that a plain request may have. */
  plainFrames(): number {
    let free = 0;
    for (let pool = 0; pool < this.#reserves.length; pool++)
      free += Math.max(0, this.#poolFree[pool] + this.#cached[pool] - this.#reserves[pool]);
    return free;
  }

  /** When a hook throws, nobody would have the frames: they go back first. After a Panic all stays as it is. */
  #tellShortage(frame: Frame, count: number): void {
    try {
      this.pressure.afterAlloc();
    } catch (error) {
      if (error instanceof Panic) throw error;
      this.freeFrame(frame, count);
      throw error;
    }
  }

  /** The frames have a new owner: they are neither modified nor referenced. */
  #forgetBits(frame: Frame, count: number): void {
    let at = frame;
    while (at < frame + count) {
      const from = at & ROW;
      const to = Math.min(from + frame + count - at, ROW + 1);
      this.frames.section(at).pmapBits.fill(0, from, to);
      at += to - from;
    }
  }

  #setSearch(count: number, limits: Partial<ContigLimits>, cls: AllocClass): void {
    if (typeof limits !== "object" || (limits as unknown) === null)
      throw new ErrnoError(Errno.EINVAL, `allocContig: limits ${String(limits as unknown)}`);
    if (!this.#search.set(count, limits, cls === INTERRUPT))
      throw new ErrnoError(Errno.EINVAL, `allocContig: ${this.#search.describe()}`);
    if (this.#search.domain !== ANY) this.#checkDomain(this.#search.domain);
    this.#checkClass(cls);
  }

  #checkDomain(domain: number): void {
    if (!(isWhole(domain) && domain < this.domainCount))
      throw new ErrnoError(Errno.EINVAL, `physmem: domain ${domain} of ${this.domainCount}`);
  }

  #checkClass(cls: AllocClass): void {
    if (!(isWhole(cls) && cls <= SYSTEM))
      throw new ErrnoError(Errno.EINVAL, `physmem: allocation class ${cls}`);
  }
}

/** Only pools with RAM; the highest reach first, in it the lowest domain. */
function makeRoutes(frames: FrameAllocator): Int32Array {
  const domains = frames.pools / REACHES;
  const length = frames.pools + 1;
  const routes = new Int32Array((domains + 1) * length).fill(-1);
  for (let row = 0; row <= domains; row++) {
    let at = row * length;
    for (let reach = REACHES - 1; reach >= 0; reach--) {
      for (let d = 0; d < domains; d++) {
        const pool = d * REACHES + reach;
        if ((row === 0 || row === d + 1) && frames.poolTotal[pool] > 0) routes[at++] = pool;
      }
    }
  }
  return routes;
}
