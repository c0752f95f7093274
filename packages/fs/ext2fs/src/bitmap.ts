/**
 * Bitmaps of blocks and inodes: one group's, a bit each, the low bit of byte 0 first; 1 is used.
 *
 * Held as a copy while the file system is mounted; what is written back is the whole of it. Pure.
 */
import { panic } from "@physio/kern";

export class Bitmap {
  readonly bytes: Uint8Array;
  /** Bits that stand for something; those behind are padding, and are kept. */
  readonly length: number;

  /** => `bytes` is the bitmap's own. */
  constructor(bytes: Uint8Array, length: number) {
    this.bytes = bytes;
    this.length = length;
  }

  has(bit: number): boolean {
    return (this.bytes[bit >> 3] & (1 << (bit & 7))) !== 0;
  }

  /** => `bit` is clear. */
  set(bit: number): void {
    if (!(bit >= 0 && bit < this.length) || this.has(bit)) panic(`bitmap: bit ${bit} is set`);
    this.bytes[bit >> 3] |= 1 << (bit & 7);
  }

  /** @returns whether it was set. */
  clear(bit: number): boolean {
    if (!this.has(bit)) return false;
    this.bytes[bit >> 3] &= ~(1 << (bit & 7));
    return true;
  }

  /** The first clear bit from `from` on, below `to`; −1: none. */
  findClear(from: number, to = this.length): number {
    for (let bit = from; bit < to; ) {
      if ((bit & 7) === 0 && this.bytes[bit >> 3] === 0xff) bit += 8;
      else if (this.has(bit)) bit++;
      else return bit;
    }
    return -1;
  }

  /** Clear bits from `bit` on, at most `most`. => `bit` is clear. */
  clearRun(bit: number, most: number): number {
    let run = 1;
    while (run < most && bit + run < this.length && !this.has(bit + run)) run++;
    return run;
  }

  /** Clear bits. */
  countClear(): number {
    let count = 0;
    for (let bit = 0; bit < this.length; bit++) if (!this.has(bit)) count++;
    return count;
  }
}
