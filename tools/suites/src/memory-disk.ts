/**
 * A disk in an array of the host's: what page I/O is tested and measured against when no device is
 * wanted. A transfer ends some time after it began, or at once; one may be made to fail.
 */
import type { IoBufs } from "@physio/blkio";
import { Disk } from "@physio/blkio";
import type { Bio } from "@physio/carriers";
import { BioCommand, biodone } from "@physio/carriers";
import type { Bytes, Errno, Nanoseconds } from "@physio/kern";
import { Errno as E, KiB } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import type { Scheduler } from "@physio/sched";

export interface MemoryDiskOptions {
  readonly bufs: IoBufs;
  readonly kmem: Kmem;
  readonly sched: Scheduler;
  readonly size: Bytes;
  /** How long a transfer takes; 0: it ends before strategy returns. */
  readonly latency?: (bio: Bio) => Nanoseconds;
  /** See MemoryDisk.fails. */
  readonly fails?: (bio: Bio) => Errno;
}

export class MemoryDisk {
  readonly disk: Disk;
  readonly media: Uint8Array;
  /** Transfers, and bytes of them, that went well. */
  reads: number;
  writes: number;
  bytes: Bytes;
  /** The error of a transfer that ends; OK: it goes well. */
  fails: (bio: Bio) => Errno;
  /** Answers a bio at the end: `biodone`, unless a test wants a bad driver. */
  finish: (bio: Bio) => void;

  constructor(options: MemoryDiskOptions) {
    const { bufs, sched, size } = options;
    this.media = new Uint8Array(size);
    this.reads = 0;
    this.writes = 0;
    this.bytes = 0;
    this.finish = biodone;
    this.fails = options.fails ?? (() => E.OK);
    this.disk = new Disk(bufs, {
      name: "memory0",
      mediaSize: size,
      sectorSize: 512,
      maxTransfer: 64 * KiB,
      start: (bio) => {
        const time = options.latency?.(bio) ?? 0;
        if (time === 0) this.#move(options, bio);
        else
          sched.after(
            sched.event(() => this.#move(options, bio)),
            time,
          );
      },
    });
  }

  #move({ kmem }: MemoryDiskOptions, bio: Bio): void {
    bio.error = this.fails(bio);
    if (bio.error === E.OK) {
      const bytes = this.media.subarray(bio.offset, bio.offset + bio.bcount);
      if (bio.command === BioCommand.READ) kmem.write(bio.data, bytes);
      else kmem.read(bio.data, bytes);
      bio.resid = 0;
      if (bio.command === BioCommand.READ) this.reads++;
      else this.writes++;
      this.bytes += bio.bcount;
    } else bio.resid = bio.bcount;
    this.finish(bio);
  }
}
