/**
 * Physical memory of one machine: its banks, their bytes and their frames.
 *
 * Two vocabularies meet here: physical addresses, which buses use, and frame numbers, which columns
 * and lists use (see bank.ts). `bytes(frame)` with `byteOffset(frame)` is for code that copies,
 * `read`, `write`, `copy` and `fill` for everybody else. RAM that was never written reads as zeros
 * and costs the host nothing; a bank may be memory that the caller lends (see adopt.ts).
 *
 * Who may call: pmap, uvm and the ports of membus. Drivers and devices go through those.
 */
import type { Bytes, Frame, PhysAddr } from "@physio/kern";
import {
  Errno,
  ErrnoError,
  hex,
  isWhole,
  PAGE_SIZE,
  pageOf,
  pageOffset,
  panic,
} from "@physio/kern";
import { ANY_DOMAIN, FrameSource } from "./alloc.ts";
import type { Bank, BankConfig } from "./bank.ts";
import { layBanks } from "./bank.ts";
import type { FrameAllocator } from "./buddy.ts";
import type { ContigLimits } from "./contig.ts";
import type { FrameCacher } from "./frame-check.ts";
import type { LowReserve } from "./low-reserve.ts";
import type { Pressure } from "./pressure.ts";
import { AllocClass } from "./pressure.ts";
import { frameAt, isRam, Ram } from "./ram.ts";
import type { AllocCounters, DomainFrames } from "./report.ts";
import type { Section } from "./section.ts";
import { NOT_RAM, ROW_MASK, SECTION_SHIFT } from "./section.ts";

// This module's own names: the compiler folds them (addrOf: 12 ns against 9).
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const PAGE = PAGE_SIZE;
const NO_RAM = NOT_RAM;
const ANY = ANY_DOMAIN;
const SYSTEM = AllocClass.SYSTEM;
const ANYWHERE: Partial<ContigLimits> = Object.freeze({});
const OK: Errno = Errno.OK;
const EFAULT: Errno = Errno.EFAULT;

export interface PhysMemConfig {
  readonly banks: readonly BankConfig[];
  /** Fill free frames with junk, and panic when it was written over: slow, finds use after free. */
  readonly verify?: boolean;
  /**
   * Free frames that requests without `high` leave below 16 MiB, and from there to 4 GiB. Default: 1/64
   * of what is there, at most 256; none when the machine has fewer than 1024 frames.
   */
  readonly lowReserve?: LowReserve;
}

export class PhysMem {
  readonly banks: readonly Bank[];
  /** First address above all RAM. @bsd #Y ptoa(Maxmem) */
  readonly top: PhysAddr;
  /** Domains are 0 … domainCount − 1. @bsd #Y vm_ndomains */
  readonly domainCount: number;
  /** What the allocator counted. */
  readonly counters: Readonly<AllocCounters>;
  /** Marks, and who is told or asked when memory runs short. */
  readonly pressure: Pressure;
  /** What caches this memory for the CPU, if anything does: the verifying mode makes it forget freed frames. */
  cachedBy: FrameCacher | null;
  /** Whose mappings the frames' `pv` columns tell of (pmap's Pmaps), or null: there is one at most. */
  pvOwner: object | null;
  readonly #source: FrameSource;
  readonly #frames: FrameAllocator;
  /** Its columns, one look-up nearer. */
  readonly #sections: readonly (Section | null)[];
  readonly #ram: Ram;
  /**
   * By section: the address of its first frame number. For loops over frames that do without a call:
   * `sectionAddr[frame >> SECTION_SHIFT] + (frame & ROW_MASK) * PAGE_SIZE`.
   */
  readonly sectionAddr: Float64Array;

