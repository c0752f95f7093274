/**
 * Copies of chains: with shared storage, or with bytes of their own. Follows uipc_mbuf.c.
 */
import type { Bytes } from "@physio/kern";
import { panic } from "@physio/kern";
import { checkLength, copyPacketFields, movePacketFields } from "./chain.ts";
import type { Mbuf } from "./mbuf.ts";
import { MbufFlag } from "./mbuf.ts";
import { isWritable, M_COPYALL, MCLBYTES, MINCLSIZE, storageSize, trailingSpace } from "./space.ts";
import type { MbufStore } from "./store.ts";
import { assertPacketHeader } from "./walk.ts";

// This module's own name: the compiler folds it.
const PKTHDR = MbufFlag.PKTHDR;

/** @bsd #P[no tags] m_copym */
export function copym(pool: MbufStore, m: Mbuf, offset: Bytes, length: Bytes): Mbuf | null {
  checkLength("copym from", offset);
  checkLength("copym of", length);
  let skip = offset;
  let at: Mbuf | null = m;
  while (at !== null && skip > 0 && skip >= at.len) {
    skip -= at.len;
    at = at.next;
  }
  if (at === null && skip > 0) panic(`mbuf: copym from ${offset}: the chain is shorter`);
  let first: Mbuf | null = null;
  let last: Mbuf | null = null;
  for (let left = length; left > 0; ) {
    if (at === null) {
      if (length === M_COPYALL) break;
      pool.freem(first);
      panic(`mbuf: copym of ${length} bytes from ${offset}: the chain is shorter`);
    }
    const run = Math.min(left, at.len - skip);
    const packet = offset === 0 && first === null && (at.flags & PKTHDR) !== 0;
    const n = copyOne(pool, at, skip, run, packet);
    if (n === null) {
      pool.freem(first);
      return null;
    }
    if (packet && length !== M_COPYALL) n.packetLength = length;
    if (last === null) first = n;
    else last.next = n;
    last = n;
    left -= run;
    skip = 0;
    at = at.next;
  }
  return first;
}

/** A copy of `length` bytes from `offset` of one mbuf, of its storage if that is external. */
function copyOne(
  pool: MbufStore,
  m: Mbuf,
  offset: Bytes,
  length: Bytes,
  packet: boolean,
): Mbuf | null {
  const n = pool.get(m.type);
  if (n === null) return null;
  if (packet) copyPacketFields(n, m);
  if (m.ext !== null) {
    pool.share(n, m);
    n.data += offset;
  } else {
    pool.bytes.move(n, 0, m, offset, length);
  }
  n.len = length;
  return n;
}

/** @bsd #P[no tags] m_copypacket */
export function copypacket(pool: MbufStore, m: Mbuf): Mbuf | null {
  assertPacketHeader(m);
  let first: Mbuf | null = null;
  let last: Mbuf | null = null;
  for (let at: Mbuf | null = m; at !== null; at = at.next) {
    const n = pool.get(at.type);
    if (n === null) {
      pool.freem(first);
      return null;
    }
    if (first === null) copyPacketFields(n, at);
    if (at.ext !== null) {
      pool.share(n, at);
    } else {
      if (first === null) n.data = n.storage + (at.data - at.storage);
      pool.bytes.move(n, 0, at, 0, at.len);
    }
    n.len = at.len;
    if (last === null) first = n;
    else last.next = n;
    last = n;
  }
  return first;
}

/** @bsd #P[no tags] m_dup */
export function dup(pool: MbufStore, m: Mbuf): Mbuf | null {
  assertPacketHeader(m);
  let first: Mbuf | null = null;
  let last: Mbuf | null = null;
  let from: Mbuf | null = m;
  let offset = 0;
  let left = m.packetLength;
  while (first === null || left > 0) {
    const n = left >= MINCLSIZE ? pool.getcl(m.type) : pool.get(m.type);
    if (n === null) {
      pool.freem(first);
      return null;
    }
    if (last === null) {
      copyPacketFields(n, m);
      first = n;
    } else last.next = n;
    last = n;
    for (let room = Math.min(storageSize(n), left); room > 0; ) {
      if (from === null)
        panic(`mbuf: dup of a packet that lacks ${left} of ${m.packetLength} bytes`);
      const run = Math.min(room, from.len - offset);
      pool.bytes.move(n, n.len, from, offset, run);
      n.len += run;
      room -= run;
      left -= run;
      offset += run;
      if (offset === from.len) {
        from = from.next;
        offset = 0;
      }
    }
  }
  return first;
}

/**
 * Small mbufs behind a cluster are moved into its room too, so that what follows may join.
 * @bsd #P[no tags] m_unshare
 */
export function unshare(pool: MbufStore, m: Mbuf): Mbuf | null {
  let first = m;
  let before: Mbuf | null = null;
  for (let at: Mbuf | null = m; at !== null; ) {
    const writable = isWritable(at);
    // An mbuf of its own storage joins only a cluster.
    const joins = at.ext === null ? before !== null && before.ext !== null : !writable;
    if (joins && before !== null && at.len <= trailingSpace(before)) {
      pool.bytes.move(before, before.len, at, 0, at.len);
      before.len += at.len;
      before.next = pool.free(at);
      at = before.next;
      continue;
    }
    if (writable) {
      before = at;
      at = at.next;
      continue;
    }
    const copy = ownCopy(pool, at);
    if (copy === null) {
      pool.freem(first);
      return null;
    }
    if (before === null) first = copy;
    else before.next = copy;
    before = copy;
    while (before.next !== null) before = before.next;
    before.next = pool.free(at);
    at = before.next;
  }
  return first;
}

/** The bytes of one mbuf in clusters of their own, and its packet's fields if it has some. @returns null: short, `m` is as it was. */
function ownCopy(pool: MbufStore, m: Mbuf): Mbuf | null {
  const first = pool.getcl(m.type);
  if (first === null) return null;
  let last = first;
  for (let done = 0; done < m.len; ) {
    const run = Math.min(m.len - done, MCLBYTES);
    if (done > 0) {
      const n = pool.getcl(m.type);
      if (n === null) {
        pool.freem(first);
        return null;
      }
      last.next = n;
      last = n;
    }
    pool.bytes.move(last, 0, m, done, run);
    last.len = run;
    done += run;
  }
  if ((m.flags & PKTHDR) !== 0) {
    const { len } = first;
    first.len = 0; // a packet's fields go to an empty mbuf
    movePacketFields(first, m);
    first.len = len;
  } else last.flags |= m.flags & MbufFlag.EOR;
  return first;
}
