/**
 * Banks: where RAM is, and how physical addresses and frame numbers translate.
 *
 * A frame number is a dense index over all banks, so columns and lists fit 32-bit integers. Between
 * two banks one whole section of numbers stays unused: `frame + 1` never leads from one bank into
 * another. Within a bank, frame numbers keep the physical address modulo the section, so that a
 * block aligned in frame numbers is aligned in memory.
 */
import type { Bytes, Frame, PhysAddr } from "@physio/kern";
import {
  Errno,
  ErrnoError,
  hex,
  isWhole,
  MAXADDR,
  PAGE_SIZE,
  pageOf,
  pageOffset,
} from "@physio/kern";
import { ROW_MASK, SECTION_FRAMES, SECTION_SHIFT } from "./section.ts";

/** One range of RAM, made of zeros until somebody writes to it. */
export interface BankConfig {
  /** First address and length, multiples of the page size. */
  readonly base: PhysAddr;
  readonly size: Bytes;
}

export class Bank {
  readonly base: PhysAddr;
  readonly end: PhysAddr;
  readonly firstFrame: Frame;
  /** One past the last frame. */
  readonly endFrame: Frame;

  constructor(config: BankConfig, firstFrame: Frame) {
    this.base = config.base;
    this.end = config.base + config.size;
    this.firstFrame = firstFrame;
    this.endFrame = firstFrame + config.size / PAGE_SIZE;
  }
}

function checkBank({ base, size }: BankConfig, previousEnd: PhysAddr): void {
  const what = `physmem: bank ${hex(base)}+${hex(size)}`;
  if (!isWhole(base) || !isWhole(size) || size === 0 || base + size - 1 > MAXADDR) {
    throw new ErrnoError(Errno.EINVAL, `${what} is not a range of 52-bit addresses`);
  }
  if (pageOffset(base) !== 0 || pageOffset(size) !== 0) {
    throw new ErrnoError(Errno.EINVAL, `${what} is not page aligned`);
  }
  if (base < previousEnd) throw new ErrnoError(Errno.EEXIST, `${what} overlaps another`);
}

/** Lay out frame numbers over the banks, sorted by address. @throws {ErrnoError} EINVAL, EEXIST, ENOMEM: over 2^31 frames. */
export function layBanks(configs: readonly BankConfig[]): Bank[] {
  if (configs.length === 0) throw new ErrnoError(Errno.EINVAL, "physmem: no banks");
  const banks: Bank[] = [];
  let section = 0;
  let previousEnd = 0;
  for (const config of configs.toSorted((a, b) => a.base - b.base)) {
    checkBank(config, previousEnd);
    const bank = new Bank(config, section * SECTION_FRAMES + (pageOf(config.base) & ROW_MASK));
    if (bank.endFrame > 2 ** 31 - 2 * SECTION_FRAMES) {
      throw new ErrnoError(
        Errno.ENOMEM,
        `physmem: bank at ${hex(config.base)} needs frame ${bank.endFrame}`,
      );
    }
    banks.push(bank);
    section = ((bank.endFrame - 1) >> SECTION_SHIFT) + 2;
    previousEnd = bank.end;
  }
  return banks;
}
