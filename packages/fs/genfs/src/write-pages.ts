/**
 * Writing pages: what a file system's `write` is for most, and I/O by the block map.
 *
 * Follows genfs_gop_write, genfs_gop_write_rwmap and genfs_do_io.
 */
import type { Buf } from "@physio/blkio";
import type { Bytes, Errno, FileOffset, VirtAddr } from "@physio/kern";
import { Errno as E, PAGE_SIZE, panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Pgo } from "@physio/uvm";
import { Pgo as P } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { BlockIo, pageIoDone, transferError, writePriority } from "./block-io.ts";
import { vtog } from "./node.ts";

/**
 * Write the busy pages `pages[0 … count)`, a run of the file, where the block map says.
 * @returns OK, asynchronous always; with SYNCIO also EIO and what the block map says.
 * @bsd #Y genfs_gop_write
 */
export function* gopWrite(vp: Vnode, pages: Int32Array, count: number, flags: Pgo): Sleeps<Errno> {
  const { pages: uvm, pager } = vp.mount.context;
  const offset = uvm.indexOf(pages[0]) * PAGE_SIZE;
  const kva = yield* pager.mapIn(pages, count, uvm.inDaemon);
  return yield* doIo(vp, offset, kva, count * PAGE_SIZE, flags, true, pageIoDone);
}

/** The same with a mapping that may be written to, for file systems that change the data on their way. @bsd #Y genfs_gop_write_rwmap */
export function gopWriteRwmap(
  vp: Vnode,
  pages: Int32Array,
  count: number,
  flags: Pgo,
): Sleeps<Errno> {
  return gopWrite(vp, pages, count, flags); // the pager maps for both
}

/**
 * Move `length` bytes between kernel addresses and the file at `offset`, as far as the file's blocks go; `done` gets the
 * master at the end, and gives it back. Holes are not written, and read as zeros.
 * @returns OK, asynchronous always; else EIO and what the block map says.
 * @bsd #Y genfs_do_io
 */
export function* doIo(
  vp: Vnode,
  offset: FileOffset,
  kva: VirtAddr,
  length: Bytes,
  flags: Pgo,
  write: boolean,
  done: (master: Buf) => void,
): Sleeps<Errno> {
  const { bufs } = vp.mount.context;
  const async = (flags & P.SYNCIO) === 0;
  const bytes = bytesInFile(vp, offset, length);
  const io = new BlockIo({ vp, write, async, start: offset, kva, size: length, bytes, done });
  const { master } = io;
  master.priority = writePriority(vp, async);
  if (bytes === 0) {
    bufs.biodone(master); // nothing of it has a place on the disk
  } else {
    yield* startPieces(io, write);
    io.finish();
  }
  if (async) return E.OK;
  yield* bufs.biowait(master);
  const error = transferError(master);
  done(master);
  return error;
}

/** How much of [`offset`, `offset + length`) lies in the blocks of the file. */
function bytesInFile(vp: Vnode, offset: FileOffset, length: Bytes): Bytes {
  const { ops, decisions } = vtog(vp);
  if (vp.size > vp.writeSize) panic(`inode ${vp.ino}: size ${vp.size} above ${vp.writeSize}`);
  const inFile = ops.size(vp, vp.writeSize, false) - offset;
  if (!decisions.writesPastEof) return Math.max(Math.min(length, inFile), 0);
  if (inFile === 0) panic(`inode ${vp.ino}: write at ${offset}, the end of its blocks`);
  return inFile < 0 ? length : Math.min(length, inFile);
}

function* startPieces(io: BlockIo, write: boolean): Sleeps<void> {
  const { kmem } = io.vp.mount.context;
  while (io.left > 0) {
    const bytes = yield* io.locate();
    if (bytes < 0) return;
    if (io.map.blkno >= 0) io.startPiece(bytes);
    else {
      if (!write) zero(kmem, io.master.data + (io.offset - io.start), bytes);
      io.skip(bytes);
    }
  }
}

/** Zero mapped kernel addresses. */
function zero(kmem: Vnode["mount"]["context"]["kmem"], va: VirtAddr, bytes: Bytes): void {
  kmem.write(va, new Uint8Array(bytes));
}
