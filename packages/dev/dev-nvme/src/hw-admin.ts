/**
 * The admin commands of the chip: queues, Identify, features, logs, Abort, event requests.
 *
 * Follows NVM Express 1.4, chapter 5; the section stands above each command. An error that the same
 * command would meet again carries DNR.
 *
 * Only the controller calls it.
 */
import type { Bytes } from "@physio/kern";
import { isAligned, PAGE_SIZE } from "@physio/kern";
import type { ChipSettings } from "./hw-config.ts";
import type { QueueEngine } from "./hw-engine.ts";
import { HELD, HELD_MAX } from "./hw-engine.ts";
import type { FeatureStore } from "./hw-features.ts";
import {
  ABORTS_MAX,
  identifyActive,
  identifyController,
  identifyNamespace,
} from "./hw-identify.ts";
import type { AsyncEvents, Logs } from "./hw-log.ts";
import type { DataPath } from "./hw-prp.ts";
import type { Command } from "./hw-queue.ts";
import type { NvmeStatus } from "./regs.ts";
import {
  AdminOp,
  Cns,
  IDENTIFY_SIZE,
  LOG_RETAIN_EVENT,
  NSID_ALL,
  QueueFlag,
  STATUS_DNR,
  Status,
} from "./regs.ts";

/** What the admin commands work with. */
export interface AdminParts {
  readonly settings: ChipSettings;
  readonly engine: QueueEngine;
  readonly features: FeatureStore;
  readonly logs: Logs;
  readonly events: AsyncEvents;
  readonly path: DataPath;
  readonly scratch: Uint8Array;
}

const INVALID_FIELD = Status.INVALID_FIELD | STATUS_DNR;
const INVALID_NAMESPACE = Status.INVALID_NAMESPACE | STATUS_DNR;
const QUEUE_ID = Status.QUEUE_ID | STATUS_DNR;

export class AdminCommands {
  /** The host has set the sizes of the entries of I/O queues in CC. */
  entrySizes: boolean;
  readonly #parts: AdminParts;
  readonly #page: DataView;

  constructor(parts: AdminParts) {
    this.entrySizes = false;
    this.#parts = parts;
    this.#page = new DataView(parts.scratch.buffer, parts.scratch.byteOffset, IDENTIFY_SIZE);
  }

  execute(command: Command): NvmeStatus {
    if (command.modes !== 0) return INVALID_FIELD;
    switch (command.opcode) {
      case AdminOp.DELETE_SQ:
        return this.#deleteSq(command);
      case AdminOp.CREATE_SQ:
        return this.#createSq(command);
      case AdminOp.DELETE_CQ:
        return this.#deleteCq(command);
      case AdminOp.CREATE_CQ:
        return this.#createCq(command);
      case AdminOp.GET_LOG_PAGE:
        return this.#getLogPage(command);
      case AdminOp.IDENTIFY:
        return this.#identify(command);
      case AdminOp.ABORT:
        return this.#abort(command);
      case AdminOp.SET_FEATURES:
        return this.#parts.features.set(command);
      case AdminOp.GET_FEATURES:
        return this.#parts.features.get(command);
      case AdminOp.ASYNC_EVENT:
        return this.#asyncEvent();
      default:
        return Status.INVALID_OPCODE | STATUS_DNR;
    }
  }

