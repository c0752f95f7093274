/**
 * Page routines for file systems without a block map: pages go through `read` and `write` of the vnode.
 *
 * Follows genfs_compat_getpages and genfs_compat_gop_write.
 */
import { BufFlag } from "@physio/blkio";
import { Uio, UioRw } from "@physio/carriers";
import type { Errno, FileOffset, VirtAddr } from "@physio/kern";
import { Errno as E, NO_FRAME, PAGE_SIZE, panic } from "@physio/kern";
import { clearModify } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import type { PageRequest, Pgo } from "@physio/uvm";
import { findPages, findPagesNow, Pgo as P, Pg, Ufp } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { FILE_DELAY } from "@physio/vfs";
import { pageIoDone } from "./block-io.ts";

/**
 * getpages over `read`. The pages stay FAKE: who asked says that they are filled.
 * @returns OK; EBUSY: LOCKED, and the centre page is not there; EINVAL: past the end of the file; the error of `read`.
 * @bsd #Y genfs_compat_getpages
 */
export function* compatGetpages(vp: Vnode, request: PageRequest): Sleeps<Errno> {
  const { pages: uvm, pager, syncer } = vp.mount.context;
  const { offset, count, center, flags, write, pages } = request;
  const index = offset / PAGE_SIZE;
  if (write && !vp.onWorklist) syncer.add(vp, FILE_DELAY);
  if ((flags & P.LOCKED) !== 0) {
    const skip = Ufp.NOWAIT | Ufp.NOALLOC | (write ? Ufp.NORDONLY : 0);
    findPagesNow(uvm, vp.object, index, pages, 0, count, skip);
    return pages[center] === NO_FRAME ? E.EBUSY : E.OK;
  }
  if (offset + center * PAGE_SIZE >= vp.size) return E.EINVAL;
  if ((flags & P.SYNCIO) === 0) return E.OK;
  yield* findPages(uvm, vp.object, index, pages, 0, count, Ufp.ALL);
  const kva = yield* pager.mapIn(pages, count);
  const error = yield* readPages(vp, request, kva);
  pager.mapOut(kva, count);
  for (let i = 0; i < count; i++) {
    const frame = pages[i];
    if (error !== E.OK && (uvm.flags(frame) & Pg.FAKE) !== 0) uvm.setFlags(frame, Pg.RELEASED);
    else {
      clearModify(uvm.mem, frame);
      uvm.activate(frame);
    }
  }
  if (error !== E.OK) {
    uvm.unbusyAll(pages, 0, count);
    pages.fill(NO_FRAME, 0, count);
  }
  return error;
}

/** Fill the pages that hold nothing yet; what the file does not reach is zero. */
function* readPages(vp: Vnode, request: PageRequest, kva: VirtAddr): Sleeps<Errno> {
  const { pages: uvm } = vp.mount.context;
  for (let i = 0; i < request.count; i++) {
    const frame = request.pages[i];
    if ((uvm.flags(frame) & Pg.FAKE) === 0) continue;
    const at = i * PAGE_SIZE;
    const uio = kernelUio(vp, UioRw.READ, kva + at, PAGE_SIZE, request.offset + at);
    const error = yield* vp.ops.read(vp, uio, 0);
    if (error !== E.OK) return error;
    if (uio.resid > 0) uvm.pmaps.zeroArea(frame, PAGE_SIZE - uio.resid, uio.resid);
  }
  return E.OK;
}

/**
 * `write` of GenfsOps over the vnode's `write`.
 * @returns OK; its error.   @bsd #Y genfs_compat_gop_write
 */
export function* compatGopWrite(
  vp: Vnode,
  pages: Int32Array,
  count: number,
  _flags: Pgo,
): Sleeps<Errno> {
  const { pages: uvm, pager, bufs } = vp.mount.context;
  const offset = uvm.indexOf(pages[0]) * PAGE_SIZE;
  const size = count * PAGE_SIZE;
  const kva = yield* pager.mapIn(pages, count, uvm.inDaemon);
  const error = yield* vp.ops.write(vp, kernelUio(vp, UioRw.WRITE, kva, size, offset), 0);
  vp.numOutput++;
  const buf = bufs.get();
  buf.flags |= BufFlag.AGE;
  buf.lblkno = Math.floor(offset / 2 ** vp.mount.fsBshift);
  buf.data = kva;
  buf.bcount = size;
  buf.bufsize = size;
  buf.error = error;
  buf.private = vp;
  pageIoDone(buf);
  return error;
}

function kernelUio(vp: Vnode, rw: UioRw, base: VirtAddr, length: number, offset: FileOffset): Uio {
  if (vp.type === "character special") panic(`inode ${vp.ino} has no pages`);
  return new Uio(rw, vp.mount.context.kmem.space, [{ base, length }], offset);
}
