/** A machine with a scripted disk: bios wait until the test, or chance, completes them. */
import type { Bio } from "@physio/carriers";
import { BioCommand, biodone } from "@physio/carriers";
import type { Errno } from "@physio/kern";
import { Errno as E, KiB, MiB } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import { expect } from "vitest";
import type { Buf, CompletionPolicy, DiskOrder } from "../src/index.ts";
import { BufCache, BufFlag, Disk, IoBufs } from "../src/index.ts";

const FIRST_SEED = Number(process.env.PHYSIO_SEED ?? 1);

export const seeds = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => FIRST_SEED + i);

/** Whole numbers from 0 to 2^32 − 1, named by a seed. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x27d4eb2f);
  }

  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    const mixed = Math.imul(this.#state ^ (this.#state >>> 16), 0x85ebca6b);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }

  /** 0 … `limit` − 1. */
  below(limit: number): number {
    return this.next() % limit;
  }
}

export interface MachineOptions {
  readonly completion?: CompletionPolicy;
  readonly seed?: number;
  readonly mediaSize?: number;
  readonly sectorSize?: number;
  readonly maxTransfer?: number;
  readonly cacheLimit?: number;
  readonly dirtyLimit?: number;
  /** Of the disk. */
  readonly queue?: DiskOrder;
  readonly maxCommands?: number;
  readonly writeCache?: boolean;
  readonly fua?: boolean;
}

export class BlkMachine {
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly kmem: Kmem;
  readonly bufs: IoBufs;
  readonly cache: BufCache;
  readonly disk: Disk;
  /** What the disk holds. */
  readonly media: Uint8Array;
  /** bios that the disk was given and has not answered. */
  readonly waiting: Bio[] = [];
  /** Answer every bio at once, in `start`. */
  inline = false;
  /** The error of the next answers that are given at once; null: none. */
  fault: ((bio: Bio) => Errno) | null = null;
  /** Flushes that the disk has done. */
  flushed = 0;
  readonly #frames: number;

  constructor(options: MachineOptions = {}) {
    const { completion = "inline", seed, mediaSize = 64 * KiB, sectorSize = 512 } = options;
    const trace = new Trace();
    this.mem = new PhysMem({ banks: [{ base: MiB, size: MiB }] });
    this.sched = new Scheduler(
      seed === undefined ? { trace } : { trace, random: new Chance(seed) },
    );
    this.kmem = new Kmem(this.mem);
    this.#frames = this.mem.freeFrames;
    this.bufs = new IoBufs({ sched: this.sched, trace, completion });
    const limit = options.cacheLimit ?? 64 * KiB;
    const { dirtyLimit = limit / 2, queue, maxCommands, writeCache, fua } = options;
    this.cache = new BufCache({ bufs: this.bufs, kmem: this.kmem, limit, dirtyLimit });
    this.media = Uint8Array.from({ length: mediaSize }, (_, i) => (i * 7 + (i >> 9) * 31) & 0xff);
    this.disk = new Disk(this.bufs, {
      name: "test0",
      mediaSize,
      sectorSize,
      maxTransfer: options.maxTransfer ?? 8 * KiB,
      ...(queue === undefined ? {} : { queue }),
      ...(maxCommands === undefined ? {} : { maxCommands }),
      ...(writeCache === undefined ? {} : { writeCache }),
      ...(fua === undefined ? {} : { fua }),
      start: (bio) => {
        this.waiting.push(bio);
        if (this.inline) this.answer(0, this.fault?.(bio) ?? E.OK);
      },
    });
  }

  /** Answer the waiting bio `at`: move its bytes, or fail it. */
  answer(at = 0, error: Errno = E.OK): void {
    const [bio] = this.waiting.splice(at, 1);
    bio.error = error;
    bio.resid = error === E.OK ? 0 : bio.bcount;
    if (error === E.OK) {
      const bytes = this.media.subarray(bio.offset, bio.offset + bio.bcount);
      if (bio.command === BioCommand.FLUSH) this.flushed++;
      else if (bio.command === BioCommand.READ) this.kmem.write(bio.data, bytes);
      else this.kmem.read(bio.data, bytes);
    }
    biodone(bio);
  }

  /** A busy buf without memory, for transfers that move nothing. */
  buf(bytes: number, flags: BufFlag = BufFlag.READ): Buf {
    const buf = this.bufs.get();
    buf.flags |= flags;
    buf.bufsize = bytes;
    buf.bcount = bytes;
    buf.resid = bytes;
    return buf;
  }

  /** Nothing is out, the cache is sound, and its memory comes back. */
  finish(): void {
    expect(this.waiting).toEqual([]);
    expect(this.bufs.outstanding).toBe(0);
    this.cache.check();
    this.cache.invalidate(this.disk);
    this.cache.check();
    expect(this.cache.bytes).toBe(0);
    this.kmem.arena.check();
    this.mem.check();
    this.kmem.reclaim(); // pages that zones keep in reserve
    expect(this.mem.freeFrames).toBe(this.#frames);
  }
}
