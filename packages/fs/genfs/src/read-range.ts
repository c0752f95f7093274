/**
 * Reading a range of a file into its pages: the I/O half of getpages.
 *
 * The range gets kernel addresses and a master buf. Walking through it, resident pages are skipped,
 * holes are zeroed, and each run of blocks becomes a nested buf (or the master itself when one run
 * covers everything). A synchronous request waits for the master; an asynchronous one leaves the
 * rest to `readDone`. Follows genfs_getpages and uvm_aio_aiodone.
 */

import type { Buf } from "@physio/blkio";
import { BufFlag, BufPriority } from "@physio/blkio";
import type { Bytes, Errno, FileOffset, VirtAddr } from "@physio/kern";
import {
  alignDown,
  Errno as E,
  PAGE_SIZE,
  pageOffset,
  panic,
  roundPage,
  truncPage,
} from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { Ktr, traceEvent } from "@physio/trace";
import { Pg } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { BlockMap } from "@physio/vfs";
import type { Range } from "./range.ts";
import { releasePages, validate } from "./range.ts";

const HOLE = traceEvent(Ktr.UBC, "hole", "ino", "offset", "bytes");
const PIECE = traceEvent(Ktr.UBC, "piece", "ino", "offset", "bytes", "blkno");

/** One walk over a range: the window of kernel addresses, the master buf and what is left. */
class Reader {
  readonly range: Range;
  readonly vp: Vnode;
  readonly kva: VirtAddr;
  readonly master: Buf;
  readonly map: BlockMap;
  offset: FileOffset;
  /** Bytes up to the end of the file's blocks that are not accounted for yet. */
  left: Bytes;
  /** Bytes that need no I/O: resident, holes, or given up after an error. */
  skipped: Bytes;
  error: Errno;

  constructor(range: Range, kva: VirtAddr) {
    const total = range.pages.length * PAGE_SIZE;
    const master = range.vp.mount.context.bufs.get();
    this.range = range;
    this.vp = range.vp;
    this.kva = kva;
    this.master = master;
    this.map = new BlockMap();
    this.offset = range.start;
    this.left = Math.min(total, Math.max(range.eof - range.start, 0));
    this.skipped = 0;
    this.error = E.OK;
    master.data = kva;
    master.bufsize = total;
    master.bcount = this.left;
    master.resid = this.left;
    master.flags |= range.async ? BufFlag.READ | BufFlag.ASYNC : BufFlag.READ;
    master.priority = range.async ? BufPriority.TIMELIMITED : BufPriority.TIMECRITICAL;
  }

  page(offset: FileOffset): number {
    return (truncPage(offset) - this.range.start) / PAGE_SIZE;
  }

  isFake(index: number): boolean {
    return (this.vp.mount.context.pages.flags(this.range.pages[index]) & Pg.FAKE) !== 0;
  }

  zero(offset: FileOffset, bytes: Bytes): void {
    const { mem } = this.vp.mount.context.pages;
    for (let done = 0; done < bytes; ) {
      const at = offset + done;
      const run = Math.min(bytes - done, PAGE_SIZE - pageOffset(at));
      mem.zero(mem.addrOf(this.range.pages[this.page(at)]) + pageOffset(at), run);
      done += run;
    }
  }

  advance(bytes: Bytes): void {
    this.offset += bytes;
    this.left -= bytes;
  }
}

/** Fill the fake pages of `range`. => its pages are busy. @returns OK, or EIO; EBUSY: asynchronous and no kernel addresses. */
export function* readRange(range: Range): Sleeps<Errno> {
  const { context } = range.vp.mount;
  const { pager, pages, bufs } = context;
  const count = range.pages.length;
  let kva = pager.tryMapIn(range.pages, count);
  if (kva < 0) {
    if (range.async) {
      releasePages(pages, range.pages, count);
      return E.EBUSY;
    }
    kva = yield* pager.mapIn(range.pages, count);
  }
  const reader = new Reader(range, kva);
  if (range.async) reader.master.iodone = (buf) => readDone(range, buf);
  zeroTail(reader);
  if (reader.left === 0) {
    endMaster(range, reader.master); // all of it lies past the blocks of the file
    if (range.async) finishAsync(range, E.OK);
    return E.OK;
  }
  yield* startPieces(reader);
  bufs.nestDone(reader.master, reader.skipped, reader.error);
  if (range.async) return E.OK;
  const error = yield* bufs.biowait(reader.master);
  endMaster(range, reader.master);
  return error;
}

