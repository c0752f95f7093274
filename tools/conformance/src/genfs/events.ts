/**
 * What happens during one step, in order: each kind in a list of its own, as the vectors have it.
 *
 * The device, the file system and the transactions write here; outcome.ts reads, and empties it.
 */
import type { Outcome } from "./vectors.ts";

/** The lists, by the names of their outcome fields. */
const LISTS = ["bmap", "io", "done", "gop", "rw"] as const;

export class Events {
  /** [lbn, blkno, run], or [lbn, error]. */
  bmap: unknown[];
  /** [number, "R" or "W", blkno, bytes, file offset, async, priority] of each device I/O issued. */
  io: unknown[];
  /** Numbers of the queued I/Os that ended. */
  done: unknown[];
  /** Calls of the genfs operations. */
  gop: unknown[];
  /** Calls of read and write. */
  rw: unknown[];
  /** fstrans starts and ends, journal begins and ends. */
  readonly trans: [number, number, number, number];
  preempts: number;
  /** Bytes reached the disk. */
  wrote: boolean;

  constructor() {
    this.bmap = [];
    this.io = [];
    this.done = [];
    this.gop = [];
    this.rw = [];
    this.trans = [0, 0, 0, 0];
    this.preempts = 0;
    this.wrote = false;
  }

  clear(): void {
    for (const list of LISTS) this[list] = [];
    this.trans.fill(0);
    this.preempts = 0;
    this.wrote = false;
  }

  /** Put what happened into an outcome; what did not is not mentioned. */
  tell(outcome: Outcome): void {
    for (const list of LISTS) if (this[list].length > 0) outcome[list] = this[list];
    if (this.trans.some((count) => count > 0)) outcome.trans = [...this.trans];
    if (this.preempts > 0) outcome.preempts = this.preempts;
  }
}
