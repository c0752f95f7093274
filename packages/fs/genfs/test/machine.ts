/** One file with a scripted block map on a disk whose transfers end when the test says so. */
import type { CompletionPolicy } from "@physio/blkio";
import { BufCache, Disk, IoBufs } from "@physio/blkio";
import type { Bio } from "@physio/carriers";
import { biodone } from "@physio/carriers";
import type { Errno } from "@physio/kern";
import { alignUp, Errno as E, KiB, MiB, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import { PageArrays, PageRequest, PagerMap, Pg, Pgo, UvmPages } from "@physio/uvm";
import type { BlockMap, VnodeOps } from "@physio/vfs";
import { flushVnode, Mount, Syncer, Vnode } from "@physio/vfs";
import { expect } from "vitest";
import type { GenfsOps } from "../src/index.ts";
import { GenfsNode, genfsRead, getpages, getpagesNow, gopWrite, putpages } from "../src/index.ts";

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

export interface FileOptions {
  readonly blockSize?: number;
  readonly size: number;
  /** Disk block of each block of the file; −1 is a hole. */
  readonly map: readonly number[];
  readonly frames?: number;
  readonly pagerPages?: number;
  readonly seed?: number;
  readonly completion?: CompletionPolicy;
  readonly maxTransfer?: number;
  /** Longest run that bmap tells. */
  readonly maxRun?: number;
}

const MEDIA = 256 * KiB;
export const HOLE = -1;
/** What all disks hold; nobody writes. No byte is 0. */
const BYTES = Uint8Array.from({ length: MEDIA }, (_, i) => 1 + ((i * 7 + (i >> 8) * 13) % 255));

export class GenfsMachine {
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly kmem: Kmem;
  readonly bufs: IoBufs;
  readonly pages: UvmPages;
  readonly pager: PagerMap;
  readonly mount: Mount;
  readonly vp: Vnode;
  readonly disk: Disk;
  readonly node: GenfsNode;
  readonly media: Uint8Array;
  /** Transfers that the disk was given and has not ended. */
  readonly waiting: Bio[] = [];
  /** Called for every transfer that begins. */
  started: (bio: Bio) => void = () => {};
  /** Blocks of the file that bmap fails for. */
  readonly badBlocks = new Set<number>();
  /** bmap sleeps before it answers. */
  slowBmap = false;
  readonly #blockSize: number;
  readonly #map: readonly number[];
  readonly #frames: number;

  constructor(options: FileOptions) {
    const { blockSize = 4 * KiB, size, map, seed, completion = "inline" } = options;
    const { frames = 128, pagerPages = 64, maxTransfer = 64 * KiB, maxRun = 1000 } = options;
    const trace = new Trace();
    this.mem = new PhysMem({ banks: [{ base: MiB, size: frames * PAGE_SIZE }] });
    this.sched = new Scheduler(
      seed === undefined ? { trace } : { trace, random: new Chance(seed) },
    );
    this.kmem = new Kmem(this.mem);
    this.#frames = this.mem.freeFrames;
    this.bufs = new IoBufs({ sched: this.sched, trace, completion });
    this.pages = new UvmPages({ mem: this.mem, pmaps: this.kmem.pmaps, sched: this.sched, trace });
    this.pager = new PagerMap(this.kmem, this.sched, pagerPages * PAGE_SIZE);
    this.media = BYTES;
    this.#blockSize = blockSize;
    this.#map = map;
    this.disk = new Disk(this.bufs, {
      name: "test0",
      mediaSize: MEDIA,
      sectorSize: 512,
      maxTransfer,
      start: (bio) => {
        this.waiting.push(bio);
        this.started(bio);
      },
    });
    const cache = new BufCache({ bufs: this.bufs, kmem: this.kmem, limit: 64 * KiB });
    const refuse = (): never => {
      throw new Error("not an operation on pages");
    };
    const ops: VnodeOps = {
      lookup: refuse,
      readdir: refuse,
      readlink: refuse,
      getattr: refuse,
      read: genfsRead,
      write: refuse,
      getpagesNow,
      getpages,
      putpages,
      fsync: (vp, flags = 0) => flushVnode(vp, flags),
      bmap: (_vp, lbn, out) => this.#bmap(lbn, out, maxRun),
    };
    const { bufs, pages, pager, kmem } = this;
    const mountOps = { fsName: "test", rootIno: 2, vget: refuse };
    const syncer = new Syncer(this.sched);
    const context = { bufs, cache, pages, pager, kmem, syncer, pageArrays: new PageArrays() };
    const fsBshift = Math.log2(blockSize);
    this.mount = new Mount({ disk: this.disk, context, fsBshift, devBshift: 9, ops: mountOps });
    const genfsOps: GenfsOps = {
      size: (_vp, bytes) => alignUp(bytes, blockSize),
      alloc: refuse,
      write: gopWrite,
      markUpdate: () => {},
    };
    this.node = new GenfsNode(this.sched, genfsOps, "inode 3");
    const data = { genfs: this.node };
    this.vp = new Vnode(this.mount, ops, "regular", 3, size, pages.newObject(), data);
    this.mount.enter(this.vp);
  }

  /** End the waiting transfer `at`. */
  answer(at = 0, error: Errno = E.OK): void {
    const [bio] = this.waiting.splice(at, 1);
    bio.error = error;
    bio.resid = error === E.OK ? 0 : bio.bcount;
    if (error === E.OK) {
      this.kmem.write(bio.data, this.media.subarray(bio.offset, bio.offset + bio.bcount));
    }
    biodone(bio);
  }

  /** End all transfers, those too that the end of others brings, and run all threads. */
  settle(): void {
    this.sched.pump();
    while (this.waiting.length > 0) {
      this.answer();
      this.sched.pump();
    }
  }

  /** The transfers that wait: [offset on the disk, bytes]. */
  transfers(): [number, number][] {
    return this.waiting.map((bio) => [bio.offset, bio.bcount]);
  }

  /** What the file holds, over the end of its blocks too. */
  content(from: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const size = this.#blockSize;
    for (let at = from; at < from + length; at += size - (at % size)) {
      const block = this.#map[Math.floor(at / size)] ?? HOLE;
      if (block === HOLE) continue;
      const run = Math.min(size - (at % size), from + length - at);
      const start = block * size + (at % size);
      bytes.set(this.media.subarray(start, start + run), at - from);
    }
    return bytes;
  }

  /** A request for pages `index` … `index + count − 1`. */
  request(index: number, count: number, flags: number = Pgo.SYNCIO, center = 0): PageRequest {
    const request = new PageRequest(count);
    request.offset = index * PAGE_SIZE;
    request.count = count;
    request.center = center;
    request.flags = flags;
    return request;
  }

  bytesOf(frame: number): Uint8Array {
    const at = this.mem.byteOffset(frame);
    return this.mem.bytes(frame).slice(at, at + PAGE_SIZE);
  }

  /** State bits of page `index`, or null when it is not resident. */
  state(index: number): number | null {
    const frame = this.vp.object.lookup(index);
    return frame === NO_FRAME ? null : this.pages.flags(frame);
  }

  /** Which of the first `count` pages are resident. */
  residents(count: number): number[] {
    return Array.from({ length: count }, (_, i) => i).filter((i) => this.state(i) !== null);
  }

  /** Every resident page of the first `count` that is not being filled has the file's bytes. */
  checkContents(count: number): void {
    for (const index of this.residents(count)) {
      if ((this.state(index)! & Pg.FAKE) !== 0) continue;
      const wanted = this.content(index * PAGE_SIZE, PAGE_SIZE);
      expect(this.bytesOf(this.vp.object.lookup(index)), `page ${index}`).toEqual(wanted);
    }
  }

  /** Page `index` resident, valid, idle and on the active queue, without I/O. */
  plant(index: number): void {
    const frame = this.pages.alloc(this.vp.object, index);
    const at = this.mem.byteOffset(frame);
    this.mem.bytes(frame).set(this.content(index * PAGE_SIZE, PAGE_SIZE), at);
    this.pages.clearFlags(frame, Pg.FAKE);
    this.pages.activate(frame);
    this.pages.unbusy(frame);
  }

  /** Give back what a request was answered with. */
  release(request: PageRequest): void {
    for (let i = 0; i < request.count; i++) {
      if (request.pages[i] < 0) continue;
      this.pages.enqueue(request.pages[i]);
      this.pages.unbusy(request.pages[i]);
    }
  }

  /** Nothing is busy, mapped, locked or out; every frame comes back. */
  finish(): void {
    expect(this.waiting.length).toBe(0);
    expect(this.pages.busyCount()).toBe(0);
    expect(this.bufs.outstanding).toBe(0);
    expect(this.pager.mappedPages).toBe(0);
    expect(this.node.lock.held).toBe(false);
    this.pages.check();
    this.mount.vrele(this.vp);
    expect(this.mount.usedVnodes).toBe(0);
    this.sched.runSync(this.mount.unmount());
    this.kmem.arena.check();
    this.mem.check();
    this.kmem.reclaim(); // pages that zones keep in reserve
    expect(this.mem.freeFrames).toBe(this.#frames);
  }

  *#bmap(lbn: number, out: BlockMap, maxRun: number) {
    if (this.slowBmap) yield* this.sched.pause("bmap", 1000);
    if (this.badBlocks.has(lbn)) return E.EIO;
    const at = (i: number) => this.#map[i] ?? HOLE;
    const first = at(lbn);
    let run = 0;
    const follows = (i: number) =>
      lbn + i < this.#map.length && at(lbn + i) === (first === HOLE ? HOLE : first + i);
    while (run < maxRun && follows(run + 1)) run++;
    out.blkno = first === HOLE ? -1 : (first * this.#blockSize) / 512;
    out.run = run;
    return E.OK;
  }
}
