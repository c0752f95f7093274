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
import { Errno, PAGE_SIZE, pageOffset, panic } from "@physio/kern";
import { ANY_DOMAIN, FrameSource } from "./alloc.ts";
import type { Bank, BankConfig } from "./bank.ts";
import { layBanks } from "./bank.ts";
import type { FrameAllocator } from "./buddy.ts";
import type { ContigLimits } from "./contig.ts";
import type { FrameCacher } from "./frame-check.ts";
import type { Pressure } from "./pressure.ts";
import { AllocClass } from "./pressure.ts";
import { frameAt, isRam, Ram } from "./ram.ts";
import type { AllocCounters, DomainFrames } from "./report.ts";
import type { Section } from "./section.ts";
import { ROW_MASK, SECTION_SHIFT } from "./section.ts";

// This module's own names: the compiler folds them (addrOf: 12 ns against 9).
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const PAGE = PAGE_SIZE;
const ANY = ANY_DOMAIN;
const SYSTEM = AllocClass.SYSTEM;
const ANYWHERE: Partial<ContigLimits> = Object.freeze({});
const OK: Errno = Errno.OK;
const EFAULT: Errno = Errno.EFAULT;

export interface PhysMemConfig {
  readonly banks: readonly BankConfig[];
  /** Fill free frames with junk, and panic when it was written over: slow, finds use after free. */
  readonly verify?: boolean;
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
  readonly #source: FrameSource;
  readonly #frames: FrameAllocator;
  readonly #ram: Ram;
  /**
   * By section: the address of its first frame number. For loops over frames that do without a call:
   * `sectionAddr[frame >> SECTION_SHIFT] + (frame & ROW_MASK) * PAGE_SIZE`.
   */
  readonly sectionAddr: Float64Array;
  readonly #sectionEnd: Int32Array;

