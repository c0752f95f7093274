/**
 * Disks: the seam between bufs and a driver's bios.
 *
 * A driver registers a disk with its size, its sector size, the largest transfer that it takes, and
 * a `start` for bios. `strategy` checks a buf against the disk, cuts it into bios that the driver
 * takes, and answers the buf when the last of them is done. Follows geom_disk.c (d_maxsize, bio
 * splitting) and NetBSD's bounds_check.
 */

import { Bio, BioCommand } from "@physio/carriers";
import type { Bytes, FileOffset } from "@physio/kern";
import { Errno, ErrnoError, isWhole, panic, Stailq } from "@physio/kern";
import type { Trace } from "@physio/trace";
import { Ktr, traceSpan } from "@physio/trace";
import type { Buf } from "./buf.ts";
import { BufFlag, blockOffset } from "./buf.ts";
import type { IoBufs } from "./iodone.ts";

export interface DiskConfig {
  readonly name: string;
  readonly mediaSize: Bytes;
  readonly sectorSize: Bytes;
  /** Largest transfer that `start` takes. */
  readonly maxTransfer: Bytes;
  /** Queue a bio; never sleeps; answers with biodone. */
  readonly start: (bio: Bio) => void;
}

/** What a disk does for one buf, from strategy to its last bio. */
const TRANSFER = traceSpan(
  Ktr.BUF,
  "transfer",
  ["blkno", "bcount", "flags"],
  ["blkno", "bcount", "error"],
);

export class Disk {
  readonly name: string;
  readonly mediaSize: Bytes;
  readonly sectorSize: Bytes;
  readonly maxTransfer: Bytes;
  /** bios that the driver was given, and their bytes. */
  transfers: number;
  bytes: Bytes;
  errors: number;
  readonly #start: (bio: Bio) => void;
  readonly #bufs: IoBufs;
  readonly #trace: Trace;
  readonly #spare: Stailq<Bio>;

  /** @throws {ErrnoError} EINVAL: sizes that make no sense. */
  constructor(bufs: IoBufs, config: DiskConfig) {
    const { name, mediaSize, sectorSize, maxTransfer } = config;
    const sane = isWhole(mediaSize) && isWhole(sectorSize) && sectorSize > 0;
    if (!sane || !(maxTransfer >= sectorSize) || maxTransfer % sectorSize !== 0) {
      throw new ErrnoError(
        Errno.EINVAL,
        `disk ${name}: ${mediaSize} bytes, sector ${sectorSize}, at most ${maxTransfer} at once`,
      );
    }
    this.name = name;
    this.mediaSize = mediaSize;
    this.sectorSize = sectorSize;
    this.maxTransfer = maxTransfer;
    this.transfers = 0;
    this.bytes = 0;
    this.errors = 0;
    this.#start = config.start;
    this.#bufs = bufs;
    this.#trace = bufs.trace;
    this.#spare = new Stailq<Bio>();
  }

  /**
   * Start the transfer that `buf` describes; its end is told by biodone.
   * EINVAL: not whole sectors; EIO: outside of the disk.   @bsd #Y VOP_STRATEGY, bounds_check_with_mediasize
   */
  strategy(buf: Buf): void {
    const offset = blockOffset(buf.blkno);
    buf.flags &= ~BufFlag.DONE;
    buf.error = Errno.OK;
    buf.resid = buf.bcount;
    this.#trace.record(TRANSFER.begin, buf.blkno, buf.bcount, buf.flags);
    if (offset % this.sectorSize !== 0 || buf.bcount % this.sectorSize !== 0) {
      this.#refuse(buf, Errno.EINVAL);
    } else if (!(offset >= 0 && offset + buf.bcount <= this.mediaSize))
      this.#refuse(buf, Errno.EIO);
    else this.#startParts(buf, offset);
  }

  #refuse(buf: Buf, error: Errno): void {
    this.errors++;
    buf.error = error;
    this.#finish(buf);
  }

  #finish(buf: Buf): void {
    this.#trace.record(TRANSFER.end, buf.blkno, buf.bcount, buf.error);
    this.#bufs.biodone(buf);
  }

  #startParts(buf: Buf, offset: FileOffset): void {
    const parts = Math.ceil(buf.bcount / this.maxTransfer);
    if (parts === 0) panic(`disk ${this.name}: transfer of 0 bytes`);
    buf.pendingParts = parts;
    for (let i = 0; i < parts; i++) {
      const at = i * this.maxTransfer;
      const bio = this.#spare.removeHead() ?? new Bio();
      bio.command = (buf.flags & BufFlag.READ) === 0 ? BioCommand.WRITE : BioCommand.READ;
      bio.flags = 0;
      bio.offset = offset + at;
      bio.bcount = Math.min(this.maxTransfer, buf.bcount - at);
      bio.resid = bio.bcount;
      bio.data = buf.data + at;
      bio.error = Errno.OK;
      bio.caller = buf;
      bio.done = this.#partDone;
      this.transfers++;
      this.bytes += bio.bcount;
      this.#start(bio);
    }
  }

  /** One of a buf's bios has ended. */
  readonly #partDone = (bio: Bio): void => {
    const buf = bio.caller as Buf;
    buf.resid -= bio.bcount - bio.resid;
    if (bio.error !== Errno.OK) {
      this.errors++;
      buf.error = bio.error;
    }
    bio.caller = null;
    this.#spare.insertTail(bio);
    buf.pendingParts--;
    if (buf.pendingParts === 0) this.#finish(buf);
  };
}
