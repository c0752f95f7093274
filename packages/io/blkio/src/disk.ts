/**
 * Disks: the seam between bufs and a driver's bios.
 *
 * A driver registers a disk with its size, its sector size, what it takes at once, and a `start` for
 * bios. `strategy` checks a buf against the disk, cuts it into requests that the driver takes, and
 * answers the buf when the last of them is done. The requests wait in the disk's queue
 * (disk-queue.ts) until the driver may have them (disk-commands.ts). Follows geom_disk.c (d_maxsize,
 * bio splitting) and NetBSD's bounds_check.
 */
import type { Bio } from "@physio/carriers";
import { BioCommand } from "@physio/carriers";
import type { Bytes, FileOffset } from "@physio/kern";
import { Errno, ErrnoError, isWhole, panic, Stailq } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Trace } from "@physio/trace";
import { Ktr, traceSpan } from "@physio/trace";
import type { BlockDevice, Buf } from "./buf.ts";
import { BufFlag, BufPriority, blockOffset } from "./buf.ts";
import { DiskCommands } from "./disk-commands.ts";
import { DiskRequest, ElevatorQueue, FifoQueue } from "./disk-queue.ts";
import type { IoBufs } from "./iodone.ts";

/** In which order a disk is given its requests. */
export type DiskOrder = "elevator" | "fifo";

export interface DiskConfig {
  readonly name: string;
  readonly mediaSize: Bytes;
  readonly sectorSize: Bytes;
  /** Largest transfer that `start` takes. */
  readonly maxTransfer: Bytes;
  /** bios that `start` takes before it answers one; default: no limit. */
  readonly maxCommands?: number;
  /** Default: fifo. Only the elevator merges. */
  readonly queue?: DiskOrder;
  /** Whether written data may be lost until a flush, which `start` takes then; default: no. */
  readonly writeCache?: boolean;
  /** Whether `start` heeds FUA; default: no, a flush follows such a write. */
  readonly fua?: boolean;
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

export class Disk implements BlockDevice {
  readonly name: string;
  readonly mediaSize: Bytes;
  readonly sectorSize: Bytes;
  readonly maxTransfer: Bytes;
  readonly writeCache: boolean;
  /** Transfers that were refused. */
  refused: number;
  readonly #fua: boolean;
  readonly #commands: DiskCommands;
  readonly #bufs: IoBufs;
  readonly #trace: Trace;
  readonly #spare: Stailq<DiskRequest>;

