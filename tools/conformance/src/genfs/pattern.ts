/** The bytes that scenarios are filled with, and the checksum that they are compared by. */
import { crc32 } from "node:zlib";

/** Word `i` of the pattern of `seed`; unsigned 32-bit arithmetic, as conformance/genfs/README.md has it. */
function word(seed: number, i: number): number {
  let x = (Math.imul(seed, 0x9e3779b1) + Math.imul(i, 0x85ebca77)) >>> 0;
  x ^= x >>> 15;
  x = Math.imul(x, 0x2c1b3c6d);
  x ^= x >>> 12;
  x = Math.imul(x, 0x297a2d39);
  return (x ^ (x >>> 15)) >>> 0;
}

/** The first `length` bytes of the pattern of `seed`: its words, low byte first. */
export function pattern(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let k = 0; k < length; k += 4) {
    const x = word(seed, k >> 2);
    bytes[k] = x;
    bytes[k + 1] = x >>> 8; // beyond the end: nothing is stored
    bytes[k + 2] = x >>> 16;
    bytes[k + 3] = x >>> 24;
  }
  return bytes;
}

export { crc32 };