  /** @throws {ErrnoError} EINVAL, EEXIST, ENOMEM: see layBanks. */
  constructor(config: PhysMemConfig) {
    this.banks = layBanks(config.banks);
    this.top = this.banks[this.banks.length - 1].end;
    this.cachedBy = null;
    this.#source = new FrameSource(this.banks, config.verify === true ? this : null);
    this.domainCount = this.#source.domainCount;
    this.counters = this.#source.counters;
    this.pressure = this.#source.pressure;
    this.#frames = this.#source.frames;
    this.#ram = new Ram(this.banks, this.#frames.sections.length);
    this.sectionAddr = this.#frames.sectionAddr;
    this.#sectionEnd = this.#frames.sectionEnd;
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

  /** The frame that holds `pa`, or NO_FRAME when there is no RAM. @bsd #Y PHYS_TO_VM_PAGE */
  frameOf(pa: PhysAddr): Frame {
    return frameAt(this.banks, pa);
  }

  /** First address of a frame. => the frame exists. @bsd #Y VM_PAGE_TO_PHYS */
  addrOf(frame: Frame): PhysAddr {
    const s = frame >> SHIFT;
    if (!(frame < this.#sectionEnd[s])) panic(`physmem: frame ${frame} does not exist`);
    return this.sectionAddr[s] + (frame & ROW) * PAGE;
  }

  /** The same without a check, for loops over frames that a pmap holds (1 ns of a load's 18). => the frame exists. */
  addrOfKnown(frame: Frame): PhysAddr {
    return this.sectionAddr[frame >> SHIFT] + (frame & ROW) * PAGE;
  }

  /** The columns that hold an allocated frame; its row is `rowOf(frame)`. */
  section(frame: Frame): Section {
    return this.#frames.section(frame);
  }

  /** Whether [`pa`, `pa + length`) is RAM, in one bank or in banks that touch. */
  isRam(pa: PhysAddr, length: Bytes): boolean {
    return isRam(this.banks, pa, length);
  }

  // ---- allocation

  /**
   * One frame, highest reach first; its bytes are whatever they were. A `domain` is strict,
   * ANY_DOMAIN takes the lowest that has the reach. `cls` says how many frames it must leave.
   * @returns NO_FRAME when none can be had, the hooks for reclaiming included.
   * @throws {ErrnoError} EINVAL: no such domain or class.
   * @bsd #Y vm_page_alloc, vm_page_alloc_domain
   */
  allocFrame(domain: number = ANY, cls: AllocClass = SYSTEM): Frame {
    return this.#source.allocFrame(domain, cls);
  }

  /**
   * `count` frames in a row under `limits`: found whenever there is such a run of free frames.
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

  /** Give frames back. => all were allocated, in one bank. Panics on a double free and on a wired frame. @bsd #Y vm_page_free */
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

  /** The domain of a frame. => the frame exists. @bsd #Y vm_page_domain */
  domainOf(frame: Frame): number {
    return this.#source.domainOf(frame);
  }

  /** RAM and free frames of a domain. @throws {ErrnoError} EINVAL: no such domain. */
  domain(domain: number): DomainFrames {
    return this.#source.domain(domain);
  }

  /** Free frames of a domain, without garbage. @throws {ErrnoError} EINVAL: no such domain. */
  freeFramesIn(domain: number): number {
    return this.#source.freeIn(domain);
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
   * at `byteOffset`. => it is not kept across anything that may let adopted memory grow.
   * @throws {ErrnoError} EBUSY: the lender of an adopted bank has taken its memory away.
   */
  bytes(frame: Frame): Uint8Array {
    return this.#ram.bytes(frame);
  }

  /** Where the frame's bytes begin in `bytes(frame)` and `view(frame)`. */
  byteOffset(frame: Frame): Bytes {
    return this.#ram.offset(frame);
  }

  /** Whether the frame's bytes exist on the host. RAM without bytes reads as zeros. */
  hasBytes(frame: Frame): boolean {
    return this.#ram.has(frame);
  }

  /** A view over `bytes(frame)`, for numbers of several bytes. */
  view(frame: Frame): DataView {
    return this.#ram.view(frame);
  }

  /** Copy RAM out. @returns OK; EFAULT: not all of it is RAM, nothing was copied. */
  read(pa: PhysAddr, to: Uint8Array, at = 0, length: Bytes = to.length - at): Errno {
    if (!isRam(this.banks, pa, length)) return EFAULT;
    if (!(at >= 0 && at + length <= to.length)) {
      panic(`physmem: read of ${length} bytes to ${at} in an array of ${to.length}`);
    }
    if (length > 0) this.#ram.read(this.frameOf(pa), pageOffset(pa), to, at, length);
    return OK;
  }

  /** Copy into RAM. @returns OK; EFAULT: not all of it is RAM, nothing was copied. */
  write(pa: PhysAddr, from: Uint8Array, at = 0, length: Bytes = from.length - at): Errno {
    if (!isRam(this.banks, pa, length)) return EFAULT;
    if (!(at >= 0 && at + length <= from.length)) {
      panic(`physmem: write of ${length} bytes at ${at} of an array of ${from.length}`);
    }
    if (length > 0) this.#ram.write(this.frameOf(pa), pageOffset(pa), from, at, length);
    return OK;
  }

  /** Copy RAM to RAM; the ranges do not overlap. RAM that was never written stays untouched. @returns OK; EFAULT: nothing was copied. */
  copy(to: PhysAddr, from: PhysAddr, length: Bytes): Errno {
    if (!isRam(this.banks, to, length) || !isRam(this.banks, from, length)) return EFAULT;
    const target = this.frameOf(to);
    if (length > 0)
      this.#ram.copy(target, pageOffset(to), this.frameOf(from), pageOffset(from), length);
    return OK;
  }

  /** Fill RAM with zeros; RAM that was never written stays untouched. @returns OK; EFAULT: nothing was changed. */
  zero(pa: PhysAddr, length: Bytes): Errno {
    return this.fill(pa, length, 0);
  }

  /** Fill RAM with the byte `value`. @returns OK; EFAULT: nothing was changed. */
  fill(pa: PhysAddr, length: Bytes, value: number): Errno {
    if (!isRam(this.banks, pa, length)) return EFAULT;
    if (length > 0) this.#ram.fill(this.frameOf(pa), pageOffset(pa), length, value);
    return OK;
  }
}
