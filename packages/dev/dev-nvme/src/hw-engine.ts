/**
 * The queue engine: fetches submission entries, lets commands take their time, posts completions.
 *
 * Follows NVM Express 1.4, chapter 4 and 7.2. Every command has an event of its own, so commands of
 * one queue overtake each other. What a command does happens when its event fires, through the
 * `execute` hook; the engine knows no opcode. A bus fault on a queue is fatal for the controller
 * (CSTS.CFS), as no completion can tell of it.
 *
 * Invariant: after `stop` no event of any queue or command is pending, so nothing reaches memory.
 */

import type { HardwareSlot } from "@physio/bus";
import type { BusAddr, Bytes } from "@physio/kern";
import { Errno } from "@physio/kern";
import type { ChipSettings, NvmeStats } from "./hw-config.ts";
import { Command, CompletionQueue, SubmissionQueue } from "./hw-queue.ts";
import type { NvmeStatus } from "./regs.ts";
import { CQE_SIZE, Cqe, SQE_SIZE, Status } from "./regs.ts";

/** From a doorbell to the fetch, or to whatever else it sets off. */
export const DOORBELL_NS = 200;
/** What `execute` returns for a command that gets its answer later. */
export const HELD = -1;
/** Event requests that may be held beside the commands of the admin queue. */
export const HELD_MAX = 4;

export interface EngineHooks {
  /** Bytes that a command moves: part of the time it takes. */
  transferBytes(command: Command): Bytes;
  /** Do what a command says. @returns its status, or HELD. */
  execute(command: Command): NvmeStatus;
  /** A queue cannot be reached any more. */
  fatal(): void;
}

export class QueueEngine {
  /** By queue id; 0 is the admin pair. */
  readonly sqs: (SubmissionQueue | null)[];
  readonly cqs: (CompletionQueue | null)[];
  /** INTMS and INTMC: masked vectors. */
  interruptMask: number;
  #running: boolean;
  #fetching: boolean;
  #interruptPending: boolean;
  #spare: Command | null;
  readonly #slot: HardwareSlot;
  readonly #settings: ChipSettings;
  readonly #stats: NvmeStats;
  readonly #hooks: EngineHooks;
  readonly #entry: Uint8Array;
  readonly #entryView: DataView;
  readonly #completion: Uint8Array;
  readonly #completionView: DataView;

  constructor(slot: HardwareSlot, settings: ChipSettings, stats: NvmeStats, hooks: EngineHooks) {
    const pairs = settings.queuePairs + 1;
    this.sqs = Array.from({ length: pairs }, () => null);
    this.cqs = Array.from({ length: pairs }, () => null);
    this.interruptMask = 0;
    this.#running = false;
    this.#fetching = false;
    this.#interruptPending = false;
    this.#spare = null;
    this.#slot = slot;
    this.#settings = settings;
    this.#stats = stats;
    this.#hooks = hooks;
    this.#entry = new Uint8Array(SQE_SIZE);
    this.#entryView = new DataView(this.#entry.buffer);
    this.#completion = new Uint8Array(CQE_SIZE);
    this.#completionView = new DataView(this.#completion.buffer);
  }

  get running(): boolean {
    return this.#running;
  }

  // ---- start and stop

  start(): void {
    this.#running = true;
    this.#fetching = true;
  }

  /** Fetch no more; what was fetched completes. */
  stopFetching(): void {
    this.#fetching = false;
  }

  /** Forget all queues and all commands: no completion follows. */
  stop(): void {
    this.#running = false;
    this.#fetching = false;
    this.#interruptPending = false;
    for (let id = 0; id < this.sqs.length; id++) {
      const sq = this.sqs[id];
      const cq = this.cqs[id];
      if (sq !== null) {
        this.#slot.sched.cancel(sq.fetch);
        for (const command of sq.active) {
          this.#slot.sched.cancel(command.done);
          sq.active.remove(command);
          this.#free(command);
        }
      }
      if (cq !== null) this.dropCq(cq);
      this.sqs[id] = null;
    }
  }

  // ---- queues

