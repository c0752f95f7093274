/**
 * Direct I/O: between user memory and the disk, past the page cache.
 *
 * As much of the uio as is possible is moved; where it cannot go on, it just stops, and the caller does
 * the next part through the page cache. User pages are wired and given kernel addresses for the transfer. Cached pages of
 * the range are written back first, and for a write thrown away.
 * Follows genfs_directio, genfs_do_directio and genfs_dio_iodone.
 */
import type { Buf } from "@physio/blkio";
import { BufFlag, DEV_BSIZE } from "@physio/blkio";
import type { Uio } from "@physio/carriers";
import { UioRw } from "@physio/carriers";
import type { Bytes, Errno, FileOffset, VirtAddr } from "@physio/kern";
import {
  alignDown,
  alignUp,
  Errno as E,
  KiB,
  NO_FRAME,
  PAGE_SIZE,
  pageOffset,
  roundPage,
  truncPage,
} from "@physio/kern";
import type { AddressSpace } from "@physio/pmap";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import { Ktr, traceEvent } from "@physio/trace";
import { Pgo } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { BlockMap, IoFlag } from "@physio/vfs";
import { blockShift } from "./block-io.ts";
import { vtog } from "./node.ts";
import { doIo } from "./write-pages.ts";

/** Largest piece. @bsd #Y genfs_maxdio, MAXPHYS */
export const MAX_DIRECT = 64 * KiB;

const DIRECT = traceEvent(Ktr.UBC, "directio", "ino", "offset", "bytes", "write");

/** Move what can be moved directly; `uio` says what is left. @bsd #Y genfs_directio */
export function* directio(vp: Vnode, uio: Uio, flags: IoFlag): Sleeps<void> {
  const { space } = uio;
  if (space === null || space.kernel) return;
  // A mapped vnode's pages may be the very ones that are wired: that way lies deadlock.
  if (vp.mapped) return;
  const { journal } = vp.mount;
  const { lock, decisions } = vtog(vp);
  const journaled = journal !== null && (flags & IoFlag.JOURNALLOCKED) === 0;
  if (journaled && (yield* journal.begin()) !== E.OK) return;
  while (uio.resid > 0) {
    const range = uio.iov[uio.iovIndex];
    if (range.length === 0) {
      uio.iovIndex++;
      continue;
    }
    const length = alignDown(Math.min(range.length, MAX_DIRECT), DEV_BSIZE);
    if (length === 0 || uio.offset + length > vp.size) break;
    if (uio.offset % DEV_BSIZE !== 0 || range.base % DEV_BSIZE !== 0) break;
    const write = uio.rw === UioRw.WRITE;
    // While a write is under way nobody must read what it replaces into the page cache again.
    const alone = write && !decisions.directUnlocked;
    if (alone) yield* lock.enter(RW_WRITER);
    const error = yield* movePiece(vp, space, range.base, length, uio.offset, write);
    if (alone) lock.exit();
    if (error !== E.OK) break;
    range.base += length;
    range.length -= length;
    uio.offset += length;
    uio.resid -= length;
  }
  if (journaled) journal.end();
}

/** One piece. @returns OK; ENOSPC: a hole in the way of a write; EFAULT; EIO; what putpages says. @bsd #Y genfs_do_directio */
function* movePiece(
  vp: Vnode,
  space: AddressSpace,
  va: VirtAddr,
  length: Bytes,
  offset: FileOffset,
  write: boolean,
): Sleeps<Errno> {
  vp.mount.context.bufs.trace.record(DIRECT, vp.ino, offset, length, write ? 1 : 0);
  let error: Errno = write ? yield* checkAllocated(vp, offset, length) : E.OK;
  if (error !== E.OK) return error;
  const flags = Pgo.CLEANIT | Pgo.SYNCIO | Pgo.JOURNALLOCKED | (write ? Pgo.FREE : 0);
  error = yield* vp.ops.putpages(vp, truncPage(offset), roundPage(offset + length), flags);
  if (error !== E.OK) return error;
  const access = write ? Prot.READ : Prot.READ | Prot.WRITE;
  error = yield* space.wire(va, length, access);
  if (error !== E.OK) return error;
  error = yield* moveWired(vp, space, va, length, offset, write);
  space.unwire(va, length);
  return error;
}

/** @returns OK; ENOSPC: part of [`offset`, `offset + length`) is a hole; what the block map says. */
function* checkAllocated(vp: Vnode, offset: FileOffset, length: Bytes): Sleeps<Errno> {
  // The seed takes the mount's block size for devices too.
  const seed = vtog(vp).decisions.writesPastEof;
  const blockSize = 2 ** (seed ? vp.mount.fsBshift : blockShift(vp));
  const map = new BlockMap();
  const end = alignUp(offset + length, blockSize) / blockSize;
  for (let lbn = Math.floor(offset / blockSize); lbn < end; lbn += 1 + map.run) {
    const error = yield* vp.ops.bmap(vp, lbn, map);
    if (error !== E.OK) return error;
    if (map.blkno === -1) return E.ENOSPC;
  }
  return E.OK;
}

/** The transfer. => the user's pages are wired. */
function* moveWired(
  vp: Vnode,
  space: AddressSpace,
  va: VirtAddr,
  length: Bytes,
  offset: FileOffset,
  write: boolean,
): Sleeps<Errno> {
  const { kmem } = vp.mount.context;
  const first = truncPage(va);
  const size = roundPage(va + length) - first;
  const kva = yield* kmem.kvaWait(size);
  const access = write ? Prot.READ : Prot.READ | Prot.WRITE;
  for (let at = 0; at < size; at += PAGE_SIZE) {
    const frame = space.pmap.access(first + at, access); // the device's accesses count as the user's
    if (frame === NO_FRAME) {
      // Memory that has no pages, such as the host's.
      kmem.pmap.remove(kva, size);
      kmem.kvaFree(kva, size);
      return E.EFAULT;
    }
    kmem.pmap.kenter(kva + at, frame, access);
  }
  const error = yield* doIo(
    vp,
    offset,
    kva + pageOffset(va),
    length,
    Pgo.SYNCIO,
    write,
    directDone,
  );
  kmem.pmap.remove(kva, size);
  kmem.kvaFree(kva, size);
  return error;
}

/** The caller of doIo has waited. @bsd #Y genfs_dio_iodone */
function directDone(master: Buf): void {
  const vp = master.private as Vnode;
  const { bufs } = vp.mount.context;
  const aged = (master.flags & (BufFlag.READ | BufFlag.AGE)) === BufFlag.AGE;
  bufs.put(master);
  if (aged) bufs.outputDone(vp);
}
