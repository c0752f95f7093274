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
import type { Adoptable } from "./adopt.ts";
import { Lent } from "./adopt.ts";
import { ROW_MASK, SECTION_FRAMES, SECTION_SHIFT } from "./section.ts";

const DOMAINS_MOST = 8;

/** RAM that is zeros until somebody writes to it, and costs the host nothing till then. */
export interface SparseBank {
  /** First address and length, multiples of the page size. */
  readonly base: PhysAddr;
  readonly size: Bytes;
  /** Which memory domain (NUMA node) it belongs to, 0 … 7; 0 unless given. */
  readonly domain?: number;
}

/** RAM that is the caller's own memory, used in place: see adopt.ts. */
export interface AdoptedBank {
  readonly base: PhysAddr;
  readonly adopt: Adoptable;
  /** Which part of it, in bytes: from `offset` (0) on, `size` (all the rest), whole pages. */
  readonly offset?: Bytes;
  readonly size?: Bytes;
  readonly domain?: number;
}

/** One range of RAM. */
export type BankConfig = SparseBank | AdoptedBank;

export class Bank {
  readonly base: PhysAddr;
  readonly end: PhysAddr;
  readonly firstFrame: Frame;
  /** One past the last frame. */
  readonly endFrame: Frame;
  /** The caller's memory that this bank is; null: the bank is sparse. */
  readonly lent: Lent | null;
  readonly domain: number;

  constructor(config: BankConfig, size: Bytes, lent: Lent | null, firstFrame: Frame) {
    this.base = config.base;
    this.end = config.base + size;
    this.firstFrame = firstFrame;
    this.endFrame = firstFrame + size / PAGE_SIZE;
    this.lent = lent;
    this.domain = config.domain ?? 0;
  }
}

function checkBank({ base, domain = 0 }: BankConfig, size: Bytes, previousEnd: PhysAddr): void {
  const what = `physmem: bank ${shown(base)}+${shown(size)}`;
  if (!isWhole(base) || !isWhole(size) || size === 0 || base + size - 1 > MAXADDR) {
    throw new ErrnoError(Errno.EINVAL, `${what} is not a range of 52-bit addresses`);
  }
  if (pageOffset(base) !== 0 || pageOffset(size) !== 0) {
    throw new ErrnoError(Errno.EINVAL, `${what} is not page aligned`);
  }
  if (!isWhole(domain) || domain >= DOMAINS_MOST)
    throw new ErrnoError(Errno.EINVAL, `${what} has domain ${String(domain)}`);
  if (base < previousEnd) throw new ErrnoError(Errno.EEXIST, `${what} overlaps another`);
}

function checkLent(lent: Lent, banks: readonly Bank[], base: PhysAddr): void {
  for (const bank of banks) {
    if (bank.lent?.overlaps(lent) !== true) continue;
    throw new ErrnoError(
      Errno.EEXIST,
      `physmem: banks at ${hex(bank.base)} and ${hex(base)} adopt the same bytes`,
    );
  }
}

/** A number as a message shows an address, and whatever else was given. */
function shown(n: number): string {
  return isWhole(n) ? hex(n) : String(n);
}

/** Lay out frame numbers over the banks, sorted by address. @throws {ErrnoError} EINVAL; EEXIST: two overlap; ENOMEM: over 2^31 frames. */
export function layBanks(configs: readonly BankConfig[]): Bank[] {
  if (!Array.isArray(configs))
    throw new ErrnoError(
      Errno.EINVAL,
      `physmem: banks are ${String(configs as unknown)}, no array`,
    );
  if (configs.length === 0) throw new ErrnoError(Errno.EINVAL, "physmem: no banks");
  for (const config of configs as readonly unknown[]) {
    if (typeof config !== "object" || config === null)
      throw new ErrnoError(Errno.EINVAL, `physmem: bank ${String(config)}`);
  }
  const banks: Bank[] = [];
  let section = 0;
  let previousEnd = 0;
  for (const config of configs.toSorted((a, b) => a.base - b.base)) {
    const { base } = config;
    const lent = "adopt" in config ? new Lent(config.adopt, config.offset, config.size) : null;
    const size = lent?.size ?? config.size ?? Number.NaN;
    checkBank(config, size, previousEnd);
    if (lent !== null) checkLent(lent, banks, base);
    const firstFrame = section * SECTION_FRAMES + (pageOf(base) & ROW_MASK);
    const bank = new Bank(config, size, lent, firstFrame);
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
