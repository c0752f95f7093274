/**
 * What a frame must be to be freed: allocated, not wired, not mapped.
 *
 * Everything is looked at before anything changes, so a free that panics leaves the allocator as it
 * was. Follows vm_page_free_prep of sys/vm/vm_page.c.
 *
 * Who may call: alloc.ts.
 */
import type { Frame } from "@physio/kern";
import { isWhole, panic } from "@physio/kern";
import type { FrameAllocator } from "./buddy.ts";
import { frameState, NOT_FREE, ROW_MASK, SECTION_SHIFT } from "./section.ts";

// This module's own names: the compiler folds them.
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const USED = NOT_FREE;
/** In the `pv` column. */
const UNMAPPED = -1;

/** Panic unless `frame` may be freed. => any number.   @bsd #P[a frame is no object] vm_page_free_prep */
export function checkFreeable(frames: FrameAllocator, frame: Frame): void {
  // The shifts would truncate a fraction and take NaN for 0.
  if (frame >>> 0 !== frame) refuse(frames, frame);
  const section = frames.sections[frame >> SHIFT];
  const row = frame & ROW;
  const allocated = section?.order[row] === USED;
  if (!(allocated && section.wireCount[row] === 0 && section.pv[row] === UNMAPPED))
    refuse(frames, frame);
}

/** The same for every frame of a range, a section at a time; it lies in one bank. */
export function checkRangeFreeable(frames: FrameAllocator, frame: Frame, count: number): void {
  if (!(isWhole(count) && count > 0)) panic(`physmem: free of ${count} frames at ${frame}`);
  let at = frame;
  while (!(at >= frame + count)) {
    checkFreeable(frames, at); // NaN ends here
    const { order, wireCount, pv } = frames.section(at);
    const from = at & ROW;
    const to = Math.min(from + frame + count - at, ROW + 1);
    for (let row = from; row < to; row++)
      if (order[row] !== USED || wireCount[row] !== 0 || pv[row] !== UNMAPPED)
        checkFreeable(frames, at + row - from);
    at += to - from;
  }
}

/** What there is at `frame`, for messages. => any number. */
export function stateOf(frames: FrameAllocator, frame: Frame): string {
  if (!(frame >= 0 && frame < frames.sectionEnd[frame >> SHIFT])) return "no RAM";
  return frameState(frames.sections[frame >> SHIFT]?.order[frame & ROW] ?? 0);
}

function refuse(frames: FrameAllocator, frame: Frame): never {
  if (frames.isAllocated(frame)) {
    const { wireCount, pv } = frames.section(frame);
    if (wireCount[frame & ROW] !== 0) panic(`physmem: free of frame ${frame}, which is wired`);
    panic(`physmem: free of frame ${frame}, which is mapped: pv ${pv[frame & ROW]}`);
  }
  panic(`physmem: free of frame ${frame}, which is not allocated: ${stateOf(frames, frame)}`);
}
