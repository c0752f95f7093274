/**
 * The NVM command set of the chip: Read, Write, Flush, Write Zeroes, Dataset Management.
 *
 * Follows NVM Express 1.4, chapter 6. A command is judged and its bytes move when it completes: a
 * driver that takes its pages back too early sees wrong bytes, as on a board. A Write takes all of
 * its data from the host before the medium changes, so a bus fault leaves the medium as it was.
 *
 * Only the controller calls it.
 */
import type { Bytes, FileOffset } from "@physio/kern";
import { Errno } from "@physio/kern";
import type { ChipSettings, NvmeStats } from "./hw-config.ts";
import { FAULT_HANG } from "./hw-config.ts";
import { HELD } from "./hw-engine.ts";
import type { DataPath } from "./hw-prp.ts";
import type { Command } from "./hw-queue.ts";
import type { NvmeStatus } from "./regs.ts";
import { Dsm, NSID_ALL, NvmOp, Rw, STATUS_DNR, Status } from "./regs.ts";

const LBA_RANGE = Status.LBA_RANGE | STATUS_DNR;

export class NvmCommands {
  /** The volatile write cache is on: a Write without FUA is lasting only after a Flush. */
  writeCache: boolean;
  readonly #settings: ChipSettings;
  readonly #stats: NvmeStats;
  readonly #path: DataPath;
  readonly #scratch: Uint8Array;

  constructor(settings: ChipSettings, stats: NvmeStats, path: DataPath, scratch: Uint8Array) {
    this.writeCache = true;
    this.#settings = settings;
    this.#stats = stats;
    this.#path = path;
    this.#scratch = scratch;
  }

  /** Bytes that a command will move, whether or not it may. */
  transferBytes(command: Command): Bytes {
    if (command.opcode !== NvmOp.READ && command.opcode !== NvmOp.WRITE) return 0;
    return blocksOf(command) * this.#settings.sectorSize;
  }

  execute(command: Command): NvmeStatus {
    if (command.modes !== 0) return Status.INVALID_FIELD | STATUS_DNR;
    const all = command.nsid === NSID_ALL && command.opcode === NvmOp.FLUSH;
    if (command.nsid !== 1 && !all) return Status.INVALID_NAMESPACE | STATUS_DNR;
    switch (command.opcode) {
      case NvmOp.FLUSH:
        return this.#injected(command, 0, 0) ?? this.#flush();
      case NvmOp.READ:
        return this.#refused(command) ?? this.#read(command);
      case NvmOp.WRITE:
        return this.#refused(command) ?? this.#write(command);
      case NvmOp.WRITE_ZEROES:
        return this.#refused(command) ?? this.#writeZeroes(command);
      case NvmOp.DSM:
        return this.#manage(command);
      default:
        return Status.INVALID_OPCODE | STATUS_DNR;
    }
  }

  /** Why a command on a range cannot go on, or null. */
  #refused(command: Command): NvmeStatus | null {
    const lba = lbaOf(command);
    const blocks = blocksOf(command);
    const moves = this.transferBytes(command);
    if (moves > this.#settings.maxTransfer) return Status.INVALID_FIELD | STATUS_DNR;
    if (lba + blocks > this.#settings.sectors) return LBA_RANGE;
    return this.#injected(command, lba, blocks);
  }

  #injected(command: Command, lba: number, blocks: number): NvmeStatus | null {
    const status = this.#settings.mediaFault?.(command.opcode, lba, blocks) ?? Status.SUCCESS;
    if (status === FAULT_HANG) return HELD;
    return status === Status.SUCCESS ? null : status;
  }

  #read(command: Command): NvmeStatus {
    const { media, sectorSize } = this.#settings;
    const length = this.transferBytes(command);
    const offset = lbaOf(command) * sectorSize;
    if (media.read(offset, this.#scratch, 0, length) !== Errno.OK) return Status.UNRECOVERED_READ;
    const status = this.#path.toHost(command, this.#scratch, length);
    if (status === Status.SUCCESS) this.#stats.bytesRead += length;
    return status;
  }

  #write(command: Command): NvmeStatus {
    const { media, sectorSize } = this.#settings;
    const length = this.transferBytes(command);
    const status = this.#path.fromHost(command, this.#scratch, length);
    if (status !== Status.SUCCESS) return status;
    const offset = lbaOf(command) * sectorSize;
    if (media.write(offset, this.#scratch, 0, length) !== Errno.OK) return Status.WRITE_FAULT;
    this.#stats.bytesWritten += length;
    return this.#settleWrite(command);
  }

  #writeZeroes(command: Command): NvmeStatus {
    const { sectorSize } = this.#settings;
    const length = blocksOf(command) * sectorSize;
    const status = this.#zero(lbaOf(command) * sectorSize, length);
    return status === Status.SUCCESS ? this.#settleWrite(command) : status;
  }

  #settleWrite(command: Command): NvmeStatus {
    const lasting = !this.writeCache || (command.cdw12 & Rw.FUA) !== 0;
    return lasting ? this.#flush() : Status.SUCCESS;
  }

  #flush(): NvmeStatus {
    return this.#settings.media.flush() === Errno.OK ? Status.SUCCESS : Status.WRITE_FAULT;
  }

  /** 6.7: the ranges come from the host; attributes other than deallocate are hints. */
  #manage(command: Command): NvmeStatus {
    const { sectors, sectorSize } = this.#settings;
    const ranges = (command.cdw10 & Dsm.NR_MASK) + 1;
    const status = this.#path.fromHost(command, this.#scratch, ranges * Dsm.RANGE_SIZE);
    if (status !== Status.SUCCESS) return status;
    const table = this.#scratch.slice(0, ranges * Dsm.RANGE_SIZE); // the scratch will hold zeros
    const view = new DataView(table.buffer);
    for (let i = 0; i < ranges; i++) {
      if (rangeLba(view, i) + rangeBlocks(view, i) > sectors) return LBA_RANGE;
    }
    const refusal = this.#injected(command, rangeLba(view, 0), rangeBlocks(view, 0));
    if (refusal !== null) return refusal;
    if ((command.cdw11 & Dsm.DEALLOCATE) === 0) return Status.SUCCESS;
    for (let i = 0; i < ranges; i++) {
      const zeroed = this.#zero(rangeLba(view, i) * sectorSize, rangeBlocks(view, i) * sectorSize);
      if (zeroed !== Status.SUCCESS) return zeroed;
    }
    return Status.SUCCESS;
  }

  #zero(offset: FileOffset, length: Bytes): NvmeStatus {
    const scratch = this.#scratch;
    scratch.fill(0, 0, Math.min(length, scratch.length));
    for (let done = 0; done < length; ) {
      const size = Math.min(length - done, scratch.length);
      if (this.#settings.media.write(offset + done, scratch, 0, size) !== Errno.OK) {
        return Status.WRITE_FAULT;
      }
      done += size;
    }
    return Status.SUCCESS;
  }
}

/** A number of 64 bits; above 2^53 it is not exact, and beyond every medium. */
const lbaOf = (command: Command): number => command.cdw11 * 2 ** 32 + command.cdw10;
const blocksOf = (command: Command): number => (command.cdw12 & Rw.NLB_MASK) + 1;

function rangeBlocks(view: DataView, i: number): number {
  return view.getUint32(i * Dsm.RANGE_SIZE + Dsm.RANGE_BLOCKS, true);
}

function rangeLba(view: DataView, i: number): number {
  const at = i * Dsm.RANGE_SIZE + Dsm.RANGE_LBA;
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
