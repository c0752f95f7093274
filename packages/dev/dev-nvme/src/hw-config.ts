/**
 * What a controller is built like: its configuration, checked and completed.
 *
 * Only `NvmeHardware` makes a ChipSettings; the parts of the chip read it.
 */
import type { Bytes, Nanoseconds } from "@physio/kern";
import { Errno, ErrnoError, isPowerOf2, isWhole, KiB, PAGE_SIZE } from "@physio/kern";
import type { Media } from "./media.ts";
import type { NvmeStatus } from "./regs.ts";

/** A media fault that never completes: the command hangs until an abort or a reset. */
export const FAULT_HANG = -1;

/**
 * Decides, when a command of the NVM set is about to complete, whether the medium fails it.
 * `lba` and `blocks` are the first range of the command, 0 for a flush.
 * @returns a status, SUCCESS to go on, FAULT_HANG to leave the command without an answer.
 */
export type MediaFault = (opcode: number, lba: number, blocks: number) => NvmeStatus;

export interface NvmeConfig {
  readonly media: Media;
  /** At most 20 ASCII characters. */
  readonly serial?: string;
  /** At most 40 ASCII characters. */
  readonly model?: string;
  /** 512 (default) or 4096. */
  readonly sectorSize?: Bytes;
  /** Largest transfer of a command: a power of 2 of at least a page; default 128 KiB. */
  readonly maxTransfer?: Bytes;
  /** Entries of the largest I/O queue, 2 … 65536; default 256. */
  readonly queueEntries?: number;
  /** I/O queue pairs, 1 … 1024; default 8. */
  readonly queuePairs?: number;
  /** CAP.DSTRD: doorbells are 4 << this bytes apart; 0 … 8, default 0. */
  readonly doorbellStride?: number;
  /** Time that every command takes; default 20 µs. */
  readonly latencyNs?: Nanoseconds;
  /** Up to this much is added at random when the scheduler has a source; default `latencyNs`. */
  readonly jitterNs?: Nanoseconds;
  /** Transfer speed in bytes per µs; default 2000 (2 GB/s). */
  readonly bytesPerUs?: number;
  readonly mediaFault?: MediaFault;
}

export interface ChipSettings {
  readonly media: Media;
  readonly serial: string;
  readonly model: string;
  readonly sectorSize: Bytes;
  /** Sectors of the namespace. */
  readonly sectors: number;
  readonly maxTransfer: Bytes;
  readonly queueEntries: number;
  readonly queuePairs: number;
  readonly doorbellStride: number;
  readonly latencyNs: Nanoseconds;
  readonly jitterNs: Nanoseconds;
  readonly bytesPerUs: number;
  readonly mediaFault: MediaFault | null;
}

/** Counters of one controller since it was built; a reset keeps them. */
export class NvmeStats {
  /** Commands fetched, of both kinds. */
  commands: number;
  adminCommands: number;
  /** Completions written. */
  completions: number;
  /** Completions with a status other than success. */
  errors: number;
  /** Bytes given to the host by Read, and taken from it by Write. */
  bytesRead: Bytes;
  bytesWritten: Bytes;
  /** Data pages that PRPs named, and PRP lists fetched. */
  prpPages: number;
  prpLists: number;
  /** Commands fetched and not yet completed, held event requests included; now and at most. */
  outstanding: number;
  maxOutstanding: number;
  /** Times a completion had to wait for room in its queue. */
  queueFull: number;

  constructor() {
    this.commands = 0;
    this.adminCommands = 0;
    this.completions = 0;
    this.errors = 0;
    this.bytesRead = 0;
    this.bytesWritten = 0;
    this.prpPages = 0;
    this.prpLists = 0;
    this.outstanding = 0;
    this.maxOutstanding = 0;
    this.queueFull = 0;
  }
}

function need(good: boolean, what: string): void {
  if (!good) throw new ErrnoError(Errno.EINVAL, `nvme: ${what}`);
}

const isAscii = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);
const within = (n: number, low: number, high: number): boolean =>
  isWhole(n) && n >= low && n <= high;

/** @throws {ErrnoError} EINVAL: a value is out of its range. */
export function settle(config: NvmeConfig): ChipSettings {
  const { media, serial = "PHYSIO0001", model = "physio NVMe controller" } = config;
  const { sectorSize = 512, maxTransfer = 128 * KiB, queueEntries = 256, queuePairs = 8 } = config;
  const { doorbellStride = 0, latencyNs = 20_000, bytesPerUs = 2000, mediaFault = null } = config;
  const jitterNs = config.jitterNs ?? latencyNs;
  need(isWhole(media.size) && media.size > 0, `medium of ${media.size} bytes`);
  need(serial.length <= 20 && isAscii(serial), `serial number "${serial}"`);
  need(model.length <= 40 && isAscii(model), `model "${model}"`);
  need(sectorSize === 512 || sectorSize === 4096, `sectors of ${sectorSize} bytes`);
  need(
    isPowerOf2(maxTransfer) && maxTransfer >= PAGE_SIZE && maxTransfer <= 2 ** 28,
    `transfers of ${maxTransfer} bytes`,
  );
  need(within(queueEntries, 2, 65536), `queues of ${queueEntries} entries`);
  need(within(queuePairs, 1, 1024), `${queuePairs} queue pairs`);
  need(within(doorbellStride, 0, 8), `doorbell stride ${doorbellStride}`);
  need(within(latencyNs, 0, 2 ** 40) && within(jitterNs, 0, 2 ** 31), `latency ${latencyNs} ns`);
  need(bytesPerUs > 0, `${bytesPerUs} bytes per µs`);
  return {
    media,
    serial,
    model,
    sectorSize,
    sectors: Math.ceil(media.size / sectorSize),
    maxTransfer,
    queueEntries,
    queuePairs,
    doorbellStride,
    latencyNs,
    jitterNs,
    bytesPerUs,
    mediaFault,
  };
}
