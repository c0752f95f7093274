/**
 * memdesc: the one description of memory that a DMA load understands.
 *
 * Every carrier becomes a memdesc, and `walkMemdesc` gives its ranges, in order, to a sink that
 * knows three kinds of memory: kernel or user virtual ranges, physical ranges and lists of frames.
 * A new carrier needs a new kind here and no change in bus_dma. Follows memdesc(9); of its kinds
 * UIO, MBUF and CCB are still missing.
 */
import type { Bytes, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { Errno, panic } from "@physio/kern";
import type { Bio, VirtualRange } from "./bio.ts";
import { BioFlag } from "./bio.ts";

/** A range of physical memory in a PLIST. */
export interface PhysicalRange {
  readonly base: PhysAddr;
  readonly length: Bytes;
}

/** @bsd #P[no uio, mbuf, ccb] struct memdesc */
export type Memdesc =
  | { readonly kind: "vaddr"; readonly va: VirtAddr; readonly length: Bytes }
  | { readonly kind: "paddr"; readonly pa: PhysAddr; readonly length: Bytes }
  | { readonly kind: "vlist"; readonly list: readonly VirtualRange[] }
  | { readonly kind: "plist"; readonly list: readonly PhysicalRange[] }
  | {
      readonly kind: "vmpages";
      readonly ma: readonly Frame[];
      readonly offset: Bytes;
      readonly length: Bytes;
    }
  | { readonly kind: "bio"; readonly bio: Bio };

/** Where the ranges of a memdesc go. An errno other than OK ends the walk. */
export interface MemSink {
  /** A range of the kernel's address space. */
  virtual(va: VirtAddr, length: Bytes): Errno;
  physical(pa: PhysAddr, length: Bytes): Errno;
  /** `length` bytes that begin `offset` bytes into the first of `ma`. */
  pages(ma: readonly Frame[], offset: Bytes, length: Bytes): Errno;
}

/** Total length of the data. */
export function memdescLength(mem: Memdesc): Bytes {
  switch (mem.kind) {
    case "vaddr":
    case "paddr":
    case "vmpages":
      return mem.length;
    case "vlist":
    case "plist":
      return mem.list.reduce((sum, range) => sum + range.length, 0);
    case "bio":
      return mem.bio.bcount;
  }
}

/** Give the ranges of `mem` to `sink`. @returns OK, or the first errno of the sink. */
export function walkMemdesc(mem: Memdesc, sink: MemSink): Errno {
  switch (mem.kind) {
    case "vaddr":
      return sink.virtual(mem.va, mem.length);
    case "paddr":
      return sink.physical(mem.pa, mem.length);
    case "vlist":
      return walkVlist(mem.list, 0, memdescLength(mem), sink);
    case "plist":
      return walkPlist(mem.list, sink);
    case "vmpages":
      return sink.pages(mem.ma, mem.offset, mem.length);
    case "bio":
      return walkBio(mem.bio, sink);
  }
}

/** @bsd #Y sys/kern/subr_bus_dma.c _bus_dmamap_load_bio */
function walkBio(bio: Bio, sink: MemSink): Errno {
  if ((bio.flags & BioFlag.VLIST) !== 0)
    return walkVlist(bio.vlist, bio.maOffset, bio.bcount, sink);
  if ((bio.flags & BioFlag.UNMAPPED) !== 0) return sink.pages(bio.ma, bio.maOffset, bio.bcount);
  return sink.virtual(bio.data, bio.bcount);
}

/** => `offset` lies in the first range and no range is empty. @bsd #Y sys/kern/subr_bus_dma.c _bus_dmamap_load_vlist */
function walkVlist(
  list: readonly VirtualRange[],
  offset: Bytes,
  length: Bytes,
  sink: MemSink,
): Errno {
  let skip = offset;
  let left = length;
  for (const range of list) {
    if (left === 0) break;
    if (!(skip < range.length)) panic(`vlist: offset ${skip} in a range of ${range.length} bytes`);
    const run = Math.min(range.length - skip, left);
    const error = sink.virtual(range.base + skip, run);
    if (error !== Errno.OK) return error;
    left -= run;
    skip = 0;
  }
  return Errno.OK;
}

/** @bsd #Y sys/kern/subr_bus_dma.c _bus_dmamap_load_plist */
function walkPlist(list: readonly PhysicalRange[], sink: MemSink): Errno {
  for (const range of list) {
    const error = sink.physical(range.base, range.length);
    if (error !== Errno.OK) return error;
  }
  return Errno.OK;
}
