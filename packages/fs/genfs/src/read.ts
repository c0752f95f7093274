/**
 * Reading files through the page cache.
 *
 * Goes over the file in windows: resident pages are taken without sleeping, others through
 * getpages; their bytes are copied to the uio while the pages are busy. A reader that goes straight
 * on gets the next window started ahead. Follows ubc_uiomove and uvm_readahead in what they do.
 */

import type { Uio } from "@physio/carriers";
import { uiomove } from "@physio/carriers";
import type { Bytes, Errno, FileOffset } from "@physio/kern";
import {
  alignDown,
  Errno as E,
  KiB,
  NO_FRAME,
  PAGE_SIZE,
  pageOffset,
  truncPage,
} from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { PageRequest } from "@physio/vfs";
import { getpages, getpagesNow } from "./getpages.ts";
import { vtog } from "./node.ts";

/** Bytes that one request covers: a multiple of the page size. */
const WINDOW = 64 * KiB;

/**
 * Read at `uio.offset` until the uio is full or the file ends. With `noReuse` pages are given up
 * behind the reader, so that a pass over a huge file keeps nothing.
 * @returns OK; EIO; ENOMEM; EFAULT: the uio's memory is not mapped.
 */
export function* genfsRead(vp: Vnode, uio: Uio, noReuse: boolean): Sleeps<Errno> {
  const request = new PageRequest(WINDOW / PAGE_SIZE);
  const node = vtog(vp);
  while (uio.resid > 0 && uio.offset < vp.size) {
    const { offset } = uio;
    const windowEnd = Math.min(alignDown(offset, WINDOW) + WINDOW, vp.size, offset + uio.resid);
    request.offset = truncPage(offset);
    request.count = Math.ceil((windowEnd - request.offset) / PAGE_SIZE);
    request.flags = Pgo.SYNCIO | Pgo.NOBLOCKALLOC;
    let error = getpagesNow(vp, request);
    if (error === E.EBUSY) {
      // The first page is missing, but its neighbours may have been handed over busy.
      releaseFound(vp, request);
      error = yield* getpages(vp, request);
    }
    if (error !== E.OK) return error;
    const sequential = offset === node.nextRead;
    error = copyOut(vp, request, uio, Math.min(windowEnd, vp.size) - offset);
    giveBack(vp, request, noReuse);
    if (error !== E.OK) return error;
    node.nextRead = uio.offset;
    if (sequential && uio.offset === windowEnd) yield* readAhead(vp, windowEnd);
  }
  return E.OK;
}

/** Copy from the busy pages of `request` up to `most` bytes, or to the first page that is missing. */
function copyOut(vp: Vnode, request: PageRequest, uio: Uio, most: Bytes): Errno {
  const { mem } = vp.mount.context.pages;
  let left = most;
  while (left > 0) {
    const frame = request.pages[(truncPage(uio.offset) - request.offset) / PAGE_SIZE];
    if (frame === NO_FRAME) return E.OK;
    const at = pageOffset(uio.offset);
    const run = Math.min(left, PAGE_SIZE - at);
    const error = uiomove(mem.bytes(frame), mem.byteOffset(frame) + at, run, uio);
    if (error !== E.OK) return error;
    left -= run;
  }
  return E.OK;
}

function releaseFound(vp: Vnode, request: PageRequest): void {
  const { pages } = vp.mount.context;
  for (let i = 0; i < request.count; i++) {
    if (request.pages[i] >= 0) pages.unbusy(request.pages[i]);
    request.pages[i] = NO_FRAME;
  }
}

function giveBack(vp: Vnode, request: PageRequest, noReuse: boolean): void {
  const { pages } = vp.mount.context;
  for (let i = 0; i < request.count; i++) {
    const frame = request.pages[i];
    if (frame < 0) continue;
    if (noReuse) pages.release(frame);
    else {
      pages.activate(frame);
      pages.unbusy(frame);
    }
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
