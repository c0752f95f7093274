/**
 * Physical memory of one machine: its banks, their bytes and their frames.
 *
 * Two vocabularies meet here: physical addresses, which buses use, and frame numbers, which columns
 * and lists use (see bank.ts). Bytes are reached a section at a time: `bytes(frame)` with
 * `byteOffset(frame)` for code that copies, `read`, `write`, `copy` and `zero` for everybody else.
 * RAM that was never written reads as zeros and costs the host nothing.
 *
 * Who may call: pmap, uvm and the ports of membus. Drivers and devices go through those.
 */
import type { Bytes, Frame, PhysAddr } from "@physio/kern";
import {
  Errno,
  ErrnoError,
  hex,
  isPowerOf2,
  isWhole,
  MAXADDR,
  NO_FRAME,
  PAGE_SIZE,
  pageOf,
  panic,
} from "@physio/kern";
import type { Bank, BankConfig } from "./bank.ts";
import { layBanks } from "./bank.ts";
import { FrameAllocator } from "./buddy.ts";
import type { ContigLimits } from "./contig.ts";
import { allocContig } from "./contig.ts";
import type { Section } from "./section.ts";
import { ROW_MASK, SECTION_BYTES, SECTION_SHIFT } from "./section.ts";

// This module's own names: the compiler folds them (addrOf: 12 ns against 9).
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const PAGE = PAGE_SIZE;

export interface PhysMemConfig {
  readonly banks: readonly BankConfig[];
}

export class PhysMem {
  readonly banks: readonly Bank[];
  /** First address above all RAM. @bsd #Y ptoa(Maxmem) */
  readonly top: PhysAddr;
  readonly #frames: FrameAllocator;
  /** The allocator's columns, one look-up nearer for every address. */
  readonly #sectionAddr: Float64Array;
  readonly #sectionEnd: Int32Array;

  /** @throws {ErrnoError} EINVAL, EEXIST, ENOMEM: see layBanks. */
  constructor(config: PhysMemConfig) {
    this.banks = layBanks(config.banks);
    this.top = this.banks[this.banks.length - 1].end;
    this.#frames = new FrameAllocator(this.banks);
    this.#sectionAddr = this.#frames.sectionAddr;
    this.#sectionEnd = this.#frames.sectionEnd;
  }

  get totalFrames(): number {
    return this.#frames.totalFrames;
  }

  get freeFrames(): number {
    return this.#frames.freeFrames;
  }

  /** Bytes of RAM that the host really holds: sections that somebody wrote to. */
  get touchedBytes(): Bytes {
    return this.#frames.sections.reduce((sum, s) => (s?.bytes ? sum + SECTION_BYTES : sum), 0);
  }

  // ---- frames and addresses

  /** The frame that holds `pa`, or NO_FRAME when there is no RAM. @bsd #Y PHYS_TO_VM_PAGE */
  frameOf(pa: PhysAddr): Frame {
    for (const bank of this.banks) {
      if (pa >= bank.base && pa < bank.end) return bank.firstFrame + pageOf(pa - bank.base);
    }
    return NO_FRAME;
  }

