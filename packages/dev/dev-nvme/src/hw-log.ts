/**
 * Logs and asynchronous events: how the chip tells of what went wrong.
 *
 * Follows NVM Express 1.4, 5.2 and 5.14. The error log keeps the newest failures, newest first. An
 * event waits for a request to answer; after one was reported, further ones of its type stay back
 * until the host has read the log that it points at.
 */
import type { Event, Scheduler } from "@physio/sched";
import type { NvmeStats } from "./hw-config.ts";
import type { QueueEngine } from "./hw-engine.ts";
import { DOORBELL_NS } from "./hw-engine.ts";
import { ERROR_LOG_MAX, FIRMWARE, putNumber, putText } from "./hw-identify.ts";
import type { Command } from "./hw-queue.ts";
import type { NvmeStatus } from "./regs.ts";
import {
  AdminOp,
  AsyncEvent,
  ERROR_LOG_ENTRY,
  FIRMWARE_LOG_SIZE,
  FR_LENGTH,
  LogPage,
  SMART_LOG_SIZE,
  Status,
} from "./regs.ts";

export class Logs {
  /** The bytes of log page 01h. */
  readonly #errors: Uint8Array;
  readonly #errorView: DataView;
  readonly #stats: NvmeStats;
  #errorCount: number;

  constructor(stats: NvmeStats) {
    this.#errors = new Uint8Array(ERROR_LOG_MAX * ERROR_LOG_ENTRY);
    this.#errorView = new DataView(this.#errors.buffer);
    this.#stats = stats;
    this.#errorCount = 0;
  }

  /** A command failed. */
  record(command: Command, status: NvmeStatus): void {
    const view = this.#errorView;
    this.#errors.copyWithin(ERROR_LOG_ENTRY, 0, this.#errors.length - ERROR_LOG_ENTRY);
    this.#errors.fill(0, 0, ERROR_LOG_ENTRY);
    this.#errorCount++;
    putNumber(view, 0, this.#errorCount);
    view.setUint16(8, command.queue.id, true);
    view.setUint16(10, command.cid, true);
    view.setUint16(12, status << 1, true);
    view.setUint16(14, 0xffff, true); // where in the command: not told
    if (command.queue.id !== 0) {
      view.setUint32(16, command.cdw10, true);
      view.setUint32(20, command.cdw11, true);
    }
    view.setUint32(24, command.nsid, true);
  }

  /** The bytes of a log page, or null: there is no such page. */
  page(id: number): Uint8Array | null {
    if (id === LogPage.ERROR) return this.#errors;
    if (id === LogPage.SMART) return this.#smart();
    if (id !== LogPage.FIRMWARE) return null;
    const page = new Uint8Array(FIRMWARE_LOG_SIZE);
    page[0] = 1; // slot 1 is active
    putText(page, 8, FR_LENGTH, FIRMWARE);
    return page;
  }

  /** 5.14.1.2: what the chip counts anyway; the rest is zeros. */
  #smart(): Uint8Array {
    const page = new Uint8Array(SMART_LOG_SIZE);
    const view = new DataView(page.buffer);
    const unit = 512 * 1000;
    view.setUint16(1, 310, true); // kelvin
    page[3] = 100; // spare, percent
    putNumber(view, 32, Math.ceil(this.#stats.bytesRead / unit));
    putNumber(view, 48, Math.ceil(this.#stats.bytesWritten / unit));
    putNumber(view, 176, this.#errorCount);
    return page;
  }
}

const NOTHING = -1;

export class AsyncEvents {
  readonly #engine: QueueEngine;
  readonly #sched: Scheduler;
  readonly #deliver: Event;
  /** Information of the error event that waits for a request. */
  #waiting: number;
  #reported: boolean;

  constructor(engine: QueueEngine, sched: Scheduler) {
    this.#engine = engine;
    this.#sched = sched;
    this.#deliver = sched.event(() => this.#answer());
    this.#waiting = NOTHING;
    this.#reported = false;
  }

  reset(): void {
    this.#sched.cancel(this.#deliver);
    this.#waiting = NOTHING;
    this.#reported = false;
  }

  /** An event of type error. */
  error(info: number): void {
    this.#waiting = info;
    this.poke();
  }

  /** The host has read log page `id`. */
  wasRead(id: number): void {
    if (id !== LogPage.ERROR) return;
    this.#reported = false;
    this.poke();
  }

  /** Something may be deliverable: an event has come, or a request for one. */
  poke(): void {
    if (this.#waiting !== NOTHING && !this.#reported && !this.#deliver.pending) {
      this.#sched.after(this.#deliver, DOORBELL_NS);
    }
  }

  /** Requests that the chip holds. */
  get held(): number {
    let count = 0;
    const admin = this.#engine.sqs[0];
    if (admin !== null) for (const command of admin.active) if (isRequest(command)) count++;
    return count;
  }

  #answer(): void {
    const admin = this.#engine.sqs[0];
    if (admin === null || this.#waiting === NOTHING || this.#reported) return;
    for (const command of admin.active) {
      if (!isRequest(command)) continue;
      command.result = AsyncEvent.TYPE_ERROR | (this.#waiting << 8) | (LogPage.ERROR << 16);
      this.#waiting = NOTHING;
      this.#reported = true;
      this.#engine.finish(command, Status.SUCCESS);
      return;
    }
  }
}

const isRequest = (command: Command): boolean =>
  command.held && command.opcode === AdminOp.ASYNC_EVENT;
