/**
 * The walk of a load over its range, where caches may not snoop: count and reserve bounce pages, then
 * take the range piece by piece.
 *
 * A piece is bounced, or used in place and entered in the map's sync list unless devices snoop, and
 * becomes segments. What ends a piece and what makes it bounce is the tag's (walk-state.ts). A load
 * that does not fit keeps what it has: its backend unloads it, or not. Follows
 * bounce_bus_dmamap_load_buffer and _load_phys of FreeBSD's arm64 and riscv busdma_bounce.c, which
 * differ in what WalkManner names. For the backends of such machines.
 *
 * Virtual ranges go by frame: where no address crosses a call, none is boxed. A load of 64 KiB that
 * bounced left 530 bytes of garbage, and took a third longer.
 */
import type { DmaMap, DmaTag, SegList } from "@physio/busdma";
import { BusDma } from "@physio/busdma";
import { addRange, loadDirect } from "@physio/busdma/impl";
import type { BusAddr, Bytes, Errno, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import {
  alignUp,
  Errno as E,
  isPowerOf2,
  NO_FRAME,
  offsetIn,
  PAGE_SIZE,
  pageOf,
  pageOffset,
  panic,
  withinBoundary,
} from "@physio/kern";
import { ROW_MASK, SECTION_SHIFT } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import { LEAF_PAGES, leafIndex, leafOf } from "@physio/pmap";
import { attachBouncePage, clearReservation, freeBouncePages, reservePages } from "./bounce.ts";
import type { BounceState } from "./map-state.ts";
import { addrMustBounce, checkAlignment, fillsLines, frameMustBounce } from "./must-bounce.ts";
import type { CachedParts, WalkMap, WalkTag } from "./walk-state.ts";
import { walkTagOf } from "./walk-state.ts";

// This module's own names: the compiler folds them.
const PAGE = PAGE_SIZE;
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const LEAF = LEAF_PAGES;
const OK: Errno = E.OK;
const EFBIG: Errno = E.EFBIG;

type Parts = CachedParts<unknown>;

/**
 * Load a virtual range. A map without state is idle: nothing of it bounces or needs maintenance.
 * @returns OK; EFBIG: it does not fit the segments, or the sync list; and what `reservePages` says.
 * @bsd #Y bounce_bus_dmamap_load_buffer (riscv)
 */
export function walkBuffer(
  parts: Parts,
  map: DmaMap,
  pmap: Pmap,
  va: VirtAddr,
  len: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  const { tag } = map;
  const walk = walkTagOf(tag);
  const state = stateOf(parts, map);
  const { bounce } = state;
  if (bounce !== null) {
    if (walk.strictAlignment) checkAlignment(tag);
    if (walk.couldBounce || !fillsLines(state.line, va, len)) {
      if (bounce.needed === 0) bounce.needed = countBuffer(tag, walk, state.line, pmap, va, len);
      const error = reserve(parts, map, state, bounce, flags);
      if (error !== OK) return error;
    }
  }
  const direct = bounce === null ? walk.memoryByPage : bounce.needed === 0;
  if (!direct || !tag.flat || segs.count !== 0 || !(len > 0))
    return walkVirtual(tag, walk, state, pmap, va, len, segs);
  const fits = loadDirect(tag, pmap, va, len, segs) === OK;
  if (state.coherent) return fits ? OK : EFBIG;
  const kernelVa = pmap === tag.kernelPmap ? va : -1;
  const listed = state.list.appendSegments(kernelVa, segs, walk.rules.entriesKeepKind);
  return fits && listed ? OK : EFBIG;
}

/** Load a physical range. @bsd #Y bounce_bus_dmamap_load_phys (riscv) */
export function walkPhys(
  parts: Parts,
  map: DmaMap,
  pa: PhysAddr,
  len: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  const { tag } = map;
  const walk = walkTagOf(tag);
  const state = stateOf(parts, map);
  const { bounce } = state;
  if (bounce !== null && (walk.couldBounce || !fillsLines(state.line, pa, len))) {
    if (bounce.needed === 0) bounce.needed = countPhys(map, walk, state.line, pa, len);
    const error = reserve(parts, map, state, bounce, flags);
    if (error !== OK) return error;
  }
  for (let done = 0; done < len; ) {
    const at = pa + done;
    let addr: BusAddr = at as number;
    let size = len - done;
    const mayBounce = bounce !== null && bounce.needed !== 0;
    if (mayBounce || !walk.cutAfterBounce) size = physPiece(walk, at, size);
    if (mayBounce && addrMustBounce(map, walk, state.line, at, size)) {
      if (walk.strictAlignment) checkAlignment(tag);
      size = Math.min(size, PAGE - pageOffset(at));
      const row = attachBouncePage(bounce, parts.mem.frameOf(at), NO_FRAME, pageOffset(at), size);
      addr = bounce.zone.busAddr[row] + inPage(tag, pageOffset(at));
    } else if (!state.coherent) {
      const made = state.list.append(-1, at, size, walk.rules.entriesKeepKind);
      if (made < 0) return EFBIG;
      if (made > 0 && parts.mem.frameOf(at) === NO_FRAME)
        panic(`bus_dma: load of ${size} bytes at ${at}: the page is not RAM`);
    }
    const cut = addPiece(tag, walk, addr, size, segs);
    if (cut === 0) return EFBIG;
    done += cut;
  }
  return OK;
}

/** Load a list of frames: one physical load for each page. @bsd #Y bus_dmamap_load_ma_triv */
export function walkPages(
  parts: Parts,
  map: DmaMap,
  ma: readonly Frame[],
  offset: Bytes,
  len: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  const walk = walkTagOf(map.tag);
  const state = stateOf(parts, map);
  // A page is one piece, and what is asked of its address its offset tells.
  const whole = walk.cutAfterBounce && map.tag.alignment <= PAGE;
  for (let done = 0; done < len; ) {
    const at = offset + done;
    const frame = ma[pageOf(at)];
    const size = Math.min(len - done, PAGE - pageOffset(at));
    const error = whole
      ? walkFrame(parts, map, state, frame, pageOffset(at), size, flags, segs)
      : walkPhys(parts, map, parts.mem.addrOf(frame) + pageOffset(at), size, flags, segs);
    if (error !== OK) return error;
    done += size;
  }
  return OK;
}

/** Give everything back that the load took. Needed and reserved pages stay in `seed`. @bsd #Y bounce_bus_dmamap_unload */
export function unloadWalk({ pool }: Parts, map: DmaMap): void {
  const state = map.md as WalkMap | null;
  if (state === null) return;
  const { bounce } = state;
  state.list.clear();
  if (bounce === null) return;
  const { line, semantics } = walkTagOf(map.tag);
  state.line = line;
  freeBouncePages(pool, bounce);
  if (semantics.clearReservation) clearReservation(pool, bounce);
}

const stateOf = ({ idle }: Parts, { md }: DmaMap): WalkMap => (md as WalkMap | null) ?? idle;
// ---- pieces

/** Piece by piece, by frame. */
function walkVirtual(
  tag: DmaTag,
  walk: WalkTag,
  state: WalkMap,
  pmap: Pmap,
  va: VirtAddr,
  len: Bytes,
  segs: SegList,
): Errno {
  const { bounce } = state;
  const { sectionAddr } = tag;
  const byPage = bounce !== null || walk.memoryByPage;
  const kernel = pmap === tag.kernelPmap;
  let leaf = leafOf(va);
  let index = leafIndex(va);
  let frames = pmap.leaf(leaf);
  let offset = pageOffset(va);
  for (let done = 0; done < len; ) {
    const frame = frames === null ? NO_FRAME : frames[index];
    if (frame < 0)
      panic(`bus_dma: load of ${len} bytes at ${va}: nothing is mapped at ${va + done}`);
    const pa: PhysAddr = sectionAddr[frame >> SHIFT] + (frame & ROW) * PAGE + offset;
    let addr: BusAddr = pa as number;
    let size = len - done;
    if (byPage) size = Math.min(size, PAGE - offset);
    size = Math.min(size, walk.mostLoaded);
    if (
      bounce !== null &&
      bounce.needed !== 0 &&
      frameMustBounce(tag, walk, state.line, frame, offset, size)
    ) {
      if (walk.roundLoaded !== 1) size = roundedPiece(walk, offset, len - done);
      const row = attachBouncePage(bounce, frame, NO_FRAME, offset, size);
      if (kernel) bounce.zone.dataVa[row] = va + done;
      addr = bounce.zone.busAddr[row] + inPage(tag, offset);
    } else if (!state.coherent) {
      const dataVa = kernel ? va + done : -1;
      if (state.list.append(dataVa, pa, size, walk.rules.entriesKeepKind) < 0) return EFBIG;
    }
    const cut = addPiece(tag, walk, addr, size, segs);
    if (cut === 0) return EFBIG;
    done += cut;
    for (offset += cut; offset >= PAGE; offset -= PAGE) {
      if (++index === LEAF) {
        frames = pmap.leaf(++leaf);
        index = 0;
      }
    }
  }
  return OK;
}

/** `walkPhys` of one piece in a frame: nothing is asked twice, and no address is handed on. */
function walkFrame(
  parts: Parts,
  map: DmaMap,
  state: WalkMap,
  frame: Frame,
  offset: Bytes,
  size: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  const { tag } = map;
  const walk = walkTagOf(tag);
  const { bounce, line } = state;
  let addr: BusAddr = (parts.mem.addrOf(frame) as number) + offset;
  let bounced = false;
  if (bounce !== null && (walk.couldBounce || !fillsLines(line, offset, size))) {
    bounced = frameMustBounce(tag, walk, line, frame, offset, size);
    if (bounced && bounce.needed === 0) bounce.needed = 1;
    const error = reserve(parts, map, state, bounce, flags);
    if (error !== OK) return error;
  }
  if (bounced) {
    const { zone } = bounce!;
    const row = attachBouncePage(bounce!, frame, NO_FRAME, offset, size);
    addr = zone.busAddr[row] + inPage(tag, offset);
  } else if (!state.coherent) {
    const pa: PhysAddr = addr as number;
    if (state.list.append(-1, pa, size, walk.rules.entriesKeepKind) < 0) return EFBIG;
  }
  return addPiece(tag, walk, addr, size, segs) === 0 ? EFBIG : OK;
}

/** Add a piece to the segments. @returns bytes taken: fewer where the boundary cuts it; 0: it does not fit. */
function addPiece(tag: DmaTag, walk: WalkTag, addr: BusAddr, size: Bytes, segs: SegList): Bytes {
  if (!tag.powersOf2 && tag.boundary !== 0 && !isPowerOf2(tag.boundary))
    panic(`bus_dma: boundary ${tag.boundary} is not a power of 2`);
  let cut = size;
  if (!walk.cutAfterBounce && !withinBoundary(addr, size, tag.boundary)) {
    // A piece that begins on a boundary and is longer than it does not fit anywhere.
    const over = offsetIn(addr, tag.boundary);
    if (over === 0) return 0;
    cut = tag.boundary - over;
  }
  return addRange(segs, addr, cut, tag.maxSegSize, tag.boundary) ? cut : 0;
}

/** Length of a bounced piece whose end at the page's is rounded up, even past the page. */
function roundedPiece(walk: WalkTag, offset: Bytes, left: Bytes): Bytes {
  return Math.min(alignUp(PAGE - offset, walk.roundLoaded), left, walk.mostLoaded);
}

/** Length of the piece of a physical range that is tested at `pa`. */
function physPiece(walk: WalkTag, pa: PhysAddr, left: Bytes): Bytes {
  return Math.min(left, walk.cutAfterBounce ? PAGE - pageOffset(pa) : walk.mostLoaded);
}

/** Where a chunk that began `offset` into its page begins in its bounce page. */
function inPage(tag: DmaTag, offset: Bytes): Bytes {
  return (tag.flags & BusDma.KEEP_PG_OFFSET) === 0 ? 0 : offset;
}

// ---- counting and reserving

/** Bounce pages for a virtual range. @bsd #Y _bus_dmamap_count_pages */
function countBuffer(
  tag: DmaTag,
  walk: WalkTag,
  line: Bytes,
  pmap: Pmap,
  va: VirtAddr,
  len: Bytes,
): number {
  let pages = 0;
  let leaf = leafOf(va);
  let index = leafIndex(va);
  let frames = pmap.leaf(leaf);
  let offset = pageOffset(va);
  for (let done = 0; done < len; ) {
    const frame = frames === null ? NO_FRAME : frames[index];
    let step = Math.min(PAGE - offset, walk.mostCounted);
    const size = Math.min(step, len - done);
    if (frame >= 0 && frameMustBounce(tag, walk, line, frame, offset, size)) {
      pages++;
      // The original's step can lead into the next page.
      if (walk.roundCounted !== 1) step = alignUp(step, walk.roundCounted);
    }
    done += step;
    for (offset += step; offset >= PAGE; offset -= PAGE) {
      if (++index === LEAF) {
        frames = pmap.leaf(++leaf);
        index = 0;
      }
    }
  }
  return pages;
}

/** Bounce pages for a physical range. @bsd #Y _bus_dmamap_count_phys */
function countPhys(map: DmaMap, walk: WalkTag, line: Bytes, pa: PhysAddr, len: Bytes): number {
  let pages = 0;
  for (let done = 0; done < len; ) {
    const at = pa + done;
    let size = physPiece(walk, at, len - done);
    if (addrMustBounce(map, walk, line, at, size)) {
      size = Math.min(size, PAGE - pageOffset(at));
      pages++;
    }
    done += size;
  }
  return pages;
}

function reserve(
  { pool }: Parts,
  map: DmaMap,
  state: WalkMap,
  bounce: BounceState,
  flags: BusDma,
): Errno {
  if (bounce.needed === 0) return OK;
  const error = reservePages(pool, map, bounce, flags);
  // What a list load had before it stalled is loaded again from the start.
  if (error === E.EINPROGRESS && map.tag.context.semantics.stalledLoadStartsOver) {
    state.list.clear();
  }
  return error;
}
