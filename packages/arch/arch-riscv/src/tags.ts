/**
 * Tags and maps of riscv: only what may bounce by address or alignment has a zone.
 *
 * Growth of the pool follows FreeBSD's riscv busdma_bounce.c: by maxSize, whatever number of segments
 * the tag allows.
 */
import type { DmaMap, DmaTag } from "@physio/busdma";
import { BusDma } from "@physio/busdma";
import type { BounceZone, WalkMap } from "@physio/busdma-bounce";
import { BounceState } from "@physio/busdma-bounce";
import { Errno, ErrnoError, MAXADDR, PAGE_SIZE, pageOf } from "@physio/kern";
import type { RiscvParts, RiscvTag } from "./state.ts";
import { riscvOf, riscvTag, stateOf } from "./state.ts";

/** Pages that a zone may grow to by map creation. @bsd #Y MAX_BPAGES (riscv) */
export const MAX_BPAGES = 4096;

/** @throws {ErrnoError} ENOMEM: ALLOCNOW, too few pages; the zone keeps what it got. @bsd #Y bounce_bus_dma_tag_create (riscv) */
export function createTagState(parts: RiscvParts, tag: DmaTag): RiscvTag {
  const md = riscvTag(parts, tag);
  if (!md.couldBounce || (tag.flags & BusDma.ALLOCNOW) === 0) return md;
  const zone = zoneOf(parts, tag, md);
  if (zone.total * PAGE_SIZE < tag.maxSize) {
    const lacking = Math.ceil(tag.maxSize / PAGE_SIZE) + spare(md) - zone.total;
    if (parts.pool.grow(zone, lacking) < lacking) {
      throw new ErrnoError(Errno.ENOMEM, `dma tag: ALLOCNOW of ${lacking} more bounce pages`);
    }
  }
  md.firstGrowthDone = true;
  return md;
}

/** @returns null: its loads never need anything. @throws {ErrnoError} ENOMEM: no bounce pages for the tag's first map. @bsd #Y bounce_bus_dmamap_create (riscv) */
export function createMapState(parts: RiscvParts, tag: DmaTag): WalkMap | null {
  const md = riscvOf(tag);
  if (!md.couldBounce) return md.coherent ? null : md.newMap(null, false);
  const zone = zoneOf(parts, tag, md);
  const enough = growForMap(parts, tag, md, zone);
  if (enough || !md.semantics.failedMapNotCounted) zone.mapCount++;
  if (!enough)
    throw new ErrnoError(Errno.ENOMEM, "dma map: no bounce pages for the tag's first map");
  return md.newMap(new BounceState(zone), md.coherent);
}

/** @returns OK; EBUSY: it holds bounce pages, or ranges to maintain. @bsd #Y bounce_bus_dmamap_destroy (riscv) */
export function destroyMapState(map: DmaMap): Errno {
  const state = stateOf(map);
  if (state === null) return Errno.OK;
  const { bounce, list } = state;
  if (list.count > 0 || (bounce !== null && bounce.pages.count > 0)) return Errno.EBUSY;
  if (bounce !== null) bounce.zone.mapCount--;
  return Errno.OK;
}

const spare = ({ rules }: RiscvTag): number => (rules.poolCoversOffset ? 1 : 0);

function zoneOf({ pool }: RiscvParts, tag: DmaTag, md: RiscvTag): BounceZone {
  md.zone ??= pool.zoneFor(tag.lowAddr, tag.alignment, tag.domain);
  return md.zone;
}

/** Grow the zone for one more map: always for a tag's first, later up to the cap. @returns false: the first map's pages are not to be had. */
function growForMap(parts: RiscvParts, tag: DmaTag, md: RiscvTag, zone: BounceZone): boolean {
  // Pages above lowaddr; where RAM ends below it the original's difference wraps.
  const above = pageOf(parts.mem.top) - pageOf(tag.lowAddr);
  const wraps = above < 0 || tag.lowAddr === MAXADDR;
  const cap = tag.alignment > 1 || wraps ? MAX_BPAGES : Math.min(MAX_BPAGES, above);
  if (md.firstGrowthDone && !(zone.mapCount > 0 && zone.total < cap)) return true;
  const covered = tag.maxSize / PAGE_SIZE;
  const whole = md.semantics.poolCoversMaxSize ? Math.ceil(covered) : Math.floor(covered);
  const wanted = Math.max(whole + spare(md), 1);
  const pages = Math.max(Math.min(wanted, cap - zone.total), 1);
  const enough = parts.pool.grow(zone, pages) === pages;
  if (!md.firstGrowthDone) md.firstGrowthDone = enough;
  return md.firstGrowthDone;
}
