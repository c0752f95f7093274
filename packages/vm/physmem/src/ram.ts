/**
 * The bytes of RAM.
 *
 * Sparse banks keep theirs in chunks of a section (4 MiB, less where a bank has less of it), made at
 * the first write and dropped when all of the section is free; a bank that was adopted is one view of
 * the lender's memory. Either way a section has one Uint8Array that holds its bytes and the offset in
 * it of the section's first number, so all code above is the same for both.
 *
 * Views of runs that were copied lately are kept, since making one costs 30 ns and 96 bytes of
 * garbage: a driver copies through the same buffers again and again.
 *
 * Invariant: all sections of an adopted bank share one view; a detached view (no bytes) is replaced
 * at the next access, and with it all that was derived from it.
 */
import type { Bytes, Frame } from "@physio/kern";
import { NO_FRAME, PAGE_SIZE, pageOf, pageOffset, panic } from "@physio/kern";
import type { Bank } from "./bank.ts";
import { ROW_MASK, SECTION_FRAMES, SECTION_SHIFT } from "./section.ts";
import { ViewCache } from "./view-cache.ts";

// This module's own names: the compiler folds them.
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const PAGE = PAGE_SIZE;
/** Up to so many bytes a loop is faster than `set` and needs no view. */
const SHORT = 32;

export class Ram {
  readonly #banks: readonly Bank[];
  /** By section: its bytes (null: never written), a view for numbers, and where its first frame lies in both. */
  readonly #bytes: (Uint8Array | null)[];
  readonly #views: (DataView | null)[];
  readonly #origin: Float64Array;
  readonly #cache: ViewCache;

  constructor(banks: readonly Bank[]) {
    const sections = ((banks[banks.length - 1].endFrame - 1) >> SHIFT) + 1;
    this.#banks = banks;
    this.#bytes = new Array<Uint8Array | null>(sections).fill(null);
    this.#views = new Array<DataView | null>(sections).fill(null);
    this.#origin = new Float64Array(sections);
    this.#cache = new ViewCache();
    for (const bank of banks) {
      for (let s = bank.firstFrame >> SHIFT; s <= (bank.endFrame - 1) >> SHIFT; s++) {
        const first = s << SHIFT;
        const held = bank.lent === null ? Math.max(bank.firstFrame, first) : bank.firstFrame;
        this.#origin[s] = (first - held) * PAGE;
      }
      if (bank.lent !== null) this.#take(bank.firstFrame >> SHIFT);
    }
  }

  /** Bytes of sparse banks that the host holds: sections that somebody wrote to. */
  get touched(): Bytes {
    let sum = 0;
    for (let s = 0; s < this.#bytes.length; s++) {
      const bytes = this.#bytes[s];
      if (bytes !== null && this.#bankOf(s).lent === null) sum += bytes.length;
    }
    return sum;
  }

  /** Nobody needs what section `s` holds: it reads as zeros again. Lent memory is the lender's. */
  drop(s: number): void {
    if (this.#bytes[s] === null || this.#bankOf(s).lent !== null) return;
    this.#bytes[s] = null;
    this.#views[s] = null;
    this.#cache.clear();
  }

  /** Whether the frame's bytes exist; they read as zeros otherwise. */
  has(frame: Frame): boolean {
    return this.#bytes[frame >> SHIFT] !== null;
  }

  /** The array that holds the frame's bytes, from `offset(frame)` on; made now if nobody wrote there yet. */
  bytes(frame: Frame): Uint8Array {
    const bytes = this.#bytes[frame >> SHIFT];
    return bytes !== null && bytes.length !== 0 ? bytes : this.#take(frame >> SHIFT);
  }

  offset(frame: Frame): Bytes {
    return this.#origin[frame >> SHIFT] + (frame & ROW) * PAGE;
  }

  /** The same bytes for numbers of several bytes. */
  view(frame: Frame): DataView {
    const s = frame >> SHIFT;
    const bytes = this.bytes(frame); // a detached view is replaced here
    const view = this.#views[s] ?? new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#views[s] = view;
    return view;
  }

  /** Copy `length` bytes at offset `from` of `frame` on. => they are RAM, `to` has room. */
  read(frame: Frame, from: Bytes, to: Uint8Array, at: number, length: Bytes): void {
    // As in `copy`: a page of a file is read by itself more often than not.
    if (from + length <= PAGE) this.#readRun(frame, from, to, at, length);
    else this.#readLong(frame, from, to, at, length);
  }

  #readLong(frame: Frame, from: Bytes, to: Uint8Array, at: number, length: Bytes): void {
    let f = frame;
    let within = from;
    for (let done = 0; done < length; ) {
      const run = this.#run(f, within, length - done);
      this.#readRun(f, within, to, at + done, run);
      done += run;
      if (done < length) f = this.#after(f, within + run);
      within = 0;
    }
  }

  /** Copy `length` bytes to offset `to` of `frame` on. => they are RAM, `from` has them. */
  write(frame: Frame, to: Bytes, from: Uint8Array, at: number, length: Bytes): void {
    let f = frame;
    let within = to;
    for (let done = 0; done < length; ) {
      const run = this.#run(f, within, length - done);
      const start = this.offset(f) + within;
      if (run <= SHORT) moveShort(from, at + done, this.bytes(f), start, run);
      else if (run === from.length) this.bytes(f).set(from, start);
      else this.bytes(f).set(from.subarray(at + done, at + done + run), start);
      done += run;
      if (done < length) f = this.#after(f, within + run);
      within = 0;
    }
  }

  /** Copy RAM to RAM; the ranges do not overlap. What was never written stays untouched. */
  copy(target: Frame, to: Bytes, source: Frame, from: Bytes, length: Bytes): void {
    // In a page each, as bounced data mostly are: no question where a section or bank ends (10 ns).
    if (to + length <= PAGE && from + length <= PAGE) {
      this.#copyRun(target, this.offset(target) + to, source, this.offset(source) + from, length);
      return;
    }
    let t = target;
    let s = source;
    let toAt = to;
    let fromAt = from;
    for (let done = 0; done < length; ) {
      const run = this.#run(s, fromAt, this.#run(t, toAt, length - done));
      this.#copyRun(t, this.offset(t) + toAt, s, this.offset(s) + fromAt, run);
      done += run;
      if (done === length) return;
      t = this.#after(t, toAt + run);
      s = this.#after(s, fromAt + run);
      toAt = pageOffset(toAt + run);
      fromAt = pageOffset(fromAt + run);
    }
  }

  /** Fill with `value`. RAM that was never written stays untouched by zeros. */
  fill(frame: Frame, to: Bytes, length: Bytes, value: number): void {
    let f = frame;
    let within = to;
    for (let done = 0; done < length; ) {
      const run = this.#run(f, within, length - done);
      const bytes = value === 0 ? this.#present(f) : this.bytes(f);
      const at = this.offset(f) + within;
      bytes?.fill(value, at, at + run);
      done += run;
      if (done < length) f = this.#after(f, within + run);
      within = 0;
    }
  }

  /** Copy what lies in one array. */
  #readRun(frame: Frame, from: Bytes, to: Uint8Array, at: number, run: Bytes): void {
    const bytes = this.#present(frame);
    if (bytes === null) {
      to.fill(0, at, at + run);
      return;
    }
    const start = this.offset(frame) + from;
    if (run <= SHORT) moveShort(bytes, start, to, at, run);
    else to.set(this.#cache.view(bytes, frame, start, run), at);
  }

  #copyRun(target: Frame, to: Bytes, source: Frame, from: Bytes, run: Bytes): void {
    const bytes = this.#present(source);
    if (bytes === null) this.#present(target)?.fill(0, to, to + run);
    else {
      const there = this.bytes(target);
      // Inside one buffer copyWithin needs no view at all.
      if (bytes === there) bytes.copyWithin(to, from, from + run);
      else there.set(this.#cache.view(bytes, source, from, run), to);
    }
  }

  /** Bytes from offset `within` of `frame` that lie in one array, at most `length`. */
  #run(frame: Frame, within: Bytes, length: Bytes): Bytes {
    const bank = this.#bankOf(frame >> SHIFT);
    const last = bank.lent === null ? (frame | ROW) + 1 : bank.endFrame;
    return Math.min(length, (Math.min(last, bank.endFrame) - frame) * PAGE - within);
  }

