/**
 * The verifying mode: free frames are filled with junk, and an allocation looks whether it is still
 * there. A device or a driver that writes to memory it gave back is found at the next allocation of
 * the frame, or by `check`, with the byte that it changed. After the junk fill of uma(9)
 * (trash_dtor, trash_ctor).
 *
 * Only frames that have bytes on the host are filled: RAM that nobody wrote stays untouched, and must
 * still be zeros when it is looked at. What a free frame holds is remembered for every frame. One that
 * was never freed keeps what it has when it is allocated: it may be an image that was loaded before, or
 * a guest's RAM that is taken out of use.
 *
 * Who may call: alloc.ts, when PhysMemConfig.verify is set.
 */
import type { Bytes, Frame, PhysAddr } from "@physio/kern";
import { hex, PAGE_SIZE, panic } from "@physio/kern";
import { ROW_MASK, SECTION_FRAMES, SECTION_SHIFT } from "./section.ts";

/** A free frame's bytes, and those of one that was just allocated. */
const FREE_JUNK = 0xdf;
const NEW_JUNK = 0x5a;

// What a frame was left with when it was freed; 0: it was not freed since it was allocated last.
const JUNK = 1;
const ZEROS = 2; // it had no bytes

/** A cache that may hold lines of a frame that are not in RAM: membus' CpuPort. */
export interface FrameCacher {
  writeBackInvalidate(pa: PhysAddr, length: Bytes): unknown;
}

/** What the check needs of physical memory. */
export interface FrameBytes {
  readonly cachedBy: FrameCacher | null;
  hasBytes(frame: Frame): boolean;
  bytes(frame: Frame): Uint8Array;
  byteOffset(frame: Frame): Bytes;
  addrOf(frame: Frame): PhysAddr;
}

export class FrameCheck {
  readonly #mem: FrameBytes;
  /** For each section and frame: JUNK, ZEROS or 0; null: no frame of it was freed yet. */
  readonly #left: (Uint8Array | null)[];

  constructor(mem: FrameBytes, sections: number) {
    this.#mem = mem;
    this.#left = new Array<Uint8Array | null>(sections).fill(null);
  }

  /** The frames are being freed. */
  onFree(frame: Frame, count: number): void {
    for (let f = frame; f < frame + count; f++) {
      // A dirty line that is evicted later is no use after free: its store came before.
      this.#mem.cachedBy?.writeBackInvalidate(this.#mem.addrOf(f), PAGE_SIZE);
      const there = this.#mem.hasBytes(f);
      if (there) this.#fill(f, FREE_JUNK);
      this.#rows(f)[f & ROW_MASK] = there ? JUNK : ZEROS;
    }
  }

  /** The frames are being allocated. Panics when one was written to meanwhile. */
  onAlloc(frame: Frame, count: number): void {
    for (let f = frame; f < frame + count; f++) {
      const rows = this.#left[f >> SECTION_SHIFT];
      if (rows === null || rows[f & ROW_MASK] === 0) continue;
      this.#checkLeft(f, rows[f & ROW_MASK]);
      rows[f & ROW_MASK] = 0;
      if (this.#mem.hasBytes(f)) this.#fill(f, NEW_JUNK);
    }
  }

  /** Look at what all free frames were left with. */
  check(): void {
    for (let s = 0; s < this.#left.length; s++) {
      const rows = this.#left[s];
      if (rows === null) continue;
      for (let row = 0; row < SECTION_FRAMES; row++)
        if (rows[row] !== 0) this.#checkLeft((s << SECTION_SHIFT) + row, rows[row]);
    }
  }

  #checkLeft(frame: Frame, left: number): void {
    if (!this.#mem.hasBytes(frame)) return;
    const expected = left === JUNK ? FREE_JUNK : 0;
    const bytes = this.#mem.bytes(frame);
    const start = this.#mem.byteOffset(frame);
    for (let i = 0; i < PAGE_SIZE; i++) {
      const byte = bytes[start + i];
      if (byte === expected) continue;
      const where = `frame ${frame} (${hex(this.#mem.addrOf(frame))})`;
      panic(`physmem: ${where} was written after it was freed: byte ${i} is ${hex(byte)}`);
    }
  }

  #fill(frame: Frame, value: number): void {
    const start = this.#mem.byteOffset(frame);
    this.#mem.bytes(frame).fill(value, start, start + PAGE_SIZE);
  }

  #rows(frame: Frame): Uint8Array {
    const s = frame >> SECTION_SHIFT;
    const rows = this.#left[s] ?? new Uint8Array(SECTION_FRAMES);
    this.#left[s] = rows;
    return rows;
  }
}