  /** 5.1; an aborted command completes before its Abort. */
  #abort(command: Command): NvmeStatus {
    const { engine } = this.#parts;
    let running = 0;
    for (const other of command.queue.active) if (other.opcode === AdminOp.ABORT) running++;
    if (running > ABORTS_MAX) return Status.ABORT_LIMIT;
    const sqid = command.cdw10 & 0xffff;
    const cid = command.cdw10 >>> 16;
    const itself = sqid === 0 && cid === command.cid;
    command.result = !itself && engine.abort(sqid, cid) ? 0 : 1;
    return Status.SUCCESS;
  }

  /** 5.2 */
  #asyncEvent(): NvmeStatus {
    if (this.#parts.events.held >= HELD_MAX) return Status.ASYNC_EVENT_LIMIT | STATUS_DNR;
    this.#parts.events.poke();
    return HELD;
  }

  /** What both kinds of new queues must keep to, or null. */
  #badShape(command: Command): NvmeStatus | null {
    const size = (command.cdw10 >>> 16) + 1;
    if (size < 2 || size > this.#parts.settings.queueEntries || !this.entrySizes) {
      return Status.QUEUE_SIZE | STATUS_DNR;
    }
    if ((command.cdw11 & QueueFlag.PC) === 0) return INVALID_FIELD;
    return isAligned(command.prp1, PAGE_SIZE) ? null : Status.PRP_OFFSET | STATUS_DNR;
  }

  /** 5.3 */
  #createCq(command: Command): NvmeStatus {
    const { engine, features } = this.#parts;
    const id = command.cdw10 & 0xffff;
    if (id === 0 || id > features.completionQueues || engine.cqs[id] !== null) return QUEUE_ID;
    const bad = this.#badShape(command);
    if (bad !== null) return bad;
    if (command.cdw11 >>> 16 !== 0) return Status.INTERRUPT_VECTOR | STATUS_DNR;
    const interrupts = (command.cdw11 & QueueFlag.IEN) !== 0;
    engine.addCq({ id, base: command.prp1, size: (command.cdw10 >>> 16) + 1, interrupts });
    return Status.SUCCESS;
  }

  /** 5.4 */
  #createSq(command: Command): NvmeStatus {
    const { engine, features } = this.#parts;
    const id = command.cdw10 & 0xffff;
    if (id === 0 || id > features.submissionQueues || engine.sqs[id] !== null) return QUEUE_ID;
    const bad = this.#badShape(command);
    if (bad !== null) return bad;
    const cqid = command.cdw11 >>> 16;
    if (cqid === 0 || cqid > features.completionQueues) return QUEUE_ID;
    const cq = engine.cqs[cqid];
    if (cq === null) return Status.CQ_INVALID | STATUS_DNR;
    engine.addSq({ id, base: command.prp1, size: (command.cdw10 >>> 16) + 1, cq });
    return Status.SUCCESS;
  }

  /** 5.5 */
  #deleteCq(command: Command): NvmeStatus {
    const { engine } = this.#parts;
    const id = command.cdw10 & 0xffff;
    const cq = id > 0 && id < engine.cqs.length ? engine.cqs[id] : null;
    if (cq === null) return QUEUE_ID;
    if (engine.sqs.some((sq) => sq?.cq === cq)) return Status.QUEUE_DELETION | STATUS_DNR;
    engine.dropCq(cq);
    return Status.SUCCESS;
  }

  /** 5.6 */
  #deleteSq(command: Command): NvmeStatus {
    const { engine } = this.#parts;
    const id = command.cdw10 & 0xffff;
    const sq = id > 0 && id < engine.sqs.length ? engine.sqs[id] : null;
    if (sq === null) return QUEUE_ID;
    engine.dropSq(sq);
    return Status.SUCCESS;
  }

  /** 5.14 */
  #getLogPage(command: Command): NvmeStatus {
    const { logs, events, path, scratch, settings } = this.#parts;
    const id = command.cdw10 & 0xff;
    const page = logs.page(id);
    if (page === null) return Status.LOG_PAGE | STATUS_DNR;
    const words = (command.cdw11 & 0xffff) * 65536 + (command.cdw10 >>> 16) + 1;
    const length: Bytes = words * 4;
    const from = command.cdw12;
    if (length > settings.maxTransfer || from % 4 !== 0) return INVALID_FIELD;
    if (command.cdw13 !== 0 || from > page.length) return INVALID_FIELD;
    const held = Math.min(length, page.length - from);
    scratch.set(page.subarray(from, from + held));
    scratch.fill(0, held, length);
    const status = path.toHost(command, scratch, length);
    if (status === Status.SUCCESS && (command.cdw10 & LOG_RETAIN_EVENT) === 0) events.wasRead(id);
    return status;
  }

  /** 5.15 */
  #identify(command: Command): NvmeStatus {
    const { path, scratch, settings } = this.#parts;
    scratch.fill(0, 0, IDENTIFY_SIZE);
    switch (command.cdw10 & 0xff) {
      case Cns.CONTROLLER:
        identifyController(this.#page, settings);
        break;
      case Cns.NAMESPACE:
        // There is no namespace management, so nothing stands behind NSID_ALL.
        if (command.nsid !== 1) return INVALID_NAMESPACE;
        identifyNamespace(this.#page, settings);
        break;
      case Cns.ACTIVE_NAMESPACES:
        if (command.nsid >= NSID_ALL - 1) return INVALID_NAMESPACE;
        identifyActive(this.#page, command.nsid);
        break;
      default:
        return INVALID_FIELD;
    }
    return path.toHost(command, scratch, IDENTIFY_SIZE);
  }
}
