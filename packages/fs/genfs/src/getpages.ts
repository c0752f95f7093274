/**
 * getpages: pages of a file, read from the disk where they are not resident.
 *
 * The phases, in order:
 *
 *   planRequest    check against the end of the file; expand to whole blocks
 *   getpagesNow    LOCKED: hand over what is resident, without sleeping
 *   findRange      make the pages of the request busy; then those of the whole blocks
 *   readRange      zero the tail, map holes, start one I/O a run of blocks (read-range.ts)
 *   finish         pages valid and clean, those not asked for unbusy; or freed after an error
 *
 * The read side of genfs_getpages in NetBSD's genfs_io.c; allocation for write faults comes with
 * write-back. State read before a `yield*` is read again after it where C drops the object lock.
 */
import type { Errno, FileOffset } from "@physio/kern";
import { Errno as E, NO_FRAME, PAGE_SIZE, pageOffset, panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_READER } from "@physio/sched";
import { Ktr, traceEvent } from "@physio/trace";
import type { UvmPages } from "@physio/uvm";
import { Pg, Pgo, Ufp } from "@physio/uvm";
import type { PageRequest, Vnode } from "@physio/vfs";
import { vtog } from "./node.ts";
import { Range, releasePages, validate } from "./range.ts";
import { readRange } from "./read-range.ts";

const GETPAGES = traceEvent(Ktr.UBC, "getpages", "ino", "offset", "count", "flags");
const RESIDENT = traceEvent(Ktr.UBC, "returning cached pages", "ino", "offset", "count");

/** Check a request against the file. @returns OK; EINVAL: its centre lies at or past the end. */
function checkRequest(vp: Vnode, request: PageRequest, memEof: FileOffset): Errno {
  const { offset, count, center } = request;
  const sane =
    offset >= 0 && pageOffset(offset) === 0 && count > 0 && count <= request.pages.length;
  if (!sane || !(center >= 0 && center < count)) {
    panic(`getpages: inode ${vp.ino}, offset ${offset}, ${count} pages, centre ${center}`);
  }
  return offset + center * PAGE_SIZE >= memEof ? E.EINVAL : E.OK;
}

/**
 * Get pages without sleeping: those that are resident and not busy.
 * @returns OK: the centre page is there, and what else could be had; EBUSY: call `getpages`;
 *   EINVAL: past the end of the file.   @bsd #Y genfs_getpages PGO_LOCKED
 */
export function getpagesNow(vp: Vnode, request: PageRequest): Errno {
  const node = vtog(vp);
  const { pages } = vp.mount.context;
  const { offset, count } = request;
  const error = checkRequest(vp, request, node.ops.size(vp, vp.size));
  if (error !== E.OK) return error;
  const flags = Ufp.NOWAIT | Ufp.NOALLOC | (request.write ? Ufp.NORDONLY : 0);
  const found = pages.findPagesNow(vp.object, offset / PAGE_SIZE, request.pages, 0, count, flags);
  if (found === 0) return E.EBUSY;
  if (!node.lock.tryEnter(RW_READER)) {
    releasePages(pages, request.pages, count);
    for (let i = 0; i < count; i++) if (request.pages[i] >= 0) request.pages[i] = NO_FRAME;
    return E.EBUSY;
  }
  node.lock.exit();
  return request.pages[request.center] === NO_FRAME ? E.EBUSY : E.OK;
}

/**
 * Get pages, asleep while they are read.
 * @returns OK: with SYNCIO the pages of the request are in `request.pages`, busy for the caller;
 *   without it they have been started and are nobody's. EINVAL: past the end of the file; EIO: the
 *   disk, or a block map that points outside of it; EBUSY (asynchronous): it would have to wait.
 * @bsd #P[no write faults, allocation, OVERWRITE, PASTEOF, time stamps] genfs_getpages
 */
export function* getpages(vp: Vnode, request: PageRequest): Sleeps<Errno> {
  if ((request.flags & Pgo.LOCKED) !== 0) return getpagesNow(vp, request);
  if (request.write) panic("getpages: write access needs write-back, which is not here yet");
  const node = vtog(vp);
  const { pages, bufs } = vp.mount.context;
  bufs.trace.record(GETPAGES, vp.ino, request.offset, request.count, request.flags);
  for (;;) {
    const eof = node.ops.size(vp, vp.size);
    const error = checkRequest(vp, request, eof);
    if (error !== E.OK) return error;
    const range = new Range(vp, request, eof);
    yield* node.lock.enter(RW_READER);
    if (vp.size < range.plannedSize) {
      node.lock.exit(); // truncated while we waited for the lock: start over
      continue;
    }
    const found = yield* findRange(range, pages);
    if (found === "busy") {
      node.lock.exit();
      return E.EBUSY;
    }
    if (found === "resident") {
      node.lock.exit();
      bufs.trace.record(RESIDENT, vp.ino, request.offset, range.count);
      finish(range, pages);
      return E.OK;
    }
    const result = yield* readRange(range);
    node.lock.exit();
    if (range.async) return result;
    if (result !== E.OK) releasePages(pages, range.pages, range.pages.length);
    else finish(range, pages);
    return result;
  }
}

/** Make the pages of the request busy; if one must be read, those of its whole blocks too. */
function* findRange(range: Range, pages: UvmPages): Sleeps<"resident" | "read" | "busy"> {
  const { object } = range.vp;
  const flags = range.async ? Ufp.NOWAIT : Ufp.ALL;
  const index = range.request.offset / PAGE_SIZE;
  const found = yield* pages.findPages(object, index, range.pages, range.first, range.count, flags);
  if (found !== range.count) {
    releasePages(pages, range.pages, range.pages.length);
    return "busy";
  }
  let fake = false;
  for (let i = range.first; i < range.first + range.count && !fake; i++) {
    fake = (pages.flags(range.pages[i]) & Pg.FAKE) !== 0;
  }
  if (!fake) return "resident";
  if (!range.expanded) return "read";
  // Pages at lower offsets than ours may be held by somebody who waits for ours: let go of all and
  // take the whole range in order.
  releasePages(pages, range.pages, range.pages.length);
  range.pages.fill(NO_FRAME);
  const all = yield* pages.findPages(
    object,
    range.start / PAGE_SIZE,
    range.pages,
    0,
    range.pages.length,
    flags,
  );
  if (all === range.pages.length) return "read";
  releasePages(pages, range.pages, range.pages.length);
  return "busy";
}

/** Pages are valid; those that were not asked for, or all of an asynchronous request, are given up. */
function finish(range: Range, pages: UvmPages): void {
  const { first, count, request } = range;
  for (let i = 0; i < range.pages.length; i++) {
    const frame = range.pages[i];
    if (frame < 0) continue;
    validate(pages, frame);
    if (!range.async && i >= first && i < first + count) continue;
    pages.enqueue(frame);
    pages.unbusy(frame);
  }
  request.pages.fill(NO_FRAME, 0, request.count);
  if (range.async) return;
  for (let i = 0; i < count; i++) request.pages[i] = range.pages[first + i];
}
