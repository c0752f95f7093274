/**
 * getpages: pages of a file, busy for the caller, read from the disk where they are not resident.
 *
 * The phases, in order:
 *
 *   measure, plan  check against the end of the file; put whole blocks round the request
 *   getpagesNow    LOCKED: hand over what is resident, without sleeping
 *   enter          transaction and node lock; start over when the file's size has changed meanwhile
 *   claim          make the pages of the request busy; then, if some must be read, those of the whole blocks
 *   readRange      zero the tail, zero holes, start one I/O a run of blocks (read-range.ts)
 *   fillHoles      write faults: allocate blocks, and the pages are dirty
 *   finish         pages valid and clean, those not asked for unbusy; or freed after an error
 *
 * Follows genfs_getpages in NetBSD's genfs_io.c; where its revision errs, decisions.ts says how. State
 * read before a `yield*` is read again after it where C drops the object lock.
 */
import type { Errno } from "@physio/kern";
import { Errno as E, NO_FRAME, PAGE_SIZE, panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_READER, RW_WRITER } from "@physio/sched";
import { Ktr, traceEvent } from "@physio/trace";
import type { PageRequest } from "@physio/uvm";
import { DONTCARE, findPageNow, findPages, findPagesNow, Pg, Pgo, Ufp } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { FILE_DELAY, MountFlag } from "@physio/vfs";
import type { GenfsNode } from "./node.ts";
import { GopUpdate, vtog } from "./node.ts";
import { checkResident, Range, releasePages, validate } from "./range.ts";
import { readRange } from "./read-range.ts";

const GETPAGES = traceEvent(Ktr.UBC, "getpages", "ino", "offset", "count", "flags");
const RESIDENT = traceEvent(Ktr.UBC, "returning cached pages", "ino", "offset", "count");
const ALLOC = traceEvent(Ktr.UBC, "gop_alloc", "ino", "offset", "bytes", "error");

// This module's own names: the compiler folds them.
const OK: Errno = E.OK;
const { EBUSY } = E;
const { NOTIMESTAMP } = Pgo;
const { ACCESSED } = GopUpdate;
const HAVE: Ufp = Ufp.NOWAIT | Ufp.NOALLOC;

/** What `attempt` says when the file's size changed before it had the lock; no errno. */
const START_OVER = -1;

/**
 * Get pages without sleeping: those that are resident and not busy.
 * @returns OK: the centre page is there, and what else could be had; EBUSY: call `getpages`, though
 *   neighbours may have been handed over; EINVAL: past the end of the file.
 * @bsd #Y genfs_getpages PGO_LOCKED
 */
export function getpagesNow(vp: Vnode, request: PageRequest): Errno {
  const node = vtog(vp);
  const error = checkResident(vp, node, request);
  if (error !== OK) return error;
  noteAccess(vp, node, request);
  // What only writers do stands apart, so that the rest is inlined where it is called: 27 ns, not 33.
  if (request.write) return writableNow(vp, node, request);
  return handOver(vp, node, request, HAVE);
}

function writableNow(vp: Vnode, node: GenfsNode, request: PageRequest): Errno {
  const { dirtyBeforeSuccess } = node.decisions;
  const { pages, count } = request;
  if (dirtyBeforeSuccess) noteWrite(vp, node);
  const error = handOver(vp, node, request, HAVE | Ufp.NORDONLY);
  if (dirtyBeforeSuccess || !hasPages(pages, count)) return error;
  noteWrite(vp, node);
  for (let i = 0; i < count; i++) if (pages[i] >= 0) vp.mount.context.pages.tagDirty(pages[i]);
  return error;
}

function hasPages(pages: Int32Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (pages[i] >= 0) return true;
  return false;
}

/** Make what is resident of a request busy, unless somebody truncates. @returns OK; EBUSY: as getpagesNow. */
function handOver(vp: Vnode, node: GenfsNode, request: PageRequest, flags: Ufp): Errno {
  const { pages } = request;
  const some = request.count === 1 ? takeOne(vp, request, flags) : takeMany(vp, request, flags);
  if (!some) return EBUSY;
  if (!node.lock.readable) return letGo(vp, node, request);
  return pages[request.center] === NO_FRAME ? EBUSY : OK;
}

function takeMany({ mount, object }: Vnode, request: PageRequest, flags: Ufp): boolean {
  const { offset, count, pages } = request;
  const first = offset / PAGE_SIZE;
  return findPagesNow(mount.context.pages, object, first, pages, 0, count, flags) > 0;
}

/** One page: in the loop over pages it took 8 ns more. */
function takeOne(vp: Vnode, { offset, pages }: PageRequest, flags: Ufp): boolean {
  if (pages[0] === DONTCARE) return false;
  const frame = findPageNow(vp.mount.context.pages, vp.object, offset / PAGE_SIZE, flags);
  pages[0] = frame;
  return frame !== NO_FRAME;
}

