/**
 * A disk with other blocks laid over it: what a replayed journal holds, in memory.
 *
 * Reads of a block that lies over the disk give its bytes, all others the disk's; one transfer may have both.
 * So the buffer cache and the page I/O of vnodes see the same. Nothing can be written.
 *
 * The device of a mount whose journal was replayed.
 */
import type { BlockDevice, Buf, IoBufs } from "@physio/blkio";
import { BufFlag, blockOffset } from "@physio/blkio";
import type { Bytes } from "@physio/kern";
import { Errno } from "@physio/kern";
import type { FsContext } from "@physio/vfs";
import type { ReplayedBlocks } from "./journal.ts";

export class BlockOverlay implements BlockDevice {
  readonly name: string;
  /** Bytes of a block. */
  readonly blockSize: Bytes;
  readonly #disk: BlockDevice;
  readonly #blocks: ReplayedBlocks;
  readonly #bufs: IoBufs;
  readonly #kmem: FsContext["kmem"];

  constructor(disk: BlockDevice, context: FsContext, blockSize: Bytes, blocks: ReplayedBlocks) {
    this.name = disk.name;
    this.blockSize = blockSize;
    this.#disk = disk;
    this.#blocks = blocks;
    this.#bufs = context.bufs;
    this.#kmem = context.kmem;
  }

  /** Read; a write is EROFS, a flush has nothing to do. */
  strategy(buf: Buf): void {
    if ((buf.flags & BufFlag.FLUSH) !== 0) this.#finish(buf, Errno.OK, 0);
    else if ((buf.flags & BufFlag.READ) === 0) this.#finish(buf, Errno.EROFS, buf.bcount);
    else this.#read(buf);
  }

  #finish(buf: Buf, error: Errno, resid: Bytes): void {
    buf.flags &= ~BufFlag.DONE;
    buf.error = error;
    buf.resid = resid;
    this.#bufs.biodone(buf);
  }

  #read(buf: Buf): void {
    const [first, end] = this.#range(buf);
    let count = 0;
    for (let block = first; block < end; block++) if (this.#blocks.has(block)) count++;
    if (count === 0) {
      this.#disk.strategy(buf);
    } else if (count < end - first) {
      this.#readBelow(buf);
    } else {
      this.#layOver(buf);
      this.#finish(buf, Errno.OK, 0);
    }
  }

  /** The first block of a transfer, and the one behind its last. */
  #range(buf: Buf): readonly [number, number] {
    const offset = blockOffset(buf.blkno);
    return [
      Math.floor(offset / this.blockSize),
      Math.ceil((offset + buf.bcount) / this.blockSize),
    ] as const;
  }

  /** Read all of it from the disk, by a buf of its own, and lay over it what is not the disk's. */
  #readBelow(buf: Buf): void {
    const below = this.#bufs.get();
    below.flags |= BufFlag.READ;
    below.priority = buf.priority;
    below.data = buf.data;
    below.bufsize = buf.bcount;
    below.bcount = buf.bcount;
    below.blkno = buf.blkno;
    below.lblkno = buf.lblkno;
    below.private = buf;
    below.iodone = this.#belowDone;
    this.#disk.strategy(below);
  }

  readonly #belowDone = (below: Buf): void => {
    const buf = below.private as Buf;
    const { error, resid } = below;
    this.#bufs.put(below);
    if (error === Errno.OK) this.#layOver(buf);
    this.#finish(buf, error, resid);
  };

  #layOver(buf: Buf): void {
    const from = blockOffset(buf.blkno);
    const to = from + buf.bcount;
    const [first, end] = this.#range(buf);
    for (let block = first; block < end; block++) {
      const bytes = this.#blocks.get(block);
      if (bytes === undefined) continue;
      const start = block * this.blockSize;
      const low = Math.max(start, from);
      const high = Math.min(start + this.blockSize, to);
      this.#kmem.write(buf.data + (low - from), bytes.subarray(low - start, high - start));
    }
  }
}
