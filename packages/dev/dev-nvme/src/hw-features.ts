/**
 * The features of the chip: values that the host may get and set (NVM Express 1.4, 5.13, 5.21).
 *
 * Nothing is saved across a reset. The number of queues and the write cache have an effect; the
 * others are kept and given back. `reset` restores the defaults.
 */
import type { ChipSettings } from "./hw-config.ts";
import type { QueueEngine } from "./hw-engine.ts";
import type { NvmCommands } from "./hw-io.ts";
import type { Command } from "./hw-queue.ts";
import type { NvmeStatus } from "./regs.ts";
import { FEATURE_SAVE, Feature, STATUS_DNR, Status } from "./regs.ts";

const SELECT_DEFAULT = 1;
const SELECT_SAVED = 2;
const SELECT_SUPPORTED = 3;
/** Answer to SELECT_SUPPORTED: bit 2, changeable. */
const CHANGEABLE = 4;

export class FeatureStore {
  /** Queues that the host may create; ids go up to these. */
  submissionQueues: number;
  completionQueues: number;
  readonly #engine: QueueEngine;
  readonly #io: NvmCommands;
  readonly #defaults: ReadonlyMap<number, number>;
  readonly #values: Map<number, number>;

  constructor(settings: ChipSettings, engine: QueueEngine, io: NvmCommands) {
    const pairs = settings.queuePairs;
    this.submissionQueues = pairs;
    this.completionQueues = pairs;
    this.#engine = engine;
    this.#io = io;
    this.#defaults = new Map([
      [Feature.ARBITRATION, 0],
      [Feature.POWER, 0],
      [Feature.TEMPERATURE, 353], // kelvin
      [Feature.ERROR_RECOVERY, 0],
      [Feature.WRITE_CACHE, 1],
      [Feature.QUEUES, (pairs - 1) * 65537],
      [Feature.COALESCING, 0],
      [Feature.VECTOR, 0],
      [Feature.ATOMICITY, 0],
      [Feature.ASYNC_EVENTS, 0],
    ]);
    this.#values = new Map(this.#defaults);
  }

  reset(): void {
    for (const [id, value] of this.#defaults) this.#apply(id, value);
  }

  /** 5.13 Get Features */
  get(command: Command): NvmeStatus {
    const id = command.cdw10 & 0xff;
    const fallback = this.#defaults.get(id);
    const current = this.#values.get(id);
    if (fallback === undefined || current === undefined) return Status.INVALID_FIELD | STATUS_DNR;
    const select = (command.cdw10 >> 8) & 7;
    if (select > SELECT_SUPPORTED) return Status.INVALID_FIELD | STATUS_DNR;
    if (select === SELECT_SUPPORTED) command.result = CHANGEABLE;
    else if (select === SELECT_DEFAULT || select === SELECT_SAVED) command.result = fallback;
    else command.result = current;
    return Status.SUCCESS;
  }

  /** 5.21 Set Features */
  set(command: Command): NvmeStatus {
    const id = command.cdw10 & 0xff;
    if (!this.#defaults.has(id)) return Status.INVALID_FIELD | STATUS_DNR;
    if (command.cdw10 >= FEATURE_SAVE) return Status.NOT_SAVEABLE | STATUS_DNR;
    if (id === Feature.QUEUES) return this.#setQueues(command);
    this.#apply(id, command.cdw11);
    return Status.SUCCESS;
  }

  /** 5.21.1.7: what the host asks for, at most what there is; before any I/O queue exists. */
  #setQueues(command: Command): NvmeStatus {
    const { sqs, cqs } = this.#engine;
    const submission = command.cdw11 & 0xffff;
    const completion = command.cdw11 >>> 16;
    const built = sqs.length - 2; // zero-based, without the admin queue
    const inUse = (queue: unknown, id: number): boolean => id > 0 && queue !== null;
    if (submission === 0xffff || completion === 0xffff) return Status.INVALID_FIELD | STATUS_DNR;
    if (sqs.some(inUse) || cqs.some(inUse)) return Status.SEQUENCE | STATUS_DNR;
    const granted = Math.min(completion, built) * 65536 + Math.min(submission, built);
    this.#apply(Feature.QUEUES, granted);
    command.result = granted;
    return Status.SUCCESS;
  }

  #apply(id: number, value: number): void {
    this.#values.set(id, value);
    if (id === Feature.WRITE_CACHE) this.#io.writeCache = value % 2 === 1;
    if (id !== Feature.QUEUES) return;
    this.submissionQueues = (value & 0xffff) + 1;
    this.completionQueues = (value >>> 16) + 1;
  }
}
