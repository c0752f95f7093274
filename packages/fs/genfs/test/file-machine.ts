/**
 * One file that can be written to, on a disk in an array, over a file system of two arrays: a block map and
 * a pool of free blocks. Shared by the tests of write-back, writing, truncation and direct I/O.
 *
 * A transfer ends some time after it began, or, while `held` is set, when the test says so. Pictures of pages
 * are strings, a letter a page: see `pictures.ts`.
 */
import type { BlockDevice, Buf, CompletionPolicy } from "@physio/blkio";
import { BufCache, BufFlag, IoBufs } from "@physio/blkio";
import { Uio, UioRw } from "@physio/carriers";
import type { Bytes, Errno, Frame } from "@physio/kern";
import { alignUp, Errno as E, KiB, MiB, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import type { AddressSpace } from "@physio/pmap";
import { Kmem, Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import type { PageSemantics, Pgo } from "@physio/uvm";
import { MapFlag, PageArrays, PagerMap, UvmPages, Vmspace } from "@physio/uvm";
import type { BlockMap, IoFlag, Journal, MountFlag, VnodeOps, VnodeType } from "@physio/vfs";
import { flushVnode, Mount, Syncer, Vnode } from "@physio/vfs";
import { expect } from "vitest";
import type { GenfsDecisions, GenfsOps, GopUpdate } from "../src/index.ts";
import {
  FIXED,
  GenfsNode,
  genfsRead,
  genfsTruncate,
  genfsWrite,
  getpages,
  getpagesNow,
  gopWrite,
  putpages,
  SEED,
} from "../src/index.ts";
import { Chance, HOLE, seeds } from "./machine.ts";

export interface FileMachineOptions {
  readonly blockSize?: Bytes;
  readonly size?: Bytes;
  /** Disk block of each block of the file. */
  readonly map?: readonly number[];
  /** Blocks that may be allocated; default: all. */
  readonly room?: number;
  readonly frames?: number;
  readonly pagerPages?: number;
  readonly seed?: number;
  readonly completion?: CompletionPolicy;
  readonly semantics?: PageSemantics;
  /** What differs from the decisions of `semantics`. */
  readonly decisions?: Partial<GenfsDecisions>;
  readonly journal?: boolean;
  readonly flags?: MountFlag;
  readonly type?: VnodeType;
  /** What differs from a file system with a block map. */
  readonly genfsOps?: Partial<GenfsOps>;
  readonly vnodeOps?: Partial<VnodeOps>;
}

/** One transfer, in blocks of the file system. */
export interface Transfer {
  readonly write: boolean;
  readonly block: number;
  readonly blocks: number;
  readonly priority: number;
}

const MEDIA = 512 * KiB;
const LATENCY = 1000;
/** What the disk holds where nobody has written: neither 0 nor any byte of `bytesOf`. */
export const STALE = 0xff;

/** Bytes that say who wrote them (`id`) and where. */
export function bytesOf(id: number, from: number, length: Bytes): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = 1 + ((id * 97 + (from + i) * 31) % 251);
  return bytes;
}

/** Random campaigns: a few seeds each time, all of them with PHYSIO_ALL. */
export const campaign = (few: number, all: number): number[] =>
  seeds(process.env.PHYSIO_ALL === undefined ? few : all);

/** Where two rows of bytes differ first; −1: nowhere. */
export function difference(got: Uint8Array, wanted: Uint8Array): number {
  if (Buffer.compare(got, wanted) === 0) return -1;
  const at = got.findIndex((byte, i) => byte !== wanted[i]);
  return at < 0 ? got.length : at;
}

export class FileMachine {
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly kmem: Kmem;
  readonly bufs: IoBufs;
  readonly pages: UvmPages;
  readonly pager: PagerMap;
  readonly mount: Mount;
  readonly vp: Vnode;
  readonly node: GenfsNode;
  readonly media: Uint8Array;
  readonly blockSize: Bytes;
  /** The block map, and the blocks that nobody has: the next one is the last. */
  readonly map: number[];
  readonly free: number[];
  /** All transfers so far, in the order in which they began. */
  readonly log: Transfer[] = [];
  /** Transfers are ended by `answer`, and wait until then. */
  held = false;
  readonly waiting: Buf[] = [];
  /** Blocks of the disk that cannot be moved, of the file that cannot be found; what begin and alloc say. */
  readonly badDisk = new Set<number>();
  readonly badBlocks = new Set<number>();
  beginError: Errno = E.OK;
  allocError: Errno = E.OK;
  /** Calls of alloc: [first block, blocks]. */
  readonly allocs: [number, number][] = [];
  /** bmap and alloc sleep before they answer. */
  slow = false;
  /** Journal transactions that were begun and that are open. */
  transactions = 0;
  open = 0;
  /** What markUpdate was told so far. */
  updates: GopUpdate = 0;
  readonly #chance: Chance | null;
  readonly #frames: number;
  readonly #spaces: Vmspace[] = [];

  constructor(options: FileMachineOptions = {}) {
    const { blockSize = 4 * KiB, size = 0, map = [], seed, semantics = "fixed" } = options;
    const { frames = 160, pagerPages = 64, completion = "inline", room = MEDIA } = options;
    const trace = new Trace();
    this.#chance = seed === undefined ? null : new Chance(seed);
    this.mem = new PhysMem({ banks: [{ base: MiB, size: frames * PAGE_SIZE }] });
    this.sched = new Scheduler(this.#chance === null ? { trace } : { trace, random: this.#chance });
    const { mem, sched } = this;
    soil(mem);
    this.kmem = new Kmem(mem, { sched });
    this.#frames = mem.freeFrames;
    this.bufs = new IoBufs({ sched, trace, completion });
    this.pages = new UvmPages({ mem, pmaps: this.kmem.pmaps, sched, trace, semantics });
    this.pager = new PagerMap(this.kmem, sched, pagerPages * PAGE_SIZE);
    this.media = new Uint8Array(MEDIA).fill(STALE);
    this.blockSize = blockSize;
    this.map = [...map];
    const all = Array.from({ length: MEDIA / blockSize }, (_, i) => i);
    this.free = all
      .filter((block) => !map.includes(block))
      .slice(0, room)
      .reverse();
    const { bufs, pages, pager, kmem } = this;
    const cache = new BufCache({ bufs, kmem, limit: 64 * KiB });
    const syncer = new Syncer(); // nobody writes but the test
    const context = { bufs, cache, pages, pager, kmem, syncer, pageArrays: new PageArrays() };
    const disk: BlockDevice = { name: "array0", strategy: (buf) => this.#strategy(buf) };
    const refuse = (): never => {
      throw new Error("not an operation on files");
    };
    this.mount = new Mount({
      disk,
      context,
      fsBshift: Math.log2(blockSize),
      devBshift: 9,
      flags: options.flags ?? 0,
      journal: options.journal === true ? this.#journal() : null,
      ops: { fsName: "arrays", rootIno: 2, vget: refuse },
    });
    const ops: VnodeOps = {
      lookup: refuse,
      readdir: refuse,
      readlink: refuse,
      getattr: refuse,
      read: genfsRead,
      write: genfsWrite,
      getpagesNow,
      getpages,
      putpages,
      fsync: (vp, flags = 0) => flushVnode(vp, flags),
      bmap: (_vp, lbn, out) => this.#bmap(lbn, out),
      ...options.vnodeOps,
    };
    const genfsOps: GenfsOps = {
      size: (_vp, bytes) => alignUp(bytes, blockSize),
      alloc: (_vp, offset, length) => this.#alloc(offset, length),
      write: gopWrite,
      markUpdate: (_vp, update) => {
        this.updates |= update;
      },
      ...options.genfsOps,
    };
    const decisions = { ...(semantics === "seed" ? SEED : FIXED), ...options.decisions };
    this.node = new GenfsNode(sched, genfsOps, "inode 3", decisions);
    const object = pages.newObject();
    const type = options.type ?? "regular";
    this.vp = new Vnode(this.mount, ops, type, 3, size, object, { genfs: this.node });
    this.mount.enter(this.vp);
  }

  // ---- running

  /** Give the file's blocks on the disk bytes of its own: `bytesOf(id, …)` up to its end, and STALE beyond. */
  fillDisk(id: number): void {
    const { blockSize, map, media, vp } = this;
    for (const [lbn, block] of map.entries()) {
      const length = Math.min(blockSize, vp.size - lbn * blockSize);
      if (block !== HOLE && length > 0)
        media.set(bytesOf(id, lbn * blockSize, length), block * blockSize);
    }
  }

  /** Run a thread to its end, and what it has left under way. */
  run<T>(body: Sleeps<T>): T {
    const result = this.sched.runSync(body);
    this.sched.pump();
    return result;
  }

  /** Start a thread, and go on until nothing moves. @returns asks for its result; undefined: it has not ended. */
  begin<T>(body: Sleeps<T>): () => T | undefined {
    const thread = this.sched.start(body);
    this.sched.pump();
    return () => this.sched.resultOf<T | undefined>(thread);
  }

  /** End the waiting transfer `at`, and run on. */
  answer(error: Errno = E.OK, at = 0): void {
    const [buf] = this.waiting.splice(at, 1);
    this.#end(buf, error);
    this.sched.pump();
  }

  /** End all transfers, and do not hold any from now on. */
  settle(): void {
    this.held = false;
    while (this.waiting.length > 0) this.answer();
    this.sched.pump();
  }

  // ---- the file's users

  /** Write `data` at `offset`, from kernel memory, as two ranges if `first` says so. @returns the error, and how much was not written. */
  *write(
    offset: number,
    data: Uint8Array,
    flags: IoFlag = 0,
    first = data.length,
  ): Sleeps<[Errno, number]> {
    const { kmem, vp } = this;
    const va = kmem.alloc(Math.max(data.length, 1));
    kmem.write(va, data);
    const uio = new Uio(UioRw.WRITE, kmem.space, cut(va, first, data.length), offset);
    const error = yield* vp.ops.write(vp, uio, flags);
    kmem.free(va, Math.max(data.length, 1));
    return [error, uio.resid];
  }

  /** Read the bytes that there are; an error throws. */
  *read(offset: number, length: Bytes, flags: IoFlag = 0): Sleeps<Uint8Array> {
    const [error, got] = yield* this.readSome(offset, length, flags);
    expect(error).toBe(E.OK);
    return got;
  }

  /** The same into two ranges. @returns the error, and what came before it. */
  *readSome(offset: number, length: Bytes, flags: IoFlag = 0): Sleeps<[Errno, Uint8Array]> {
    const { kmem, vp } = this;
    const va = kmem.alloc(Math.max(length, 1));
    const uio = new Uio(UioRw.READ, kmem.space, cut(va, Math.floor(length / 3), length), offset);
    const error = yield* vp.ops.read(vp, uio, flags);
    const got = new Uint8Array(length - uio.resid);
    kmem.read(va, got);
    kmem.free(va, Math.max(length, 1));
    return [error, got];
  }

  /** Give up blocks past `size` too. */
  truncate(size: Bytes): Sleeps<Errno> {
    return genfsTruncate(this.vp, size, (to) => this.release(to));
  }

  // biome-ignore lint/correctness/useYield: as a file system's, which may sleep
  *release(size: Bytes): Sleeps<Errno> {
    const keep = Math.ceil(size / this.blockSize);
    for (const block of this.map.splice(keep).reverse()) if (block !== HOLE) this.free.push(block);
    return E.OK;
  }

  /** Do what `flags` say to the pages `lo` … `hi − 1`. */
  put(lo: number, hi: number, flags: Pgo): Sleeps<Errno> {
    return this.vp.ops.putpages(this.vp, lo * PAGE_SIZE, hi * PAGE_SIZE, flags);
  }

  /** A user's address space with `length` bytes of memory. */
  user(length: Bytes): { readonly space: Vmspace; readonly va: number } {
    const space = new Vmspace({ pages: this.pages, name: "user" });
    this.#spaces.push(space);
    const flags = MapFlag.ANON | MapFlag.PRIVATE;
    return { space, va: space.mmap({ length, prot: Prot.READ | Prot.WRITE, flags }) };
  }

  /** A uio over `length` bytes of a space. */
  uio(rw: UioRw, space: AddressSpace, va: number, length: Bytes, offset: number): Uio {
    return new Uio(rw, space, [{ base: va, length }], offset);
  }

  // ---- looking

  /** What the disk has of the file: zeros for holes. */
  onDisk(from: number, length: Bytes): Uint8Array {
    const { blockSize, map, media } = this;
    const bytes = new Uint8Array(length);
    for (let at = from; at < from + length; ) {
      const run = Math.min(blockSize - (at % blockSize), from + length - at);
      const block = map[Math.floor(at / blockSize)] ?? HOLE;
      const start = block * blockSize + (at % blockSize);
      if (block !== HOLE) bytes.set(media.subarray(start, start + run), at - from);
      at += run;
    }
    return bytes;
  }

  /** What page `index` has. => it is resident. */
  page(index: number): Uint8Array {
    const frame = this.vp.object.lookup(index);
    const at = this.mem.byteOffset(frame);
    return this.mem.bytes(frame).slice(at, at + PAGE_SIZE);
  }

  /** Transfers since the last time: [first block, blocks]. */
  takeLog(write: boolean): [number, number][] {
    const some = this.log.splice(0).filter((transfer) => transfer.write === write);
    return some.map(({ block, blocks }) => [block, blocks]);
  }

  /** Nothing is held, busy, mapped or out. */
  checkQuiet(): void {
    const { vp, mount } = this;
    const counts = {
      waiting: this.waiting.length,
      busy: this.pages.busyCount(),
      bufs: this.bufs.outstanding,
      mapped: this.pager.mappedPages,
      output: vp.numOutput,
      locked: this.node.lock.held,
      journal: this.open,
      transactions: (mount.trans as { open?: number }).open,
      sizes: vp.size === vp.writeSize,
    };
    expect(counts).toEqual({
      waiting: 0,
      busy: 0,
      bufs: 0,
      mapped: 0,
      output: 0,
      locked: false,
      journal: 0,
      transactions: 0,
      sizes: true,
    });
    this.pages.check();
    this.kmem.arena.check();
    this.mem.check();
  }

  /** Quiet, and when all is written every frame and every block is where it belongs. */
  finish(): void {
    this.settle();
    this.checkQuiet();
    this.badDisk.clear();
    this.badBlocks.clear();
    this.beginError = E.OK;
    for (const space of this.#spaces) space.free();
    this.mount.vrele(this.vp);
    this.sched.pump();
    expect(this.mount.usedVnodes).toBe(0);
    this.run(this.mount.unmount());
    expect([this.pages.resident, this.vp.onWorklist]).toEqual([0, false]);
    const blocks = [...this.map.filter((block) => block !== HOLE), ...this.free];
    expect(new Set(blocks).size).toBe(blocks.length);
    this.kmem.reclaim();
    expect(this.mem.freeFrames).toBe(this.#frames);
  }

  // ---- the disk and the file system

  #strategy(buf: Buf): void {
    const { blockSize } = this;
    this.log.push({
      write: (buf.flags & BufFlag.READ) === 0,
      block: (buf.blkno * 512) / blockSize,
      blocks: buf.bcount / blockSize,
      priority: buf.priority,
    });
    if (this.held) {
      this.waiting.push(buf);
      return;
    }
    const event = this.sched.event(() => this.#end(buf, this.#badIn(buf) ? E.EIO : E.OK));
    const chance = this.#chance;
    this.sched.after(event, chance === null ? LATENCY : LATENCY + chance.below(50_000));
  }

  #badIn(buf: Buf): boolean {
    const first = Math.floor((buf.blkno * 512) / this.blockSize);
    const last = (buf.blkno * 512 + buf.bcount - 1) / this.blockSize;
    for (let block = first; block <= last; block++) if (this.badDisk.has(block)) return true;
    return buf.blkno * 512 + buf.bcount > MEDIA;
  }

  #end(buf: Buf, error: Errno): void {
    const at = buf.blkno * 512;
    const bytes = this.media.subarray(at, at + buf.bcount);
    buf.error = error;
    buf.resid = error === E.OK ? 0 : buf.bcount;
    if (error === E.OK) {
      if ((buf.flags & BufFlag.READ) !== 0) this.kmem.write(buf.data, bytes);
      else this.kmem.read(buf.data, bytes);
    }
    this.bufs.biodone(buf);
  }

  *#bmap(lbn: number, out: BlockMap): Sleeps<Errno> {
    if (this.slow) yield* this.sched.pause("bmap", LATENCY);
    if (this.badBlocks.has(lbn)) return E.EIO;
    const at = (i: number) => this.map[i] ?? HOLE;
    const first = at(lbn);
    let run = 0;
    const goesOn = (i: number) => at(lbn + i) === (first === HOLE ? HOLE : first + i);
    while (run < 63 && lbn + run + 1 < this.map.length && goesOn(run + 1)) run++;
    out.blkno = first === HOLE ? -1 : (first * this.blockSize) / 512;
    out.run = run;
    return E.OK;
  }

  *#alloc(offset: number, length: Bytes): Sleeps<Errno> {
    const first = Math.floor(offset / this.blockSize);
    const end = Math.ceil((offset + length) / this.blockSize);
    this.allocs.push([first, end - first]);
    if (this.slow) yield* this.sched.pause("alloc", LATENCY);
    if (this.allocError !== E.OK) return this.allocError;
    const before = this.map.length;
    const holes: number[] = [];
    for (let lbn = first; lbn < end; lbn++) {
      if ((this.map[lbn] ?? HOLE) === HOLE) holes.push(lbn);
    }
    if (holes.length > this.free.length) return E.ENOSPC; // all or none
    for (let lbn = before; lbn < end; lbn++) this.map.push(HOLE);
    for (const lbn of holes) this.map[lbn] = this.free.pop()!;
    return E.OK;
  }

  #journal(): Journal {
    const error = () => this.beginError;
    const begun = () => {
      this.transactions++;
      this.open++;
    };
    return {
      // biome-ignore lint/correctness/useYield: as a journal's, which may sleep
      *begin() {
        if (error() === E.OK) begun();
        return error();
      },
      end: () => {
        this.open--;
      },
    };
  }
}

/** Free frames hold junk, so that nobody gets by with a new page as it is. */
function soil(mem: PhysMem): void {
  const frames: Frame[] = [];
  for (let frame = mem.allocFrame(); frame !== NO_FRAME; frame = mem.allocFrame()) {
    const at = mem.byteOffset(frame);
    mem.bytes(frame).fill(STALE, at, at + PAGE_SIZE);
    frames.push(frame);
  }
  for (const frame of frames.reverse()) mem.freeFrame(frame);
}

/** Two ranges, the second where the first ends. */
function cut(va: number, first: Bytes, length: Bytes): { base: number; length: Bytes }[] {
  return [
    { base: va, length: first },
    { base: va + first, length: length - first },
  ];
}
