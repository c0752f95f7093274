/**
 * The bytes of a chain: copied out, written, appended, looked at, and packets made of a device's.
 * Follows uipc_mbuf.c.
 */
import type { Bytes, VirtAddr } from "@physio/kern";
import { panic } from "@physio/kern";
import { checkLength, lastOf } from "./chain.ts";
import type { Mbuf } from "./mbuf.ts";
import { MbufFlag } from "./mbuf.ts";
import { isWritable, MHLEN, MINCLSIZE, trailingSpace } from "./space.ts";
import type { MbufStore } from "./store.ts";

// This module's own name: the compiler folds it.
const PKTHDR = MbufFlag.PKTHDR;

/** @bsd #Y m_copydata */
export function copydata(
  pool: MbufStore,
  m: Mbuf,
  offset: Bytes,
  length: Bytes,
  to: Uint8Array,
  at: number,
): void {
  checkLength("copydata from", offset);
  checkArray("copydata", length, to, at);
  const { bytes } = pool;
  let from: Mbuf | null = m;
  let skip = offset;
  let done = 0;
  while (done < length) {
    if (from === null) tooShort("copydata", offset, length);
    if (skip >= from.len) skip -= from.len;
    else {
      const run = Math.min(from.len - skip, length - done);
      bytes.read(from, skip, to, at + done, run);
      done += run;
      skip = 0;
    }
    from = from.next;
  }
}

/** Copy `length` bytes from `offset` of the chain `m` to the start of `to`. => it has room, the chain has them. */
export function moveChain(pool: MbufStore, to: Mbuf, m: Mbuf, offset: Bytes, length: Bytes): void {
  let from: Mbuf | null = m;
  let skip = offset;
  let done = 0;
  while (done < length) {
    if (from === null) tooShort("copy", offset, length);
    if (skip >= from.len) skip -= from.len;
    else {
      const run = Math.min(from.len - skip, length - done);
      pool.bytes.move(to, done, from, skip, run);
      done += run;
      skip = 0;
    }
    from = from.next;
  }
}

/** @bsd #P[panics on shared bytes] m_copyback */
export function copyback(
  pool: MbufStore,
  m: Mbuf,
  offset: Bytes,
  length: Bytes,
  from: Uint8Array,
  at: number,
): boolean {
  checkLength("copyback to", offset);
  checkArray("copyback", length, from, at);
  let to = m;
  let skip = offset;
  let total = 0;
  let done = 0;
  while (true) {
    if (to.next === null && skip + length - done > to.len) grow(pool, to, skip + length - done);
    const run = Math.min(length - done, to.len - skip);
    if (run > 0) {
      if (!isWritable(to)) panic(`mbuf: copyback to ${offset}: the bytes are not writable`);
      pool.bytes.write(to, skip, from, at + done, run);
      done += run;
    }
    total += to.len;
    if (done === length && skip <= to.len) break;
    skip = Math.max(skip - to.len, 0);
    if (to.next === null) {
      to.next = pool.get(to.type);
      if (to.next === null) break;
    }
    to = to.next;
  }
  if ((m.flags & PKTHDR) !== 0 && m.packetLength < total) m.packetLength = total;
  return done === length && skip <= to.len;
}

/** Let the last mbuf have up to `length` bytes, zeros as yet, as far as there is room. */
function grow(pool: MbufStore, m: Mbuf, length: Bytes): void {
  const more = Math.min(length - m.len, trailingSpace(m));
  if (more <= 0) return;
  pool.bytes.zero(m, m.len, more);
  m.len += more;
}

/** @bsd #Y m_append */
export function append(
  pool: MbufStore,
  m: Mbuf,
  length: Bytes,
  from: Uint8Array,
  at: number,
): boolean {
  checkArray("append", length, from, at);
  let last = lastOf(m);
  let done = 0;
  while (done < length) {
    const run = Math.min(length - done, trailingSpace(last));
    if (run > 0) {
      pool.bytes.write(last, last.len, from, at + done, run);
      last.len += run;
      done += run;
    }
    if (done === length) break;
    const n = pool.get(last.type);
    if (n === null) break;
    last.next = n;
    last = n;
  }
  if ((m.flags & PKTHDR) !== 0) m.packetLength += done;
  return done === length;
}

/** @bsd #Y m_apply */
export function apply<A>(
  pool: MbufStore,
  m: Mbuf,
  offset: Bytes,
  length: Bytes,
  f: (arg: A, va: VirtAddr, length: Bytes) => number,
  arg: A,
): number {
  checkLength("apply from", offset);
  checkLength("apply to", length);
  let from: Mbuf | null = m;
  let skip = offset;
  let left = length;
  while (left > 0) {
    if (from === null) tooShort("apply", offset, length);
    if (skip >= from.len) skip -= from.len;
    else {
      const run = Math.min(from.len - skip, left);
      const result = pool.bytes.apply(from, skip, run, f, arg);
      if (result !== 0) return result;
      left -= run;
      skip = 0;
    }
    from = from.next;
  }
  return 0;
}

/** @bsd #P[no copy function] m_devget */
export function devget(
  pool: MbufStore,
  from: Uint8Array,
  at: number,
  length: Bytes,
  offset: Bytes,
  receiver: unknown,
): Mbuf | null {
  checkLength("devget at", offset);
  checkArray("devget", length, from, at);
  if (offset > MHLEN) return null;
  let first: Mbuf | null = null;
  let last: Mbuf | null = null;
  let skip = offset;
  let done = 0;
  while (first === null || done < length) {
    const n: Mbuf | null = deviceMbuf(pool, length - done + skip, first === null);
    if (n === null) {
      pool.freem(first);
      return null;
    }
    if (last === null) {
      first = n;
      n.receiver = receiver;
      n.packetLength = length;
      if (n.ext === null && length + skip + pool.linkHeader <= MHLEN) n.data += pool.linkHeader;
    } else last.next = n;
    last = n;
    n.data += skip;
    skip = 0;
    const run = Math.min(length - done, trailingSpace(n));
    if (run > 0) pool.bytes.write(n, 0, from, at + done, run);
    n.len = run;
    done += run;
  }
  return first;
}

function deviceMbuf(pool: MbufStore, room: Bytes, packet: boolean): Mbuf | null {
  if (room >= MINCLSIZE) return pool.getcl(undefined, packet ? PKTHDR : 0);
  return packet ? pool.gethdr() : pool.get();
}

function checkArray(what: string, length: Bytes, bytes: Uint8Array, at: number): void {
  checkLength(`${what} of`, length);
  if (!(Number.isSafeInteger(at) && at >= 0 && at + length <= bytes.length)) {
    panic(`mbuf: ${what} of ${length} bytes at ${at} of an array of ${bytes.length}`);
  }
}

function tooShort(what: string, offset: Bytes, length: Bytes): never {
  panic(`mbuf: ${what} of ${length} bytes from ${offset}: the chain is shorter`);
}
