/**
 * Moves of a few bytes between an array and one page of RAM.
 *
 * Cache lines, combined stores and posted writes are short and come one by one. A view for
 * `set` would leave 96 bytes of garbage each time, so these are loops over bytes (1.3 ns each). The
 * page is given as a frame and an offset, two small integers: a double that crosses a call is boxed.
 *
 * Only this package calls them. => the bytes lie in one page of RAM.
 */
import type { Bytes, Frame } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";

/** RAM to `to`. RAM that was never written stays untouched. */
export function loadBytes(
  mem: PhysMem,
  frame: Frame,
  offset: Bytes,
  to: Uint8Array,
  at: number,
  length: Bytes,
): void {
  if (!mem.hasBytes(frame)) {
    to.fill(0, at, at + length);
    return;
  }
  const ram = mem.bytes(frame);
  const from = mem.byteOffset(frame) + offset;
  for (let i = 0; i < length; i++) to[at + i] = ram[from + i];
}

/** `from` to RAM. */
export function storeBytes(
  mem: PhysMem,
  frame: Frame,
  offset: Bytes,
  from: Uint8Array,
  at: number,
  length: Bytes,
): void {
  const ram = mem.bytes(frame);
  const to = mem.byteOffset(frame) + offset;
  for (let i = 0; i < length; i++) ram[to + i] = from[at + i];
}
