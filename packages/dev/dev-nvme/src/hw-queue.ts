/**
 * Queues and commands of the chip (NVM Express 1.4, chapter 4): indices, phases and links, no bus.
 *
 * A command is on one list from its fetch to its completion: `active` of its submission queue while
 * it is executed, `waiting` of the completion queue when it is done and finds that queue full.
 * `head` and `tail` are always below `size`; head = tail is empty, tail + 1 = head is full.
 *
 * Only the engine makes queues and commands and moves them.
 */
import type { BusAddr } from "@physio/kern";
import { panic, Tailq } from "@physio/kern";
import type { Event, Scheduler } from "@physio/sched";
import type { NvmeStatus } from "./regs.ts";
import { CDW0_FUSE_PSDT, Sqe } from "./regs.ts";

/** A PRP above 52 bits: its place in the page survives, and no port reaches it. */
const UNREACHABLE = 2 ** 52;

/**
 * The bus address in the 64 bits at `at`.
 * An address of more than 52 bits is not exact as a number and comes back as one just past the
 * highest bus address, so whoever uses it gets a fault.
 */
export function busAddressAt(view: DataView, at: number): BusAddr {
  const low = view.getUint32(at, true);
  const high = view.getUint32(at + 4, true);
  return high < 2 ** 20 ? high * 2 ** 32 + low : UNREACHABLE + (low & 0xfff);
}

/** A command from its fetch to its completion; pooled. */
export class Command {
  next: Command | null;
  prev: Command | null;
  sq: SubmissionQueue | null;
  opcode: number;
  /** Bits of FUSE and PSDT, in place. */
  modes: number;
  cid: number;
  nsid: number;
  prp1: BusAddr;
  prp2: BusAddr;
  cdw10: number;
  cdw11: number;
  cdw12: number;
  cdw13: number;
  /** Double word 0 of the completion. */
  result: number;
  status: NvmeStatus;
  /** Its id was free when it was fetched. */
  ownsId: boolean;
  /** Executed, and without an answer for now: an async event request, a hang. */
  held: boolean;
  /** When it is done. */
  readonly done: Event;

  constructor(sched: Scheduler, finished: (command: Command) => void) {
    this.next = null;
    this.prev = null;
    this.sq = null;
    this.opcode = 0;
    this.modes = 0;
    this.cid = 0;
    this.nsid = 0;
    this.prp1 = 0;
    this.prp2 = 0;
    this.cdw10 = 0;
    this.cdw11 = 0;
    this.cdw12 = 0;
    this.cdw13 = 0;
    this.result = 0;
    this.status = 0;
    this.ownsId = false;
    this.held = false;
    this.done = sched.event(() => finished(this));
  }

  /** Take over the submission entry in `entry`. */
  decode(entry: DataView, sq: SubmissionQueue): void {
    const cdw0 = entry.getUint32(Sqe.CDW0, true);
    this.sq = sq;
    this.opcode = cdw0 & 0xff;
    this.modes = cdw0 & CDW0_FUSE_PSDT;
    this.cid = cdw0 >>> 16;
    this.nsid = entry.getUint32(Sqe.NSID, true);
    this.prp1 = busAddressAt(entry, Sqe.PRP1);
    this.prp2 = busAddressAt(entry, Sqe.PRP2);
    this.cdw10 = entry.getUint32(Sqe.CDW10, true);
    this.cdw11 = entry.getUint32(Sqe.CDW11, true);
    this.cdw12 = entry.getUint32(Sqe.CDW12, true);
    this.cdw13 = entry.getUint32(Sqe.CDW13, true);
    this.result = 0;
    this.status = 0;
    this.ownsId = false;
    this.held = false;
  }

  /** => the command has been fetched. */
  get queue(): SubmissionQueue {
    if (this.sq === null) panic("nvme: command without a queue");
    return this.sq;
  }
}

export class CompletionQueue {
  readonly id: number;
  readonly base: BusAddr;
  readonly size: number;
  /** IEN: completions raise the interrupt. */
  readonly interrupts: boolean;
  /** The host's: first entry that it has not taken. */
  head: number;
  /** Next entry to write. */
  tail: number;
  /** Phase of the entries of this round. */
  phase: number;
  /** Done, but there is no room. */
  readonly waiting: Tailq<Command>;
  /** Looks whether `waiting` can go on. */
  readonly drain: Event;

  constructor(
    shape: { id: number; base: BusAddr; size: number; interrupts: boolean },
    sched: Scheduler,
    onDrain: (cq: CompletionQueue) => void,
  ) {
    this.id = shape.id;
    this.base = shape.base;
    this.size = shape.size;
    this.interrupts = shape.interrupts;
    this.head = 0;
    this.tail = 0;
    this.phase = 1;
    this.waiting = new Tailq<Command>();
    this.drain = sched.event(() => onDrain(this));
  }

  get full(): boolean {
    return distance(this.tail, this.head, this.size) === 1;
  }

  get empty(): boolean {
    return this.head === this.tail;
  }

  /** The entry at `tail` is written. */
  advance(): void {
    this.tail++;
    if (this.tail < this.size) return;
    this.tail = 0;
    this.phase ^= 1;
  }

  /** The host's new head. @returns false: no such entry, or one not yet written. */
  release(head: number): boolean {
    if (head >= this.size) return false;
    const written = distance(this.head, this.tail, this.size);
    if (distance(this.head, head, this.size) > written) return false;
    this.head = head;
    return true;
  }
}

export class SubmissionQueue {
  readonly id: number;
  readonly base: BusAddr;
  readonly size: number;
  readonly cq: CompletionQueue;
  /** Next entry to fetch. */
  head: number;
  /** The host's: one past the last entry. */
  tail: number;
  /** Being executed, oldest first. */
  readonly active: Tailq<Command>;
  /** Fetches what the tail doorbell announced. */
  readonly fetch: Event;
  /** One bit per command id that is in use. */
  readonly #ids: Int32Array;

  constructor(
    shape: { id: number; base: BusAddr; size: number; cq: CompletionQueue },
    sched: Scheduler,
    onFetch: (sq: SubmissionQueue) => void,
  ) {
    this.id = shape.id;
    this.base = shape.base;
    this.size = shape.size;
    this.cq = shape.cq;
    this.head = 0;
    this.tail = 0;
    this.active = new Tailq<Command>();
    this.fetch = sched.event(() => onFetch(this));
    this.#ids = new Int32Array(65536 / 32);
  }

  get empty(): boolean {
    return this.head === this.tail;
  }

  /** The host's new tail. @returns false: no such entry, or it runs over entries not yet fetched. */
  announce(tail: number): boolean {
    if (tail >= this.size) return false;
    const announced = distance(this.head, this.tail, this.size);
    if (distance(this.head, tail, this.size) < announced) return false;
    this.tail = tail;
    return true;
  }

  /** The entry at `head` is fetched. */
  advance(): void {
    this.head = this.head + 1 === this.size ? 0 : this.head + 1;
  }

  /** @returns false: another command has this id. */
  takeId(cid: number): boolean {
    const bit = 1 << (cid & 31);
    const word = cid >> 5;
    if ((this.#ids[word] & bit) !== 0) return false;
    this.#ids[word] |= bit;
    return true;
  }

  freeId(cid: number): void {
    this.#ids[cid >> 5] &= ~(1 << (cid & 31));
  }
}

/** Steps forward from index `from` to index `to` in a ring of `size`. */
function distance(from: number, to: number, size: number): number {
  return to >= from ? to - from : to - from + size;
}