  /** @throws {ErrnoError} EINVAL, EEXIST, ENOMEM: see layBanks; EINVAL: no low reserve. */
  constructor(config: PhysMemConfig) {
    if (typeof config !== "object" || (config as unknown) === null)
      throw new ErrnoError(Errno.EINVAL, `physmem: configuration ${String(config as unknown)}`);
    const { banks, verify, lowReserve } = config;
    this.banks = layBanks(banks);
    this.top = this.banks[this.banks.length - 1].end;
    this.cachedBy = null;
    this.pvOwner = null;
    this.#ram = new Ram(this.banks);
    this.#source = new FrameSource(
      this.banks,
      this.#ram,
      verify === true ? this : null,
      lowReserve,
    );
    this.domainCount = this.#source.domainCount;
    this.counters = this.#source.counters;
    this.pressure = this.#source.pressure;
    this.#frames = this.#source.frames;
    this.#sections = this.#frames.sections;
    this.sectionAddr = this.#frames.sectionAddr;
  }

  get totalFrames(): number {
    return this.#frames.totalFrames;
  }

  get freeFrames(): number {
    return this.#source.freeFrames;
  }

  /** Bytes of sparse banks that the host really holds: sections that somebody wrote to. */
  get touchedBytes(): Bytes {
    return this.#ram.touched;
  }

  // ---- frames and addresses

  /** The frame that holds `pa`, or NO_FRAME when there is no RAM, or `pa` is no whole number. @bsd #Y PHYS_TO_VM_PAGE */
  frameOf(pa: PhysAddr): Frame {
    return frameAt(this.banks, pageOf(pa));
  }

  /** First address of a frame. => the frame exists, else panic. @bsd #Y VM_PAGE_TO_PHYS */
  addrOf(frame: Frame): PhysAddr {
    if (!this.#frames.exists(frame)) noFrame(frame);
    return this.sectionAddr[frame >> SHIFT] + (frame & ROW) * PAGE;
  }

  /** The same without a check, for loops over frames that a pmap holds (1 ns of a load's 18). => the frame exists. */
  addrOfKnown(frame: Frame): PhysAddr {
    return this.sectionAddr[frame >> SHIFT] + (frame & ROW) * PAGE;
  }

  /** The columns that hold a frame; its row is `frame & ROW_MASK`. => it exists and was allocated once, else panic. */
  section(frame: Frame): Section {
    if (frame >>> 0 !== frame) noFrame(frame);
    const section = this.#sections[frame >>> SHIFT];
    // Where there are columns, they know which rows are RAM.
    if (!section || section.order[frame & ROW] === NO_RAM) return noColumns(this.#frames, frame);
    return section;
  }

  /** Whether [`pa`, `pa + length`) is RAM, in one bank or in banks that touch. No part of a byte is. */
  isRam(pa: PhysAddr, length: Bytes): boolean {
    return isRam(this.banks, pageOf(pa), pageOffset(pa), length);
  }

  // ---- allocation

  /**
   * One frame, highest reach first; its bytes are whatever they were. A `domain` is strict,
   * ANY_DOMAIN takes the lowest that has the reach. `cls` says how many frames it must leave.
   * Below 4 GiB the low reserve stays, but for INTERRUPT.
   * @returns NO_FRAME when none can be had, the hooks for reclaiming included.
   * @throws {ErrnoError} EINVAL: no such domain or class.
   * @bsd #Y vm_page_alloc, vm_page_alloc_domain
   */
  allocFrame(domain: number = ANY, cls: AllocClass = SYSTEM): Frame {
    return this.#source.allocFrame(domain, cls);
  }

  /**
   * `count` frames in a row under `limits`: found whenever there is such a run of free frames, which
   * without `high` also leaves the low reserve.
   * @returns the first frame, or NO_FRAME when nothing fits.
   * @throws {ErrnoError} EINVAL: a count, address, domain or class that is none, alignment or
   * boundary not a power of 2, boundary below the size.
   * @bsd #Y contigmalloc(9), vm_page_alloc_contig
   */
  allocContig(
    count: number,
    limits: Partial<ContigLimits> = ANYWHERE,
    cls: AllocClass = SYSTEM,
  ): Frame {
    return this.#source.allocContig(count, limits, cls);
  }

  /** Give frames back. => all were allocated, in one bank. Panics on a double free, a wired and a mapped frame. @bsd #Y vm_page_free */
  freeFrame(frame: Frame, count = 1): void {
    this.#source.freeFrame(frame, count);
  }

  /** Keep a frame from being freed, 65,535 times at most. Panics on a free frame. @bsd #Y vm_page_wire */
  wire(frame: Frame): void {
    this.#source.wire(frame);
  }

  /** Undo one `wire`. Panics without one. @returns how many are left. @bsd #P[frees nothing] vm_page_unwire */
  unwire(frame: Frame): number {
    return this.#source.unwire(frame);
  }

  /** Panic unless `frame` exists and is allocated. */
  assertAllocated(frame: Frame): void {
    this.#source.assertAllocated(frame);
  }

  /** The domain of a frame. => the frame exists, else panic. @bsd #Y vm_page_domain */
  domainOf(frame: Frame): number {
    return this.#source.domainOf(frame);
  }

  /** RAM and free frames of a domain. @throws {ErrnoError} EINVAL: no such domain. */
  domain(domain: number): DomainFrames {
    return this.#source.domain(domain);
  }

  /**
   * Free frames of a domain, without garbage: all, or those that a request of class `cls` without
   * `high` may have, marks aside. @throws {ErrnoError} EINVAL: no such domain or class.
   */
  freeFramesIn(domain: number, cls?: AllocClass): number {
    return cls === undefined ? this.#source.freeIn(domain) : this.#source.freeFor(domain, cls);
  }

  /** Free frames that requests without `high` may have, of all domains; marks aside. */
  get plainFrames(): number {
    return this.#source.plainFrames();
  }

  /** Frames that requests without `high` leave below 16 MiB, and from there to 4 GiB. */
  get lowReserve(): LowReserve {
    return [this.#source.lowReserve(0), this.#source.lowReserve(1)];
  }

  /**
   * Free blocks by order of the lists for a domain and a reach (0: 24 bits, 1: 32 bits, 2: the rest).
   * @throws {ErrnoError} EINVAL: no such domain or reach.
   */
  freeBlocks(domain: number, reach: number): number[] {
    return this.#source.freeBlocks(domain, reach);
  }

  /** Walk the free lists, and under `verify` the junk in free frames; panic on a broken invariant. */
  check(): void {
    this.#source.check();
  }

  // ---- bytes

  /**
   * The array that holds the frame's bytes, made now if nobody wrote there yet; the frame's own begin
   * at `byteOffset`. => the frame exists, else panic; the array is not kept across anything that may
   * let adopted memory grow, nor after the frame was freed.
   * @throws {ErrnoError} EBUSY: the lender of an adopted bank has taken its memory away.
   */
  bytes(frame: Frame): Uint8Array {
    if (!this.#frames.exists(frame)) noFrame(frame);
    return this.#ram.bytes(frame);
  }

  /** Where the frame's bytes begin in `bytes(frame)` and `view(frame)`. => the frame exists, else panic. */
  byteOffset(frame: Frame): Bytes {
    if (!this.#frames.exists(frame)) noFrame(frame);
    return this.#ram.offset(frame);
  }

  /** Whether the frame's bytes exist on the host. RAM without bytes reads as zeros. => the frame exists, else panic. */
  hasBytes(frame: Frame): boolean {
    if (!this.#frames.exists(frame)) noFrame(frame);
    return this.#ram.has(frame);
  }

  /** A view over `bytes(frame)`, for numbers of several bytes; what holds there holds here. */
  view(frame: Frame): DataView {
    if (!this.#frames.exists(frame)) noFrame(frame);
    return this.#ram.view(frame);
  }

  /** Copy RAM out. @returns OK; EFAULT: not all of it is RAM, nothing was copied. */
  read(pa: PhysAddr, to: Uint8Array, at = 0, length: Bytes = to.length - at): Errno {
    if (!this.isRam(pa, length)) return EFAULT;
    this.readFrames(this.frameOf(pa), pageOffset(pa), to, at, length);
    return OK;
  }

  /** Copy into RAM. @returns OK; EFAULT: not all of it is RAM, nothing was copied. */
  write(pa: PhysAddr, from: Uint8Array, at = 0, length: Bytes = from.length - at): Errno {
    if (!this.isRam(pa, length)) return EFAULT;
    this.writeFrames(this.frameOf(pa), pageOffset(pa), from, at, length);
    return OK;
  }

  /**
   * Copy RAM to RAM. RAM that was never written stays untouched.
   * => the ranges do not overlap, else panic. @returns OK; EFAULT: not all of it is RAM, nothing was copied.
   */
  copy(to: PhysAddr, from: PhysAddr, length: Bytes): Errno {
    if (!this.isRam(to, length) || !this.isRam(from, length)) return EFAULT;
    if (!(length === 0 || to + length <= from || from + length <= to))
      panic(`physmem: copy of ${length} bytes from ${hex(from)} to ${hex(to)} overlaps`);
    const target = this.frameOf(to);
    if (length > 0)
      this.#ram.copy(target, pageOffset(to), this.frameOf(from), pageOffset(from), length);
    return OK;
  }

  /** Fill RAM with zeros; RAM that was never written stays untouched. @returns OK; EFAULT: nothing was changed. */
  zero(pa: PhysAddr, length: Bytes): Errno {
    return this.fill(pa, length, 0);
  }

  /** Fill RAM with the byte `value`. => 0 to 255, else panic. @returns OK; EFAULT: nothing was changed. */
  fill(pa: PhysAddr, length: Bytes, value: number): Errno {
    if (!this.isRam(pa, length)) return EFAULT;
    this.fillFrames(this.frameOf(pa), pageOffset(pa), length, value);
    return OK;
  }

  // ---- bytes by frame: `offset` counts from the frame's start and may lie behind its end

  /** `read` for callers that know the frame, which no call boxes as it does an address above 2^31. => all of it is RAM, else panic. */
  readFrames(frame: Frame, offset: Bytes, to: Uint8Array, at: number, length: Bytes): void {
    if (!(isWhole(length) && isWhole(at) && at + length <= to.length)) {
      panic(`physmem: read of ${length} bytes to ${at} in an array of ${to.length}`);
    }
    if (length > 0) this.#ram.read(this.#pageOf(frame, offset), pageOffset(offset), to, at, length);
  }

  /** `write` in the same way. */
  writeFrames(frame: Frame, offset: Bytes, from: Uint8Array, at: number, length: Bytes): void {
    if (!(isWhole(length) && isWhole(at) && at + length <= from.length)) {
      panic(`physmem: write of ${length} bytes at ${at} of an array of ${from.length}`);
    }
    if (length > 0)
      this.#ram.write(this.#pageOf(frame, offset), pageOffset(offset), from, at, length);
  }

  /** `copy` in the same way, from `source` to `target`. => the ranges do not overlap, else panic. */
  copyFrames(target: Frame, to: Bytes, source: Frame, from: Bytes, length: Bytes): void {
    if (!isWhole(length)) panic(`physmem: copy of ${length} bytes`);
    if (length === 0) return;
    const t = this.#pageOf(target, to);
    const s = this.#pageOf(source, from);
    const toAt = pageOffset(to);
    const fromAt = pageOffset(from);
    // By address, as banks may touch; none crosses a call.
    const apart = this.addrOfKnown(t) + toAt - this.addrOfKnown(s) - fromAt;
    if (!(apart >= length || apart <= -length))
      panic(
        `physmem: copy of ${length} bytes to frame ${t}, ${apart} from where they are, overlaps`,
      );
    this.#ram.copy(t, toAt, s, fromAt, length);
  }

  /** `fill` in the same way. */
  fillFrames(frame: Frame, offset: Bytes, length: Bytes, value: number): void {
    if (!(isWhole(length) && value >= 0 && value <= 0xff && Math.floor(value) === value))
      panic(`physmem: fill of ${length} bytes with ${value}`);
    if (length > 0) this.#ram.fill(this.#pageOf(frame, offset), pageOffset(offset), length, value);
  }

  #pageOf(frame: Frame, offset: Bytes): Frame {
    const page = frame + pageOf(offset);
    if (!this.#frames.exists(page)) noFrame(page);
    return page;
  }
}

function noColumns(frames: FrameAllocator, frame: Frame): never {
  if (!frames.exists(frame)) noFrame(frame);
  panic(`physmem: frame ${frame} has no columns: it was never allocated`);
}

function noFrame(frame: Frame): never {
  panic(`physmem: frame ${frame} does not exist`);
}
