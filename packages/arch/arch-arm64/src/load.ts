/**
 * Loads of arm64: the walk that busdma-bounce has, with the line rule.
 *
 * A load that does not fit unloads its map. Data of mapped mbufs is free of the line rule, as nobody
 * writes beside it while a device does. Follows bounce_bus_dmamap_load_buffer and _load_phys of
 * FreeBSD's arm64 busdma_bounce.c, release 14. `cutAfterBounce` (decisions.ts) is the larger
 * difference between the two semantics: what ends a piece.
 */
import type { DmaMap, DmaTag, SegList } from "@physio/busdma";
import { BusDma } from "@physio/busdma";
import { unloadWalk, walkBuffer, walkMapOf, walkPages, walkPhys } from "@physio/busdma-bounce";
import type { Bytes, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { Errno } from "@physio/kern";
import type { Pmap } from "@physio/pmap";
import type { Arm64Parts } from "./state.ts";
import { arm64Of } from "./state.ts";

/** @bsd #Y bounce_bus_dmamap_load_buffer (arm64) */
export function loadBuffer(
  parts: Arm64Parts,
  tag: DmaTag,
  map: DmaMap,
  pmap: Pmap,
  va: VirtAddr,
  len: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  if ((flags & BusDma.LOAD_MBUF) !== 0) walkMapOf(map).line = 0;
  else endMbuf(tag, map);
  return settle(parts, map, walkBuffer(parts, map, pmap, va, len, flags, segs));
}

/** @bsd #Y bounce_bus_dmamap_load_phys (arm64) */
export function loadPhys(
  parts: Arm64Parts,
  tag: DmaTag,
  map: DmaMap,
  pa: PhysAddr,
  len: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  endMbuf(tag, map);
  return settle(parts, map, walkPhys(parts, map, pa, len, flags, segs));
}

export function loadPages(
  parts: Arm64Parts,
  tag: DmaTag,
  map: DmaMap,
  ma: readonly Frame[],
  offset: Bytes,
  len: Bytes,
  flags: BusDma,
  segs: SegList,
): Errno {
  endMbuf(tag, map);
  return settle(parts, map, walkPages(parts, map, ma, offset, len, flags, segs));
}

/** The line rule holds again for what is no mbuf; in the original, not before the unload. */
function endMbuf(tag: DmaTag, map: DmaMap): void {
  const { line, rules } = arm64Of(tag);
  const state = walkMapOf(map);
  if (rules.mbufRuleByRange && state.bounce !== null) state.line = line;
}

/** What does not fit is unloaded at once. */
function settle(parts: Arm64Parts, map: DmaMap, error: Errno): Errno {
  if (error === Errno.EFBIG) unloadWalk(parts, map);
  return error;
}
