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
  const { addr, len: lengths } = segs;
  const { maxSegSize, boundaryMask } = tag;
  let page = pageOf(va);
  let index = page & LEAF_MASK;
  let frames = pmap.leaf(page);
  let size = Math.min(len, PAGE_SIZE - pageOffset(va));
  let left: Bytes = len;
  let previous = NO_FRAME - 1;
  let at = -1;
  let runLength: Bytes = 0;
  while (left > 0) {
    const frame = frames === null ? NO_FRAME : frames[index];
    const grown = runLength + size;
    if (frame === previous + 1 && grown <= maxSegSize && (frame & boundaryMask) !== 0) {
      runLength = grown;
    } else {
      if (frame < 0)
        panic(`bus_dma: load of ${len} bytes at ${va}: the last ${left} are not mapped`);
      if (at >= 0) lengths[at] = runLength;
      at++;
      if (at === addr.length) {
        segs.count = at;
        return E.EFBIG;
      }
      addr[at] = mem.addrOf(frame);
      runLength = size;
    }
    previous = frame;
    left -= size;
    size = left < PAGE_SIZE ? left : PAGE_SIZE;
    index++;
    if (index === LEAF_PAGES) {
      page += LEAF_PAGES - (page & LEAF_MASK);
      index = 0;
      frames = pmap.leaf(page);
    }
  }
  lengths[at] = runLength;
  addr[0] += pageOffset(va);
  segs.count = at + 1;
  return E.OK;
}
