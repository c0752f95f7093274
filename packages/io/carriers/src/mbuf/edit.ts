/**
 * Chains made longer, shorter, joined and cut. Follows uipc_mbuf.c and M_PREPEND of sys/mbuf.h.
 */
import type { Bytes } from "@physio/kern";
import { panic } from "@physio/kern";
import { checkLength, demote, lastOf, movePacketFields } from "./chain.ts";
import type { Mbuf } from "./mbuf.ts";
import { MbufFlag } from "./mbuf.ts";
import {
  alignEnd,
  isWritable,
  leadingSpace,
  MHLEN,
  MSIZE,
  storageSize,
  trailingSpace,
} from "./space.ts";
import type { MbufStore } from "./store.ts";
import { assertPacketHeader } from "./walk.ts";

// This module's own name: the compiler folds it.
const PKTHDR = MbufFlag.PKTHDR;

/** @bsd #Y M_PREPEND, m_prepend */
export function prepend(pool: MbufStore, m: Mbuf, length: Bytes): Mbuf | null {
  checkLength("prepend of", length);
  let front = m;
  if (leadingSpace(m) >= length) {
    m.data -= length;
    m.len += length;
  } else {
    const n = pool.get(m.type);
    if (n === null) {
      pool.freem(m);
      return null;
    }
    if ((m.flags & PKTHDR) !== 0) movePacketFields(n, m);
    if (length > storageSize(n)) {
      panic(`mbuf: prepend of ${length} bytes, an mbuf holds ${storageSize(n)}`);
    }
    alignEnd(n, length);
    n.next = m;
    n.len = length;
    front = n;
  }
  if ((front.flags & PKTHDR) !== 0) front.packetLength += length;
  return front;
}

/** @bsd #Y m_pullup */
export function pullup(pool: MbufStore, m: Mbuf, length: Bytes): Mbuf | null {
  checkLength("pullup of", length);
  let front: Mbuf | null = null;
  let rest: Mbuf | null = m;
  let left = length;
  if (m.ext === null && isWritable(m) && m.data + length <= m.storage + MSIZE) {
    // It fits behind what the first mbuf has.
    if (m.len >= length) return m;
    front = m;
    rest = m.next;
    left -= m.len;
  } else if (length <= MHLEN) {
    front = pool.get(m.type);
    if (front !== null && (m.flags & PKTHDR) !== 0) movePacketFields(front, m);
  }
  if (front === null) {
    pool.freem(m);
    return null;
  }
  rest = gather(pool, front, rest, left);
  front.next = rest;
  if (front.len >= length) return front;
  pool.freem(front);
  return null;
}

/** Move `length` bytes of the chain `rest`, more if they suit, behind `front`. @returns what is left of the chain. */
function gather(pool: MbufStore, front: Mbuf, rest: Mbuf | null, length: Bytes): Mbuf | null {
  let n = rest;
  let left = length;
  while (left > 0 && n !== null) {
    const run = Math.min(Math.max(left, pool.protocolHeader), trailingSpace(front), n.len);
    pool.bytes.move(front, front.len, n, 0, run);
    left -= run;
    front.len += run;
    n.data += run;
    n.len -= run;
    if (n.len === 0) n = pool.free(n);
  }
  return n;
}

/** @bsd #Y m_adj */
export function adj(pool: MbufStore, m: Mbuf, length: number): void {
  if (!Number.isSafeInteger(length)) panic(`mbuf: adj by ${length}`);
  if (length >= 0) trimFront(m, length);
  else trimEnd(pool, m, -length);
}

/** Emptied mbufs stay in the chain: its first one is still the packet's. */
function trimFront(m: Mbuf, length: Bytes): void {
  let left = length;
  let at: Mbuf | null = m;
  while (at !== null && left > 0) {
    const run = Math.min(left, at.len);
    at.len -= run;
    at.data += run;
    left -= run;
    at = at.next;
  }
  if ((m.flags & PKTHDR) !== 0) m.packetLength -= length - left;
}

/** Mbufs behind the new end are freed. */
function trimEnd(pool: MbufStore, m: Mbuf, length: Bytes): void {
  let total = 0;
  let last = m;
  for (let at: Mbuf | null = m; at !== null; at = at.next) {
    total += at.len;
    last = at;
  }
  if (last.len >= length) {
    last.len -= length;
    if ((m.flags & PKTHDR) !== 0) m.packetLength -= length;
    return;
  }
  const keep = Math.max(total - length, 0);
  if ((m.flags & PKTHDR) !== 0) m.packetLength = keep;
  let left = keep;
  let end = m;
  while (end.len < left) {
    left -= end.len;
    end = end.next!; // the chain has `keep` bytes
  }
  end.len = left;
  const tail = end.next;
  end.next = null;
  pool.freem(tail);
}

/** @bsd #Y m_cat */
export function cat(pool: MbufStore, m: Mbuf, n: Mbuf): void {
  const last = lastOf(m);
  for (let at: Mbuf | null = n; at !== null; ) {
    if (!isWritable(last) || trailingSpace(last) < at.len) {
      last.next = at;
      return;
    }
    pool.bytes.move(last, last.len, at, 0, at.len);
    last.len += at.len;
    at = pool.free(at);
  }
}

/** @bsd #Y m_catpkt */
export function catPacket(pool: MbufStore, m: Mbuf, n: Mbuf): void {
  assertPacketHeader(m);
  assertPacketHeader(n);
  m.packetLength += n.packetLength;
  demote(n);
  cat(pool, m, n);
}

/** @bsd #Y m_split */
export function split(pool: MbufStore, m: Mbuf, length: Bytes): Mbuf | null {
  checkLength("split at", length);
  let at: Mbuf | null = m;
  let keep = length;
  while (at !== null && keep > at.len) {
    keep -= at.len;
    at = at.next;
  }
  if (at === null) return null;
  const packet = (m.flags & PKTHDR) !== 0;
  if (!packet && keep === at.len) {
    const rest = at.next;
    at.next = null;
    return rest;
  }
  const n = packet ? pool.gethdr(m.type) : pool.get(at.type);
  if (n === null) return null;
  if (!takeEnd(pool, n, at, keep)) {
    pool.free(n);
    return null;
  }
  if (packet) {
    n.receiver = m.receiver;
    n.packetLength = m.packetLength - length;
    m.packetLength = length;
  }
  return n;
}

/** Move what `m` has behind its first `keep` bytes, and the chain behind it, to the empty `n`. @returns false: short, nothing changed. */
function takeEnd(pool: MbufStore, n: Mbuf, m: Mbuf, keep: Bytes): boolean {
  const count = m.len - keep;
  let holder = n;
  if (count > 0 && m.ext !== null) {
    pool.share(n, m);
    n.data += keep;
  } else if (count > 0) {
    if (count > storageSize(n)) {
      // The packet's fields leave too little room: they get an mbuf of their own.
      const second = pool.get(m.type);
      if (second === null) return false;
      n.next = second;
      holder = second;
    }
    alignEnd(holder, count);
    pool.bytes.move(holder, 0, m, keep, count);
  }
  holder.len = count;
  holder.next = m.next;
  m.len = keep;
  m.next = null;
  return true;
}
