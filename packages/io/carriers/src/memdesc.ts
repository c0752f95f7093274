/**
 * memdesc: the one description of memory that a DMA load understands.
 *
 * Every carrier becomes a memdesc, and `walkMemdesc` gives its ranges, in order, to a sink that
 * knows three kinds of memory: virtual ranges of the kernel or of a process, physical ranges, and
 * lists of frames. A new carrier needs a new kind here and no change in bus_dma. Each carrier has a
 * walk of its own, for loads that need no memdesc. Follows memdesc(9) and the load functions of
 * sys/kern/subr_bus_dma.c.
 *
 * Mbufs are here as a type: who loads none has no code of theirs in a bundle but the walk.
 */
import type { Bytes, Errno, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { Errno as E, panic } from "@physio/kern";
import type { Pmap } from "@physio/pmap";
import type { Bio, VirtualRange } from "./bio.ts";
import { BioFlag } from "./bio.ts";
import type { Ccb, CcbRange } from "./ccb.ts";
import { CAM_DATA_MASK, CamFlag, ccbListCount } from "./ccb.ts";
import type { Mbuf } from "./mbuf/mbuf.ts";
import { walkMbuf } from "./mbuf/walk.ts";
import type { Uio } from "./uio.ts";

const OK: Errno = E.OK;
/** What a negative length counts as. */
const NO_LENGTH = Number.NaN;
/** Longer than any list. */
const WHOLE_LIST: Bytes = Number.MAX_SAFE_INTEGER;

/** A range of physical memory in a PLIST. */
export interface PhysicalRange {
  readonly base: PhysAddr;
  readonly length: Bytes;
}

/** @bsd #Y struct memdesc */
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
  | { readonly kind: "bio"; readonly bio: Bio }
  | { readonly kind: "uio"; readonly uio: Uio }
  | { readonly kind: "mbuf"; readonly mbuf: Mbuf }
  | { readonly kind: "ccb"; readonly ccb: Ccb };

/** Where the ranges of a memdesc go. An errno other than OK ends the walk. */
export interface MemSink {
  /** A range of an address space; `pmap` null: the kernel's. `mbuf`: it is data of a mapped mbuf. */
  virtual(va: VirtAddr, length: Bytes, pmap: Pmap | null, mbuf: boolean): Errno;
  physical(pa: PhysAddr, length: Bytes): Errno;
  /** `length` bytes that begin `offset` bytes into the first of `ma`. */
  pages(ma: readonly Frame[], offset: Bytes, length: Bytes): Errno;
}

/** Total length of the data; NaN when some length is negative or NaN, which no load takes. */
export function memdescLength(mem: Memdesc): Bytes {
  switch (mem.kind) {
    case "vaddr":
    case "paddr":
    case "vmpages":
      return mem.length;
    case "vlist":
    case "plist":
      return listLength(mem.list, mem.list.length);
    case "bio":
      return mem.bio.bcount;
    case "uio":
      return uioLength(mem.uio);
    case "mbuf":
      return mbufLength(mem.mbuf);
    case "ccb":
      return ccbLength(mem.ccb);
  }
}

/** What a load of the uio would load: the residual, or less when the ranges are shorter. */
export function uioLength(uio: Uio): Bytes {
  return Math.min(uio.resid, listLength(uio.iov, uio.iov.length));
}

/** Bytes in a chain; NaN as in memdescLength. @bsd #Y m_length */
export function mbufLength(chain: Mbuf): Bytes {
  let sum: Bytes = 0;
  for (let m: Mbuf | null = chain; m !== null; m = m.next) sum += m.len >= 0 ? m.len : NO_LENGTH;
  return sum;
}

/** What a load of the request would load. */
export function ccbLength(ccb: Ccb): Bytes {
  switch (ccb.flags & CAM_DATA_MASK) {
    case CamFlag.DATA_SG:
      return Math.min(ccb.length, listLength(ccb.list, ccbListCount(ccb)));
    case CamFlag.DATA_SG_PADDR:
      return listLength(ccb.list, ccbListCount(ccb));
    case CamFlag.DATA_BIO:
      return ccb.bio === null ? 0 : ccb.bio.bcount;
    default:
      return ccb.length;
  }
}

function listLength(list: readonly { readonly length: Bytes }[], count: number): Bytes {
  let sum: Bytes = 0;
  for (let i = 0; i < count; i++) sum += list[i].length >= 0 ? list[i].length : NO_LENGTH;
  return sum;
}

/** Give the ranges of `mem` to `sink`. @returns OK, or the first errno of the sink. */
export function walkMemdesc(mem: Memdesc, sink: MemSink): Errno {
  switch (mem.kind) {
    case "vaddr":
      return sink.virtual(mem.va, mem.length, null, false);
    case "paddr":
      return sink.physical(mem.pa, mem.length);
    case "vlist":
      return walkVlist(mem.list, mem.list.length, 0, WHOLE_LIST, sink);
    case "plist":
      return walkPlist(mem.list, mem.list.length, sink);
    case "vmpages":
      return sink.pages(mem.ma, mem.offset, mem.length);
    case "bio":
      return walkBio(mem.bio, sink);
    case "uio":
      return walkUio(mem.uio, sink);
    case "mbuf":
      return walkMbuf(mem.mbuf, sink);
    case "ccb":
      return walkCcb(mem.ccb, sink);
  }
}

/** Give the data of a bio to `sink`. @returns as walkMemdesc. @bsd #Y sys/kern/subr_bus_dma.c _bus_dmamap_load_bio */
export function walkBio(bio: Bio, sink: MemSink): Errno {
  if ((bio.flags & BioFlag.VLIST) !== 0) {
    return walkVlist(bio.vlist, bio.vlist.length, bio.maOffset, bio.bcount, sink);
  }
  if ((bio.flags & BioFlag.UNMAPPED) !== 0) return sink.pages(bio.ma, bio.maOffset, bio.bcount);
  return sink.virtual(bio.data, bio.bcount, null, false);
}

/**
 * Give the ranges of a uio to `sink`, from the first one on, up to its residual.
 * => user memory is resident and wired. @returns as walkMemdesc.
 * @bsd #Y sys/kern/subr_bus_dma.c _bus_dmamap_load_uio
 */
export function walkUio(uio: Uio, sink: MemSink): Errno {
  const { space, iov } = uio;
  if (space === null) panic("bus_dma: uio of user memory without a process");
  const pmap = space.kernel ? null : space.pmap;
  let left = uio.resid;
  for (let i = 0; i < iov.length && left > 0; i++) {
    const run = Math.min(iov[i].length, left);
    if (run === 0) continue;
    const error = sink.virtual(iov[i].base, run, pmap, false);
    if (error !== OK) return error;
    left -= run;
  }
  return OK;
}

/** Give the data of a request to `sink`, whatever its direction. @returns as walkMemdesc. @bsd #Y sys/kern/subr_bus_dma.c _bus_dmamap_load_ccb */
export function walkCcb(ccb: Ccb, sink: MemSink): Errno {
  const listed = ccbListCount(ccb); // before the data: a function without data panics whatever they are
  switch (ccb.flags & CAM_DATA_MASK) {
    case CamFlag.DATA_VADDR:
      return sink.virtual(ccb.va, ccb.length, null, false);
    case CamFlag.DATA_PADDR:
      return sink.physical(ccb.pa, ccb.length);
    case CamFlag.DATA_SG:
      return walkVlist(ccb.list, listed, 0, ccb.length, sink);
    case CamFlag.DATA_SG_PADDR:
      return walkPlist(ccb.list as readonly CcbRange[], listed, sink);
    case CamFlag.DATA_BIO:
      if (ccb.bio === null) panic("bus_dma: ccb with the data kind of a bio, and no bio");
      return walkBio(ccb.bio, sink);
    default:
      return panic(`bus_dma: ccb with an unknown kind of data, flags ${ccb.flags}`);
  }
}

/** => `offset` lies in the first range and no range is empty. @bsd #Y sys/kern/subr_bus_dma.c _bus_dmamap_load_vlist */
function walkVlist(
  list: readonly VirtualRange[],
  count: number,
  offset: Bytes,
  length: Bytes,
  sink: MemSink,
): Errno {
  let skip = offset;
  let left = length;
  for (let i = 0; i < count && left !== 0; i++) {
    const range = list[i];
    if (!(skip < range.length)) panic(`vlist: offset ${skip} in a range of ${range.length} bytes`);
    const run = Math.min(range.length - skip, left);
    const error = sink.virtual(range.base + skip, run, null, false);
    if (error !== OK) return error;
    left -= run;
    skip = 0;
  }
  return OK;
}

/** @bsd #Y sys/kern/subr_bus_dma.c _bus_dmamap_load_plist */
function walkPlist(list: readonly PhysicalRange[], count: number, sink: MemSink): Errno {
  for (let i = 0; i < count; i++) {
    const error = sink.physical(list[i].base, list[i].length);
    if (error !== OK) return error;
  }
  return OK;
}
