/**
 * How bus_dma sees an mbuf chain: as ranges, in order.
 *
 * A mapped mbuf is one kernel range, marked as mbuf data. An unmapped one is its header, each of its
 * frames as a physical range, and its trailer, less what was removed from the front and cut from the
 * end. This file needs no pool, so a bundle with bus_dma and without mbufs stays small. Follows
 * sys/kern/subr_bus_dma.c.
 */
import type { Bytes, Errno, PhysAddr, VirtAddr } from "@physio/kern";
import { Errno as E, hex, PAGE_SIZE, panic } from "@physio/kern";
import type { Pmap } from "@physio/pmap";
import type { ExtPages, Mbuf } from "./mbuf.ts";

// Flags of MbufFlag, and names that the compiler folds.
const EXT = 0x0001;
const PKTHDR = 0x0002;
const EXTPG = 0x0100;
const OK = E.OK;
const PAGE = PAGE_SIZE;

/** Where the ranges of a chain go. An errno other than OK ends the walk. */
export interface MbufSink {
  /** Kernel memory (`pmap` is null). `mbuf`: these are the bytes of a mapped mbuf. */
  virtual(va: VirtAddr, length: Bytes, pmap: Pmap | null, mbuf: boolean): Errno;
  physical(pa: PhysAddr, length: Bytes): Errno;
}

/**
 * Give the bytes of the chain `m` to `sink`; mbufs without bytes are passed over.
 * @returns OK, or the first errno of the sink.
 * @bsd #Y sys/kern/subr_bus_dma.c _bus_dmamap_load_mbuf_sg
 */
export function walkMbuf(m: Mbuf | null, sink: MbufSink): Errno {
  for (let at = m; at !== null; at = at.next) {
    if (at.len <= 0) continue;
    const error =
      (at.flags & EXTPG) === 0 ? sink.virtual(at.data, at.len, null, true) : walkUnmapped(at, sink);
    if (error !== OK) return error;
  }
  return OK;
}

/** Panic unless `m` begins a packet. @bsd #Y M_ASSERTPKTHDR */
export function assertPacketHeader(m: Mbuf): void {
  if ((m.flags & PKTHDR) === 0) {
    panic(`mbuf: no packet header on ${hex(m.data)}+${m.len}, flags ${hex(m.flags)}`);
  }
}

/** The list of an unmapped mbuf. Panics when it has none. @bsd #Y MBUF_EXT_PGS_ASSERT */
export function pagesOf(m: Mbuf): ExtPages {
  const { pages } = m;
  if ((m.flags & EXT) === 0 || (m.flags & EXTPG) === 0 || pages === null) {
    panic(`mbuf: not unmapped: flags ${hex(m.flags)}, ${pages === null ? "no" : "a"} page list`);
  }
  return pages;
}

/** Bytes in frame `index` of the list. @bsd #Y mbuf_ext_pg_len, m_epg_pagelen */
export function frameLength(pages: ExtPages, index: number): Bytes {
  if (index === pages.frames.length - 1) return pages.lastLength;
  return index === 0 ? PAGE - pages.firstOffset : PAGE;
}

/** Bytes of all parts. */
export function extPagesLength(pages: ExtPages): Bytes {
  let sum = pages.header.len + pages.trailer.len;
  for (let i = 0; i < pages.frames.length; i++) sum += frameLength(pages, i);
  return sum;
}

/** @bsd #Y sys/kern/subr_bus_dma.c _bus_dmamap_load_unmapped_mbuf_sg */
function walkUnmapped(m: Mbuf, sink: MbufSink): Errno {
  const pages = pagesOf(m);
  const { frames, header, trailer } = pages;
  let skip = m.data;
  let left = m.len;
  if (skip < header.len) {
    const run = Math.min(header.len - skip, left);
    const error = sink.virtual(header.va + skip, run, null, false);
    if (error !== OK) return error;
    left -= run;
    skip = 0;
  } else {
    skip -= header.len;
  }
  for (let i = 0; i < frames.length && left > 0; i++) {
    const length = frameLength(pages, i);
    if (skip >= length) {
      skip -= length;
      continue;
    }
    const run = Math.min(length - skip, left);
    const inPage = (i === 0 ? pages.firstOffset : 0) + skip;
    const error = sink.physical(pages.memory.addrOf(frames[i]) + inPage, run);
    if (error !== OK) return error;
    left -= run;
    skip = 0;
  }
  if (left === 0) return OK;
  if (!(skip + left <= trailer.len)) {
    panic(`mbuf: ext trailer overrun: ${skip} + ${left} bytes of a trailer of ${trailer.len}`);
  }
  return sink.virtual(trailer.va + skip, left, null, false);
}
