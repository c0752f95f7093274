/**
 * The paging half of a machine without devices: memory, pages, the page daemon, bufs, the syncer, a disk
 * in an array, and a file system with nothing but files. What the suites of page I/O run on.
 *
 * Everything that chance decides comes from seeds: which thread runs next, how long a transfer or a block map
 * takes. Any place where something can fail can be made to fail (fault-points.ts).
 *
 * `finish` is the check that a test leaves nothing behind; call it at the end of every one.
 */
import type { CompletionPolicy } from "@physio/blkio";
import { BufCache, IoBufs } from "@physio/blkio";
import type { Bytes, Errno, FileOffset } from "@physio/kern";
import { Errno as E, KiB, MiB, NO_FRAME, PAGE_SIZE, panic } from "@physio/kern";
import { PhysMem, ROW_MASK } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import { Trace } from "@physio/trace";
import type { PageSemantics } from "@physio/uvm";
import { PageArrays, PageDaemon, PageQueue, PagerMap, UvmPages, Vmspace } from "@physio/uvm";
import type { FsContext, Mount, Vnode } from "@physio/vfs";
import { Syncer } from "@physio/vfs";
import { BlockFs, METADATA } from "./block-fs.ts";
import { STALE } from "./byte-model.ts";
import { Chance } from "./chance.ts";
import type { Point } from "./fault-points.ts";
import { FaultPoints } from "./fault-points.ts";
import { MemoryDisk } from "./memory-disk.ts";

export interface PagingOptions {
  readonly ram?: Bytes;
  readonly blockSize?: Bytes;
  readonly diskSize?: Bytes;
  /** Names the schedule, latencies, and where blocks lie; null: first come, first served, at once, in a row. */
  readonly seed?: number | null;
  readonly completion?: CompletionPolicy;
  readonly journal?: boolean;
  /** Block maps read and write metadata through the buffer cache. */
  readonly metadata?: boolean;
  readonly pagerPages?: number;
  readonly semantics?: PageSemantics;
  readonly points?: FaultPoints;
  /** Fill free frames with junk. Default: yes. */
  readonly verify?: boolean;
}

/** How long a shortage lasts that was made, and the longest latency, in ns. */
const SHORTAGE = 3_000_000;
const SLOWEST = 200_000;
const STEPS_MOST = 200_000;

export class PagingKernel {
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly kmem: Kmem;
  readonly bufs: IoBufs;
  readonly pages: UvmPages;
  readonly pager: PagerMap;
  readonly daemon: PageDaemon;
  readonly cache: BufCache;
  readonly syncer: Syncer;
  readonly disk: MemoryDisk;
  readonly fs: BlockFs;
  readonly points: FaultPoints;
  readonly files: Vnode[] = [];
  readonly spaces: Vmspace[] = [];
  readonly #frames: number;

  constructor(options: PagingOptions = {}) {
    const { ram = 2 * MiB, blockSize = 4 * KiB, diskSize = 2 * MiB, seed = null } = options;
    const { points = new FaultPoints(), completion = "softintr", verify = true } = options;
    const chance = seed === null ? null : new Chance(seed);
    const trace = new Trace();
    this.points = points;
    this.mem = new PhysMem({ banks: [{ base: MiB, size: ram }], verify });
    this.sched = new Scheduler(chance === null ? { trace } : { trace, random: chance });
    const { mem, sched } = this;
    this.kmem = new Kmem(mem, { sched });
    this.bufs = new IoBufs({ sched, trace, completion });
    const semantics = options.semantics ?? "fixed";
    this.pages = new UvmPages({ mem, pmaps: this.kmem.pmaps, sched, trace, semantics });
    this.pager = new PagerMap(this.kmem, sched, (options.pagerPages ?? 64) * PAGE_SIZE);
    this.cache = new BufCache({ bufs: this.bufs, kmem: this.kmem, limit: 64 * KiB });
    this.syncer = new Syncer(sched);
    const slow = (): number => (chance === null ? 0 : chance.below(SLOWEST));
    this.disk = new MemoryDisk({
      bufs: this.bufs,
      kmem: this.kmem,
      sched,
      size: diskSize,
      latency: () => (chance === null || chance.oneIn(4) ? 0 : 1000 + slow()),
      fails: () => this.#fails("disk"),
    });
    this.disk.media.fill(STALE);
    this.fs = new BlockFs({
      disk: this.disk.disk,
      context: this.#context(),
      blockSize,
      order: blockOrder(Math.floor((diskSize - METADATA) / blockSize), chance),
      metadata: options.metadata ?? false,
      journal: options.journal ?? false,
      fails: (point) => this.#fails(point),
      delay: () => (chance === null || !chance.oneIn(3) ? 0 : 1 + slow()),
    });
    this.#fillInFaults();
    this.daemon = new PageDaemon(this.pages);
    this.sched.pump();
    this.kmem.reclaim();
    this.#frames = mem.freeFrames;
  }

