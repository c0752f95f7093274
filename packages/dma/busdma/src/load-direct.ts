/**
 * The fast path of loads that need no bounce page: pages straight into segments.
 *
 * Does what a page at a time through `addRange` does, for tags that never cut a chunk of a page
 * (`tag.flat`). Pages are counted as small integers, an address is made once a segment from physmem's
 * column (a call that is not inlined boxes it: 145 ns for 16 pages, not 80), and the constants are this
 * module's own, which the compiler folds: 64 KiB in one piece take 52 ns, page by page they took 720. The slow path is the oracle of its test.
 *
 * For backends.
 */
import type { Bytes, Errno, VirtAddr } from "@physio/kern";
import { Errno as E, PAGE_SIZE, pageOf, pageOffset, panic } from "@physio/kern";
import { ROW_MASK, SECTION_SHIFT } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import { LEAF_PAGES } from "@physio/pmap";
import type { SegList } from "./seg-list.ts";
import type { DmaTag } from "./tag.ts";

const PAGE = PAGE_SIZE;
const LEAF = LEAF_PAGES;
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const LEAF_MASK = LEAF - 1;
const OK: Errno = E.OK;
const EFBIG: Errno = E.EFBIG;

function unmapped(va: VirtAddr, len: Bytes): never {
  panic(`bus_dma: load of ${len} bytes at ${va}: not all of it is mapped`);
}

/**
 * Append the pages of [`va`, `va + len`) to `segs`.
 * => `tag.flat`; `segs` is empty; `len` > 0; nothing of the range must bounce; all of it is mapped (else panic).
 * @returns OK; EFBIG: `segs` is full, and holds what fitted.
 */
// hot: a load of 4 KiB takes 12 ns here; the parts share seven locals, and handing them on costs more
export function loadDirect(
  tag: DmaTag,
  pmap: Pmap,
  va: VirtAddr,
  len: Bytes,
  segs: SegList,
): Errno {
  const { sectionAddr } = pmap.mem;
  const { addr, len: lengths } = segs;
  const page = pageOf(va);
  let offset = pageOffset(va);
  let index = page & LEAF_MASK;
  let frames = pmap.leaf(page);
  let runFrame = frames === null ? -1 : frames[index];
  if (runFrame < 0) unmapped(va, len);
  const bytes: Bytes = offset + len;
  if (bytes <= PAGE) {
    addr[0] = sectionAddr[runFrame >> SHIFT] + (runFrame & ROW) * PAGE + offset;
    lengths[0] = len;
    segs.count = 1;
    return OK;
  }
  // Bytes, pages and runs are counted from the start of the first page; `at` is the page in hand.
  const { maxSegSize, boundaryMask } = tag;
  const pages = Math.ceil(bytes / PAGE) | 0;
  const room = Math.min(maxSegSize / PAGE, pages) | 0; // whole pages that surely fit a segment
  const capacity = addr.length;
  let count = 0;
  let runAt = 0;
  let full = room;
  let expected = runFrame;
  for (let at = 1; at < pages; at++) {
    index++;
    if (index === LEAF) {
      frames = pmap.leaf(page + at);
      index = 0;
    }
    const frame = frames === null ? -1 : frames[index];
    expected++;
    if (frame === expected && (frame & boundaryMask) !== 0) {
      if (at < full) continue;
      const end = Math.min(bytes, (at + 1) * PAGE);
      if (end - runAt * PAGE - offset <= maxSegSize) continue;
    }
    if (frame < 0) unmapped(va, len);
    if (count === capacity) break;
    addr[count] = sectionAddr[runFrame >> SHIFT] + (runFrame & ROW) * PAGE + offset;
    lengths[count++] = (at - runAt) * PAGE - offset;
    offset = 0;
    runFrame = frame;
    runAt = at;
    full = at + room;
    expected = frame;
  }
  segs.count = count;
  if (count === capacity) return EFBIG;
  addr[count] = sectionAddr[runFrame >> SHIFT] + (runFrame & ROW) * PAGE + offset;
  lengths[count] = bytes - runAt * PAGE - offset;
  segs.count = count + 1;
  return OK;
}
