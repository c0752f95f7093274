/**
 * The fast path of loads that need no bounce page: kernel or user pages straight into segments.
 *
 * Does what a page at a time through `addRange` does, for tags that never cut a chunk of a page
 * (`tag.flat`): frames in a row are counted as integers, and an address is made once a segment
 * (64 KiB in one piece: 100 ns against 720 page by page). The slow path is the oracle of its test.
 *
 * For backends.
 */
import type { Bytes, Errno, VirtAddr } from "@physio/kern";
import { Errno as E, NO_FRAME, PAGE_SIZE, pageOf, pageOffset, panic } from "@physio/kern";
import type { Pmap } from "@physio/pmap";
import { LEAF_PAGES } from "@physio/pmap";
import type { SegList } from "./seg-list.ts";
import type { DmaTag } from "./tag.ts";

const LEAF_MASK = LEAF_PAGES - 1;

/**
 * Append the pages of [`va`, `va + len`) to `segs`.
 * => `tag.flat`; `segs` is empty; nothing of the range must bounce; all of it is mapped (else panic).
 * @returns OK; EFBIG: `segs` is full, and holds what fitted.
 */
export function loadDirect(
  tag: DmaTag,
  pmap: Pmap,
  va: VirtAddr,
  len: Bytes,
  segs: SegList,
): Errno {
  const { mem } = pmap;
  const { maxSegSize, boundaryMask } = tag;
  let page = pageOf(va);
  let index = page & LEAF_MASK;
  let frames = pmap.leaf(page);
  let offset = pageOffset(va);
  let left = len;
  let previous = NO_FRAME - 1;
  let runFrame = NO_FRAME;
  let runOffset = 0;
  let runLength = 0;
  while (left > 0) {
    const frame = frames === null ? NO_FRAME : frames[index];
    if (frame < 0)
      panic(`bus_dma: load of ${len} bytes at ${va}: page ${page} + ${index} is not mapped`);
    const size = Math.min(left, PAGE_SIZE - offset);
    const grown = runLength + size;
    if (frame === previous + 1 && grown <= maxSegSize && (frame & boundaryMask) !== 0) {
      runLength = grown;
    } else {
      if (runLength > 0 && !segs.push(mem.addrOf(runFrame) + runOffset, runLength)) return E.EFBIG;
      runFrame = frame;
      runOffset = offset;
      runLength = size;
    }
    previous = frame;
    offset = 0;
    left -= size;
    index++;
    if (index === LEAF_PAGES) {
      page += LEAF_PAGES - (page & LEAF_MASK);
      index = 0;
      frames = pmap.leaf(page);
    }
  }
  return segs.push(mem.addrOf(runFrame) + runOffset, runLength) ? E.OK : E.EFBIG;
}
