/** Bytes that tests write and expect: a pattern that tells seeds and positions apart. */
import type { PhysAddr } from "@physio/kern";

/** A stretch of physical memory: [address, length]. */
export type Run = readonly [PhysAddr, number];

/** Byte `i` of the pattern of `seed`. */
export function pattern(seed: number, length: number): Uint8Array {
  return Uint8Array.from(
    { length },
    (_, i) => (seed * 37 + i * 131 + Math.floor(i / 256) * 17 + 11) % 256,
  );
}