  addCq(shape: { id: number; base: BusAddr; size: number; interrupts: boolean }): CompletionQueue {
    const cq = new CompletionQueue(shape, this.#slot.sched, (q) => this.#drain(q));
    this.cqs[shape.id] = cq;
    return cq;
  }

  addSq(shape: { id: number; base: BusAddr; size: number; cq: CompletionQueue }): void {
    this.sqs[shape.id] = new SubmissionQueue(shape, this.#slot.sched, (q) => this.#fetch(q));
  }

  /** Complete what was fetched with SQ_DELETION; entries not fetched are forgotten. */
  dropSq(sq: SubmissionQueue): void {
    this.#slot.sched.cancel(sq.fetch);
    this.sqs[sq.id] = null;
    for (const command of sq.active) this.finish(command, Status.SQ_DELETION);
  }

  /** => no submission queue uses it. Completions that wait for room in it are lost. */
  dropCq(cq: CompletionQueue): void {
    this.#slot.sched.cancel(cq.drain);
    for (const command of cq.waiting) {
      cq.waiting.remove(command);
      this.#free(command);
    }
    this.cqs[cq.id] = null;
  }

  // ---- doorbells

  /** @returns false: the value is not one that the queue can take; nothing happened. */
  ringTail(sq: SubmissionQueue, tail: number): boolean {
    if (!sq.announce(tail)) return false;
    this.#fetchSoon(sq);
    return true;
  }

  /** @returns false: the value is not one that the queue can take; nothing happened. */
  ringHead(cq: CompletionQueue, head: number): boolean {
    if (!cq.release(head)) return false;
    if (cq.waiting.length > 0 && !cq.drain.pending) this.#slot.sched.after(cq.drain, DOORBELL_NS);
    return true;
  }

  /** Unmask vectors; an interrupt that was held back comes now if there is still a reason for it. */
  unmask(vectors: number): void {
    this.interruptMask = (this.interruptMask & ~vectors) >>> 0;
    if ((this.interruptMask & 1) !== 0 || !this.#interruptPending) return;
    this.#interruptPending = false;
    if (this.cqs.some((cq) => cq?.interrupts && !cq.empty)) this.#slot.intr.raise();
  }

  // ---- commands

  /** Call a command off. @returns false: it is not being executed. */
  abort(sqid: number, cid: number): boolean {
    const sq = sqid < this.sqs.length ? this.sqs[sqid] : null;
    if (sq === null) return false;
    for (const command of sq.active) {
      if (command.cid !== cid || !command.ownsId) continue;
      this.finish(command, Status.ABORT_REQUESTED);
      return true;
    }
    return false;
  }

  /** Answer a command. => it is on its queue's `active` list. */
  finish(command: Command, status: NvmeStatus): void {
    const sq = command.queue;
    this.#slot.sched.cancel(command.done);
    sq.active.remove(command);
    if (!this.#running) {
      this.#free(command); // a completion before this one met a fault
      return;
    }
    command.status = status;
    if (sq.cq.full || sq.cq.waiting.length > 0) {
      this.#stats.queueFull++;
      sq.cq.waiting.insertTail(command);
      return;
    }
    this.#post(sq.cq, command);
    if (!sq.empty) this.#fetchSoon(sq);
  }

  #fetchSoon(sq: SubmissionQueue): void {
    if (!this.#fetching || sq.fetch.pending || this.sqs[sq.id] !== sq) return;
    this.#slot.sched.after(sq.fetch, DOORBELL_NS);
  }

  #fetch(sq: SubmissionQueue): void {
    const room = sq.size - 1 + (sq.id === 0 ? HELD_MAX : 0);
    while (this.#fetching && !sq.empty && sq.active.length < room && sq.cq.waiting.length === 0) {
      const at = sq.base + sq.head * SQE_SIZE;
      if (this.#slot.port.read(at, this.#entry, 0, SQE_SIZE) !== Errno.OK) {
        this.#hooks.fatal();
        return;
      }
      sq.advance();
      this.#begin(sq);
    }
  }

  #begin(sq: SubmissionQueue): void {
    const { sched } = this.#slot;
    const command = this.#spare ?? new Command(sched, (c) => this.#due(c));
    this.#spare = command.next;
    command.next = null;
    command.decode(this.#entryView, sq);
    command.ownsId = sq.takeId(command.cid);
    sq.active.insertTail(command);
    const stats = this.#stats;
    stats.commands++;
    if (sq.id === 0) stats.adminCommands++;
    stats.outstanding++;
    if (stats.outstanding > stats.maxOutstanding) stats.maxOutstanding = stats.outstanding;
    sched.after(command.done, this.#latencyOf(command));
  }

  #latencyOf(command: Command): number {
    const { latencyNs, jitterNs, bytesPerUs } = this.#settings;
    const { random } = this.#slot.sched;
    const transfer = Math.ceil((this.#hooks.transferBytes(command) * 1000) / bytesPerUs);
    const jitter = random === null ? 0 : random.next() % (jitterNs + 1);
    return latencyNs + transfer + jitter;
  }

  #due(command: Command): void {
    const status = command.ownsId ? this.#hooks.execute(command) : Status.CID_CONFLICT;
    if (!this.#running) return; // it was fatal: the command is gone
    if (status === HELD) command.held = true;
    else this.finish(command, status);
  }

  #drain(cq: CompletionQueue): void {
    while (!cq.full) {
      const command = cq.waiting.first;
      if (command === null) break;
      cq.waiting.remove(command);
      this.#post(cq, command);
      if (!this.#running) return;
    }
    for (const sq of this.sqs) if (sq !== null && sq.cq === cq && !sq.empty) this.#fetchSoon(sq);
  }

  /** => there is room, and the command is on no list. */
  #post(cq: CompletionQueue, command: Command): void {
    const view = this.#completionView;
    const sq = command.queue;
    const { cid, status } = command;
    view.setUint32(Cqe.RESULT, command.result, true);
    view.setUint16(Cqe.SQHD, sq.head, true);
    view.setUint16(Cqe.SQID, sq.id, true);
    view.setUint16(Cqe.CID, cid, true);
    view.setUint16(Cqe.STATUS, (status << 1) | (cq.phase * Cqe.PHASE), true);
    this.#free(command);
    const at = cq.base + cq.tail * CQE_SIZE;
    if (this.#slot.port.write(at, this.#completion, 0, CQE_SIZE) !== Errno.OK) {
      this.#hooks.fatal();
      return;
    }
    cq.advance();
    this.#stats.completions++;
    if (status !== Status.SUCCESS) this.#stats.errors++;
    if (cq.interrupts) this.#interrupt();
  }

  #interrupt(): void {
    if ((this.interruptMask & 1) !== 0) this.#interruptPending = true;
    else this.#slot.intr.raise();
  }

  /** Back to the pool, which is linked by `next`. */
  #free(command: Command): void {
    if (command.ownsId) command.queue.freeId(command.cid);
    command.sq = null;
    command.next = this.#spare;
    this.#spare = command;
    this.#stats.outstanding--;
  }
}