  /** First address of a frame. => the frame exists. @bsd #Y VM_PAGE_TO_PHYS */
  addrOf(frame: Frame): PhysAddr {
    const s = frame >> SHIFT;
    if (!(frame < this.#sectionEnd[s])) panic(`physmem: frame ${frame} does not exist`);
    return this.#sectionAddr[s] + (frame & ROW) * PAGE;
  }

  /** The same without a check, for loops over frames that a pmap holds (1 ns of a load's 18). => the frame exists. */
  addrOfKnown(frame: Frame): PhysAddr {
    return this.#sectionAddr[frame >> SHIFT] + (frame & ROW) * PAGE;
  }

  /** The columns that hold an allocated frame; its row is `rowOf(frame)`. */
  section(frame: Frame): Section {
    return this.#frames.section(frame);
  }

  /** Whether [`pa`, `pa + length`) is RAM, in one bank. */
  isRam(pa: PhysAddr, length: Bytes): boolean {
    return this.banks.some((bank) => pa >= bank.base && pa + length <= bank.end);
  }

  // ---- allocation

  /** One frame of any address, highest reach first. Its bytes are whatever they were. @returns NO_FRAME when none is free. */
  allocFrame(): Frame {
    return this.#frames.allocBlock(0);
  }

  /**
   * `count` frames in a row under `limits`.
   * @returns the first frame, or NO_FRAME when nothing fits.
   * @throws {ErrnoError} EINVAL: alignment or boundary not a power of 2, boundary below the size.
   * @bsd #Y contigmalloc(9), vm_page_alloc_contig
   */
  allocContig(count: number, limits: Partial<ContigLimits> = {}): Frame {
    const { low = 0, high = MAXADDR, align = PAGE_SIZE, boundary = 0 } = limits;
    const size = count * PAGE_SIZE;
    const sane = isWhole(count) && count > 0 && isWhole(low) && isWhole(high);
    const powers = isPowerOf2(align) && (boundary === 0 || isPowerOf2(boundary));
    if (!sane || !powers || (boundary !== 0 && boundary < size)) {
      throw new ErrnoError(
        Errno.EINVAL,
        `allocContig: ${count} pages, ${hex(low)}-${hex(high)}, align ${align}, boundary ${boundary}`,
      );
    }
    return allocContig(this.#frames, count, {
      low,
      high: Math.min(high, MAXADDR),
      align,
      boundary,
    });
  }

  /** Give frames back. => all were allocated, in one bank. Panics on a double free. */
  freeFrame(frame: Frame, count = 1): void {
    const bank = this.banks.find((b) => frame >= b.firstFrame && frame < b.endFrame);
    if (bank === undefined || !(count > 0 && frame + count <= bank.endFrame)) {
      panic(`physmem: free of ${count} frames at ${frame}`);
    }
    if (count > 1) this.#frames.checkNoneFree(frame, count);
    this.#frames.freeRange(frame, count);
  }

  /** Walk the free lists and panic on a broken invariant. */
  check(): void {
    this.#frames.checkFree();
  }

  // ---- bytes

  /** The bytes of the frame's section, made now if nobody wrote there yet. The frame's own begin at `byteOffset`. */
  bytes(frame: Frame): Uint8Array {
    return this.#sectionBytes(frame >> SECTION_SHIFT);
  }

  /** Where the frame's bytes begin in `bytes(frame)`. */
  byteOffset(frame: Frame): number {
    return (frame & ROW_MASK) * PAGE_SIZE;
  }

  /** A view over the frame's section, for numbers of several bytes. */
  view(frame: Frame): DataView {
    const bytes = this.bytes(frame);
    const section = this.#frames.sections[frame >> SECTION_SHIFT]!;
    section.view ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return section.view;
  }

  /** Copy RAM out. @returns OK; EFAULT: not all of it is RAM, nothing was copied. */
  read(pa: PhysAddr, to: Uint8Array, at = 0, length: Bytes = to.length - at): Errno {
    if (!this.isRam(pa, length)) return Errno.EFAULT;
    if (!(at + length <= to.length)) {
      panic(`physmem: read of ${length} bytes into ${to.length - at}`);
    }
    for (let done = 0; done < length; ) {
      const frame = this.frameOf(pa + done);
      const from = this.#offsetOf(frame, pa + done);
      const run = Math.min(length - done, SECTION_BYTES - from);
      const bytes = this.#frames.sections[frame >> SECTION_SHIFT]?.bytes ?? null;
      if (bytes === null) to.fill(0, at + done, at + done + run);
      else to.set(bytes.subarray(from, from + run), at + done);
      done += run;
    }
    return Errno.OK;
  }

  /** Copy into RAM. @returns OK; EFAULT: not all of it is RAM, nothing was copied. */
  write(pa: PhysAddr, from: Uint8Array, at = 0, length: Bytes = from.length - at): Errno {
    if (!this.isRam(pa, length)) return Errno.EFAULT;
    for (let done = 0; done < length; ) {
      const frame = this.frameOf(pa + done);
      const to = this.#offsetOf(frame, pa + done);
      const run = Math.min(length - done, SECTION_BYTES - to);
      this.bytes(frame).set(from.subarray(at + done, at + done + run), to);
      done += run;
    }
    return Errno.OK;
  }

  /** Copy RAM to RAM; the ranges do not overlap. RAM that was never written stays untouched. @returns OK; EFAULT: nothing was copied. */
  copy(to: PhysAddr, from: PhysAddr, length: Bytes): Errno {
    if (!this.isRam(to, length) || !this.isRam(from, length)) return Errno.EFAULT;
    for (let done = 0; done < length; ) {
      const source = this.frameOf(from + done);
      const target = this.frameOf(to + done);
      const sourceAt = this.#offsetOf(source, from + done);
      const targetAt = this.#offsetOf(target, to + done);
      const run = Math.min(length - done, SECTION_BYTES - sourceAt, SECTION_BYTES - targetAt);
      const bytes = this.#frames.sections[source >> SECTION_SHIFT]?.bytes ?? null;
      // Inside one buffer copyWithin makes no view; subarray costs 96 bytes of garbage.
      if (bytes === null)
        this.#frames.sections[target >> SECTION_SHIFT]?.bytes?.fill(0, targetAt, targetAt + run);
      else if (bytes === this.bytes(target)) bytes.copyWithin(targetAt, sourceAt, sourceAt + run);
      else this.bytes(target).set(bytes.subarray(sourceAt, sourceAt + run), targetAt);
      done += run;
    }
    return Errno.OK;
  }

  /** Fill RAM with zeros; RAM that was never written stays untouched. @returns OK; EFAULT: nothing was changed. */
  zero(pa: PhysAddr, length: Bytes): Errno {
    if (!this.isRam(pa, length)) return Errno.EFAULT;
    for (let done = 0; done < length; ) {
      const frame = this.frameOf(pa + done);
      const at = this.#offsetOf(frame, pa + done);
      const run = Math.min(length - done, SECTION_BYTES - at);
      this.#frames.sections[frame >> SECTION_SHIFT]?.bytes?.fill(0, at, at + run);
      done += run;
    }
    return Errno.OK;
  }

  #offsetOf(frame: Frame, pa: PhysAddr): number {
    return (frame & ROW_MASK) * PAGE_SIZE + (pa % PAGE_SIZE);
  }

  #sectionBytes(s: number): Uint8Array {
    const section = this.#frames.materialise(s);
    section.bytes ??= new Uint8Array(SECTION_BYTES);
    return section.bytes;
  }
}
