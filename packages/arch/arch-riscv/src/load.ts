/**
 * Loads of riscv: count and reserve bounce pages, then take the range piece by piece.
 *
 * A piece is bounced, or used in place and entered in the map's sync list unless devices snoop, and
 * becomes segments. A load that does not fit keeps what it has until its map is unloaded (`seed`).
 * Follows bounce_bus_dmamap_load_buffer and _load_phys of FreeBSD's riscv busdma_bounce.c.
 */
import type { BusDma, DmaMap, DmaTag, SegList } from "@physio/busdma";
import { addRange, loadDirect } from "@physio/busdma/impl";
import type { BounceState } from "@physio/busdma-bounce";
import {
  addBouncePage,
  addrNeedsBounce,
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
import type { RiscvParts } from "./state.ts";
import { riscvOf, stateOf } from "./state.ts";

const PAGE = PAGE_SIZE;
const OK: Errno = E.OK;
const EFBIG: Errno = E.EFBIG;

/** @bsd #Y bounce_bus_dmamap_load_buffer (riscv) */
export function loadBuffer(
  parts: RiscvParts,
  tag: DmaTag,
  map: DmaMap,
  pmap: Pmap,
  va: VirtAddr,
  len: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  const state = stateOf(map);
  const bounce = state === null ? null : state.bounce;
  if (bounce !== null) {
    if (bounce.needed === 0) bounce.needed = countBuffer(map, pmap, va, len);
    const error = reserve(parts, map, bounce, flags);
    if (error !== OK) return error;
  }
  const kernelVa = pmap === tag.kernelPmap ? va : -1;
  const direct = bounce === null || bounce.needed === 0;
  if (direct && tag.flat && segs.count === 0 && len > 0) {
    const fits = loadDirect(tag, pmap, va, len, segs) === OK;
    if (state === null || state.coherent) return fits ? OK : EFBIG;
    const { entriesKeepKind } = riscvOf(tag).rules;
    return state.list.appendSegments(kernelVa, segs, entriesKeepKind) && fits ? OK : EFBIG;
  }
  for (let done = 0; done < len; ) {
    const pa = pmap.extract(va + done);
    if (pa < 0) panic(`bus_dma: load of ${len} bytes at ${va}: nothing is mapped at ${va + done}`);
    const bounced = bounce !== null && bounce.needed !== 0 && addrNeedsBounce(map, pa);
    const size = virtualPiece(tag, pa, len - done, bounced);
    const dataVa = kernelVa < 0 ? -1 : kernelVa + done;
    const cut = takePiece(parts, map, bounced, dataVa, pa, size, segs);
    if (cut === 0) return EFBIG;
    done += cut;
  }
  return OK;
}

/** @bsd #Y bounce_bus_dmamap_load_phys (riscv) */
export function loadPhys(
  parts: RiscvParts,
  tag: DmaTag,
  map: DmaMap,
  pa: PhysAddr,
  len: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  const bounce = stateOf(map)?.bounce ?? null;
  const { cutAfterBounce } = riscvOf(tag).rules;
  if (bounce !== null) {
    if (bounce.needed === 0) bounce.needed = countPhys(map, pa, len);
    const error = reserve(parts, map, bounce, flags);
    if (error !== OK) return error;
  }
  for (let done = 0; done < len; ) {
    const at = pa + done;
    const mayBounce = bounce !== null && bounce.needed !== 0;
    const bounced = mayBounce && addrNeedsBounce(map, at);
    let size = mayBounce || !cutAfterBounce ? physicalPiece(tag, at, len - done) : len - done;
    if (bounced) size = Math.min(size, PAGE - pageOffset(at));
    const cut = takePiece(parts, map, bounced, -1, at, size, segs);
    if (cut === 0) return EFBIG;
    done += cut;
  }
  return OK;
}

/** A list of frames: one physical load for each page. @bsd #Y bus_dmamap_load_ma_triv */
export function loadPages(
  parts: RiscvParts,
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

/** Give everything back that the load took. Needed and reserved pages stay in `seed`. @bsd #Y bounce_bus_dmamap_unload (riscv) */
export function unload({ pool }: RiscvParts, map: DmaMap): void {
  const state = stateOf(map);
  if (state === null) return;
  state.list.clear();
  const { bounce } = state;
  if (bounce === null) return;
  freeBouncePages(pool, bounce);
  if (riscvOf(map.tag).semantics.clearReservation) clearReservation(pool, bounce);
}

/** Whether the range would be used as it is. @bsd #Y bus_dma_id_mapped */
export function isIdentity(tag: DmaTag, pa: PhysAddr, length: Bytes): boolean {
  const { couldBounce, semantics } = riscvOf(tag);
  if (!couldBounce) return true;
  const every = semantics.testEveryPage;
  for (let done = 0; done < length; done += every ? PAGE - pageOffset(pa + done) : length) {
    if (addrNeedsBounce({ tag }, pa + done)) return false;
  }
  return true;
}

// ---- pieces

/** Bounce or list the piece, and add it to the segments. @returns bytes taken; 0: it does not fit. */
function takePiece(
  parts: RiscvParts,
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
    const frame = parts.mem.frameOf(pa);
    addr = addBouncePage(map, state!.bounce!, va, frame, NO_FRAME, pageOffset(pa), size);
  } else if (state !== null && !state.coherent) {
    const made = state.list.append(va, pa, size, riscvOf(tag).rules.entriesKeepKind);
    if (made < 0) return 0;
    if (made > 0 && va < 0 && parts.mem.frameOf(pa) === NO_FRAME)
      panic(`bus_dma: load of ${size} bytes at ${pa}: the page is not RAM`);
  }
  if (!tag.powersOf2 && tag.boundary !== 0 && !isPowerOf2(tag.boundary))
    panic(`bus_dma: boundary ${tag.boundary} is not a power of 2`);
  let cut = size;
  if (!riscvOf(tag).rules.cutAfterBounce && !withinBoundary(addr, size, tag.boundary)) {
    // A piece that begins on a boundary and is longer than it does not fit anywhere.
    const over = offsetIn(addr, tag.boundary);
    if (over === 0) return 0;
    cut = tag.boundary - over;
  }
  return addRange(segs, addr, cut, tag.maxSegSize, tag.boundary) ? cut : 0;
}

/** Length of the piece of a virtual range at `pa`: the original rounds a bounced one up to the alignment, even past the page. */
function virtualPiece(tag: DmaTag, pa: PhysAddr, left: Bytes, bounced: boolean): Bytes {
  const { rules, semantics } = riscvOf(tag);
  const toEnd = PAGE - pageOffset(pa);
  const whole = bounced && !semantics.chunksStayInPage ? alignUp(toEnd, tag.alignment) : toEnd;
  const size = Math.min(whole, left);
  return rules.cutAfterBounce ? size : Math.min(size, tag.maxSegSize);
}

/** Length of the piece of a physical range that is tested at `pa`. */
function physicalPiece(tag: DmaTag, pa: PhysAddr, left: Bytes): Bytes {
  const { cutAfterBounce } = riscvOf(tag).rules;
  return Math.min(left, cutAfterBounce ? PAGE - pageOffset(pa) : tag.maxSegSize);
}

// ---- counting

/** Bounce pages for a virtual range. @bsd #Y _bus_dmamap_count_pages (riscv) */
function countBuffer(map: DmaMap, pmap: Pmap, va: VirtAddr, len: Bytes): number {
  const { tag } = map;
  const { rules, semantics } = riscvOf(tag);
  let pages = 0;
  for (let done = 0; done < len; ) {
    const pa = pmap.extract(va + done);
    let step = PAGE - pageOffset(va + done);
    if (!rules.cutAfterBounce) step = Math.min(step, tag.maxSegSize);
    if (pa >= 0 && addrNeedsBounce(map, pa)) {
      pages++;
      if (!semantics.chunksStayInPage) step = alignUp(step, tag.alignment);
    }
    done += step;
  }
  return pages;
}

/** Bounce pages for a physical range. @bsd #Y _bus_dmamap_count_phys (riscv) */
function countPhys(map: DmaMap, pa: PhysAddr, len: Bytes): number {
  let pages = 0;
  for (let done = 0; done < len; ) {
    const at = pa + done;
    let size = physicalPiece(map.tag, at, len - done);
    if (addrNeedsBounce(map, at)) {
      size = Math.min(size, PAGE - pageOffset(at));
      pages++;
    }
    done += size;
  }
  return pages;
}

function reserve({ pool }: RiscvParts, map: DmaMap, bounce: BounceState, flags: BusDma): Errno {
  if (bounce.needed === 0) return OK;
  const error = reservePages(pool, map, bounce, flags);
  // What a list load had before it stalled is loaded again from the start.
  if (error === E.EINPROGRESS && map.tag.context.semantics.stalledLoadStartsOver) {
    stateOf(map)!.list.clear();
  }
  return error;
}
