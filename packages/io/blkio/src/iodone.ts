/**
 * Completion of bufs, waiting for it, and nested bufs.
 *
 * A driver answers a buf with `biodone`. The policy that the machine chose decides where the rest
 * runs: `inline`, in the driver's interrupt, or from a software interrupt thread.
 *
 * A nested buf is a piece of a master: the master's residue counts down as pieces end, and the
 * master is done when it reaches 0, with the error of the last piece that failed. Follows
 * vfs_bio.c (biodone, biowait, getiobuf, nestiobuf_setup, nestiobuf_done).
 */
import type { Bytes } from "@physio/kern";
import { Errno, formatBits, panic, Stailq } from "@physio/kern";
import type { Scheduler, Sleeps } from "@physio/sched";
import { SoftIntr } from "@physio/sched";
import type { Trace } from "@physio/trace";
import { Ktr, traceEvent } from "@physio/trace";
import type { OutputCounter } from "./buf.ts";
import { Buf, BufFlag, BufPriority } from "./buf.ts";

export type CompletionPolicy = "inline" | "softintr";

const DONE = traceEvent(Ktr.BUF, "biodone", "blkno", "bcount", "error", "flags");

export interface IoBufsConfig {
  readonly sched: Scheduler;
  readonly trace: Trace;
  readonly completion: CompletionPolicy;
}

/** Bufs without a cache, and the completion of all bufs. */
export class IoBufs {
  readonly sched: Scheduler;
  readonly trace: Trace;
  /** Bufs handed out and not given back. */
  outstanding: number;
  /** Takes an asynchronous buf that nobody has an iodone for; the buffer cache sets it. */
  release: (buf: Buf) => void;
  readonly #spare: Stailq<Buf>; // linked through `next`
  readonly #finished: Stailq<Buf>;
  readonly #softintr: SoftIntr | null;

  constructor(config: IoBufsConfig) {
    this.sched = config.sched;
    this.trace = config.trace;
    this.outstanding = 0;
    this.release = () => panic("biodone: an asynchronous buf without iodone or cache");
    this.#spare = new Stailq<Buf>();
    this.#finished = new Stailq<Buf>();
    this.#softintr =
      config.completion === "inline"
        ? null
        : new SoftIntr(config.sched, "biodone", () => this.#drain());
  }

  /** A busy buf with nothing in it. @bsd #Y getiobuf */
  get(): Buf {
    const buf = this.#spare.removeHead() ?? new Buf();
    buf.flags = BufFlag.BUSY;
    buf.priority = BufPriority.NONCRITICAL;
    buf.error = Errno.OK;
    buf.iodone = null;
    buf.private = null;
    buf.output = null;
    buf.resid = 0;
    buf.pendingParts = 0;
    this.outstanding++;
    return buf;
  }

  /** Give back what `get` returned. => it is busy, and no transfer of it is under way. @bsd #Y putiobuf */
  put(buf: Buf): void {
    if ((buf.flags & (BufFlag.BUSY | BufFlag.ENDED)) !== BufFlag.BUSY)
      panic(`putiobuf: block ${buf.blkno}: ${formatBits(BufFlag, buf.flags)}`);
    buf.flags = 0;
    this.outstanding--;
    this.#spare.insertTail(buf);
  }

  /** The transfer has ended. => `error` and `resid` are set; called once a start, of a busy buf. @bsd #Y biodone */
  biodone(buf: Buf): void {
    const state = buf.flags & (BufFlag.BUSY | BufFlag.DONE | BufFlag.ENDED);
    if (state !== BufFlag.BUSY) {
      const why = (state & BufFlag.BUSY) === 0 ? "not busy" : "done already";
      panic(`biodone: block ${buf.blkno}, ${buf.bcount} bytes, is ${why}`);
    }
    buf.flags |= BufFlag.ENDED;
    this.trace.record(DONE, buf.blkno, buf.bcount, buf.error, buf.flags);
    if (this.#softintr === null) {
      this.#complete(buf);
      return;
    }
    this.#finished.insertTail(buf);
    this.#softintr.schedule();
  }

  /** Sleep until the transfer has ended. @returns its error. @bsd #Y biowait */
  *biowait(buf: Buf): Sleeps<Errno> {
    while ((buf.flags & BufFlag.DONE) === 0) yield* this.sched.sleep(buf, "biowait");
    return buf.error;
  }

  /** Make `buf` the piece of `master` at byte `offset`. => `master.resid` still counts the piece. @bsd #Y nestiobuf_setup */
  nest(master: Buf, buf: Buf, offset: Bytes, size: Bytes): void {
    buf.flags = BufFlag.BUSY | BufFlag.ASYNC | (master.flags & BufFlag.READ);
    buf.priority = master.priority;
    buf.data = master.data + offset;
    buf.bufsize = size;
    buf.bcount = size;
    buf.resid = size;
    buf.private = master;
    buf.output = master.output;
    buf.iodone = this.#nestedDone;
    if ((buf.flags & BufFlag.READ) === 0 && buf.output !== null) buf.output.numOutput++;
  }

  /** Account for `bytes` of `master` that are finished, by a piece or without one. @bsd #Y nestiobuf_done */
  nestDone(master: Buf, bytes: Bytes, error: Errno): void {
    if (bytes === 0) return;
    if (!(bytes > 0 && bytes <= master.resid))
      panic(`nested buf: ${bytes} bytes done of ${master.resid} left`);
    if (error !== Errno.OK) master.error = error;
    master.resid -= bytes;
    if (master.resid > 0) return;
    if (master.error !== Errno.OK) master.resid = master.bcount;
    this.biodone(master);
  }

  /** An output of `owner`'s less is under way. @bsd #Y vwakeup */
  outputDone(owner: OutputCounter): void {
    if (!(owner.numOutput > 0)) panic(`output done with ${owner.numOutput} outstanding`);
    owner.numOutput--;
    if (owner.numOutput === 0) this.sched.wakeup(owner);
  }

  readonly #nestedDone = (buf: Buf): void => {
    const master = buf.private as Buf;
    if (!(buf.resid >= 0 && buf.resid <= buf.bufsize))
      panic(`nested buf: block ${buf.blkno}: ${buf.resid} bytes left of ${buf.bufsize}`);
    const short = buf.bcount < buf.bufsize || buf.resid > 0;
    const error = buf.error === Errno.OK && short ? Errno.EIO : buf.error;
    const bytes = buf.bufsize;
    this.put(buf);
    this.nestDone(master, bytes, error);
  };

  #drain(): void {
    for (let buf = this.#finished.removeHead(); buf !== null; buf = this.#finished.removeHead()) {
      this.#complete(buf);
    }
  }

  #complete(buf: Buf): void {
    buf.flags = (buf.flags & ~BufFlag.ENDED) | BufFlag.DONE;
    const { iodone, output } = buf;
    if ((buf.flags & BufFlag.READ) === 0 && output !== null) this.outputDone(output);
    if (iodone !== null) {
      buf.iodone = null;
      iodone(buf);
    } else if ((buf.flags & BufFlag.ASYNC) !== 0) this.release(buf);
    else this.sched.wakeup(buf);
  }
}
