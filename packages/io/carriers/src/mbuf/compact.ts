/**
 * Packets in fewer mbufs: for a device whose list of segments is too short. Follows uipc_mbuf.c.
 */
import { isWhole, panic } from "@physio/kern";
import { copyPacketFields, fixPacketLength } from "./chain.ts";
import { moveChain } from "./data.ts";
import type { Mbuf } from "./mbuf.ts";
import { MbufFlag } from "./mbuf.ts";
import { MCLBYTES, MHLEN, MLEN, trailingSpace } from "./space.ts";
import type { MbufStore } from "./store.ts";

/** @bsd #P[never waits, no tags] m_defrag */
export function defrag(pool: MbufStore, m: Mbuf): Mbuf | null {
  const length = fixPacketLength(m);
  const first = length > MHLEN ? pool.getcl(m.type, MbufFlag.PKTHDR) : pool.gethdr(m.type);
  if (first === null) return null;
  copyPacketFields(first, m);
  let last = first;
  for (let done = 0; done < length; ) {
    const run = Math.min(length - done, MCLBYTES);
    if (done > 0) {
      const n = run > MLEN ? pool.getcl(m.type) : pool.get(m.type);
      if (n === null) {
        pool.freem(first);
        return null;
      }
      last.next = n;
      last = n;
    }
    moveChain(pool, last, m, done, run);
    last.len = run;
    done += run;
  }
  pool.freem(m);
  return first;
}

/** @bsd #P[an unmapped mbuf counts as one] m_collapse */
export function collapse(pool: MbufStore, m: Mbuf, maxMbufs: number): Mbuf | null {
  if (!(isWhole(maxMbufs) && maxMbufs > 0)) panic(`mbuf: collapse to ${maxMbufs} mbufs`);
  let excess = -maxMbufs;
  for (let at: Mbuf | null = m; at !== null; at = at.next) excess++;
  while (excess > 0) {
    excess -= joinNeighbours(pool, m, excess);
    if (excess <= 0) break;
    // Two mbufs and the cluster that replaces them: one less. The first one has the packet's fields.
    if (!joinInCluster(pool, m)) return null;
    excess--;
  }
  return m;
}

/** Move mbufs into the room of those before them, at most `most` of them. @returns how many went. */
function joinNeighbours(pool: MbufStore, m: Mbuf, most: number): number {
  let joined = 0;
  let at = m;
  while (at.next !== null && joined < most) {
    const n: Mbuf = at.next;
    if (n.len <= trailingSpace(at)) {
      pool.bytes.move(at, at.len, n, 0, n.len);
      at.len += n.len;
      at.next = pool.free(n);
      joined++;
    } else at = n;
  }
  return joined;
}

/** Replace the first two neighbours behind the first mbuf that fit into a cluster. @returns false: none do, or short. */
function joinInCluster(pool: MbufStore, m: Mbuf): boolean {
  let before = m;
  while (before.next !== null && before.next.next !== null) {
    const one: Mbuf = before.next;
    const two: Mbuf = before.next.next;
    if (one.len + two.len <= MCLBYTES) {
      const n = pool.getcl(one.type);
      if (n === null) return false;
      pool.bytes.move(n, 0, one, 0, one.len);
      pool.bytes.move(n, one.len, two, 0, two.len);
      n.len = one.len + two.len;
      n.next = two.next;
      before.next = n;
      pool.free(one);
      pool.free(two);
      return true;
    }
    before = one;
  }
  return false;
}