/** Zero what lies past the end of the file's blocks, on pages that hold nothing yet. */
function zeroTail(reader: Reader): void {
  const end = reader.range.start + reader.range.pages.length * PAGE_SIZE;
  for (let at = reader.offset + reader.left; at < end; ) {
    const run = PAGE_SIZE - pageOffset(at);
    if (reader.isFake(reader.page(at))) reader.zero(at, run);
    at += run;
  }
}

/** Walk over the range and start I/O for every run of blocks that has to be read. */
function* startPieces(reader: Reader): Sleeps<void> {
  const { vp, map } = reader;
  while (reader.left > 0) {
    skipResident(reader);
    if (reader.left === 0) return;
    const { fsBshift } = vp.mount;
    const lbn = Math.floor(reader.offset / 2 ** fsBshift);
    reader.error = yield* vp.ops.bmap(vp, lbn, map);
    if (reader.error !== E.OK) {
      reader.skipped += reader.left;
      return;
    }
    const bytes = pieceLength(reader, (lbn + 1 + map.run) * 2 ** fsBshift - reader.offset);
    if (map.blkno < 0) fillHole(reader, bytes);
    else startPiece(reader, bytes, lbn);
    reader.advance(bytes);
  }
}

/** Pass over pages that are resident. */
function skipResident(reader: Reader): void {
  while (reader.left > 0 && !reader.isFake(reader.page(reader.offset))) {
    const bytes = Math.min(PAGE_SIZE - pageOffset(reader.offset), reader.left);
    reader.skipped += bytes;
    reader.advance(bytes);
  }
}

/** Cut a run of `mapped` bytes at the end of the range and before a page with valid data. */
function pieceLength(reader: Reader, mapped: Bytes): Bytes {
  const bytes = Math.min(mapped, reader.left);
  if (reader.offset + bytes <= roundPage(reader.offset)) return bytes;
  const first = reader.page(reader.offset);
  let end = first + 1;
  while (end < reader.range.pages.length && reader.isFake(end)) end++;
  return Math.min(bytes, (end - first) * PAGE_SIZE - pageOffset(reader.offset));
}

/** A hole reads as zeros; a later write to its pages has to allocate, so they are read-only. */
function fillHole(reader: Reader, bytes: Bytes): void {
  const { pages, bufs } = reader.vp.mount.context;
  bufs.trace.record(HOLE, reader.vp.ino, reader.offset, bytes);
  reader.zero(reader.offset, bytes);
  reader.skipped += bytes;
  const last = reader.page(reader.offset + bytes - 1);
  for (let i = reader.page(reader.offset); i <= last; i++) {
    pages.setFlags(reader.range.pages[i], Pg.RDONLY);
  }
}

/** Start the I/O for `bytes` at the reader's offset: in the master if that is all, else in a piece of it. */
function startPiece(reader: Reader, bytes: Bytes, lbn: number): void {
  const { range, vp, master, offset, map } = reader;
  const { bufs } = vp.mount.context;
  const whole = offset === range.start && bytes === reader.left;
  const buf = whole ? master : bufs.get();
  if (!whole) bufs.nest(master, buf, offset - range.start, bytes);
  const { fsBshift, devBshift } = vp.mount;
  buf.lblkno = 0;
  buf.blkno = map.blkno + (offset - lbn * 2 ** fsBshift) / 2 ** devBshift;
  bufs.trace.record(PIECE, vp.ino, offset, bytes, buf.blkno);
  vp.disk.strategy(buf);
}

/** Completion of an asynchronous read, from the driver's side. @bsd #P[reads] uvm_aio_aiodone */
function readDone(range: Range, master: Buf): void {
  const { error } = master;
  endMaster(range, master);
  finishAsync(range, error);
}

function endMaster(range: Range, master: Buf): void {
  const { bufs, pager } = range.vp.mount.context;
  const kva = master.data;
  if (alignDown(kva, PAGE_SIZE) !== kva) panic(`getpages: master buf at ${kva}`);
  bufs.put(master);
  pager.mapOut(kva, range.pages.length);
}

function finishAsync(range: Range, error: Errno): void {
  const { pages } = range.vp.mount.context;
  if (error !== E.OK) {
    releasePages(pages, range.pages, range.pages.length);
    return;
  }
  for (const frame of range.pages) {
    validate(pages, frame);
    pages.enqueue(frame);
    pages.unbusy(frame);
  }
}
