/**
 * Questions about a chain, and what moves a packet's fields from one mbuf to another.
 *
 * No pool is needed: nothing here allocates, frees or copies bytes. Follows uipc_mbuf.c.
 */
import type { Bytes } from "@physio/kern";
import { panic } from "@physio/kern";
import type { Mbuf } from "./mbuf.ts";
import { MbufFlag } from "./mbuf.ts";
import { PACKET_DATA_AT } from "./space.ts";
import { assertPacketHeader } from "./walk.ts";

// Flags of MbufFlag, and names that the compiler folds.
const PKTHDR = MbufFlag.PKTHDR;
/** What says where the bytes are and stays with them. */
const STORAGE = MbufFlag.EXT | MbufFlag.EXTPG | MbufFlag.RDONLY;

/** Bytes of the chain `m`. @bsd #Y m_length */
export function chainLength(m: Mbuf | null): Bytes {
  let sum = 0;
  for (let at = m; at !== null; at = at.next) sum += at.len;
  return sum;
}

/** The last mbuf of the chain. */
export function lastOf(m: Mbuf): Mbuf {
  let at = m;
  while (at.next !== null) at = at.next;
  return at;
}

/** Set the packet's length to what the chain has. @returns it. @bsd #Y m_fixhdr */
export function fixPacketLength(m: Mbuf): Bytes {
  assertPacketHeader(m);
  m.packetLength = chainLength(m);
  return m.packetLength;
}

/** The packet's fields of a new packet. */
export function clearPacket(m: Mbuf): void {
  m.packetLength = 0;
  m.receiver = null;
  m.flowId = 0;
  m.hashType = 0;
  m.csumFlags = 0;
  m.csumData = 0;
  m.vlanTag = 0;
  m.tsoSegmentSize = 0;
  m.timestamp = 0;
}

/**
 * Make `to` begin a packet with the fields of the one that `from` begins. RDONLY, EXT and EXTPG of both
 * stay: they speak of the storage.
 * => `to` is empty: in its own storage its data now begins behind the packet's fields.   @bsd #P[no tags] m_dup_pkthdr
 */
export function copyPacketFields(to: Mbuf, from: Mbuf): void {
  assertPacketHeader(from);
  if (to.len !== 0) panic(`mbuf: packet fields for an mbuf with ${to.len} bytes`);
  to.flags = (from.flags & ~STORAGE) | (to.flags & STORAGE);
  if (to.ext === null && to.pages === null) to.data = to.storage + PACKET_DATA_AT;
  to.packetLength = from.packetLength;
  to.receiver = from.receiver;
  to.flowId = from.flowId;
  to.hashType = from.hashType;
  to.csumFlags = from.csumFlags;
  to.csumData = from.csumData;
  to.vlanTag = from.vlanTag;
  to.tsoSegmentSize = from.tsoSegmentSize;
  to.timestamp = from.timestamp;
}

/** The same, and `from` begins no packet any more. @bsd #P[no tags] m_move_pkthdr */
export function movePacketFields(to: Mbuf, from: Mbuf): void {
  copyPacketFields(to, from);
  from.flags &= ~PKTHDR;
  clearPacket(from);
}

/** Forget that `m` began a packet: only what says where its bytes are stays. @bsd #Y m_demote */
export function demote(m: Mbuf): void {
  if ((m.flags & PKTHDR) !== 0) clearPacket(m);
  m.flags &= STORAGE;
}

/** Panic unless `n` is a length or an offset. */
export function checkLength(what: string, n: number): void {
  if (!(Number.isSafeInteger(n) && n >= 0)) panic(`mbuf: ${what} ${n}`);
}

/** Panic unless the bytes of `m` have an address. */
export function assertMapped(m: Mbuf, what: string): void {
  if ((m.flags & MbufFlag.EXTPG) !== 0) panic(`mbuf: ${what} of an unmapped mbuf`);
}
