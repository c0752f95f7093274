/**
 * When data must bounce: for its address, its alignment, or a cache line that it shares.
 *
 * A line that holds both a device's bytes and others cannot be maintained for both, so where the tag
 * has a line (walk-state.ts), what does not fill its lines goes through a bounce page. Follows
 * might_bounce and must_bounce of FreeBSD's arm64 busdma_bounce.c; riscv has the address alone. For
 * the walk and the backends that use it.
 */
import type { DmaMap, DmaTag } from "@physio/busdma";
import type { Bytes, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { isAligned, isPowerOf2, PAGE_SIZE, pageOffset, panic } from "@physio/kern";
import { addrNeedsBounce, frameNeedsBounce } from "./bounce.ts";
import type { WalkTag } from "./walk-state.ts";
import { walkTagOf } from "./walk-state.ts";

const PAGE = PAGE_SIZE;

/** Whether no cache line holds both a range's bytes and others; `line` 0: nobody asks. @bsd #Y cacheline_bounce */
export function fillsLines(line: Bytes, at: PhysAddr | VirtAddr | Bytes, length: Bytes): boolean {
  return line === 0 || (isAligned(at, line) && isAligned(length, line));
}

/** Whether a piece in a frame must. @bsd #Y must_bounce */
export function frameMustBounce(
  tag: DmaTag,
  walk: WalkTag,
  line: Bytes,
  frame: Frame,
  offset: Bytes,
  size: Bytes,
): boolean {
  if (!fillsLines(line, offset, size)) return true;
  if (!walk.couldBounce) return false;
  // `checkAlignment` was passed, so the offset tells.
  if (walk.strictAlignment && isMisaligned(tag, offset)) return true;
  return frameNeedsBounce(tag, frame, offset);
}

/** The same of a piece at an address, which may be no RAM. */
export function addrMustBounce(
  map: Pick<DmaMap, "tag">,
  walk: WalkTag,
  line: Bytes,
  pa: PhysAddr,
  size: Bytes,
): boolean {
  if (!fillsLines(line, pa, size)) return true;
  if (!walk.couldBounce) return false;
  if (walk.strictAlignment && isMisaligned(map.tag, pa)) return true;
  return addrNeedsBounce(map, pa);
}

/** Panics on an alignment that is no power of 2. @bsd #Y alignment_bounce */
function isMisaligned(tag: DmaTag, at: PhysAddr | Bytes): boolean {
  if (!tag.powersOf2 && !isPowerOf2(tag.alignment))
    panic(`bus_dma: alignment ${tag.alignment} is not a power of 2`);
  return !isAligned(at, tag.alignment);
}

export function checkAlignment(tag: DmaTag): void {
  if (tag.alignment > PAGE) panic(`bus_dma: alignment ${tag.alignment} is above a page`);
}

/** Whether the range would be used as it is by an ordinary load. @bsd #Y bus_dma_id_mapped */
export function isIdentity(tag: DmaTag, pa: PhysAddr, length: Bytes): boolean {
  const walk = walkTagOf(tag);
  if (!fillsLines(walk.line, pa, length)) return false;
  if (!walk.couldBounce) return true;
  const every = walk.semantics.testEveryPage;
  for (let done = 0; done < length; done += every ? PAGE - pageOffset(pa + done) : length) {
    if (addrMustBounce({ tag }, walk, 0, pa + done, 0)) return false;
  }
  return true;
}