/** Somebody truncates, or waits to. */
function letGo(vp: Vnode, node: GenfsNode, { pages, count }: PageRequest): Errno {
  releasePages(vp.mount.context.pages, pages, 0, count);
  for (let i = 0; i < count; i++) {
    if (pages[i] >= 0 || node.decisions.wipesDontCare) pages[i] = NO_FRAME;
  }
  return EBUSY;
}

/**
 * Get pages, asleep while they are read.
 * @returns OK: with SYNCIO the pages of the request are in `request.pages`, busy for the caller;
 *   without it they have been started and are nobody's. EINVAL: past the end of the file; EIO: the
 *   disk, or a block map that points outside of it; ENOSPC: no blocks for a hole; EROFS: the journal;
 *   ENOMEM; EBUSY (asynchronous): it would have to wait.
 * @bsd #Y genfs_getpages, VOP_GETPAGES
 */
export function* getpages(vp: Vnode, request: PageRequest): Sleeps<Errno> {
  const { trace } = vp.mount.context.bufs;
  trace.record(GETPAGES, vp.ino, request.offset, request.count, request.flags);
  if ((request.flags & Pgo.LOCKED) !== 0) return getpagesNow(vp, request);
  const range = new Range(vp, request);
  let error: Errno;
  do error = yield* attempt(range);
  while (error === START_OVER);
  range.forget();
  if (range.inJournal) vp.mount.journal!.end();
  if (range.inTrans) vp.mount.trans.done();
  return error;
}

/** One try. @returns as getpages, or START_OVER. */
function* attempt(range: Range): Sleeps<Errno> {
  const { vp, node, request } = range;
  const { pages, bufs } = vp.mount.context;
  let error = range.measure();
  if (error !== E.OK) return error;
  noteAccess(vp, node, request);
  if (request.write && node.decisions.dirtyBeforeSuccess) noteWrite(vp, node);
  error = range.plan();
  if (error === E.OK) error = yield* enter(range);
  if (error !== E.OK) return error;
  if (range.isOutdated) {
    leave(range); // its size has changed while we waited: start over
    range.forget();
    return START_OVER;
  }
  const found = yield* claim(range);
  if (found !== "read") {
    leave(range);
    if (found === "busy") return E.EBUSY;
    bufs.trace.record(RESIDENT, vp.ino, request.offset, range.count);
    finish(range);
    return E.OK;
  }
  error = yield* readRange(range);
  if (error === E.OK && !range.async && range.sawHole && range.allocates) {
    error = yield* fillHoles(range);
  }
  leave(range);
  if (range.async) {
    if (error === E.OK && request.write) noteSuccess(range);
    return error;
  }
  if (error !== E.OK) releasePages(pages, range.pages, 0, range.length);
  else finish(range);
  return error;
}

/** Whoever asks looks at the file, or changes it: its times. */
function noteAccess(vp: Vnode, node: GenfsNode, request: PageRequest): void {
  if ((request.flags & NOTIMESTAMP) !== 0) return;
  // The usual case first and by itself: it is inlined.
  if (vp.mount.flags === 0 && !request.write) node.ops.markUpdate(vp, ACCESSED);
  else noteTimes(vp, node, request.write);
}

function noteTimes(vp: Vnode, node: GenfsNode, write: boolean): void {
  const { flags } = vp.mount;
  if (vp.type === "block special" && (flags & MountFlag.NODEVMTIME) !== 0) return;
  const read = (flags & MountFlag.NOATIME) === 0 ? GopUpdate.ACCESSED : 0;
  const update = write ? read | GopUpdate.MODIFIED : read;
  if (update !== 0) node.ops.markUpdate(vp, update);
}

/** The vnode becomes dirty: pages are handed out to be written to. */
function noteWrite(vp: Vnode, node: GenfsNode): void {
  node.dirtyGeneration++;
  if (!vp.onWorklist) vp.mount.context.syncer.add(vp, FILE_DELAY);
  if (vp.writeMapped) vp.writeMapDirty = true;
}

/** A request to write has succeeded: where it is not noted before, now. */
function noteSuccess(range: Range): void {
  if (!range.node.decisions.dirtyBeforeSuccess) noteWrite(range.vp, range.node);
}

/** Begin the transaction, if it is not begun, and lock the node against truncation. @returns OK; EROFS, EIO: the journal. */
function* enter(range: Range): Sleeps<Errno> {
  const { vp, node, request } = range;
  const { trans, journal } = vp.mount;
  if (range.lockHeld) {
    node.lock.assertHeld(RW_WRITER);
    return E.OK;
  }
  if (!range.inTrans) {
    yield* trans.start("shared");
    range.inTrans = true;
    const journaled = journal !== null && range.allocates && !node.decisions.lateJournal;
    if (journaled && (request.flags & Pgo.JOURNALLOCKED) === 0) {
      const error = yield* journal.begin();
      if (error !== E.OK) return error;
      range.inJournal = true;
    }
  }
  yield* node.lock.enter(range.allocates ? RW_WRITER : RW_READER);
  return E.OK;
}

