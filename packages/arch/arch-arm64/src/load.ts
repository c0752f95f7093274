/**
 * Loads of arm64: count and reserve bounce pages, then take the range piece by piece.
 *
 * A piece is bounced, or used in place and entered in the map's sync list, and becomes segments. A
 * load that does not fit unloads its map. Follows bounce_bus_dmamap_load_buffer and _load_phys of
 * FreeBSD's arm64 busdma_bounce.c, release 14. `cutAfterBounce` (decisions.ts) is the larger
 * difference between the two semantics: what ends a piece.
 */
import type { DmaMap, DmaTag, SegList } from "@physio/busdma";
import { BusDma } from "@physio/busdma";
import { addRange, loadDirect } from "@physio/busdma/impl";
import type { BounceState } from "@physio/busdma-bounce";
import {
  addBouncePage,
  clearReservation,
  freeBouncePages,
  reservePages,
} from "@physio/busdma-bounce";
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
import type { Pmap } from "@physio/pmap";
import { mightBounce, mustBounce } from "./rules.ts";
import type { Arm64Map, Arm64Parts } from "./state.ts";
import { arm64Of, stateOf } from "./state.ts";

const PAGE = PAGE_SIZE;
const OK: Errno = E.OK;

/** @bsd #Y bounce_bus_dmamap_load_buffer (arm64) */
export function loadBuffer(
  parts: Arm64Parts,
  tag: DmaTag,
  map: DmaMap,
  pmap: Pmap,
  va: VirtAddr,
  len: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  const state = stateOf(map);
  const { bounce } = state;
  const byPage = bounce !== null || arm64Of(tag).rules.memoryByPage;
  if (bounce !== null && tag.alignment > PAGE) refuseAlignment(tag);
  if ((flags & BusDma.LOAD_MBUF) !== 0) state.mbuf = true;
  else if (arm64Of(tag).rules.mbufRuleByRange) state.mbuf = false;
  if (bounce !== null && mightBounce(map, va, len)) {
    if (bounce.needed === 0) bounce.needed = countBuffer(map, pmap, va, len);
    const error = reserve(parts, map, bounce, flags);
    if (error !== OK) return error;
  }
  const bounces = bounce !== null && bounce.needed !== 0;
  const kernelVa = pmap === tag.kernelPmap ? va : -1;
  if (!bounces && byPage && tag.flat && segs.count === 0 && len > 0) {
    const fits = loadDirect(tag, pmap, va, len, segs) === OK;
    const { entriesKeepKind } = arm64Of(tag).rules;
    const listed = state.coherent || state.list.appendSegments(kernelVa, segs, entriesKeepKind);
    return fits && listed ? OK : tooBig(parts, map);
  }
  const whole = arm64Of(tag).rules.cutAfterBounce;
  for (let done = 0; done < len; ) {
    const pa = pmap.extract(va + done);
    if (pa < 0) panic(`bus_dma: load of ${len} bytes at ${va}: nothing is mapped at ${va + done}`);
    let size = whole ? len - done : Math.min(len - done, tag.maxSegSize);
    if (byPage) size = Math.min(size, PAGE - pageOffset(pa));
    const bounced = bounce !== null && bounce.needed !== 0 && mustBounce(map, pa, size);
    const dataVa = kernelVa < 0 ? -1 : kernelVa + done;
    const cut = takePiece(parts, map, bounced, dataVa, pa, size, segs);
    if (cut === 0) return tooBig(parts, map);
    done += cut;
  }
  return OK;
}

/** @bsd #Y bounce_bus_dmamap_load_phys (arm64) */
export function loadPhys(
  parts: Arm64Parts,
  tag: DmaTag,
  map: DmaMap,
  pa: PhysAddr,
  len: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  const state = stateOf(map);
  const { bounce } = state;
  const { rules } = arm64Of(tag);
  if (rules.mbufRuleByRange) state.mbuf = false;
  if (bounce !== null && mightBounce(map, pa, len)) {
    if (bounce.needed === 0) bounce.needed = countPhys(map, pa, len);
    const error = reserve(parts, map, bounce, flags);
    if (error !== OK) return error;
  }
  for (let done = 0; done < len; ) {
    const at = pa + done;
    const mayBounce = bounce !== null && bounce.needed !== 0;
    let size = mayBounce || !rules.cutAfterBounce ? pieceAt(map, at, len - done) : len - done;
    const bounced = mayBounce && mustBounce(map, at, size);
    if (bounced) size = Math.min(size, PAGE - pageOffset(at));
    const cut = takePiece(parts, map, bounced, -1, at, size, segs);
    if (cut === 0) return tooBig(parts, map);
    done += cut;
  }
  return OK;
}

/** A list of frames: one physical load for each page. @bsd #Y bus_dmamap_load_ma_triv */
export function loadPages(
  parts: Arm64Parts,
  tag: DmaTag,
  map: DmaMap,
  ma: readonly Frame[],
  offset: Bytes,
  len: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  for (let done = 0; done < len; ) {
    const at = offset + done;
    const pa = parts.mem.addrOf(ma[pageOf(at)]) + pageOffset(at);
    const size = Math.min(len - done, PAGE - pageOffset(at));
    const error = loadPhys(parts, tag, map, pa, size, flags, segs);
    if (error !== OK) return error;
    done += size;
  }
  return OK;
}