  /** @throws {ErrnoError} EINVAL: sizes or a number of commands that make no sense. */
  constructor(bufs: IoBufs, config: DiskConfig) {
    const { name, mediaSize, sectorSize, maxTransfer, start } = config;
    const { maxCommands = Number.POSITIVE_INFINITY, writeCache = false } = config;
    const sane = isWhole(mediaSize) && isWhole(sectorSize) && sectorSize > 0;
    if (
      !sane ||
      !(maxTransfer >= sectorSize) ||
      maxTransfer % sectorSize !== 0 ||
      !(maxCommands >= 1)
    ) {
      throw new ErrnoError(
        Errno.EINVAL,
        `disk ${name}: ${mediaSize} bytes, sector ${sectorSize}, at most ${maxTransfer} at once, ${maxCommands} commands`,
      );
    }
    this.name = name;
    this.mediaSize = mediaSize;
    this.sectorSize = sectorSize;
    this.maxTransfer = maxTransfer;
    this.writeCache = writeCache;
    this.refused = 0;
    this.#fua = config.fua ?? false;
    this.#commands = new DiskCommands({
      name,
      queue: config.queue === "elevator" ? new ElevatorQueue() : new FifoQueue(),
      maxTransfer,
      maxCommands,
      writeCache,
      start,
      ended: (request, error, moved) => this.#partDone(request, error, moved),
    });
    this.#bufs = bufs;
    this.#trace = bufs.trace;
    this.#spare = new Stailq<DiskRequest>();
  }

  /** bios with data that the driver was given. */
  get transfers(): number {
    return this.#commands.transfers;
  }

  /** Their bytes. */
  get bytes(): Bytes {
    return this.#commands.bytes;
  }

  /** bios that failed, and transfers that were refused. */
  get errors(): number {
    return this.refused + this.#commands.errors;
  }

  /** Requests that were joined to another's bio. */
  get merges(): number {
    return this.#commands.merges;
  }

  /** Flushes that the driver was given. */
  get flushes(): number {
    return this.#commands.flushes;
  }

  /** Requests that wait for the driver, and bios that it has. */
  get queued(): number {
    return this.#commands.queued;
  }

  get inFlight(): number {
    return this.#commands.inFlight;
  }

  /**
   * Start the transfer that `buf` describes, or a flush; its end is told by biodone.
   * EINVAL: not whole sectors; EIO: outside of the disk.   @bsd #Y VOP_STRATEGY, bounds_check_with_mediasize
   */
  strategy(buf: Buf): void {
    const offset = blockOffset(buf.blkno);
    buf.flags &= ~BufFlag.DONE;
    buf.error = Errno.OK;
    buf.resid = buf.bcount;
    this.#trace.record(TRANSFER.begin, buf.blkno, buf.bcount, buf.flags);
    if ((buf.flags & BufFlag.FLUSH) !== 0) this.#flush(buf);
    else if (offset % this.sectorSize !== 0 || buf.bcount % this.sectorSize !== 0)
      this.#refuse(buf, Errno.EINVAL);
    else if (!(offset >= 0 && offset + buf.bcount <= this.mediaSize)) this.#refuse(buf, Errno.EIO);
    else this.#startParts(buf, offset);
  }

  /** All that was written is lasting. @returns OK; EIO: it may not be. @bsd #Y DIOCCACHESYNC */
  *syncCache(): Sleeps<Errno> {
    const buf = this.#bufs.get();
    buf.flags |= BufFlag.FLUSH;
    buf.priority = BufPriority.TIMECRITICAL;
    buf.blkno = 0;
    buf.bcount = 0;
    this.strategy(buf);
    const error = yield* this.#bufs.biowait(buf);
    this.#bufs.put(buf);
    return error;
  }

  #refuse(buf: Buf, error: Errno): void {
    this.refused++;
    buf.error = error;
    this.#finish(buf);
  }

  #finish(buf: Buf): void {
    this.#trace.record(TRANSFER.end, buf.blkno, buf.bcount, buf.error);
    this.#bufs.biodone(buf);
  }

  #flush(buf: Buf): void {
    buf.pendingParts = 1;
    this.#commands.flush(this.#request(buf, BioCommand.FLUSH, 0, 0, 0));
    this.#commands.run();
  }

  #startParts(buf: Buf, offset: FileOffset): void {
    const { bcount, data, flags } = buf;
    const parts = Math.ceil(bcount / this.maxTransfer);
    if (!(parts > 0)) panic(`disk ${this.name}: transfer of ${bcount} bytes`);
    const command = (flags & BufFlag.READ) === 0 ? BioCommand.WRITE : BioCommand.READ;
    buf.pendingParts = parts;
    for (let i = 0; i < parts; i++) {
      const at = i * this.maxTransfer;
      const size = Math.min(this.maxTransfer, bcount - at);
      this.#commands.submit(this.#request(buf, command, offset + at, size, data + at));
    }
    this.#commands.run();
  }

  #request(
    buf: Buf,
    command: BioCommand,
    offset: FileOffset,
    bcount: Bytes,
    data: number,
  ): DiskRequest {
    const request = this.#spare.removeHead() ?? new DiskRequest();
    request.buf = buf;
    request.command = command;
    request.fua = this.#fua && command === BioCommand.WRITE && (buf.flags & BufFlag.FUA) !== 0;
    request.offset = offset;
    request.bcount = bcount;
    request.data = data;
    request.priority = buf.priority;
    request.alone = false;
    return request;
  }

  /** One of a buf's requests is over. */
  #partDone(request: DiskRequest, error: Errno, moved: Bytes): void {
    const buf = request.buf!;
    const flushed = request.command === BioCommand.FLUSH;
    request.buf = null;
    this.#spare.insertTail(request);
    buf.resid -= moved;
    if (error !== Errno.OK) buf.error = error;
    buf.pendingParts--;
    if (buf.pendingParts > 0) return;
    if (!flushed && this.#mustFlush(buf)) this.#flush(buf);
    else this.#finish(buf);
  }

  /** A write that is to be lasting, by a driver that does not see to it. */
  #mustFlush(buf: Buf): boolean {
    const { FUA, READ } = BufFlag;
    const lasting = (buf.flags & (FUA | READ)) === FUA;
    return lasting && this.writeCache && !this.#fua && buf.error === Errno.OK;
  }
}
