/** What the examples share: how they are started, and bytes for their buffers. */
import type { Mbuf, MbufPool } from "@physio/carriers/mbuf";
import type { Bytes } from "@physio/kern";
import type { Machine, MachineConfig } from "@physio/machine";

/** Tells the story of an example, a line at a time. */
export type Print = (line: string) => void;

/** Makes the machine of an example: `machine`, or one that somebody looks into. */
export type Boot = (config: MachineConfig) => Machine;

/** Bytes that differ from buffer to buffer. */
export function pattern(length: Bytes, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + Math.floor(i / 256) + seed * 31) % 251);
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** A packet of `count` mbufs with `each` bytes, and its bytes. */
export function packetOf(pool: MbufPool, count: number, each: Bytes): [Mbuf, Uint8Array] {
  const bytes = pattern(count * each, count);
  const packet = got(pool.gethdr());
  for (let i = 0, last = packet; i < count; i++) {
    if (i > 0) last = last.next = got(pool.get());
    last.len = each;
    pool.kmem.write(last.data, bytes.subarray(i * each, (i + 1) * each));
  }
  pool.fixhdr(packet);
  return [packet, bytes];
}

function got(mbuf: Mbuf | null): Mbuf {
  if (mbuf === null) throw new Error("no mbufs");
  return mbuf;
}
