/**
 * Bouncing: reserve pages for a load, attach them, copy on sync, give them back.
 *
 * The functions that backends call, in the order of a transfer: `reservePages`, `addBouncePage`,
 * `copyOut` and `copyIn`, `freeBouncePages`. Follows subr_busdma_bounce.c.
 *
 * Invariant: a map's `reserved` never exceeds `needed`; the sum of all maps' `reserved` is the
 * zone's.
 */

import type { DmaMap, DmaTag } from "@physio/busdma";
import { BusDma } from "@physio/busdma";
import type { BusAddr, Bytes, Errno, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import {
  Errno as E,
  isAligned,
  isPowerOf2,
  NO_FRAME,
  PAGE_SIZE,
  pageOffset,
  panic,
} from "@physio/kern";
import { ROW_MASK, SECTION_SHIFT } from "@physio/physmem";
import { Ktr, traceEvent } from "@physio/trace";
import type { BounceState } from "./map-state.ts";
import { bounceOf } from "./map-state.ts";
import type { BouncePool } from "./pool.ts";
import type { BounceZone } from "./zone.ts";

// This module's own names: the compiler folds them.
const PAGE = PAGE_SIZE;
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const DEFER = traceEvent(Ktr.BOUNCE, "bounce defer", "needed", "reserved");
const COPY = traceEvent(Ktr.BOUNCE, "bounce copy", "pages", "bytes", "toPage");

/** Whether `addr` lies in the window that the tag excludes, or breaks its alignment, and no filter lets it pass. @bsd #Y addr_needs_bounce */
export function addrNeedsBounce({ tag }: Pick<DmaMap, "tag">, addr: PhysAddr): boolean {
  if (tag.filtered) return filtersReject(tag, addr);
  if (addr > tag.lowAddr && addr <= tag.highAddr) return true;
  return tag.alignment !== 1 && isMisaligned(tag, addr);
}

/**
 * The same of the byte `offset` bytes into `frame`. For loops over pages: no address crosses a call,
 * where it would be boxed.
 */
export function frameNeedsBounce(tag: DmaTag, frame: Frame, offset: Bytes): boolean {
  const { sectionAddr } = tag.kernelPmap.mem;
  const addr: PhysAddr = sectionAddr[frame >> SHIFT] + (frame & ROW) * PAGE + offset;
  if (tag.filtered) return filtersReject(tag, addr);
  if (addr > tag.lowAddr && addr <= tag.highAddr) return true;
  return tag.alignment !== 1 && isMisaligned(tag, addr);
}

/**
 * Ask the filters from the tag up. A tag without one refuses what it excludes; in the original a
 * filter may let a misaligned address pass, too. @bsd #Y bus_dma_run_filter
 */
function filtersReject(first: DmaTag, addr: PhysAddr): boolean {
  const { alignmentBeforeFilters } = first.context.semantics;
  for (let tag: DmaTag | null = first; tag !== null; tag = tag.filterParent) {
    const misaligned = tag.alignment !== 1 && isMisaligned(tag, addr);
    if (misaligned && alignmentBeforeFilters) return true;
    const excluded = misaligned || (addr > tag.lowAddr && addr <= tag.highAddr);
    if (excluded && (tag.filter === null || tag.filter(tag.filterArg, addr as number) !== 0))
      return true;
  }
  return false;
}

function isMisaligned(tag: DmaTag, addr: PhysAddr): boolean {
  if (!tag.powersOf2 && !isPowerOf2(tag.alignment))
    panic(`bounce: alignment ${tag.alignment} is not a power of 2`);
  return !isAligned(addr, tag.alignment);
}

/** Promise free pages to the map: all that it lacks, or with `commit` as many as there are. @returns pages still lacking. @bsd #Y reserve_bounce_pages */
function promise(state: BounceState, commit: boolean): number {
  const { zone } = state;
  const lacking = state.needed - state.reserved;
  const pages = Math.min(zone.free, lacking);
  if (!commit && pages < lacking) return lacking - pages;
  zone.free -= pages;
  zone.reserved += pages;
  state.reserved += pages;
  return lacking - pages;
}

/**
 * Reserve the pages that a load needs.
 * => `state.needed` is counted.
 * @returns OK; ENOMEM: NOWAIT, nothing was taken, or (fixed) the zone never has so many;
 *   EINPROGRESS: the map waits with what it got, and its load will be resumed.
 * @bsd #Y _bus_dmamap_reserve_pages
 */
export function reservePages(
  pool: BouncePool,
  map: DmaMap,
  state: BounceState,
  flags: BusDma,
): Errno {
  const { semantics } = map.tag.context;
  const { zone } = state;
  if (promise(state, false) === 0) return E.OK;
  const impossible = semantics.refuseImpossible && state.pages.count + state.needed > zone.total;
  if ((flags & BusDma.NOWAIT) !== 0 || impossible) {
    state.needed = 0;
    return E.ENOMEM;
  }
  if (semantics.stalledLoadStartsOver) startOver(pool, state);
  promise(state, true);
  if (!map.waiting) {
    pool.noteWaiting(map);
    zone.waiting.insertTail(map);
  } // else the original's caller loads a map that waits (waitingMapsAreBusy): it keeps its place
  pool.trace.record(DEFER, state.needed, state.reserved);
  return E.EINPROGRESS;
}

/** A list load stalls midway: what it took goes back, first to those who wait, and is needed again. */
function startOver(pool: BouncePool, state: BounceState): void {
  const { zone } = state;
  state.needed += state.pages.count;
  zone.free += state.reserved;
  zone.reserved -= state.reserved;
  state.reserved = 0;
  zone.detachAll(state.pages);
  releaseWaiters(pool, state);
}

/**
 * Attach one page to the map for `count` bytes of client data.
 * => a page is reserved. `va` is the data's kernel address or −1; `frame2` holds what does not fit
 *   in `frame` from `offset` on, if anything.
 * @returns what the device will see.   @bsd #Y add_bounce_page
 */
export function addBouncePage(
  map: DmaMap,
  state: BounceState,
  va: VirtAddr,
  frame: Frame,
  frame2: Frame,
  offset: Bytes,
  count: Bytes,
): BusAddr {
  const { zone } = state;
  const row = attachBouncePage(state, frame, frame2, offset, count);
  zone.dataVa[row] = va;
  return zone.busAddr[row] + inPage(map, offset);
}

/**
 * The same without an address in or out, for loops over pages: the caller writes the data's kernel
 * address to `zone.dataVa`, which says −1, and reads where the page is from `zone.busAddr`.
 * @returns the page's row.
 */
export function attachBouncePage(
  state: BounceState,
  frame: Frame,
  frame2: Frame,
  offset: Bytes,
  count: Bytes,
): number {
  if (!(state.needed > 0 && state.reserved > 0)) {
    panic(`bounce: the map needs ${state.needed} pages, ${state.reserved} reserved`);
  }
  state.needed--;
  state.reserved--;
  return state.zone.attach(state.pages, -1, frame, frame2, offset, count);
}

/** Where a chunk that began `offset` into its page begins in its bounce page. */
function inPage(map: DmaMap, offset: Bytes): Bytes {
  return (map.tag.flags & BusDma.KEEP_PG_OFFSET) === 0 ? 0 : offset;
}

/** Copy client data into the map's bounce pages: PREWRITE. */
export function copyOut(pool: BouncePool, map: DmaMap, state: BounceState): void {
  copyAll(pool, map, state, true);
}

/** Copy the map's bounce pages back to the client: POSTREAD. */
export function copyIn(pool: BouncePool, map: DmaMap, state: BounceState): void {
  copyAll(pool, map, state, false);
}

/**
 * Copy all pages of the map through the CPU's port. Pages that adjoin in the pool and whose data
 * adjoin in the client's memory are one copy. Everything is a frame and an offset: as addresses,
 * which calls box, the copies of 16 pages took 1.6 times as long as the host's, and left 2 KB.
 */
function copyAll(pool: BouncePool, map: DmaMap, state: BounceState, toPage: boolean): void {
  const { zone } = state;
  const { tag } = map;
  const { next, pageFrame, dataOffset, dataCount } = zone;
  const keep = (tag.flags & BusDma.KEEP_PG_OFFSET) !== 0;
  let bytes = 0;
  // The run in hand: where it begins on both sides, and how long it is.
  let page: Frame = NO_FRAME;
  let pageAt = 0;
  let client: Frame = NO_FRAME;
  let clientAt = 0;
  let length = 0;
  for (let row = state.pages.head; row >= 0; row = next[row]) {
    const count = dataCount[row];
    const start = dataOffset[row];
    for (let done = 0; done < count; ) {
      const to = pageFrame[row];
      const toAt = (keep ? start : 0) + done;
      const from = clientFrame(tag, zone, row, done);
      const fromAt = pageOffset(start + done);
      const run = Math.min(count - done, PAGE - fromAt);
      if (
        length > 0 &&
        (to - page) * PAGE + toAt === pageAt + length &&
        (from - client) * PAGE + fromAt === clientAt + length
      ) {
        length += run;
      } else {
        if (length > 0) copyRun(pool, page, pageAt, client, clientAt, length, toPage);
        page = to;
        pageAt = toAt;
        client = from;
        clientAt = fromAt;
        length = run;
      }
      done += run;
    }
    bytes += count;
  }
  if (length > 0) copyRun(pool, page, pageAt, client, clientAt, length, toPage);
  zone.totalBounced++;
  zone.pagesCopied += state.pages.count;
  pool.trace.record(COPY, state.pages.count, bytes, toPage ? 1 : 0);
}

function copyRun(
  { cpu }: BouncePool,
  page: Frame,
  pageAt: Bytes,
  client: Frame,
  clientAt: Bytes,
  length: Bytes,
  toPage: boolean,
): void {
  if (toPage) cpu.copyFrame(page, pageAt, client, clientAt, length);
  else cpu.copyFrame(client, clientAt, page, pageAt, length);
}

/** The frame of byte `done` of the client data behind a bounce page. */
function clientFrame({ kernelPmap }: DmaTag, zone: BounceZone, row: number, done: Bytes): Frame {
  if (zone.dataVa[row] >= 0) {
    const frame = kernelPmap.frameAt(zone.dataVa[row] + done);
    if (frame < 0)
      panic(`bounce ${zone.name}: client data at ${zone.dataVa[row] + done} is unmapped`);
    return frame;
  }
  if (zone.dataOffset[row] + done < PAGE) return zone.dataFrame[row];
  const frame = zone.dataFrame2[row];
  if (frame === NO_FRAME)
    panic(`bounce ${zone.name}: a chunk runs into a page that was not recorded`);
  return frame;
}

/** Give the map's pages back and let waiting maps have them, first come first served. @bsd #Y free_bounce_pages */
export function freeBouncePages(pool: BouncePool, state: BounceState): void {
  if (state.pages.count === 0) return;
  state.zone.detachAll(state.pages);
  releaseWaiters(pool, state);
}

/** Forget what a map still needs, and give back what was promised to it. `fixed` only. */
export function clearReservation(pool: BouncePool, state: BounceState): void {
  const { zone, reserved } = state;
  state.needed = 0;
  state.reserved = 0;
  if (reserved === 0) return;
  zone.reserved -= reserved;
  zone.free += reserved;
  releaseWaiters(pool, state);
}

function releaseWaiters(pool: BouncePool, freed: BounceState): void {
  const { zone } = freed;
  for (let map = zone.waiting.first; map !== null; map = zone.waiting.first) {
    if (promise(bounceOf(map), true) !== 0) return;
    zone.waiting.removeHead();
    zone.totalDeferred++;
    pool.schedule(map);
  }
}
