/**
 * Getting an mbuf, or a chain, for a number of bytes. Follows kern_mbuf.c.
 */
import type { Bytes } from "@physio/kern";
import { checkLength, lastOf } from "./chain.ts";
import type { Mbuf, MbufType } from "./mbuf.ts";
import { MbufFlag } from "./mbuf.ts";
import { MCLBYTES, MHLEN, MINCLSIZE, MJUMPAGESIZE, MLEN, storageSize } from "./space.ts";
import type { MbufStore } from "./store.ts";

const { PKTHDR, EOR } = MbufFlag;

/** @bsd #P[never waits] m_get2 */
export function get2(pool: MbufStore, size: Bytes, type: MbufType, flags: MbufFlag): Mbuf | null {
  checkLength("get2 for", size);
  const packet = (flags & PKTHDR) !== 0;
  if (size <= (packet ? MHLEN : MLEN)) return packet ? pool.gethdr(type) : pool.get(type);
  if (size <= MCLBYTES) return pool.getcl(type, flags);
  return size <= MJUMPAGESIZE ? pool.getjcl(type, flags, MJUMPAGESIZE) : null;
}

/** @bsd #P[never waits] m_getm2 */
export function getm(
  pool: MbufStore,
  m: Mbuf | null,
  length: Bytes,
  type: MbufType,
  flags: MbufFlag,
): Mbuf | null {
  checkLength("getm for", length);
  let packet = m === null ? flags & PKTHDR : 0;
  let first: Mbuf | null = null;
  let last: Mbuf | null = null;
  for (let left = length; left > 0; ) {
    const one = forBytes(pool, left, type, packet);
    if (one === null) {
      pool.freem(first);
      return null;
    }
    left -= storageSize(one);
    packet = 0; // only the first of a chain begins a packet
    if (last === null) first = one;
    else last.next = one;
    last = one;
  }
  if (last !== null && (flags & EOR) !== 0) last.flags |= EOR;
  if (m === null) return first;
  const end = lastOf(m);
  end.next = first;
  if (first !== null) end.flags &= ~EOR;
  return m;
}

/** One that suits `length` bytes: it may have more or less room. */
function forBytes(pool: MbufStore, length: Bytes, type: MbufType, flags: MbufFlag): Mbuf | null {
  if (length > MCLBYTES) {
    const m = pool.getjcl(type, flags, MJUMPAGESIZE);
    if (m !== null) return m;
  }
  if (length >= MINCLSIZE) return pool.getcl(type, flags);
  return flags === 0 ? pool.get(type) : pool.gethdr(type);
}
