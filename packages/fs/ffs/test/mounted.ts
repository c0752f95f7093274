/** An image mounted over a disk of its bytes, which answers at once. */
import { BufCache, Disk, IoBufs } from "@physio/blkio";
import { biodone } from "@physio/carriers";
import { Errno, ErrnoError, errnoName, KiB, MiB } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import { PageArrays, PagerMap, UvmPages } from "@physio/uvm";
import type { Vnode } from "@physio/vfs";
import { namei, Syncer } from "@physio/vfs";
import { expect } from "vitest";
import type { FfsMount } from "../src/mount.ts";
import { mountFfs } from "../src/mount-disk.ts";

export class Mounted {
  readonly sched: Scheduler;
  readonly mem: PhysMem;
  readonly kmem: Kmem;
  readonly bufs: IoBufs;
  readonly cache: BufCache;
  readonly pages: UvmPages;
  readonly disk: Disk;
  readonly ffs: FfsMount;
  /** What was read from the disk: [first byte, bytes]. */
  readonly reads: [number, number][];
  readonly #frames: number;

  /** The disk's read number `failing` fails, from 1. @throws {ErrnoError} what the mount says; then nothing is left behind. */
  constructor(bytes: Uint8Array, ram = 8 * MiB, failing = 0) {
    const trace = new Trace();
    this.sched = new Scheduler({ trace });
    this.mem = new PhysMem({ banks: [{ base: MiB, size: ram }] });
    this.kmem = new Kmem(this.mem);
    this.bufs = new IoBufs({ sched: this.sched, trace, completion: "inline" });
    this.reads = [];
    const { bufs, kmem, sched } = this;
    this.#frames = this.mem.freeFrames;
    this.cache = new BufCache({ bufs, kmem, limit: ram / 16 });
    this.pages = new UvmPages({ mem: this.mem, pmaps: kmem.pmaps, sched, trace });
    const pager = new PagerMap(kmem, sched);
    const sizes = { mediaSize: bytes.length, sectorSize: 512, maxTransfer: 64 * KiB };
    this.disk = new Disk(bufs, {
      name: "image",
      ...sizes,
      start: (bio) => {
        this.reads.push([bio.offset, bio.bcount]);
        if (this.reads.length === failing) {
          bio.error = Errno.EIO;
          biodone(bio);
          return;
        }
        kmem.write(bio.data, bytes.subarray(bio.offset, bio.offset + bio.bcount));
        bio.resid = 0;
        biodone(bio);
      },
    });
    const { cache, pages } = this;
    const paging = { pages, pager, pageArrays: new PageArrays() };
    const context = { ...paging, bufs, cache, kmem, syncer: new Syncer() };
    try {
      this.ffs = sched.runSync(mountFfs(this.disk, context));
    } catch (error) {
      cache.check();
      expect([cache.bytes, bufs.outstanding]).toEqual([0, 0]);
      this.kmem.reclaim(); // pages that zones keep in reserve
      expect(this.mem.freeFrames).toBe(this.#frames);
      throw error;
    }
  }

  /** Run `body` with the vnode of `path`, which is given back. */
  with<T>(path: string, body: (vp: Vnode) => Sleeps<T>, follow = true): T {
    const { mount } = this.ffs;
    const thread = function* (): Sleeps<T> {
      const root = yield* mount.root();
      let vp: Vnode | null = null;
      try {
        vp = yield* namei(root, path, { follow });
        return yield* body(vp);
      } finally {
        if (vp !== null) mount.vrele(vp);
        mount.vrele(root);
      }
    };
    return this.sched.runSync(thread());
  }

  /** The inode that a path leads to. */
  inoOf(path: string, follow = true): number {
    return this.sync(path, (vp) => vp.ino, follow);
  }

  /** The same as `with`, for what never sleeps. */
  sync<T>(path: string, body: (vp: Vnode) => T, follow = true): T {
    const { sched } = this;
    const thread = function* (vp: Vnode): Sleeps<T> {
      yield* sched.preempt();
      return body(vp);
    };
    return this.with(path, thread, follow);
  }

  /** Nothing is in use or busy, and every frame comes back. */
  finish(): void {
    const { mount } = this.ffs;
    this.sched.pump();
    expect([mount.usedVnodes, this.pages.busyCount(), this.bufs.outstanding]).toEqual([0, 0, 0]);
    this.cache.check();
    this.pages.check();
    this.sched.runSync(mount.unmount());
    expect([this.cache.bytes, this.pages.resident]).toEqual([0, 0]);
    this.kmem.arena.check();
    this.kmem.reclaim(); // pages that zones keep in reserve
    expect(this.mem.freeFrames).toBe(this.#frames);
  }
}

/** The name of the errno that `run` throws, or "OK". */
export function errorOf(run: () => unknown): string {
  try {
    run();
    return errnoName(Errno.OK);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    return error.code;
  }
}
