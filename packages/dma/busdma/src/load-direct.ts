/**
 * The fast path of loads that need no bounce page: pages straight into segments.
 *
 * Does what a page at a time through `addRange` does, for tags that never cut a chunk of a page
 * (`tag.flat`). Pages are counted as small integers, an address is made once a segment from physmem's
 * column (a call that is not inlined boxes it: 145 ns for 16 pages, not 80), and the constants are this
 * module's own, which the compiler folds: 64 KiB in one piece take 52 ns, page by page they took 720. The slow path is the oracle of its test.
 *
 * Ranges are for backends, chains for maps whose backend has no part in their loads (`md` null).
 */
import type { Mbuf } from "@physio/carriers";
import { mbufLength } from "@physio/carriers";
import type { Bytes, Errno, VirtAddr } from "@physio/kern";
import { Errno as E, PAGE_SIZE, pageOffset, panic } from "@physio/kern";
import { ROW_MASK, SECTION_SHIFT } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import { LEAF_PAGES, leafIndex, leafOf } from "@physio/pmap";
import type { SegList } from "./seg-list.ts";
import type { DmaTag } from "./tag.ts";

const PAGE = PAGE_SIZE;
const LEAF = LEAF_PAGES;
const PAGE_SHIFT = 12;
const PAGE_MASK = PAGE_SIZE - 1;
const LEAF_BYTES = LEAF_PAGES * PAGE_SIZE;
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
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
  const { sectionAddr } = tag;
  const { addr, len: lengths } = segs;
  let offset = pageOffset(va);
  let leaf = leafOf(va);
  let index = leafIndex(va);
  let frames = pmap.leaf(leaf);
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
      frames = pmap.leaf(++leaf);
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

/** A chain that does not fit may also be longer than the tag allows, which is said first. */
function tooBig(tag: DmaTag, chain: Mbuf): Errno {
  return tag.checkLength && !(mbufLength(chain) <= tag.maxSize) ? E.EINVAL : EFBIG;
}

/** What `loadChainDirect` says of a chain with an unmapped mbuf. No errno. */
export const NOT_DIRECT = -1;
/** MbufFlag.EXTPG, without the mbuf code. */
const UNMAPPED = 0x100;

/**
 * Append the data of an mbuf chain to `segs`, page by page.
 * => `tag.flat`; `segs` is empty; no load of the map ever needs anything of the backend.
 * @returns OK; EFBIG: `segs` is full; EINVAL: no bytes, or more than the tag's maxSize (when the tag looks);
 *   NOT_DIRECT: the chain has an unmapped mbuf. What was appended is of no use then.
 */
// hot: a packet in three mbufs takes 23 ns here, 60 through the sink. The inner loop calls nothing, has a
// piece of a page a turn and the first leaf is looked up before it: any of these else, and it takes 26
export function loadChainDirect(tag: DmaTag, chain: Mbuf, segs: SegList): Errno {
  const { kernelPmap: pmap, sectionAddr } = tag;
  const { addr, len: lengths } = segs;
  let last = -1; // the segment in hand, and where it ends
  let section = -1; // of RAM in hand, and where it begins: most packets lie in one
  let start = 0;
  let end = -1;
  let sum = 0;
  let m: Mbuf | null = chain;
  let skip = 0; // bytes of `m` that have their segment already
  // The page table's leaf in hand, and the address where it begins; without a leaf no address is in it.
  let leaf = leafOf(chain.data);
  let frames = pmap.leaf(leaf);
  let base = frames === null ? Number.POSITIVE_INFINITY : leaf * LEAF_BYTES;
  for (;;) {
    while (m !== null) {
      const left: Bytes = m.len - skip;
      if (!(left > 0)) {
        if (left !== 0 && tag.checkLength) return E.EINVAL; // negative or NaN: no length
        m = m.next;
        continue;
      }
      if ((m.flags & UNMAPPED) !== 0) return NOT_DIRECT;
      const within: number = m.data + skip - base;
      if (!(within >= 0 && within < LEAF_BYTES)) break;
      const inLeaf = within | 0; // as a small integer
      const offset = inLeaf & PAGE_MASK;
      const frame = frames![inLeaf >> PAGE_SHIFT];
      if (frame < 0) unmapped(m.data, m.len);
      if (frame >> SHIFT !== section) {
        section = frame >> SHIFT;
        start = sectionAddr[section];
      }
      const pa = start + (((frame & ROW) << PAGE_SHIFT) | offset); // a section is 4 MiB
      const room = PAGE - offset;
      const run = left < room ? left : room;
      if (
        pa === end &&
        lengths[last] + run <= tag.maxSegSize &&
        (offset !== 0 || (frame & tag.boundaryMask) !== 0)
      ) {
        lengths[last] += run;
      } else {
        if (++last === addr.length) return tooBig(tag, chain);
        addr[last] = pa;
        lengths[last] = run;
      }
      end = pa + run;
      sum += run;
      if (left > room) {
        skip += run;
      } else {
        skip = 0;
        m = m.next;
      }
    }
    if (m === null) break;
    leaf = leafOf(m.data + skip);
    frames = pmap.leaf(leaf);
    if (frames === null) unmapped(m.data, m.len);
    base = leaf * LEAF_BYTES;
  }
  segs.count = last + 1;
  return tag.checkLength && (sum === 0 || sum > tag.maxSize) ? E.EINVAL : OK;
}
