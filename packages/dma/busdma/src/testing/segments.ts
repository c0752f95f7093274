/**
 * What segments must be, said as plainly as possible: the judge of all loads of the kit.
 *
 * The bytes of a transfer are a list of pieces: runs of physical memory that end with their page, in
 * the order of the data. Segments are right when they have exactly those bytes in that order, in
 * place or in bounce pages, and every one obeys the tag. How they are cut is the backend's business.
 */
import type { BusAddr, Bytes, PhysAddr } from "@physio/kern";
import { hex, PAGE_SIZE, pageOffset, truncPage } from "@physio/kern";
import { BusDma } from "../flags.ts";
import type { Segment } from "../seg-list.ts";
import type { DmaTag } from "../tag.ts";
import type { Bed } from "./bed.ts";

/** A run of client memory inside one page. */
export interface Piece {
  readonly pa: PhysAddr;
  readonly length: Bytes;
}

/** Whether the device can use `addr` at all: filters let addresses of the window pass. */
function reaches(first: DmaTag, addr: BusAddr): boolean {
  for (let tag: DmaTag | null = first; tag !== null; tag = tag.filterParent) {
    if (!(addr > tag.lowAddr && addr <= tag.highAddr)) continue;
    if (tag.filter === null || tag.filter(tag.filterArg, addr) !== 0) return false;
  }
  return true;
}

/** What is wrong with one segment, by itself and behind the one before. */
function wrongSegment(tag: DmaTag, seg: Segment, before: Segment | null): string | null {
  const { addr, len } = seg;
  const last = addr + len - 1;
  if (!(len > 0)) return "is empty";
  if (len > tag.maxSegSize) return `is longer than ${tag.maxSegSize}`;
  const { boundary } = tag;
  if (boundary !== 0 && Math.floor(addr / boundary) !== Math.floor(last / boundary)) {
    return `crosses a boundary of ${boundary}`;
  }
  for (let at = addr; at <= last; at = truncPage(at) + PAGE_SIZE) {
    if (!reaches(tag, at)) return "is out of reach";
  }
  if (!reaches(tag, last)) return "ends out of reach";
  // What a limit has cut goes on where it was cut, aligned or not.
  const goesOn = before !== null && before.addr + before.len === addr;
  if (addr % tag.alignment !== 0 && !goesOn) return `is not aligned to ${tag.alignment}`;
  return null;
}

/**
 * What is wrong with the segments of a load of `pieces`; null: nothing.
 * => `byAddress`: the backend bounces by address alone here, so `isIdentity` must foretell each piece.
 */
export function wrongSegments(
  bed: Bed,
  tag: DmaTag,
  pieces: readonly Piece[],
  segs: readonly Segment[],
  byAddress: boolean,
): string | null {
  if (segs.length > tag.segments) return `${segs.length} segments of at most ${tag.segments}`;
  for (let i = 0; i < segs.length; i++) {
    const wrong = wrongSegment(tag, segs[i], i === 0 ? null : segs[i - 1]);
    if (wrong !== null) return `segment ${i} (${hex(segs[i].addr)}+${segs[i].len}) ${wrong}`;
  }
  const bytes = segs.reduce((sum, { len }) => sum + len, 0);
  const wanted = pieces.reduce((sum, { length }) => sum + length, 0);
  if (bytes !== wanted) return `${bytes} bytes in segments, of ${wanted}`;
  return wrongPlace(bed, tag, pieces, segs, byAddress);
}

/** Walk pieces and segments side by side: each run is the client's own memory, or nobody's. */
function wrongPlace(
  bed: Bed,
  tag: DmaTag,
  pieces: readonly Piece[],
  segs: readonly Segment[],
  byAddress: boolean,
): string | null {
  const { context, kmem } = bed.unit;
  let seg = 0;
  let within = 0;
  for (const { pa, length } of pieces) {
    const identity = context.backend.isIdentity(tag, pa, length);
    for (let done = 0; done < length; ) {
      const run = Math.min(length - done, segs[seg].len - within);
      const at = segs[seg].addr + within;
      const inPlace = at === pa + done;
      if (byAddress && inPlace !== identity) {
        return `${hex(pa)}+${length} is ${inPlace ? "used in place" : "bounced"}, isIdentity says ${identity}`;
      }
      if (!inPlace) {
        const frame = kmem.mem.frameOf(at);
        if (bed.clients.has(frame))
          return `${hex(at)} stands for ${hex(pa + done)}, and is a client's`;
        const keeps = (tag.flags & BusDma.KEEP_PG_OFFSET) !== 0;
        if (keeps && pageOffset(at) !== pageOffset(pa + done)) {
          return `${hex(pa + done)} is bounced to ${hex(at)}, another page offset`;
        }
      }
      done += run;
      within += run;
      if (within === segs[seg].len) {
        seg++;
        within = 0;
      }
    }
  }
  return null;
}

/** Segments that the pieces need at most, however they are bounced: with room for so many EFBIG is wrong. */
export function mostSegments(tag: DmaTag, pieces: readonly Piece[]): number {
  const { maxSegSize, boundary } = tag;
  let most = 0;
  for (const { length } of pieces) {
    most += Math.ceil(length / maxSegSize);
    if (boundary !== 0) most += Math.floor((length - 1) / boundary) + 1;
  }
  return most;
}

/** Pieces that must bounce. */
export function bouncingPieces(bed: Bed, tag: DmaTag, pieces: readonly Piece[]): number {
  const { backend } = bed.unit.context;
  return pieces.filter(({ pa, length }) => !backend.isIdentity(tag, pa, length)).length;
}
