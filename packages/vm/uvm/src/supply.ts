/**
 * Frames for pages: where they come from when memory is short.
 *
 * A page gets a frame as long as more than a reserve are free. Then clean pages that nobody holds give
 * way, oldest first, inactive before active; that needs no thread. What is left below the reserve is the
 * kernel's and the page daemon's, who need it to write dirty pages. Whoever gets nothing sleeps until a
 * frame is freed. A frame that is wired while its page is freed lives on without an owner until the
 * last wiring ends. Follows uvm_pagealloc and uvm_wait of sys/uvm.
 *
 * Only UvmPages has one; the page daemon is attached to it.
 */
import type { Errno, Frame } from "@physio/kern";
import { Errno as E, NO_FRAME } from "@physio/kern";
import { ROW_MASK } from "@physio/physmem";
import { isModified, Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { PageQueue, Pg } from "./page.ts";
import type { UvmPages } from "./pages.ts";

/** @bsd #Y uvmexp.reserve_kernel */
const RESERVED_MOST = 64;
/** With a daemon, pages that are looked at before an allocation leaves it to that. */
const SCAN_MOST = 64;

export class FrameSupply {
  /** Frames that pages leave to the kernel and to the page daemon. */
  readonly reserved: number;
  /** Pages that were taken from an object because memory was short. */
  reclaimed: number;
  /** Threads that wait for a frame. */
  waiting: number;
  /** Times that the page daemon gave up. */
  exhaustions: number;
  /** With fewer frames free or on their way than this, the page daemon is wanted; 0: there is none. */
  #wakeBelow: number;
  #wake: () => void;
  /** Frames of low reach that pages never get, unless others have taken some. */
  readonly #held: number;
  /** With more frames free than this, a page gets one and nobody need be told. */
  #ample: number;
  readonly #pages: UvmPages;
  readonly #allocFrame: (() => Frame) | null;
  /** What those sleep on who are told when there will be no frame. */
  readonly #users: { describeWait(): string };
  /** Frames without an owner that somebody keeps wired. */
  readonly #orphans: Set<Frame>;

  constructor(pages: UvmPages, allocFrame: (() => Frame) | null) {
    const { mem } = pages;
    this.reserved = Math.min(RESERVED_MOST, Math.floor(mem.totalFrames / 32));
    this.reclaimed = 0;
    this.waiting = 0;
    this.exhaustions = 0;
    this.#wakeBelow = 0;
    this.#held = mem.lowReserve[0] + mem.lowReserve[1];
    this.#ample = this.reserved + this.#held;
    this.#wake = nothing;
    this.#pages = pages;
    this.#allocFrame = allocFrame;
    this.#users = { describeWait: () => "a free frame" };
    this.#orphans = new Set();
    mem.pressure.onReclaim((wanted) => this.#give(wanted));
    mem.pressure.onRelief(() => this.relieve());
  }

  /** From now on `wake` is called when fewer than `wakeBelow` frames are free or will be. */
  attach(wakeBelow: number, wake: () => void): void {
    this.#wakeBelow = wakeBelow;
    this.#ample = Math.max(this.reserved, wakeBelow) + this.#held;
    this.#wake = wake;
  }

  /** Free frames that pages may have, the reserve among them. */
  get free(): number {
    return this.#pages.mem.plainFrames;
  }

  /** A frame for a page. @returns NO_FRAME: there is none to be had now. */
  take(): Frame {
    if (this.#allocFrame !== null) return this.#allocFrame();
    const { mem, paging } = this.#pages;
    if (mem.freeFrames > this.#ample) return mem.allocFrame(); // none of what follows: 10 ns less
    while (this.free <= this.reserved && this.#reclaim());
    const { free } = this;
    if (free + paging <= this.#wakeBelow) this.#wake(); // this one counts
    if (free > this.reserved || this.#pages.inDaemon) return mem.allocFrame();
    // Others' caches give way too, before a page goes into the reserve.
    if (this.reserved > 0 && !mem.pressure.reclaim(1)) return NO_FRAME;
    return this.free > this.reserved || this.reserved === 0 ? mem.allocFrame() : NO_FRAME;
  }

  /**
   * Sleep until a frame is free. With `mayFail` the wait also ends when the page daemon finds nothing.
   * @returns OK: try again; ENOMEM: with `mayFail` only.   @bsd #Y uvm_wait, uvm_reclaimable
   */
  *wait(mayFail: boolean): Sleeps<Errno> {
    const { mem, sched } = this.#pages;
    const before = this.exhaustions;
    this.waiting++;
    mem.pressure.expect(); // a frame that anybody frees wakes us
    this.#wake();
    yield* sched.sleep(mayFail ? this.#users : this.#pages, "uvm_wait");
    this.waiting--;
    return mayFail && this.exhaustions !== before ? E.ENOMEM : E.OK;
  }

  /** A frame is free, or a page may be reclaimed now. */
  relieve(): void {
    if (this.waiting > 0) this.#tell();
  }

  #tell(): void {
    this.#pages.sched.wakeup(this.#pages);
    this.#pages.sched.wakeup(this.#users);
  }

  /** The page daemon has found nothing: those who may fail are told. */
  exhausted(): void {
    this.exhaustions++;
    this.#pages.sched.wakeup(this.#users);
  }

  /** The daemon may find more now than when it looked last. */
  retry(): void {
    if (this.waiting > 0) this.#wake();
  }

  /** Keep a wired frame that has no owner any more until `reap` finds it unwired. */
  adopt(frame: Frame): void {
    this.#orphans.add(frame);
  }

  /** Free what nobody keeps wired any more. */
  reap(): void {
    const { mem } = this.#pages;
    for (const frame of this.#orphans) {
      if (mem.section(frame).wireCount[frame & ROW_MASK] > 0) continue;
      this.#orphans.delete(frame);
      mem.freeFrame(frame);
    }
  }

  /** Frames that live on without an owner. */
  get orphans(): number {
    return this.#orphans.size;
  }

  /** Memory is short: free up to `wanted` pages that are clean and held by nobody. @returns how many. */
  #give(wanted: number): number {
    let given = 0;
    while (given < wanted && this.#reclaim()) given++;
    return given;
  }

  /** Free one page that is clean and held by nobody. @returns whether there was one. */
  #reclaim(): boolean {
    const pages = this.#pages;
    if (this.#orphans.size > 0) this.reap();
    let left = this.#wakeBelow === 0 ? Infinity : SCAN_MOST;
    for (const queue of [PageQueue.INACTIVE, PageQueue.ACTIVE]) {
      let frame = pages.queues.oldest(queue);
      for (; frame !== NO_FRAME && left > 0; frame = pages.queues.after(frame), left--) {
        const idle = (pages.flags(frame) & (Pg.BUSY | Pg.CLEAN)) === Pg.CLEAN;
        if (!idle || pages.wireCount(frame) > 0 || isModified(pages.mem, frame)) continue;
        pages.protect(frame, Prot.NONE);
        pages.free(frame);
        this.reclaimed++;
        return true;
      }
    }
    return false;
  }
}

function nothing(): void {}
