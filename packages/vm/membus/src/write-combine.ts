/**
 * Write-combining buffers: where stores through a WRITE_COMBINING mapping wait.
 *
 * Four buffers of one line each, with a mask that says which bytes were stored. A line reaches RAM
 * when all of it was stored, when a fifth line needs a buffer (the one opened first goes), and when
 * somebody drains: until then neither devices nor other mappings see the stores. The CPU port says
 * when that is.
 *
 * Invariant (`check`): an open buffer holds at least one byte and not all; no line has two.
 */
import type { Bytes, PhysAddr } from "@physio/kern";
import { NO_FRAME, offsetIn, pageOffset, panic } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import { storeBytes } from "./page-bytes.ts";

const BUFFERS = 4;
const CLOSED = -1;

export class WriteCombine {
  readonly line: Bytes;
  /** Bytes that wait. */
  pending: Bytes;
  readonly #mem: PhysMem;
  /** By buffer: address of the line or CLOSED, bytes stored, the bytes, which of them were stored. */
  readonly #base: Float64Array;
  readonly #stored: Int32Array;
  readonly #data: Uint8Array;
  readonly #mask: Uint8Array;
  /** The first `#open` entries: open buffers, oldest first. */
  readonly #order: Int32Array;
  #open: number;

  constructor(mem: PhysMem, line: Bytes) {
    this.line = line;
    this.pending = 0;
    this.#mem = mem;
    this.#base = new Float64Array(BUFFERS).fill(CLOSED);
    this.#stored = new Int32Array(BUFFERS);
    this.#data = new Uint8Array(BUFFERS * line);
    this.#mask = new Uint8Array(BUFFERS * line);
    this.#order = new Int32Array(BUFFERS);
    this.#open = 0;
  }

  /** Gather a store. => it is to RAM, `from` has the bytes from `at` on. */
  write(pa: PhysAddr, from: Uint8Array, at: number, length: Bytes): void {
    const { line } = this;
    let within = offsetIn(pa, line);
    for (let done = 0; done < length; ) {
      const run = Math.min(line - within, length - done);
      const buffer = this.#bufferOf(pa + done - within);
      const to = buffer * line + within;
      for (let i = 0; i < run; i++) {
        this.#data[to + i] = from[at + done + i];
        this.#stored[buffer] += 1 - this.#mask[to + i];
        this.pending += 1 - this.#mask[to + i];
        this.#mask[to + i] = 1;
      }
      if (this.#stored[buffer] === line) this.#retire(buffer);
      done += run;
      within = 0;
    }
  }

  /** All that waits reaches RAM, the line opened first before the others. */
  drain(): void {
    while (this.#open > 0) this.#retire(this.#order[0]);
  }

  /** Whether a line that waits overlaps [`pa`, `pa + length`). */
  overlaps(pa: PhysAddr, length: Bytes): boolean {
    for (let i = 0; i < this.#open; i++) {
      const base = this.#base[this.#order[i]];
      if (base < pa + length && base + this.line > pa) return true;
    }
    return false;
  }

  /** Walk the buffers and panic on a broken invariant. */
  check(): void {
    const bases = new Set<number>();
    let pending = 0;
    for (let i = 0; i < this.#open; i++) {
      const buffer = this.#order[i];
      const from = buffer * this.line;
      const stored = this.#mask.subarray(from, from + this.line).reduce((sum, bit) => sum + bit, 0);
      if (!(stored > 0 && stored < this.line && stored === this.#stored[buffer])) {
        panic(`write-combining: ${stored} bytes wait, counted ${this.#stored[buffer]}`);
      }
      bases.add(this.#base[buffer]);
      pending += stored;
    }
    const open = this.#base.reduce((sum, base) => sum + (base === CLOSED ? 0 : 1), 0);
    if (bases.size !== this.#open || open !== this.#open || pending !== this.pending) {
      panic(`write-combining: ${this.#open} lines of ${pending} bytes, counted ${this.pending}`);
    }
  }

  /** The open buffer of the line at `base`, opened now if it has none. */
  #bufferOf(base: PhysAddr): number {
    for (let i = 0; i < this.#open; i++) {
      if (this.#base[this.#order[i]] === base) return this.#order[i];
    }
    if (this.#open === BUFFERS) this.#retire(this.#order[0]);
    let buffer = 0;
    while (this.#base[buffer] !== CLOSED) buffer++;
    this.#base[buffer] = base;
    this.#order[this.#open++] = buffer;
    return buffer;
  }

  /** Write the stored bytes of a buffer to RAM, run by run, and close it. */
  #retire(buffer: number): void {
    const { line } = this;
    const base = this.#base[buffer];
    const frame = this.#mem.frameOf(base);
    if (frame === NO_FRAME) panic(`write-combining: ${base} is no RAM`);
    const from = buffer * line;
    for (let at = 0; at < line; ) {
      const start = at;
      while (at < line && this.#mask[from + at] === 1) at++;
      storeBytes(this.#mem, frame, pageOffset(base) + start, this.#data, from + start, at - start);
      while (at < line && this.#mask[from + at] === 0) at++;
    }
    this.#mask.fill(0, from, from + line);
    this.pending -= this.#stored[buffer];
    this.#stored[buffer] = 0;
    this.#base[buffer] = CLOSED;
    this.#forget(buffer);
  }

  #forget(buffer: number): void {
    let to = 0;
    for (let i = 0; i < this.#open; i++) {
      if (this.#order[i] !== buffer) this.#order[to++] = this.#order[i];
    }
    this.#open = to;
  }
}