/** Undo what `enter` locked. */
function leave(range: Range): void {
  if (!range.lockHeld) range.node.lock.exit();
}

/** Make the pages of the request busy; if one must be read, those of its whole blocks too. */
function* claim(range: Range): Sleeps<"resident" | "read" | "busy"> {
  const { vp, request, first, count } = range;
  const uvm = vp.mount.context.pages;
  const flags = range.async ? Ufp.NOWAIT : Ufp.ALL;
  const index = request.offset / PAGE_SIZE;
  const found = yield* findPages(uvm, vp.object, index, range.pages, first, count, flags);
  if (found !== count) {
    releasePages(uvm, range.pages, first, count);
    return "busy";
  }
  if (areUsable(range)) {
    if (range.overwrite && !range.node.decisions.overwriteKeepsClean) overwritten(range);
    return "resident";
  }
  if (range.overwrite) {
    overwritten(range);
    return "resident";
  }
  if (!range.expanded) return "read";
  // Pages at lower offsets than ours may be held by somebody who waits for ours: let go of all and
  // take the whole range in order.
  releasePages(uvm, range.pages, first, count);
  range.pages.fill(NO_FRAME);
  const { start, length } = range;
  const all = yield* findPages(uvm, vp.object, start / PAGE_SIZE, range.pages, 0, length, flags);
  if (all === length) return "read";
  releasePages(uvm, range.pages, 0, length);
  return "busy";
}

/** Whether the pages of the request can be handed over as they are. */
function areUsable({ vp, pages, first, count, allocates }: Range): boolean {
  const uvm = vp.mount.context.pages;
  const needed = allocates ? Pg.FAKE | Pg.RDONLY : Pg.FAKE;
  for (let i = first; i < first + count; i++) {
    if ((uvm.flags(pages[i]) & needed) !== 0) return false;
  }
  return true;
}

/** The caller writes to all of the requested pages: they need not be read. */
function overwritten({ vp, pages, first, count }: Range): void {
  const uvm = vp.mount.context.pages;
  for (let i = first; i < first + count; i++) {
    uvm.clearFlags(pages[i], Pg.RDONLY);
    uvm.markDirty(pages[i]);
  }
}

/** Allocate blocks for the whole range, as part of it is a hole: then nothing stands in the way of a write. */
function* fillHoles(range: Range): Sleeps<Errno> {
  const { vp, node, start, length } = range;
  const { context, journal } = vp.mount;
  const late = journal !== null && node.decisions.lateJournal;
  let error: Errno = late ? yield* journal.begin() : E.OK;
  if (error !== E.OK) return error;
  error = yield* node.ops.alloc(vp, start, length * PAGE_SIZE);
  if (late) journal.end();
  context.bufs.trace.record(ALLOC, vp.ino, start, length * PAGE_SIZE, error);
  if (error !== E.OK) return error;
  for (let i = 0; i < length; i++) {
    context.pages.clearFlags(range.pages[i], Pg.RDONLY);
    context.pages.markDirty(range.pages[i]);
  }
  return E.OK;
}

/** Pages are valid; those that were not asked for, or all of an asynchronous request, are given up. */
function finish(range: Range): void {
  const { vp, request, node, first, count } = range;
  const uvm = vp.mount.context.pages;
  if (request.write) noteSuccess(range);
  for (let i = 0; i < range.length; i++) {
    const frame = range.pages[i];
    if (frame < 0) continue;
    if (!range.overwrite && (uvm.flags(frame) & Pg.FAKE) !== 0) validate(uvm, frame);
    if (range.allocates && (uvm.flags(frame) & Pg.RDONLY) !== 0) {
      panic(`getpages: ${uvm.describe(frame)} is read-only after a write request`);
    }
    if (request.write && !node.decisions.dirtyBeforeSuccess) uvm.tagDirty(frame);
    if (range.async || !range.isRequested(i)) giveUp(range, frame);
  }
  if (range.async) return;
  request.pages.fill(NO_FRAME, 0, request.count);
  for (let i = 0; i < count; i++) request.pages[i] = range.pages[first + i];
}

/** A valid page goes back on its queue; one that an asynchronous caller promised to overwrite, and did not, is zeroed. */
function giveUp({ vp }: Range, frame: number): void {
  const uvm = vp.mount.context.pages;
  if ((uvm.flags(frame) & Pg.FAKE) !== 0) {
    uvm.zero(frame);
    uvm.clearFlags(frame, Pg.FAKE);
  }
  if ((uvm.flags(frame) & Pg.RELEASED) === 0) uvm.enqueue(frame);
  uvm.unbusy(frame);
}
