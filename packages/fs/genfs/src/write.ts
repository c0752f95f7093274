/**
 * Writing files through the page cache.
 *
 * Pages that are resident and have their blocks are written to without sleeping. For others the node's lock is
 * taken, pages are got (read only where they are not overwritten), blocks are allocated for holes and
 * beyond the end, and then the bytes are copied and the file grows. The uio's memory is wired first, so no
 * copy stops half-way with a page held. A writer that goes straight on has each window written back behind it.
 *
 * Follows ffs_write, ufs_balloc_range and ubc_uiomove in what they do.
 */
import type { Uio } from "@physio/carriers";
import type { Bytes, Errno, FileOffset } from "@physio/kern";
import {
  alignDown,
  alignUp,
  Errno as E,
  KiB,
  NO_FRAME,
  PAGE_SIZE,
  pageOffset,
  panic,
  roundPage,
  truncPage,
} from "@physio/kern";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import { PageRequest, Pg, Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { BlockMap, FILE_DELAY, IoFlag, MountFlag } from "@physio/vfs";
import { blockShift } from "./block-io.ts";
import { directio } from "./directio.ts";
import { getpages } from "./getpages.ts";
import type { GenfsNode } from "./node.ts";
import { GopUpdate, vtog } from "./node.ts";
import { WOULD_BLOCK } from "./read.ts";
import { fillGap } from "./truncate.ts";
import { moveBusy, unwirePart, WiredPart, wirePart, writeResident } from "./ubc.ts";

/** Bytes that one request covers, and that are written back together: a multiple of the page size. */
const WINDOW = 64 * KiB;
/** Largest block that a file system may have. */
const MAX_BLOCK = 64 * KiB;
/** What only `genfsWrite` does. */
const SLEEPS = IoFlag.APPEND | IoFlag.SYNC | IoFlag.DSYNC | IoFlag.DIRECT;

/**
 * Write at `uio.offset` (APPEND: at the end) until the uio is empty; the file grows.
 * => the caller keeps other writers, and whoever changes the size, away: it has the vnode's lock alone.
 * @returns OK; EINVAL: a negative offset; EROFS; EFAULT: the uio's memory; ENOSPC, EIO, ENOMEM: what was
 *   written before stays, and `uio.resid` says how much is missing.
 */
export function* genfsWrite(vp: Vnode, uio: Uio, flags: IoFlag): Sleeps<Errno> {
  if ((vp.mount.flags & MountFlag.RDONLY) !== 0) return E.EROFS;
  if ((flags & IoFlag.APPEND) !== 0) uio.offset = vp.size as number;
  if (!(uio.offset >= 0)) return E.EINVAL;
  if (uio.resid === 0) return E.OK;
  const start = uio.offset as number;
  yield* vp.mount.trans.start("shared");
  let error = start > vp.size ? yield* fillGap(vp, uio.offset) : E.OK;
  if (error === E.OK && (flags & IoFlag.DIRECT) !== 0) yield* directio(vp, uio, flags);
  const writer = new Writer(vp, uio, flags);
  while (error === E.OK && uio.resid > 0) error = yield* writeWindow(writer);
  vtog(vp).ops.markUpdate(vp, GopUpdate.MODIFIED);
  if (error === E.OK && (flags & (IoFlag.SYNC | IoFlag.DSYNC)) !== 0) {
    const how = Pgo.CLEANIT | Pgo.SYNCIO | (flags & IoFlag.JOURNALLOCKED ? Pgo.JOURNALLOCKED : 0);
    error = yield* vp.ops.putpages(vp, truncPage(start), roundPage(uio.offset), how);
  }
  vp.mount.trans.done();
  return error;
}

/**
 * Write as `genfsWrite` does, without sleeping. => as `genfsWrite`, and the lock is `vnLock`'s, with its transaction.
 * @returns OK: all is written; EINVAL; EROFS; WOULD_BLOCK: what could be is written, the rest takes `genfsWrite`: it
 *   is not resident or has no blocks, or it fills a window, which is to be written back then.
 */
export function genfsWriteNow(vp: Vnode, uio: Uio, flags: IoFlag): Errno {
  if ((vp.mount.flags & MountFlag.RDONLY) !== 0) return E.EROFS;
  if (!(uio.offset >= 0)) return E.EINVAL;
  if (uio.resid === 0) return E.OK;
  const { offset, resid } = uio;
  const inWindow = offset + resid < alignDown(offset, WINDOW) + WINDOW;
  if (!inWindow || offset + resid > vp.size || (flags & SLEEPS) !== 0) return WOULD_BLOCK;
  const node = vtog(vp);
  const error = writeHeld(vp, node, uio, offset + resid);
  if (uio.resid < resid) node.ops.markUpdate(vp, GopUpdate.MODIFIED);
  return error === E.OK && uio.resid === 0 ? E.OK : WOULD_BLOCK;
}

class Writer {
  readonly vp: Vnode;
  readonly node: GenfsNode;
  readonly uio: Uio;
  readonly flags: IoFlag;
  readonly request: PageRequest;
  readonly part: WiredPart;

  constructor(vp: Vnode, uio: Uio, flags: IoFlag) {
    this.vp = vp;
    this.node = vtog(vp);
    this.uio = uio;
    this.flags = flags;
    this.request = new PageRequest((WINDOW + 2 * MAX_BLOCK) / PAGE_SIZE);
    this.part = new WiredPart();
  }
}

/** Write to the end of the window that the uio stands in, as far as one of its ranges goes. */
function* writeWindow(writer: Writer): Sleeps<Errno> {
  const { vp, uio, part } = writer;
  const windowEnd = alignDown(uio.offset, WINDOW) + WINDOW;
  let error = yield* wirePart(uio, windowEnd - uio.offset, part);
  if (error !== E.OK) return error;
  const end = uio.offset + part.length;
  while (error === E.OK && uio.offset < end) {
    error = writeHeld(vp, writer.node, uio, end);
    if (error === E.OK && uio.offset < end) error = yield* writeSegment(writer, end);
  }
  unwirePart(uio, part);
  if (error === E.OK && uio.offset === windowEnd) {
    // The window is full: it goes to the disk while the writer goes on.
    yield* vp.ops.putpages(vp, windowEnd - WINDOW, windowEnd, Pgo.CLEANIT | journalFlag(writer));
  }
  return error;
}

/** Write to resident pages that need nothing. @returns OK: up to `end` or the first that is not so. */
function writeHeld(vp: Vnode, node: GenfsNode, uio: Uio, end: FileOffset): Errno {
  const most = Math.min(end, vp.size) - uio.offset;
  if (most <= 0) return E.OK;
  node.dirtyGeneration++;
  if (!vp.onWorklist) vp.mount.context.syncer.add(vp, FILE_DELAY);
  return writeResident(vp, uio, most);
}

/** Write pages that have to be brought in, or blocks that have to be allocated: one page in part, or whole pages. */
function* writeSegment(writer: Writer, end: FileOffset): Sleeps<Errno> {
  const { vp, node, uio } = writer;
  const journal = (writer.flags & IoFlag.JOURNALLOCKED) === 0 ? vp.mount.journal : null;
  let error: Errno = journal === null ? E.OK : yield* journal.begin();
  if (error !== E.OK) return error;
  yield* node.lock.enter(RW_WRITER);
  error = yield* writeLocked(writer, segmentEnd(vp, uio.offset, end));
  node.lock.exit();
  journal?.end();
  return error;
}

/** Where the part that one request covers ends: the page that begins in the middle, or all whole pages, or the rest. */
function segmentEnd(vp: Vnode, offset: FileOffset, end: FileOffset): FileOffset {
  if (pageOffset(offset) !== 0) return Math.min(end, roundPage(offset));
  if (end >= vp.size) return end; // a part of the last page is all that there will be of it
  return end - offset >= PAGE_SIZE ? truncPage(end) : end;
}

/** => the node is locked, and what the uio stands on is wired. */
function* writeLocked(writer: Writer, end: FileOffset): Sleeps<Errno> {
  const { vp, node, uio, request } = writer;
  const { offset } = uio;
  const before = vp.writeSize;
  if (end > before) vp.writeSize = end as number;
  const blockSize = 2 ** blockShift(vp);
  let error: Errno;
  const holes = yield* hasHoles(vp, offset, end, blockSize);
  error = holes.error;
  if (error === E.OK) {
    planRequest(vp, request, offset, end, holes.found ? blockSize : 1);
    error = yield* getpages(vp, request);
  }
  if (error === E.OK && holes.found) {
    error = yield* node.ops.alloc(vp, offset, end - offset);
    if (error === E.OK) allocated(vp, request, offset, end, blockSize);
    else releaseAll(vp, request);
  }
  if (error === E.OK) {
    noteGap(vp, request, offset, blockSize);
    error = copyIn(writer, end);
  }
  vp.writeSize = Math.max(vp.size, error === E.OK ? vp.writeSize : before);
  return error;
}

interface Holes {
  readonly error: Errno;
  readonly found: boolean;
}

/** Whether blocks are missing in [`offset`, `end`). */
function* hasHoles(
  vp: Vnode,
  offset: FileOffset,
  end: FileOffset,
  blockSize: Bytes,
): Sleeps<Holes> {
  const map = new BlockMap();
  const last = alignUp(end, blockSize) / blockSize;
  for (let lbn = Math.floor(offset / blockSize); lbn < last; lbn += 1 + map.run) {
    const error = yield* vp.ops.bmap(vp, lbn, map);
    if (error !== E.OK) return { error, found: false };
    if (map.blkno < 0) return { error, found: true };
  }
  return { error: E.OK, found: false };
}

/** Ask for the pages of [`offset`, `end`), in whole units of `unit`; without reading them if all bytes of the file in them are overwritten. */
function planRequest(
  vp: Vnode,
  request: PageRequest,
  offset: FileOffset,
  end: FileOffset,
  unit: Bytes,
): void {
  const from = truncPage(alignDown(offset, unit));
  const to = roundPage(alignUp(end, unit));
  const whole = from === offset && (to === end || (end >= vp.size && to === roundPage(end)));
  request.offset = from;
  request.count = (to - from) / PAGE_SIZE;
  request.center = 0;
  request.write = true;
  request.flags = Pgo.SYNCIO | Pgo.PASTEOF | Pgo.NOBLOCKALLOC | Pgo.NOTIMESTAMP | Pgo.GLOCKHELD;
  if (whole) request.flags |= Pgo.OVERWRITE;
  // The request may reach over the end of the file's last block: then it gets what there is.
  vp.writeSize = Math.max(vp.writeSize, end as number);
  request.pages.fill(NO_FRAME);
}

/** Blocks were allocated under the busy pages: those that lie in them wholly may be written to, and all must be written. */
function allocated(
  vp: Vnode,
  request: PageRequest,
  offset: FileOffset,
  end: FileOffset,
  blockSize: Bytes,
): void {
  const { pages } = vp.mount.context;
  const from = alignDown(offset, blockSize);
  const to = alignUp(end, blockSize);
  for (let i = 0; i < request.count; i++) {
    const frame = request.pages[i];
    if (frame < 0) continue;
    const at = request.offset + i * PAGE_SIZE;
    if (at >= from && at + PAGE_SIZE <= to) pages.clearFlags(frame, Pg.RDONLY);
    pages.markDirty(frame);
  }
}

/**
 * The write begins beyond the file's last block, in the middle of a page: what lies between has no blocks, and so the
 * page cannot be written to without asking for them.
 */
function noteGap(vp: Vnode, request: PageRequest, offset: FileOffset, blockSize: Bytes): void {
  const from = alignDown(offset, blockSize);
  const gapFrom = Math.max(alignUp(vp.size, blockSize), truncPage(offset));
  const frame = request.pages[(truncPage(offset) - request.offset) / PAGE_SIZE];
  if (gapFrom < from && frame >= 0) vp.mount.context.pages.setFlags(frame, Pg.RDONLY);
}

/** Copy the bytes, let the file grow over them, and let the pages go. */
function copyIn({ vp, uio, request }: Writer, end: FileOffset): Errno {
  const { pages } = vp.mount.context;
  zeroBehind(vp, request, end);
  const error = moveBusy(request.pages, request.offset, uio, end - uio.offset);
  if (error === E.EFAULT) panic(`write: inode ${vp.ino}: wired memory cannot be read`);
  if (uio.offset > vp.size) vp.size = uio.offset as number;
  for (let i = 0; i < request.count; i++) {
    const frame = request.pages[i];
    if (frame < 0) continue;
    pages.clearFlags(frame, Pg.FAKE);
    pages.markDirty(frame);
    pages.activate(frame);
    pages.unbusy(frame);
    request.pages[i] = NO_FRAME;
  }
  return error;
}

/** A page that was not read, or that the file did not reach, holds nothing of it behind the end of the write. */
function zeroBehind(vp: Vnode, request: PageRequest, end: FileOffset): void {
  const { pages } = vp.mount.context;
  const within = pageOffset(end);
  if (within === 0) return;
  const start = truncPage(end);
  const frame = request.pages[(start - request.offset) / PAGE_SIZE];
  if (frame < 0) return;
  if (start < vp.size && (pages.flags(frame) & Pg.FAKE) === 0) return;
  pages.pmaps.zeroArea(frame, within, PAGE_SIZE - within);
}

/**
 * No blocks for the busy pages: those beyond the end of the file go; the others show what they showed, and cannot be
 * written to without asking again.
 */
function releaseAll(vp: Vnode, request: PageRequest): void {
  const { pages } = vp.mount.context;
  for (let i = 0; i < request.count; i++) {
    const frame = request.pages[i];
    if (frame < 0) continue;
    request.pages[i] = NO_FRAME;
    const beyond = request.offset + i * PAGE_SIZE >= vp.size;
    if (beyond || (pages.flags(frame) & Pg.FAKE) !== 0) {
      pages.protect(frame, Prot.NONE);
      pages.setFlags(frame, Pg.RELEASED);
    } else {
      pages.protect(frame, Prot.READ | Prot.EXECUTE);
      pages.setFlags(frame, Pg.RDONLY);
      pages.activate(frame);
    }
    pages.unbusy(frame);
  }
}

function journalFlag({ flags }: Writer): Pgo {
  return (flags & IoFlag.JOURNALLOCKED) === 0 ? 0 : Pgo.JOURNALLOCKED;
}