  get mount(): Mount {
    return this.fs.mount;
  }

  /** An empty file, referenced until `finish`. */
  file(): Vnode {
    const vp = this.fs.create();
    this.files.push(vp);
    return vp;
  }

  /** An address space, there until `finish`. */
  space(): Vmspace {
    const space = new Vmspace({ pages: this.pages, name: `space ${this.spaces.length}` });
    this.spaces.push(space);
    return space;
  }

  /** What the disk has of a file: zeros for holes. */
  diskBytes(vp: Vnode, from: FileOffset, length: Bytes): Uint8Array {
    const { blockSize } = this.fs;
    const blocks = this.fs.blocksOf(vp);
    const bytes = new Uint8Array(length);
    for (let at = from; at < from + length; ) {
      const lbn = Math.floor(at / blockSize);
      const run = Math.min((lbn + 1) * blockSize, from + length) - at;
      const block = blocks[lbn] ?? -1;
      const start = block * blockSize + (at % blockSize);
      if (block >= 0) bytes.set(this.disk.media.subarray(start, start + run), at - from);
      at += run;
    }
    return bytes;
  }

  /** Run a thread to its end. @throws {Panic} it can never end; {Error} it goes on for too long. */
  run<T>(body: Sleeps<T>, steps = STEPS_MOST): T {
    const thread = this.sched.start(body);
    if (this.sched.advance(thread, steps)) return this.sched.resultOf<T>(thread);
    throw new Error(`goes on after ${steps} steps\n${this.sched.report()}`);
  }

  /** Run threads side by side until all have ended. @throws as `run`, or what the first that failed throws. */
  runAll(bodies: readonly Sleeps<unknown>[], steps = STEPS_MOST): void {
    const { sched } = this;
    const failures: unknown[] = [];
    const threads = bodies.map((body, i) => sched.start(noting(body, failures), `thread ${i}`));
    try {
      for (const thread of threads) {
        if (!sched.advance(thread, steps))
          throw new Error(`goes on after ${steps} steps\n${sched.report()}`);
        sched.resultOf(thread);
      }
    } catch (error) {
      // Who fails keeps its locks: that others wait for them for ever is of no interest.
      throw failures.length > 0 ? failures[0] : error;
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Panic when anything is held although nobody does anything; `files` may be dirty. */
  checkQuiet(): void {
    const { pages, bufs, pager, fs, syncer } = this;
    const counts = {
      "busy pages": pages.busyCount(),
      "bufs out": bufs.outstanding,
      "pages in the pager map": pager.mappedPages,
      "journal transactions": fs.open,
      transactions: (fs.mount.trans as { open?: number }).open ?? 0,
      "pageouts under way": pages.paging,
      "threads that wait for frames": pages.supply.waiting,
      "requests of the disk": this.disk.disk.queued + this.disk.disk.inFlight,
    };
    for (const [what, count] of Object.entries(counts)) {
      if (count !== 0) panic(`at the end: ${count} ${what}`);
    }
    pages.check();
    syncer.check();
    this.cache.check();
    fs.mount.vnodes.check();
    this.kmem.arena.check();
    this.mem.check();
    this.sched.check();
    for (const space of this.spaces) space.check();
    fs.check(this.files);
    for (const vp of this.files) checkVnode(this, vp);
  }

  /** End everything: nothing is held, every frame is back. => no thread does anything. */
  finish(): void {
    this.points.paused = true;
    this.sched.pump();
    this.checkQuiet();
    for (const space of this.spaces) space.free();
    for (const vp of this.files) this.mount.vrele(vp);
    this.sched.pump();
    if (this.mount.usedVnodes !== 0) panic(`at the end: ${this.mount.usedVnodes} vnodes in use`);
    this.run(this.mount.unmount());
    this.sched.pump();
    if (this.pages.resident !== 0) panic(`at the end: ${this.pages.resident} pages`);
    if (this.syncer.length !== 0) panic(`at the end: ${this.syncer.length} vnodes on the worklist`);
    this.kmem.reclaim();
    const lost = this.#frames - this.mem.freeFrames;
    if (lost !== 0) panic(`at the end: ${lost} frames are lost`);
  }

  #context(): FsContext {
    const { bufs, cache, pages, pager, kmem, syncer, points } = this;
    const arrays = new PageArrays();
    const pageArrays = {
      take: (count: number, maySleep: boolean) =>
        !maySleep && points.hits("array") ? null : arrays.take(count),
      give: (array: Int32Array) => arrays.give(array),
    };
    return { bufs, cache, pages, pager, kmem, syncer, pageArrays };
  }

  #fails(point: Point): Errno {
    if (!this.points.hits(point)) return E.OK;
    if (point === "alloc") return E.ENOSPC;
    return point === "begin" ? E.EROFS : E.EIO;
  }