  /** The frame `bytes` bytes behind the start of `frame`, in this bank or the one that begins where it ends. */
  #after(frame: Frame, bytes: Bytes): Frame {
    const bank = this.#bankOf(frame >> SHIFT);
    const next = frame + pageOf(bytes);
    return next < bank.endFrame ? next : frameAt(this.#banks, pageOf(bank.end));
  }

  /** The bytes of the frame's section, or null when nobody ever wrote there. */
  #present(frame: Frame): Uint8Array | null {
    return this.#bytes[frame >> SHIFT] === null ? null : this.bytes(frame);
  }

  #bankOf(s: number): Bank {
    for (const bank of this.#banks) {
      if (s >= bank.firstFrame >> SHIFT && s <= (bank.endFrame - 1) >> SHIFT) return bank;
    }
    panic(`physmem: no bank has section ${s}`);
  }

  /** Make the bytes of section `s`, or take them again from the lender. */
  #take(s: number): Uint8Array {
    const { lent, firstFrame, endFrame } = this.#bankOf(s);
    if (lent === null) {
      const from = Math.max(firstFrame, s << SHIFT);
      const to = Math.min(endFrame, (s << SHIFT) + SECTION_FRAMES);
      const bytes = new Uint8Array((to - from) * PAGE);
      this.#bytes[s] = bytes;
      return bytes;
    }
    const bytes = lent.take();
    this.#cache.clear();
    for (let i = firstFrame >> SHIFT; i <= (endFrame - 1) >> SHIFT; i++) {
      this.#bytes[i] = bytes;
      this.#views[i] = null;
    }
    return bytes;
  }
}

function moveShort(from: Uint8Array, at: number, to: Uint8Array, start: number, n: number): void {
  for (let i = 0; i < n; i++) to[start + i] = from[at + i];
}

/**
 * The frame of page number `page` of the physical addresses, or NO_FRAME. Here and in `isRam` an
 * address comes in two parts, which are small integers below 2^43: it is boxed as one.
 */
export function frameAt(banks: readonly Bank[], page: number): Frame {
  for (let i = 0; i < banks.length; i++) {
    const bank = banks[i];
    const inBank = page - pageOf(bank.base);
    if (!(inBank >= 0 && inBank < bank.endFrame - bank.firstFrame)) continue;
    return inBank >>> 0 === inBank ? bank.firstFrame + inBank : NO_FRAME; // no address has a fraction
  }
  return NO_FRAME;
}

/** Whether `length` bytes from `offset` of page `page` on are RAM, in one bank or in banks that touch. => `banks` lie in order of address. */
export function isRam(banks: readonly Bank[], page: number, offset: Bytes, length: Bytes): boolean {
  let at = page * PAGE + offset;
  if (!(length >= 0 && Math.floor(length) === length && Math.floor(at) === at)) return false;
  let left = length;
  for (let i = 0; i < banks.length; i++) {
    const bank = banks[i];
    if (!(at >= bank.base && at < bank.end)) continue;
    if (left <= bank.end - at) return true;
    left -= bank.end - at;
    at = bank.end;
  }
  return false;
}
