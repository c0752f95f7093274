/**
 * The sizes of a vnode, and zeroing a part of it in the page cache.
 *
 * `size` is where the file ends for readers, `writeSize` where it will end when a write under way is
 * over: pages between the two may be filled already. Follows uvm_vnp_setsize, uvm_vnp_setwritesize and
 * uvm_vnp_zerorange of uvm_vnode.c.
 *
 * Invariant: size <= writeSize.
 */
import type { Bytes, Errno, FileOffset } from "@physio/kern";
import {
  Errno as E,
  isWhole,
  KiB,
  NO_FRAME,
  OFF_MAX,
  PAGE_SIZE,
  panic,
  roundPage,
  truncPage,
} from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { PageRequest, Pg, Pgo } from "@physio/uvm";
import type { Vnode } from "./vnode.ts";

/** Pages that zeroRange gets at a time. */
const WINDOW = (64 * KiB) / PAGE_SIZE;

/**
 * The file ends at `size` from now on. When it shrinks, the pages that lie wholly beyond are freed
 * first, written or not; what the last page holds beyond the end is the caller's (`zeroRange`).
 * => the vnode is locked alone, and nobody can get pages of it: the file system's own lock (g_glock of
 * genfs) is held for writing, or there are none.
 * @returns OK; what putpages says: then the sizes are as before.   @bsd #Y uvm_vnp_setsize
 */
export function* setSize(vp: Vnode, size: Bytes): Sleeps<Errno> {
  checkSize(vp, size);
  const end = roundPage(size);
  if (vp.writeSize > end && vp.object.pageCount > 0) {
    const error = yield* vp.ops.putpages(vp, end, 0, Pgo.FREE | Pgo.SYNCIO);
    if (error !== E.OK) return error;
  }
  vp.size = size;
  vp.writeSize = size;
  return E.OK;
}

/** The file will end at `size` when the write under way is over; 0 pages go. => `size` >= vp.size. @bsd #Y uvm_vnp_setwritesize */
export function setWriteSize(vp: Vnode, size: Bytes): void {
  checkSize(vp, size);
  if (size < vp.size) panic(`inode ${vp.ino}: write size ${size} below its size ${vp.size}`);
  vp.writeSize = size;
}

/**
 * Zero [`offset`, `offset + length`) of the file in the page cache; its pages become dirty.
 * => the range has blocks, or lies over holes, which stay zero; the vnode is locked alone.
 * @returns OK; EINVAL: past the end of the file's pages; EIO, ENOMEM: a page could not be read; what lies before it is zero.
 * @bsd #Y uvm_vnp_zerorange
 */
export function* zeroRange(vp: Vnode, offset: FileOffset, length: Bytes): Sleeps<Errno> {
  const end = offset + length;
  if (!(isWhole(offset) && isWhole(length) && end <= OFF_MAX)) return E.EINVAL;
  const request = new PageRequest(WINDOW);
  for (let at = offset; at < end; ) {
    request.offset = truncPage(at);
    const most = Math.min(end, request.offset + WINDOW * PAGE_SIZE);
    request.count = (roundPage(most) - request.offset) / PAGE_SIZE;
    request.center = 0;
    request.write = true;
    request.flags = Pgo.SYNCIO | Pgo.NOBLOCKALLOC | Pgo.NOTIMESTAMP;
    request.pages.fill(NO_FRAME);
    const error = yield* vp.ops.getpages(vp, request);
    if (error !== E.OK) return error;
    const got = zeroPages(vp, request, at, most);
    if (got === at) return E.EINVAL; // the request was cut at the end of the file
    at = got;
  }
  return E.OK;
}

/** Zero [`from`, `to`) in the busy pages of `request` and give them back. @returns where the pages ended. */
function zeroPages(vp: Vnode, request: PageRequest, from: FileOffset, to: FileOffset): FileOffset {
  const { pages } = vp.mount.context;
  let at = from;
  for (let i = 0; i < request.count; i++) {
    const frame = request.pages[i];
    if (frame < 0) break;
    const start = request.offset + i * PAGE_SIZE;
    const end = Math.min(start + PAGE_SIZE, to);
    pages.pmaps.zeroArea(frame, at - start, end - at);
    pages.clearFlags(frame, Pg.FAKE);
    pages.markDirty(frame);
    pages.activate(frame);
    pages.unbusy(frame);
    at = end;
  }
  return at;
}

function checkSize(vp: Vnode, size: Bytes): void {
  if (!(isWhole(size) && size <= OFF_MAX)) panic(`inode ${vp.ino}: size ${size}`);
  if (vp.size > vp.writeSize) {
    panic(`inode ${vp.ino}: size ${vp.size} beyond its write size ${vp.writeSize}`);
  }
}
