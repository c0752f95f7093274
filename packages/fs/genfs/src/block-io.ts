/**
 * I/O on a run of a file's bytes that has kernel addresses: a master buf, and a piece for each run of blocks.
 *
 * Whoever reads or writes goes over the file with `locate` (the block map), and then skips what needs no
 * transfer or starts a piece. When one run of blocks is all, the master itself is the piece. The
 * master is done when every byte is accounted for. Shared by getpages, write-back and direct I/O; after
 * genfs_getpages and genfs_do_io, which have this twice.
 *
 * Invariant: skipped + started + left is the master's count.
 */
import type { Buf } from "@physio/blkio";
import { BufFlag, BufPriority, DEV_BSHIFT } from "@physio/blkio";
import type { Bytes, Errno, FileOffset, VirtAddr } from "@physio/kern";
import { Errno as E, PAGE_SIZE } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { Ktr, traceEvent } from "@physio/trace";
import { pagesDone } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { BlockMap } from "@physio/vfs";
import { vtog } from "./node.ts";

const BMAP = traceEvent(Ktr.UBC, "bmap", "ino", "lbn", "blkno", "run");
const PIECE = traceEvent(Ktr.UBC, "piece", "ino", "offset", "bytes", "blkno");

/** log2 of the unit of a vnode's logical blocks: a device's are sectors. */
export function blockShift(vp: Vnode): number {
  return vp.type === "block special" ? DEV_BSHIFT : vp.mount.fsBshift;
}

/** log2 of the unit of block numbers on its disk. */
export function deviceShift(vp: Vnode): number {
  return vp.type === "block special" ? DEV_BSHIFT : vp.mount.devBshift;
}

export interface BlockIoRequest {
  readonly vp: Vnode;
  readonly write: boolean;
  readonly async: boolean;
  /** Where in the file the addresses begin. */
  readonly start: FileOffset;
  readonly kva: VirtAddr;
  /** Bytes that have addresses, and how many of them are to be moved. */
  readonly size: Bytes;
  readonly bytes: Bytes;
  /** Asynchronous: called at the end, which gives the master back. */
  readonly done: (master: Buf) => void;
}

export class BlockIo {
  readonly vp: Vnode;
  readonly start: FileOffset;
  readonly master: Buf;
  readonly map: BlockMap;
  offset: FileOffset;
  /** Bytes that are not accounted for yet. */
  left: Bytes;
  /** Bytes that need no transfer. */
  skipped: Bytes;
  error: Errno;
  #lbn: number;

  constructor(request: BlockIoRequest) {
    const { vp, write, async, start, bytes } = request;
    const master = vp.mount.context.bufs.get();
    this.vp = vp;
    this.start = start;
    this.master = master;
    this.map = new BlockMap();
    this.offset = start;
    this.left = bytes;
    this.skipped = 0;
    this.error = E.OK;
    this.#lbn = 0;
    master.data = request.kva;
    master.bufsize = request.size;
    master.bcount = bytes;
    master.resid = bytes;
    master.private = vp;
    master.output = vp;
    master.flags |= (write ? BufFlag.AGE : BufFlag.READ) | (async ? BufFlag.ASYNC : 0);
    if (async) master.iodone = request.done;
    if (write) vp.numOutput += 2; // one for the transfer, one until its pages are done
  }

  /** Find the blocks at `offset`. @returns bytes of the run from there on; −1: `error` says why not, and the rest is skipped. */
  *locate(): Sleeps<Bytes> {
    const { vp, map, offset } = this;
    const blockSize = 2 ** blockShift(vp);
    const lbn = Math.floor(offset / blockSize);
    this.#lbn = lbn;
    this.error = yield* vp.ops.bmap(vp, lbn, map);
    if (this.error !== E.OK) {
      this.skip(this.left);
      return -1;
    }
    vp.mount.context.bufs.trace.record(BMAP, vp.ino, lbn, map.blkno, map.run);
    return Math.min((lbn + 1 + map.run) * blockSize - offset, this.left);
  }

  /** The next `bytes` need no transfer. */
  skip(bytes: Bytes): void {
    this.skipped += bytes;
    this.#advance(bytes);
  }

  /** Move the next `bytes`, which lie in the run that `locate` found. */
  startPiece(bytes: Bytes): void {
    const { vp, master, offset, map } = this;
    const { bufs } = vp.mount.context;
    const whole = offset === this.start && bytes === this.left;
    const buf = whole ? master : bufs.get();
    if (!whole) bufs.nest(master, buf, offset - this.start, bytes);
    const intoBlock = offset - this.#lbn * 2 ** blockShift(vp);
    buf.lblkno = 0;
    buf.blkno = map.blkno + Math.floor(intoBlock / 2 ** deviceShift(vp));
    bufs.trace.record(PIECE, vp.ino, offset, bytes, buf.blkno);
    this.#advance(bytes);
    vp.disk.strategy(buf);
  }

  /** All is started or skipped: account for what was skipped. */
  finish(): void {
    this.vp.mount.context.bufs.nestDone(this.master, this.skipped, this.error);
  }

  #advance(bytes: Bytes): void {
    this.offset += bytes;
    this.left -= bytes;
  }
}

/** How urgent the transfer of pages is. */
export function writePriority(vp: Vnode, async: boolean): number {
  if (vp.mount.context.pages.inDaemon) return BufPriority.TIMELIMITED;
  return async ? BufPriority.NONCRITICAL : BufPriority.TIMECRITICAL;
}

/** What a master that has ended says: one that left something is EIO, as its pieces are (nestiobuf_iodone). */
export function transferError(master: Buf): Errno {
  const { error, resid } = master;
  if (error !== E.OK || resid === 0) return error;
  return vtog(master.private as Vnode).decisions.shortIsWhole ? E.OK : E.EIO;
}

/** The pages under a master whose transfer has ended: unmapped, and valid, clean or freed. Gives the master back. @bsd #Y uvm_aio_biodone, uvm_aio_aiodone */
export function pageIoDone(master: Buf): void {
  const vp = master.private as Vnode;
  const { bufs, pages, pager, pageArrays } = vp.mount.context;
  const write = (master.flags & BufFlag.READ) === 0;
  const aged = (master.flags & BufFlag.AGE) !== 0;
  const count = master.bufsize / PAGE_SIZE;
  const frames = pageArrays.take(count, true)!;
  for (let i = 0; i < count; i++) frames[i] = pager.frameAt(master.data, i);
  pager.mapOut(master.data, count);
  pagesDone(pages, frames, count, transferError(master), write);
  pageArrays.give(frames);
  bufs.put(master);
  if (write && aged) bufs.outputDone(vp);
}
