/**
 * Reading a range of a file into its pages: the I/O half of getpages.
 *
 * The range gets kernel addresses. Walking through it, resident pages are skipped, holes are zeroed, and
 * each run of blocks becomes a piece of I/O. A synchronous request waits for all of it; an asynchronous one leaves the
 * rest to `pageIoDone`. Follows genfs_getpages.
 */
import { BufPriority } from "@physio/blkio";
import type { Bytes, Errno, FileOffset, VirtAddr } from "@physio/kern";
import { Errno as E, PAGE_SIZE, pageOffset, roundPage, truncPage } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { Ktr, traceEvent } from "@physio/trace";
import { Pg } from "@physio/uvm";
import { BlockIo, pageIoDone, transferError } from "./block-io.ts";
import type { Range } from "./range.ts";
import { releasePages } from "./range.ts";

const HOLE = traceEvent(Ktr.UBC, "hole", "ino", "offset", "bytes");

/**
 * Fill the fake pages of `range`. => its pages are busy.
 * @returns OK: they hold the file's bytes, or (asynchronous) will; EIO, ENOMEM: the disk's or the block
 *   map's error; EBUSY: asynchronous and no kernel addresses, the pages are given up.
 */
export function* readRange(range: Range): Sleeps<Errno> {
  const { bufs, pager } = range.vp.mount.context;
  const kva = yield* mapIn(range);
  if (kva < 0) return E.EBUSY;
  const io = begin(range, kva);
  zeroTail(range, io.left);
  if (io.left === 0 && range.async) {
    // All of it lies past the blocks of the file: there is nothing to wait for.
    if (!range.node.decisions.losesPastEof) pageIoDone(io.master);
    return E.OK;
  }
  const { master } = io;
  const nothing = io.left === 0;
  yield* startPieces(range, io);
  io.finish();
  if (range.async) return E.OK;
  if (!nothing) yield* bufs.biowait(master);
  const error = nothing ? E.OK : transferError(master);
  bufs.put(master);
  pager.mapOut(kva, range.length);
  return error;
}

/** @returns −1: asynchronous, and there are none without sleeping. */
function* mapIn(range: Range): Sleeps<VirtAddr> {
  const { pager, pages } = range.vp.mount.context;
  const kva = pager.tryMapIn(range.pages, range.length);
  if (kva >= 0) return kva;
  if (!range.async || range.node.decisions.readAheadSleeps) {
    return yield* pager.mapIn(range.pages, range.length);
  }
  releasePages(pages, range.pages, 0, range.length);
  return -1;
}

function begin(range: Range, kva: VirtAddr): BlockIo {
  const size = range.length * PAGE_SIZE;
  const io = new BlockIo({
    vp: range.vp,
    write: false,
    async: range.async,
    start: range.start,
    kva,
    size,
    bytes: Math.min(size, Math.max(range.diskEof - range.start, 0)),
    done: pageIoDone,
  });
  io.master.priority = range.async ? BufPriority.TIMELIMITED : BufPriority.TIMECRITICAL;
  return io;
}

/** Zero what lies past the end of the file's blocks, on pages that hold nothing yet. */
function zeroTail(range: Range, bytes: Bytes): void {
  for (let at = bytes; at < range.length * PAGE_SIZE; at = truncPage(at) + PAGE_SIZE) {
    if (isFake(range, Math.floor(at / PAGE_SIZE))) {
      zero(range, range.start + at, PAGE_SIZE - pageOffset(at));
    }
  }
}

/** Walk over the range and start I/O for every run of blocks that has to be read. */
function* startPieces(range: Range, io: BlockIo): Sleeps<void> {
  while (io.left > 0) {
    skipResident(range, io);
    if (io.left === 0) return;
    const mapped = yield* io.locate();
    if (mapped < 0) return;
    const bytes = cutAtResident(range, io.offset, mapped);
    if (io.map.blkno >= 0) io.startPiece(bytes);
    else fillHole(range, io, bytes);
  }
}

/** Pass over pages that are resident. */
function skipResident(range: Range, io: BlockIo): void {
  const { pages } = range.vp.mount.context;
  while (io.left > 0) {
    const index = pageAt(range, io.offset);
    if (isFake(range, index)) return;
    if ((pages.flags(range.pages[index]) & Pg.RDONLY) !== 0) range.sawHole = true;
    io.skip(Math.min(PAGE_SIZE, io.left));
  }
}

/** Cut a run of `mapped` bytes before a page with valid data. */
function cutAtResident(range: Range, offset: FileOffset, mapped: Bytes): Bytes {
  if (offset + mapped <= roundPage(offset)) return mapped;
  const first = pageAt(range, offset);
  let end = first + 1;
  while (end < range.length && isFake(range, end)) end++;
  return Math.min(mapped, (end - first) * PAGE_SIZE - pageOffset(offset));
}

/** A hole reads as zeros. Unless blocks are allocated below, a later write to its pages has to: they are read-only. */
function fillHole(range: Range, io: BlockIo, bytes: Bytes): void {
  const { vp, request, node } = range;
  const { pages, bufs } = vp.mount.context;
  const { offset } = io;
  bufs.trace.record(HOLE, vp.ino, offset, bytes);
  range.sawHole = true;
  zero(range, offset, bytes);
  io.skip(bytes);
  const last = pageAt(range, offset + bytes - 1);
  for (let i = pageAt(range, offset); i <= last; i++) {
    const frame = range.pages[i];
    if (request.write && node.decisions.dirtyBeforeAllocation) pages.markDirty(frame);
    if (!range.allocates) pages.setFlags(frame, Pg.RDONLY);
  }
}

function pageAt(range: Range, offset: FileOffset): number {
  return Math.floor((offset - range.start) / PAGE_SIZE);
}

function isFake(range: Range, index: number): boolean {
  return (range.vp.mount.context.pages.flags(range.pages[index]) & Pg.FAKE) !== 0;
}

/** Zero [`offset`, `offset + bytes`) of the file in the range's pages. */
function zero(range: Range, offset: FileOffset, bytes: Bytes): void {
  const { pmaps } = range.vp.mount.context.pages;
  for (let at = offset; at < offset + bytes; ) {
    const run = Math.min(offset + bytes - at, PAGE_SIZE - pageOffset(at));
    pmaps.zeroArea(range.pages[pageAt(range, at)], pageOffset(at), run);
    at += run;
  }
}