  /** Shortages that are made: nothing is to be had now, and somewhat later whoever waits may look again. */
  #fillInFaults(): void {
    const { pages, pager, kmem, sched, points } = this;
    const later = (action: () => void) => sched.after(sched.event(action), SHORTAGE);
    const { supply } = pages;
    const take = supply.take.bind(supply);
    supply.take = () => {
      if (!points.hits("page")) return take();
      later(() => supply.relieve());
      return NO_FRAME;
    };
    const mapIn = pager.tryMapIn.bind(pager);
    pager.tryMapIn = (frames, count, at) => {
      if (!points.hits("kva")) return mapIn(frames, count, at);
      later(() => sched.wakeup(pager));
      return -1;
    };
    const tryAlloc = kmem.tryAlloc.bind(kmem);
    kmem.tryAlloc = (size) => (points.hits("buf") ? -1 : tryAlloc(size));
    const kvaAlloc = kmem.kvaAlloc.bind(kmem);
    kmem.kvaAlloc = (size) => {
      if (!points.hits("kva")) return kvaAlloc(size);
      later(() => kmem.kvaFree(kvaAlloc(PAGE_SIZE), PAGE_SIZE));
      return -1;
    };
  }
}

/** `body`, whose exception is kept. */
function* noting(body: Sleeps<unknown>, failures: unknown[]): Sleeps<void> {
  try {
    yield* body;
  } catch (error) {
    failures.push(error);
  }
}

/** Blocks in a row, or in runs all over the disk. */
function blockOrder(count: number, chance: Chance | null): number[] {
  const order: number[] = Array.from({ length: count }, (_, i) => i);
  if (chance === null || chance.oneIn(3)) return order;
  const runs: number[][] = [];
  for (let at = 0; at < count; ) {
    const run = 1 + chance.below(6);
    runs.push(order.slice(at, at + run));
    at += run;
  }
  for (let i = runs.length - 1; i > 0; i--) {
    const j = chance.below(i + 1);
    [runs[i], runs[j]] = [runs[j], runs[i]];
  }
  return runs.flat();
}

/** A vnode that nobody uses: no lock, no output, and what is idle of it is on a queue. */
function checkVnode({ pages, fs }: PagingKernel, vp: Vnode): void {
  if (vp.lock.held || fs.nodeOf(vp).lock.held) panic(`at the end: inode ${vp.ino} is locked`);
  if (vp.numOutput !== 0) panic(`at the end: inode ${vp.ino}: ${vp.numOutput} outputs`);
  if (vp.size !== vp.writeSize) panic(`at the end: inode ${vp.ino}: ${vp.size}, ${vp.writeSize}`);
  for (const index of vp.object.indexes()) {
    const frame = vp.object.lookup(index);
    const queue = pages.mem.section(frame).queue[frame & ROW_MASK];
    if (queue === PageQueue.NONE && pages.wireCount(frame) === 0)
      panic(`at the end: ${pages.describe(frame)} is lost to the page daemon`);
  }
}
