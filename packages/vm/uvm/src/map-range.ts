/**
 * What a program may ask for a range of its address space: `msync` and `madvise`.
 *
 * Both go through the range entry by entry. Where they sleep they look the next address up again, since
 * the map may have changed; an entry's object is referenced meanwhile. Follows uvm_map_clean and
 * uvm_map_advice of sys/uvm/uvm_map.c, and uvm_mmap.c.
 */
import type { Bits, Bytes, FileOffset, VirtAddr } from "@physio/kern";
import { bitset, Errno, NO_FRAME, PAGE_SIZE, roundPage } from "@physio/kern";
import { clearReference } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import type { MapEntry } from "./map.ts";
import { Advice } from "./map.ts";
import type { PagerOps, UvmObject } from "./object.ts";
import { Pg, Pgo } from "./page.ts";
import type { UvmPages } from "./pages.ts";
import { PageRequest } from "./request.ts";
import type { Vmspace } from "./vmspace.ts";

const PAGE = PAGE_SIZE;
/** Pages that WILLNEED asks for at a time. */
const READ_AHEAD = 16;

/** What `msync` does. Values of sys/mman.h. @bsd #Y MS_ASYNC, MS_INVALIDATE, MS_SYNC */
export const MsFlag = bitset<"MsFlag">()({
  ASYNC: 0x1, //      start to write dirty pages
  INVALIDATE: 0x2, // and free the pages: the next access reads them again
  SYNC: 0x4, //       write dirty pages, return when they are written; this or ASYNC
});
export type MsFlag = Bits<"MsFlag">;

/**
 * Write back what was stored through mappings of objects in a range.
 * @returns OK; EINVAL: no range of pages, SYNC with ASYNC; ENOMEM: a hole; EBUSY: INVALIDATE of wired
 * pages; EIO, ENOSPC, … from a pager, of which the first is kept.   @bsd #Y msync(2), uvm_map_clean
 */
export function* msync(space: Vmspace, va: VirtAddr, length: Bytes, flags: MsFlag): Sleeps<Errno> {
  const { ASYNC, SYNC, INVALIDATE } = MsFlag;
  const known = (flags & (ASYNC | SYNC | INVALIDATE)) === flags;
  const both = (flags & ASYNC) !== 0 && (flags & SYNC) !== 0;
  if (!space.isRange(va, length) || !known || both) return Errno.EINVAL;
  const end = va + roundPage(length);
  if (!space.map.covers(va, end)) return Errno.ENOMEM;
  if ((flags & INVALIDATE) !== 0 && isWired(space, va, end)) return Errno.EBUSY;
  let put: Pgo = Pgo.CLEANIT;
  if ((flags & ASYNC) === 0) put |= Pgo.SYNCIO;
  if ((flags & INVALIDATE) !== 0) put |= Pgo.FREE;
  let result: Errno = Errno.OK;
  for (let at = va; at < end; ) {
    const entry = space.map.lookup(at);
    if (entry === null) return Errno.ENOMEM; // unmapped while we slept
    const to = Math.min(entry.end, end);
    const { object } = entry;
    if (object !== null && object.pager !== null && !object.anonymous) {
      const lo = entry.offset + (at - entry.start);
      const error = yield* putRange(object.pager, lo, lo + (to - at), put);
      if (result === Errno.OK) result = error;
    }
    at = to;
  }
  return result;
}

/**
 * Say how a range will be used; see Advice.
 * @returns OK; EINVAL: no range of pages, no such advice; ENOMEM: a hole. What is read ahead fails
 * unheard.   @bsd #Y madvise(2), uvm_map_advice
 */
export function* madvise(
  space: Vmspace,
  va: VirtAddr,
  length: Bytes,
  advice: Advice,
): Sleeps<Errno> {
  const known = Object.values(Advice).includes(advice);
  if (!space.isRange(va, length) || !known) return Errno.EINVAL;
  const end = va + roundPage(length);
  if (!space.map.covers(va, end)) return Errno.ENOMEM;
  if (advice <= Advice.SEQUENTIAL) {
    for (const entry of space.map.clip(va, end)) entry.advice = advice;
    space.map.join(va, end);
    return Errno.OK;
  }
  for (let at = va; at < end; ) {
    const entry = space.map.lookup(at);
    if (entry === null) return Errno.ENOMEM;
    const to = Math.min(entry.end, end);
    if (advice === Advice.WILLNEED) yield* readAhead(entry, at, to);
    else if (advice === Advice.DONTNEED) deactivate(space.pages, entry, at, to);
    else yield* freeRange(entry, at, to);
    at = to;
  }
  return Errno.OK;
}

function* putRange(pager: PagerOps, lo: FileOffset, hi: FileOffset, flags: Pgo): Sleeps<Errno> {
  pager.reference();
  const error = yield* pager.put(lo, hi, flags);
  pager.detach();
  return error;
}

/** Start to read what is not resident. @bsd #Y uvm_map_willneed */
function* readAhead(entry: MapEntry, from: VirtAddr, to: VirtAddr): Sleeps<void> {
  const { object, offset, start } = entry; // the entry may go while we sleep
  if (object === null || object.pager === null || object.anonymous) return;
  const { pager } = object;
  const request = new PageRequest(READ_AHEAD);
  const end = (offset + (to - start)) / PAGE;
  pager.reference();
  for (let index = (offset + (from - start)) / PAGE; index < end; ) {
    const count = missing(object, index, Math.min(end, index + READ_AHEAD));
    if (count > 0) {
      request.offset = index * PAGE;
      request.count = count;
      request.pages.fill(NO_FRAME);
      if ((yield* pager.get(request)) === Errno.EINVAL) break; // past the end
    }
    index += Math.max(count, 1);
  }
  pager.detach();
}

/** Pages from `index` on, below `end`, that are not resident, up to the first that is. */
function missing(object: UvmObject, index: number, end: number): number {
  let at = index;
  while (at < end && object.lookup(at) === NO_FRAME) at++;
  return at - index;
}

/** The resident pages of a range are the first to be reused. */
function deactivate(pages: UvmPages, entry: MapEntry, from: VirtAddr, to: VirtAddr): void {
  const { object } = entry;
  if (object === null || object.anonymous) return;
  const first = (entry.offset + (from - entry.start)) / PAGE;
  const end = first + (to - from) / PAGE;
  for (let at = object.index.next(first, end); at >= 0; at = object.index.next(at + 1, end)) {
    const frame = object.lookup(at);
    if ((pages.flags(frame) & Pg.BUSY) !== 0) continue;
    clearReference(pages.mem, frame);
    pages.deactivate(frame);
  }
}

/** Anonymous pages of a range go; files' pages stay: others may have them. */
function* freeRange(entry: MapEntry, from: VirtAddr, to: VirtAddr): Sleeps<void> {
  const first = (from - entry.start) / PAGE;
  if (entry.amap !== null) {
    entry.amap.free(entry.slot + first, (to - from) / PAGE);
    return;
  }
  const { object } = entry;
  if (object === null || object.pager === null || !object.anonymous) return;
  const lo = entry.offset + first * PAGE;
  yield* putRange(object.pager, lo, lo + (to - from), Pgo.FREE);
}

/** Whether I/O keeps pages of a range. */
function isWired(space: Vmspace, va: VirtAddr, end: VirtAddr): boolean {
  if (space.pmap.holds.pages === 0) return false;
  for (let at = va; at < end; at += PAGE) {
    const frame = space.pmap.frameAt(at);
    if (frame !== NO_FRAME && space.pages.wireCount(frame) > 0) return true;
  }
  return false;
}
