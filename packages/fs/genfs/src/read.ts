/**
 * Reading files through the page cache.
 *
 * Resident pages are copied without sleeping; others are brought in window by window by getpages. A
 * reader that goes straight on gets the next window started ahead. Follows ffs_read, ubc_uiomove and
 * uvm_readahead in what they do.
 */
import type { Uio } from "@physio/carriers";
import type { Errno, FileOffset } from "@physio/kern";
import { alignDown, Errno as E, KiB, NO_FRAME, PAGE_SIZE, truncPage } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { PageRequest, Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { IoFlag, MountFlag } from "@physio/vfs";
import { directio } from "./directio.ts";
import { getpages } from "./getpages.ts";
import { GopUpdate, vtog } from "./node.ts";
import { moveBusy, readResident, unwirePart, WiredPart, wirePart } from "./ubc.ts";

/** Bytes that one request covers: a multiple of the page size. */
const WINDOW = 64 * KiB;

// This module's own names: the compiler folds them.
const OK: Errno = E.OK;
const { ACCESSED } = GopUpdate;
/** Mounts on which reading a file leaves its times alone. */
const TIMELESS = MountFlag.NOATIME | MountFlag.RDONLY;
/** What only `genfsRead` does. */
const SLEEPS = IoFlag.DIRECT | IoFlag.NOREUSE;

/** What `genfsReadNow` and `genfsWriteNow` answer when they would have to sleep; no errno. */
export const WOULD_BLOCK = -1;

/**
 * Read as `genfsRead` does, without sleeping.
 * @returns OK: all that there is was read; EINVAL: a negative offset; WOULD_BLOCK: what is resident was read, the rest takes `genfsRead`.
 */
export function genfsReadNow(vp: Vnode, uio: Uio, flags: IoFlag): Errno {
  const { offset, resid } = uio;
  if (!(offset >= 0)) return E.EINVAL;
  if ((flags & SLEEPS) !== 0) return WOULD_BLOCK;
  const most = Math.min(resid, vp.size - offset);
  if (most <= 0) return OK;
  if (readResident(vp, uio, most) !== OK || uio.resid > resid - most) return WOULD_BLOCK;
  const node = vtog(vp);
  if ((vp.mount.flags & TIMELESS) === 0) node.ops.markUpdate(vp, ACCESSED);
  node.nextRead = uio.offset;
  return OK;
}

/**
 * Read at `uio.offset` until the uio is full or the file ends. With NOREUSE pages are given up
 * behind the reader, so that a pass over a huge file keeps nothing; with DIRECT what can be is read past the cache.
 * @returns OK; EINVAL: a negative offset; EIO; ENOMEM; EFAULT: the uio's memory is not mapped.
 */
export function* genfsRead(vp: Vnode, uio: Uio, flags: IoFlag): Sleeps<Errno> {
  if (!(uio.offset >= 0)) return E.EINVAL;
  if (uio.resid === 0 || uio.offset >= vp.size) return E.OK;
  if ((vp.mount.flags & TIMELESS) === 0) vtog(vp).ops.markUpdate(vp, ACCESSED);
  if ((flags & IoFlag.DIRECT) !== 0) yield* directio(vp, uio, flags);
  const reader = new Reader(vp, uio, (flags & IoFlag.NOREUSE) !== 0);
  let error: Errno = E.OK;
  while (error === E.OK && uio.resid > 0 && uio.offset < vp.size) error = yield* window(reader);
  return error;
}

class Reader {
  readonly vp: Vnode;
  readonly uio: Uio;
  readonly noReuse: boolean;
  readonly request: PageRequest;
  readonly part: WiredPart;

  constructor(vp: Vnode, uio: Uio, noReuse: boolean) {
    this.vp = vp;
    this.uio = uio;
    this.noReuse = noReuse;
    this.request = new PageRequest(WINDOW / PAGE_SIZE);
    this.part = new WiredPart();
  }
}

/** Read to the end of the window that the uio stands in, or as far as that goes. */
function* window(reader: Reader): Sleeps<Errno> {
  const { vp, uio } = reader;
  const { offset } = uio;
  const node = vtog(vp);
  const end = Math.min(alignDown(offset, WINDOW) + WINDOW, vp.size, offset + uio.resid);
  const sequential = offset === node.nextRead;
  let error: Errno = reader.noReuse ? E.OK : readResident(vp, uio, end - offset);
  if (error === E.OK && uio.offset < end) error = yield* readMissing(reader, end);
  if (error === E.EFAULT) error = yield* readWired(reader, end);
  node.nextRead = uio.offset;
  if (error === E.OK && sequential && uio.offset === end) yield* readAhead(vp, end);
  return error;
}

/** Bring the pages from the uio's offset to `end` in and copy what can be copied. */
function* readMissing(reader: Reader, end: FileOffset): Sleeps<Errno> {
  const { vp, uio, request } = reader;
  request.offset = truncPage(uio.offset);
  request.count = Math.ceil((end - request.offset) / PAGE_SIZE);
  request.flags = Pgo.SYNCIO | Pgo.NOBLOCKALLOC | Pgo.NOTIMESTAMP;
  let error = yield* getpages(vp, request);
  if (error === E.EINVAL && uio.offset >= vp.size) return E.OK; // truncated meanwhile: the end
  if (error !== E.OK) return error;
  error = moveBusy(request.pages, request.offset, uio, Math.min(end, vp.size) - uio.offset);
  giveBack(reader);
  return error;
}

/** The uio's memory is not there: have it wired, a page of it at a time, and copy then. */
function* readWired(reader: Reader, end: FileOffset): Sleeps<Errno> {
  const { vp, uio, part } = reader;
  const most = Math.min(end - uio.offset, PAGE_SIZE);
  let error = yield* wirePart(uio, most, part);
  if (error !== E.OK) return error;
  const wired = Math.min(uio.offset + part.length, vp.size);
  error = readResident(vp, uio, wired - uio.offset);
  if (error === E.OK && uio.offset < wired) error = yield* readMissing(reader, wired);
  unwirePart(uio, part);
  return error;
}

/** Let the pages of the request go. */
function giveBack({ vp, request, noReuse }: Reader): void {
  const { pages } = vp.mount.context;
  for (let i = 0; i < request.count; i++) {
    const frame = request.pages[i];
    if (frame < 0) continue;
    if (noReuse) pages.release(frame);
    else {
      pages.activate(frame);
      pages.unbusy(frame);
    }
    request.pages[i] = NO_FRAME;
  }
}

/** Start reading the window at `offset`, if the file goes on there and it is not resident. */
function* readAhead(vp: Vnode, offset: FileOffset): Sleeps<void> {
  if (offset >= vp.size || offset % WINDOW !== 0) return;
  if (vp.object.lookup(offset / PAGE_SIZE) !== NO_FRAME) return;
  const request = new PageRequest(WINDOW / PAGE_SIZE);
  request.offset = offset;
  request.count = Math.min(WINDOW / PAGE_SIZE, Math.ceil((vp.size - offset) / PAGE_SIZE));
  request.flags = Pgo.NOBLOCKALLOC | Pgo.NOTIMESTAMP;
  yield* getpages(vp, request);
}
