/**
 * Where the bytes of an mbuf may lie: its storage, and the room before and behind its data.
 *
 * An mbuf takes 256 bytes of memory, as in FreeBSD with pointers of 8 bytes: the first 32 stand for
 * its fields, 56 more for the packet's when it begins one, the rest is its own storage. So the
 * alignment of data in the memory of the machine is the original's. Follows sys/sys/mbuf.h.
 */
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import { alignDown, pageOffset, panic } from "@physio/kern";
import type { Mbuf } from "./mbuf.ts";

/** An mbuf in memory. */
export const MSIZE = 256;
/** Its own storage, and that of one that begins a packet. */
export const MLEN = 224;
export const MHLEN = 168;
/** A cluster, and from how many bytes on one is worth it. */
export const MCLBYTES = 2048;
export const MINCLSIZE = MHLEN + 1;
export const MJUMPAGESIZE = 4096;
export const MJUM9BYTES = 9 * 1024;
export const MJUM16BYTES = 16 * 1024;
/** All that there is, for `copym`. @bsd #Y M_COPYALL */
export const M_COPYALL = 1_000_000_000;

/** Where the storage begins in the mbuf. */
export const DATA_AT = MSIZE - MLEN;
export const PACKET_DATA_AT = MSIZE - MHLEN;

// Flags of MbufFlag, and names that the compiler folds.
const PKTHDR = 0x0002;
const RDONLY = 0x0008;
const EXTPG = 0x0100;
const AT = DATA_AT;
const PACKET_AT = PACKET_DATA_AT;
const SIZE = MSIZE;

/** Whether nobody else sees what is written to the bytes of `m`. @bsd #Y M_WRITABLE */
export function isWritable(m: Mbuf): boolean {
  if ((m.flags & (RDONLY | EXTPG)) !== 0) return false;
  const { ext } = m;
  return ext === null ? m.storage >= 0 : ext.refs === 1;
}

/** First address of the storage of a mapped mbuf. @bsd #Y M_START */
export function storageStart(m: Mbuf): VirtAddr {
  if (m.ext !== null) return m.ext.buf;
  return m.storage + ((m.flags & PKTHDR) === 0 ? AT : PACKET_AT);
}

/** Bytes of the storage of a mapped mbuf. @bsd #Y M_SIZE */
export function storageSize(m: Mbuf): Bytes {
  if ((m.flags & EXTPG) !== 0) return 0;
  if (m.ext !== null) return m.ext.size;
  return SIZE - ((m.flags & PKTHDR) === 0 ? AT : PACKET_AT);
}

/** Writable bytes before the data. @bsd #Y M_LEADINGSPACE */
export function leadingSpace(m: Mbuf): Bytes {
  return isWritable(m) ? m.data - storageStart(m) : 0;
}

/** Writable bytes behind the data. @bsd #Y M_TRAILINGSPACE */
export function trailingSpace(m: Mbuf): Bytes {
  if (!isWritable(m)) return 0;
  const { ext } = m;
  const end = ext === null ? m.storage + SIZE : ext.buf + ext.size;
  return end - (m.data + m.len);
}

/**
 * Let `length` bytes, not there yet, end where the storage ends, at a multiple of 8 bytes.
 * => `m` is new: writable and empty; `length` fits.   @bsd #Y M_ALIGN, m_align
 */
export function alignEnd(m: Mbuf, length: Bytes): void {
  const adjust = storageSize(m) - length;
  if (!(m.len === 0 && isWritable(m) && length >= 0 && adjust >= 0)) {
    panic(`mbuf: alignEnd of ${length} bytes in ${storageSize(m)}, ${m.len} are there`);
  }
  m.data = storageStart(m) + alignDown(adjust, 8);
}

/** Frame in which the storage of a mapped mbuf begins; NO_FRAME where it may be scattered. */
export function frameOfData(m: Mbuf): Frame {
  return m.ext === null ? m.storageFrame : m.ext.frame;
}

/** Where the data begin, from the start of that frame. Small numbers: no call boxes them. */
export function offsetOfData(m: Mbuf): Bytes {
  const start = m.ext === null ? m.storage : m.ext.buf;
  return pageOffset(start) + (m.data - start);
}