/** Give everything back that the load took. Needed and reserved pages stay in `seed`. @bsd #Y bounce_bus_dmamap_unload (arm64) */
export function unload({ pool }: Arm64Parts, map: DmaMap): void {
  const state = stateOf(map);
  const { bounce } = state;
  state.list.clear();
  state.mbuf = false;
  if (bounce === null) return;
  freeBouncePages(pool, bounce);
  if (arm64Of(map.tag).semantics.clearReservation) clearReservation(pool, bounce);
}

function tooBig(parts: Arm64Parts, map: DmaMap): Errno {
  unload(parts, map);
  return E.EFBIG;
}

function refuseAlignment(tag: DmaTag): never {
  panic(`bus_dma: alignment ${tag.alignment} is above a page`);
}

// ---- pieces

/** Bounce or list the piece, and add it to the segments. @returns bytes taken; 0: it does not fit. */
function takePiece(
  parts: Arm64Parts,
  map: DmaMap,
  bounced: boolean,
  va: VirtAddr,
  pa: PhysAddr,
  size: Bytes,
  segs: SegList,
): Bytes {
  const { tag } = map;
  const state = stateOf(map);
  let addr: BusAddr = pa as number;
  if (bounced) {
    if (tag.alignment > PAGE) refuseAlignment(tag);
    const frame = parts.mem.frameOf(pa);
    addr = addBouncePage(map, state.bounce!, va, frame, NO_FRAME, pageOffset(pa), size);
  } else if (!state.coherent && !enter(parts, map, state, va, pa, size)) return 0;
  if (!tag.powersOf2 && tag.boundary !== 0 && !isPowerOf2(tag.boundary))
    panic(`bus_dma: boundary ${tag.boundary} is not a power of 2`);
  let cut = size;
  if (!arm64Of(tag).rules.cutAfterBounce && !withinBoundary(addr, size, tag.boundary)) {
    // A piece that begins on a boundary and is longer than it does not fit anywhere.
    const over = offsetIn(addr, tag.boundary);
    if (over === 0) return 0;
    cut = tag.boundary - over;
  }
  return addRange(segs, addr, cut, tag.maxSegSize, tag.boundary) ? cut : 0;
}

/** Enter a piece in the sync list. @returns false: the list is full. */
function enter(
  { mem }: Arm64Parts,
  map: DmaMap,
  state: Arm64Map,
  va: VirtAddr,
  pa: PhysAddr,
  size: Bytes,
): boolean {
  const made = state.list.append(va, pa, size, arm64Of(map.tag).rules.entriesKeepKind);
  if (made > 0 && va < 0 && mem.frameOf(pa) === NO_FRAME)
    panic(`bus_dma: load of ${size} bytes at ${pa}: the page is not RAM`);
  return made >= 0;
}

/** Length of the piece of a physical range that is tested at `pa`. */
function pieceAt({ tag }: DmaMap, pa: PhysAddr, left: Bytes): Bytes {
  const { rules } = arm64Of(tag);
  return Math.min(left, rules.cutAfterBounce ? PAGE - pageOffset(pa) : tag.maxSegSize);
}

// ---- counting

/** Bounce pages for a virtual range. @bsd #Y _bus_dmamap_count_pages (arm64) */
function countBuffer(map: DmaMap, pmap: Pmap, va: VirtAddr, len: Bytes): number {
  const { tag } = map;
  const stays = arm64Of(tag).semantics.chunksStayInPage;
  let pages = 0;
  for (let done = 0; done < len; ) {
    const pa = pmap.extract(va + done);
    const toEnd = PAGE - pageOffset(va + done);
    let step = toEnd;
    if (pa >= 0 && mustBounce(map, pa, Math.min(toEnd, len - done))) {
      pages++;
      // The original's step can lead into the next page.
      if (!stays) step = alignUp(toEnd, tag.alignment);
    }
    done += step;
  }
  return pages;
}

/** Bounce pages for a physical range. @bsd #Y _bus_dmamap_count_phys (arm64) */
function countPhys(map: DmaMap, pa: PhysAddr, len: Bytes): number {
  let pages = 0;
  for (let done = 0; done < len; ) {
    const at = pa + done;
    let size = pieceAt(map, at, len - done);
    if (mustBounce(map, at, size)) {
      size = Math.min(size, PAGE - pageOffset(at));
      pages++;
    }
    done += size;
  }
  return pages;
}

function reserve({ pool }: Arm64Parts, map: DmaMap, bounce: BounceState, flags: BusDma): Errno {
  if (bounce.needed === 0) return OK;
  const error = reservePages(pool, map, bounce, flags);
  // What a list load had before it stalled is loaded again from the start.
  if (error === E.EINPROGRESS && map.tag.context.semantics.stalledLoadStartsOver) {
    stateOf(map).list.clear();
  }
  return error;
}
