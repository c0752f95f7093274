/**
 * An ext2 image in memory, mounted for writing, and the calls of a program on it. Every transfer ends at once, so
 * a run is as fast as the file system is, and a given one can be made to fail.
 */
import { BufCache, IoBufs } from "@physio/blkio";
import type { Bio } from "@physio/carriers";
import { BioCommand, Uio, UioRw } from "@physio/carriers";
import type { Ext2Mount } from "@physio/ext2fs";
import { mountExt2 } from "@physio/ext2fs";
import { Errno, ErrnoError, errnoName, KiB, MiB } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import { PageArrays, PagerMap, UvmPages } from "@physio/uvm";
import type { FsContext, Vnode } from "@physio/vfs";
import { namei, Syncer, vnRead, vnRelease, vnWrite } from "@physio/vfs";
import { Chance } from "./chance.ts";
import { MemoryDisk } from "./memory-disk.ts";

const BUFFER = 64 * KiB;
/** So little that nearly every look at a block sleeps. */
const FEW_BLOCKS = 4 * KiB;
/** What mke2fs is told the time is: images are the same whenever they are made. */
export const IMAGE_TIME = 1_600_000_000;

export interface Ext2MachineOptions {
  readonly ram?: number;
  /** Names the choices of the scheduler; transfers take their time then, and few blocks are cached. Default: they end at once. */
  readonly seed?: number;
  /** The error of a transfer that begins. */
  readonly fails?: (bio: Bio) => Errno;
}

/** How a write ended, and how much of it was done. */
export interface Written {
  readonly error: string;
  readonly length: number;
}

export class Ext2Machine {
  readonly sched: Scheduler;
  readonly mem: PhysMem;
  readonly kmem: Kmem;
  readonly context: FsContext;
  readonly disk: MemoryDisk;
  /** Writes that the disk was given. */
  writes: number;
  ext2: Ext2Mount | null;
  root: Vnode | null;
  readonly #frames: number;
  readonly #buffer: number;

  constructor(image: Uint8Array, options: Ext2MachineOptions = {}) {
    const { ram = 8 * MiB, fails, seed } = options;
    const trace = new Trace();
    const chance = seed === undefined ? null : new Chance(seed);
    this.sched = new Scheduler(chance === null ? { trace } : { trace, random: chance });
    this.mem = new PhysMem({ banks: [{ base: MiB, size: ram }] });
    this.kmem = new Kmem(this.mem);
    this.#frames = this.mem.freeFrames;
    const { mem, kmem, sched } = this;
    this.#buffer = kmem.alloc(BUFFER) as number;
    const bufs = new IoBufs({ sched, trace, completion: "inline" });
    this.context = {
      bufs,
      cache: new BufCache({ bufs, kmem, limit: chance === null ? ram / 16 : FEW_BLOCKS }),
      pages: new UvmPages({ mem, pmaps: kmem.pmaps, sched, trace }),
      pager: new PagerMap(kmem, sched),
      kmem,
      syncer: new Syncer(sched),
      pageArrays: new PageArrays(),
    };
    this.writes = 0;
    this.disk = new MemoryDisk({
      bufs,
      kmem,
      sched,
      size: image.length,
      latency: () => (chance === null ? 0 : 1 + chance.below(1000)),
      fails: (bio) => {
        if (bio.command === BioCommand.WRITE) this.writes++;
        return fails?.(bio) ?? Errno.OK;
      },
    });
    this.disk.media.set(image);
    this.ext2 = null;
    this.root = null;
  }

  get mounted(): Ext2Mount {
    if (this.ext2 === null) throw new Error("not mounted");
    return this.ext2;
  }

  get top(): Vnode {
    if (this.root === null) throw new Error("not mounted");
    return this.root;
  }

  run<T>(body: Sleeps<T>): T {
    return this.sched.runSync(body);
  }

  mount(): void {
    this.ext2 = this.run(mountExt2(this.disk.disk, this.context, { now: () => IMAGE_TIME + 1 }));
    this.root = this.run(this.ext2.mount.root());
  }

  /** @throws {ErrnoError} what unmount says; it is mounted still. */
  unmount(): void {
    const { mount } = this.mounted;
    mount.vrele(this.top);
    this.root = null;
    try {
      this.run(mount.unmount());
    } catch (error) {
      this.root = this.run(mount.root());
      throw error;
    }
    this.ext2 = null;
    this.sched.pump();
  }

  /** Nothing is left over. => unmounted. */
  finish(): void {
    this.context.syncer.stop();
    this.sched.pump();
    this.context.cache.check();
    this.context.pages.check();
    this.kmem.free(this.#buffer, BUFFER);
    this.kmem.reclaim();
    const lost = this.#frames - this.mem.freeFrames;
    if (lost !== 0) throw new Error(`${lost} frames are lost`);
  }

  /** The name of the errno that a call throws or returns, or "OK". */
  outcome(body: Sleeps<unknown>): string {
    try {
      const result = this.run(body);
      return errnoName(typeof result === "number" ? result : Errno.OK);
    } catch (error) {
      if (error instanceof ErrnoError) return error.code;
      throw error;
    }
  }

  /** Write at `offset` of an open file. */
  *writeTo(vp: Vnode, offset: number, bytes: Uint8Array): Sleeps<Written> {
    let done = 0;
    while (done < bytes.length) {
      const part = bytes.subarray(done, done + BUFFER);
      this.kmem.write(this.#buffer, part);
      const uio = this.#uio(UioRw.WRITE, offset + done, part.length);
      const error = yield* vnWrite(vp, uio, 0);
      const length = part.length - uio.resid;
      done += length;
      if (error !== Errno.OK || length < part.length)
        return { error: errnoName(error), length: done };
    }
    return { error: "OK", length: done };
  }

  /** All bytes of an open file. @throws {ErrnoError} what read says. */
  *readFrom(vp: Vnode): Sleeps<Uint8Array> {
    const size = vp.size as number;
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += BUFFER) {
      const length = Math.min(BUFFER, size - at);
      const uio = this.#uio(UioRw.READ, at, length);
      const error = yield* vnRead(vp, uio, 0);
      if (error !== Errno.OK) throw new ErrnoError(error, `read at ${at}`);
      this.kmem.read(this.#buffer, bytes.subarray(at, at + length - uio.resid));
    }
    return bytes;
  }

  /** Run `body` with the vnode of a path. */
  *with<T>(path: string, body: (vp: Vnode) => Sleeps<T>, follow = true): Sleeps<T> {
    const vp = yield* namei(this.top, path, { follow });
    try {
      return yield* body(vp);
    } finally {
      yield* vnRelease(vp);
    }
  }

  #uio(rw: (typeof UioRw)[keyof typeof UioRw], offset: number, length: number): Uio {
    return new Uio(rw, this.kmem.space, [{ base: this.#buffer, length }], offset);
  }
}
