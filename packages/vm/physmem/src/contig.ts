/**
 * Contiguous allocation under constraints: contigmalloc(9).
 *
 * Up to a section, the range is cut out of one free block; above, out of a run of whole free
 * sections. What is left of the blocks goes back to the free lists. Follows vm_phys_alloc_contig.
 */
import type { Bytes, Frame, PhysAddr } from "@physio/kern";
import {
  alignUp,
  MAXADDR_24BIT,
  MAXADDR_32BIT,
  NO_FRAME,
  PAGE_SIZE,
  withinBoundary,
} from "@physio/kern";
import type { Bank } from "./bank.ts";
import type { FrameAllocator } from "./buddy.ts";
import { MAX_ORDER } from "./buddy.ts";
import { SECTION_FRAMES, SECTION_SHIFT } from "./section.ts";

/** Limits of a contiguous range. `align` and `boundary` are powers of 2; `boundary` 0 is none. */
export interface ContigLimits {
  /** Lowest and highest address that a byte of the range may have. */
  readonly low: PhysAddr;
  readonly high: PhysAddr;
  readonly align: Bytes;
  readonly boundary: Bytes;
}

/** First address of a fitting range inside of [`start`, `end`), or −1. */
function place(start: PhysAddr, end: PhysAddr, size: Bytes, limits: ContigLimits): PhysAddr {
  let at = alignUp(Math.max(start, limits.low), Math.max(limits.align, PAGE_SIZE));
  if (!withinBoundary(at, size, limits.boundary)) {
    at = alignUp(at, Math.max(limits.boundary, limits.align));
    if (!withinBoundary(at, size, limits.boundary)) return -1;
  }
  return at + size <= end && at + size - 1 <= limits.high ? at : -1;
}

const bankOf = (frames: FrameAllocator, frame: Frame): Bank =>
  frames.banks.find((bank) => frame >= bank.firstFrame && frame < bank.endFrame)!;

/** @returns the first of `count` frames in a row that obey `limits`, or NO_FRAME. */
export function allocContig(frames: FrameAllocator, count: number, limits: ContigLimits): Frame {
  if (count > SECTION_FRAMES) return allocHighest(frames, count, limits);
  const least = count === 1 ? 0 : 32 - Math.clz32(count - 1);
  for (let reach = frames.reachOf(limits.high); reach >= 0; reach--) {
    for (let order = least; order <= MAX_ORDER; order++) {
      const at = searchList(frames, reach, order, count, limits);
      if (at !== NO_FRAME) return at;
    }
  }
  return NO_FRAME;
}

function searchList(
  frames: FrameAllocator,
  reach: number,
  order: number,
  count: number,
  limits: ContigLimits,
): Frame {
  const size = count * PAGE_SIZE;
  for (let b = frames.firstBlock(reach, order); b !== NO_FRAME; b = frames.nextBlock(b, order)) {
    const bank = bankOf(frames, b);
    const start = bank.base + (b - bank.firstFrame) * PAGE_SIZE;
    const at = place(start, start + PAGE_SIZE * 2 ** order, size, limits);
    if (at < 0) continue;
    const frame = b + (at - start) / PAGE_SIZE;
    frames.takeBlock(b, order);
    frames.freeRange(b, frame - b);
    frames.freeRange(frame + count, b + (1 << order) - frame - count);
    return frame;
  }
  return NO_FRAME;
}

/** Whole sections, from the highest reach that has such a run. */
function allocHighest(frames: FrameAllocator, count: number, limits: ContigLimits): Frame {
  for (const floor of [MAXADDR_32BIT + 1, MAXADDR_24BIT + 1]) {
    if (floor <= limits.low || floor > limits.high) continue;
    const at = allocSections(frames, count, { ...limits, low: floor });
    if (at !== NO_FRAME) return at;
  }
  return allocSections(frames, count, limits);
}

function allocSections(frames: FrameAllocator, count: number, limits: ContigLimits): Frame {
  const size = count * PAGE_SIZE;
  for (const bank of frames.banks) {
    const last = (bank.endFrame - 1) >> SECTION_SHIFT;
    for (let s = bank.firstFrame >> SECTION_SHIFT; s <= last; s++) {
      if (!frames.isWholeFree(s)) continue;
      let end = s + 1;
      while (end <= last && frames.isWholeFree(end)) end++;
      const start = bank.base + ((s << SECTION_SHIFT) - bank.firstFrame) * PAGE_SIZE;
      const stop = start + (end - s) * SECTION_FRAMES * PAGE_SIZE;
      const at = place(start, stop, size, limits);
      if (at >= 0) return takeRun(frames, bank.firstFrame + (at - bank.base) / PAGE_SIZE, count);
      s = end;
    }
  }
  return NO_FRAME;
}

/** Take [`frame`, `frame + count`) out of the whole free sections that hold it. */
function takeRun(frames: FrameAllocator, frame: Frame, count: number): Frame {
  const first = frame >> SECTION_SHIFT;
  const last = (frame + count - 1) >> SECTION_SHIFT;
  for (let s = first; s <= last; s++) frames.takeBlock(s << SECTION_SHIFT, MAX_ORDER);
  frames.freeRange(first << SECTION_SHIFT, frame - (first << SECTION_SHIFT));
  frames.freeRange(frame + count, ((last + 1) << SECTION_SHIFT) - frame - count);
  return frame;
}
