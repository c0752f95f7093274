/**
 * Disk queues: which request a disk starts next.
 *
 * `fifo` is first come, first served. `elevator` serves the most urgent priority first; each priority
 * has a sweep of its own, upwards over the disk from where its last request ended and then again
 * from the lowest (C-LOOK). A request is late when, since it came, PATIENCE commands more were started
 * than requests waited before it. The oldest late request is next whatever its place; between two
 * late ones BATCH commands are taken in order, so that a long queue is not served first come, first
 * served. Follows subr_disk.c, bufq_priocscan.c and bufq_fcfs.c; the bound is our own.
 *
 * Starvation bound: a request that finds `n` others waiting is started after at most
 * PATIENCE + n + (n + 1) * (BATCH + 1) commands.
 *
 * => transfers that overlap are ordered by who asks for them: the second is asked for when the first
 * is done.
 */
import { BioCommand } from "@physio/carriers";
import type { Bytes, FileOffset, VirtAddr } from "@physio/kern";
import { panic, Tailq } from "@physio/kern";
import type { Buf } from "./buf.ts";
import { BufPriority } from "./buf.ts";
import { Sweep } from "./sweep.ts";

/** Part of a buf, as the driver may be given it. */
export class DiskRequest {
  buf: Buf | null;
  command: BioCommand;
  fua: boolean;
  offset: FileOffset;
  bcount: Bytes;
  data: VirtAddr;
  priority: number;
  /** Never merged: it was, and the whole failed. */
  alone: boolean;
  /** Commands started before it, if they were started in the order in which they came. */
  turn: number;
  /** Of the elevator: the order in which they came, which heap of its sweep it is in, and where there. */
  serial: number;
  ahead: boolean;
  heapIndex: number;
  /** A write: flushes asked for before it; a flush: flushes before it, and its writes that are not done. */
  epoch: number;
  writesLeft: number;
  next: DiskRequest | null;
  prev: DiskRequest | null;

  constructor() {
    this.buf = null;
    this.command = BioCommand.READ;
    this.fua = false;
    this.offset = 0;
    this.bcount = 0;
    this.data = 0;
    this.priority = BufPriority.NONCRITICAL;
    this.alone = false;
    this.turn = 0;
    this.serial = 0;
    this.ahead = false;
    this.heapIndex = 0;
    this.epoch = 0;
    this.writesLeft = 0;
    this.next = null;
    this.prev = null;
  }
}

export interface DiskQueue {
  readonly length: number;
  insert(request: DiskRequest): void;
  /** The request to start next; it is off the queue. */
  take(): DiskRequest | null;
  /** A request of at most `room` bytes that goes on where `last`, just taken, ends: on the disk and in memory; off the queue. */
  takeNext(last: DiskRequest, room: Bytes): DiskRequest | null;
}

/** First come, first served; nothing is merged. @bsd #Y bufq_fcfs */
export class FifoQueue implements DiskQueue {
  readonly #arrivals: Tailq<DiskRequest>;

  constructor() {
    this.#arrivals = new Tailq<DiskRequest>();
  }

  get length(): number {
    return this.#arrivals.length;
  }

  insert(request: DiskRequest): void {
    this.#arrivals.insertTail(request);
  }

  take(): DiskRequest | null {
    const { first } = this.#arrivals;
    if (first !== null) this.#arrivals.remove(first);
    return first;
  }

  takeNext(): DiskRequest | null {
    return null;
  }
}

/** Of the starvation bound, in commands. */
export const PATIENCE = 128;
export const BATCH = 16;

/** @bsd #P[one bound for all priorities] bufq_priocscan */
export class ElevatorQueue implements DiskQueue {
  readonly #arrivals: Tailq<DiskRequest>;
  /** By priority. */
  readonly #sweeps: readonly Sweep[];
  #serial: number;
  /** Commands taken so far, and since the last late one. */
  #taken: number;
  #sinceLate: number;

  constructor() {
    this.#arrivals = new Tailq<DiskRequest>();
    this.#sweeps = [new Sweep(), new Sweep(), new Sweep()];
    this.#serial = 0;
    this.#taken = 0;
    this.#sinceLate = BATCH;
  }

  get length(): number {
    return this.#arrivals.length;
  }

  insert(request: DiskRequest): void {
    const sweep = this.#sweeps[request.priority];
    if (sweep === undefined)
      panic(`disk queue: offset ${request.offset}: priority ${request.priority}`);
    request.turn = this.#taken + this.#arrivals.length;
    request.serial = this.#serial++;
    this.#arrivals.insertTail(request);
    sweep.insert(request);
  }

  take(): DiskRequest | null {
    const oldest = this.#arrivals.first;
    if (oldest === null) return null;
    this.#taken++;
    if (this.#sinceLate >= BATCH && this.#taken - oldest.turn > PATIENCE) {
      this.#sinceLate = 0;
      this.#sweeps[oldest.priority].remove(oldest);
      this.#arrivals.remove(oldest);
      return oldest;
    }
    this.#sinceLate++;
    let priority = BufPriority.TIMECRITICAL as number;
    while (this.#sweeps[priority].length === 0) priority--;
    return this.#takeFrom(this.#sweeps[priority]);
  }

  takeNext(last: DiskRequest, room: Bytes): DiskRequest | null {
    const sweep = this.#sweeps[last.priority];
    const { next } = sweep;
    if (next === null || last.alone || next.alone) return null;
    const fits =
      next.offset === last.offset + last.bcount &&
      next.data === last.data + last.bcount &&
      next.bcount <= room &&
      next.command === last.command &&
      next.fua === last.fua;
    return fits ? this.#takeFrom(sweep) : null;
  }

  #takeFrom(sweep: Sweep): DiskRequest {
    const request = sweep.take();
    this.#arrivals.remove(request);
    return request;
  }
}
