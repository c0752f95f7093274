/**
 * The page daemon: keeps frames free, so that others need not wait.
 *
 * A thread that is woken when frames become few. It goes round the inactive queue, oldest first: pages
 * that were used since go back to the active queue, clean ones are freed, dirty ones are handed to
 * their object's pager, which writes the cluster round them and frees them when that is done. Then it
 * refills the inactive queue from the active one.
 *
 * It never waits for what waits for it: busy pages are passed by, a pager that would have to wait says
 * so and is passed by, a frame reserve and a window of the pager map are its own (FrameSupply, PagerMap).
 * Anonymous pages have nowhere to go and leave the queues. After some rounds in which no page was freed,
 * it tells those of the waiting threads that may fail (faults on anonymous memory: ENOMEM), and
 * sleeps. Follows sys/uvm/uvm_pdaemon.c and uvm_pdpolicy_clock.c.
 */
import type { Frame } from "@physio/kern";
import { KiB, MiB, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { clearReference, isModified, Prot } from "@physio/pmap";
import type { Sleeps, Thread } from "@physio/sched";
import { Priority } from "@physio/sched";
import { Ktr, traceEvent } from "@physio/trace";
import { PageQueue, Pg, Pgo } from "./page.ts";
import type { UvmPages } from "./pages.ts";

const PAGE = PAGE_SIZE;
const PASS = traceEvent(Ktr.VM, "pagedaemon", "free", "paging", "inactive", "freed");

/** Rounds without a page freed, and the pause before another, in ns: I/O of others may end meanwhile. */
const FRUITLESS_MOST = 8;
const PAUSE = 20_000_000;
/** The inactive queue's share of all queued pages. @bsd #Y uvm_pctparam inactivepct */
const INACTIVE_SHARE = 1 / 3;

/** When it wakes, and how far it goes, in frames. */
export interface DaemonTargets {
  readonly freeMin: number;
  readonly freeTarget: number;
}

/** Half a percent of memory, within bounds, is to be free; the target is a third more. @bsd #Y uvmpd_tune */
export function daemonTargets(totalFrames: number, reserved: number): DaemonTargets {
  const share = Math.floor(totalFrames / 200);
  const low = Math.min((128 * KiB) / PAGE, Math.floor(totalFrames / 16));
  const usual = Math.min(Math.max(share, low), MiB / PAGE);
  const freeMin = Math.max(usual, reserved + 1);
  return { freeMin, freeTarget: Math.max(Math.floor((freeMin * 4) / 3), freeMin + 1) };
}

/** @bsd #Y uvm_pageout */
export class PageDaemon {
  readonly targets: DaemonTargets;
  readonly thread: Thread;
  /** Rounds so far; pages that went back to the active queue, were handed to a pager, were passed by. @bsd #Y pdrevs, pdreact, pdpageouts, pdbusy */
  rounds: number;
  reactivated: number;
  pageouts: number;
  skipped: number;
  /** Times that it found nothing and told those who wait. */
  givenUp: number;
  readonly #pages: UvmPages;
  #wanted: boolean;

  /** => `pages` has no daemon. Its thread starts at once, and lives as long as the machine. */
  constructor(pages: UvmPages, targets?: DaemonTargets) {
    this.targets = targets ?? daemonTargets(pages.mem.totalFrames, pages.supply.reserved);
    this.rounds = 0;
    this.reactivated = 0;
    this.pageouts = 0;
    this.skipped = 0;
    this.givenUp = 0;
    this.#pages = pages;
    this.#wanted = false;
    this.thread = pages.sched.spawn("pagedaemon", this.#run(), Priority.PVM);
    pages.daemon = this.thread;
    pages.supply.attach(this.targets.freeMin, () => this.wake());
  }

  /** Have a look. @bsd #Y uvm_kick_pdaemon */
  wake(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#pages.sched.wakeup(this);
  }

  describeWait(): string {
    const { freeMin, freeTarget } = this.targets;
    return `fewer than ${freeMin} free frames (target ${freeTarget})`;
  }

  /** The thread's body. */
  *#run(): Sleeps<void> {
    const { sched, supply } = this.#pages;
    for (;;) {
      while (!this.#wanted) yield* sched.sleep(this, "pgdaemon");
      this.#wanted = false;
      const progress = yield* this.#work();
      if (progress || supply.waiting === 0) continue;
      this.givenUp++;
      supply.exhausted();
      this.#wanted = false; // nothing has changed for those who wait on
    }
  }

  /** Rounds until enough is free. @returns false: nothing could be freed. */
  *#work(): Sleeps<boolean> {
    const pages = this.#pages;
    for (let fruitless = 0; fruitless < FRUITLESS_MOST; ) {
      const before = pages.freed;
      yield* this.#scan();
      this.#balance();
      // Who waits needs frames, not promises: see what comes of the writes.
      while (pages.paging > 0 && pages.supply.free < this.targets.freeMin) {
        yield* pages.sched.sleep(pages.queues, "pdwait");
      }
      this.#note(pages.freed - before);
      if (this.#missing() <= 0) return true;
      fruitless = pages.freed === before ? fruitless + 1 : 0;
      if (fruitless > 0 && pages.supply.waiting === 0) return true; // nobody minds
      if (fruitless > 0) yield* pages.sched.pause("pdpause", PAUSE);
    }
    return false;
  }

  /** Frames that are missing to the target, with those that are on their way. */
  #missing(): number {
    const { supply, paging } = this.#pages;
    return this.targets.freeTarget - supply.free - paging;
  }

  /** Once round the inactive queue, at most. @bsd #Y uvmpd_scan_queue */
  *#scan(): Sleeps<void> {
    const { queues } = this.#pages;
    let left = queues.length(PageQueue.INACTIVE);
    for (; left > 0 && this.#missing() > 0; left--) {
      const frame = queues.oldest(PageQueue.INACTIVE);
      if (frame === NO_FRAME) return;
      if (!this.#settle(frame)) yield* this.#pageOut(frame);
    }
  }

  /** Do with an inactive page what needs no I/O. @returns false: it is dirty. */
  #settle(frame: Frame): boolean {
    const pages = this.#pages;
    const { mem, queues } = pages;
    if (pages.wireCount(frame) > 0 || pages.objectOf(frame).anonymous) {
      queues.remove(frame);
      return true;
    }
    queues.move(frame, PageQueue.INACTIVE); // to its end: whatever happens, the next one is another
    if ((pages.flags(frame) & Pg.BUSY) !== 0) {
      this.skipped++;
      return true;
    }
    if (clearReference(mem, frame)) {
      pages.activate(frame);
      this.reactivated++;
      return true;
    }
    if ((pages.flags(frame) & Pg.CLEAN) === 0 || isModified(mem, frame)) return false;
    pages.protect(frame, Prot.NONE);
    pages.free(frame);
    pages.daemonFreed++;
    return true;
  }

  /** Have a dirty page written and freed. */
  *#pageOut(frame: Frame): Sleeps<void> {
    const pages = this.#pages;
    const { pager } = pages.objectOf(frame);
    if (pager === null) {
      this.skipped++;
      return;
    }
    const offset = pages.indexOf(frame) * PAGE;
    this.pageouts++;
    const error = yield* pager.put(offset, offset + PAGE, Pgo.CLEANIT | Pgo.FREE);
    if (error !== 0) this.skipped++;
  }

  /** Keep the inactive queue long enough. @bsd #Y uvmpdpol_balancequeue */
  #balance(): void {
    const pages = this.#pages;
    const { queues } = pages;
    const active = queues.length(PageQueue.ACTIVE);
    const inactive = queues.length(PageQueue.INACTIVE);
    const target = Math.max(
      Math.ceil((active + inactive) * INACTIVE_SHARE),
      this.targets.freeTarget + 1,
    );
    let short = Math.min(target - inactive - pages.paging, active);
    for (let left = active; left > 0 && short > 0; left--) {
      const frame = queues.oldest(PageQueue.ACTIVE);
      if (pages.wireCount(frame) > 0 || pages.objectOf(frame).anonymous) {
        queues.remove(frame);
        continue;
      }
      if ((pages.flags(frame) & Pg.BUSY) !== 0) {
        queues.move(frame, PageQueue.ACTIVE);
        continue;
      }
      clearReference(pages.mem, frame);
      queues.move(frame, PageQueue.INACTIVE);
      short--;
    }
  }

  #note(freed: number): void {
    const { mem, paging, queues, trace } = this.#pages;
    this.rounds++;
    trace.record(PASS, mem.freeFrames, paging, queues.length(PageQueue.INACTIVE), freed);
  }
}
