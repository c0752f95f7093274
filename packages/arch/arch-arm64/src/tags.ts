/**
 * What the arm64 backend keeps of tags and maps. No map is without a zone: a load of any tag can end up
 * on a cache line that others share.
 *
 * Growth of the pool follows FreeBSD's arm64 busdma_bounce.c of release 14: by maxSize plus a page,
 * whatever number of segments the tag allows.
 */
import type { DmaMap, DmaTag } from "@physio/busdma";
import { BusDma } from "@physio/busdma";
import type { BounceZone, WalkMap } from "@physio/busdma-bounce";
import { BounceState, walkMapOf } from "@physio/busdma-bounce";
import { Errno, ErrnoError, MAXADDR, PAGE_SIZE, pageOf, roundPage } from "@physio/kern";
import type { Arm64Parts, Arm64Tag } from "./state.ts";
import { arm64Of, arm64Tag } from "./state.ts";

/** Pages that a zone may grow to by map creation. @bsd #Y MAX_BPAGES (arm64) */
export const MAX_BPAGES = 4096;

/** @throws {ErrnoError} ENOMEM: ALLOCNOW, too few pages; the zone keeps what it got. @bsd #Y bounce_bus_dma_tag_create (arm64) */
export function createTagState(parts: Arm64Parts, tag: DmaTag): Arm64Tag {
  const md = arm64Tag(parts, tag);
  if ((tag.flags & BusDma.ALLOCNOW) === 0) return md;
  const zone = zoneOf(parts, tag, md);
  // One page more than whole pages have, as a range may begin inside one; and one more.
  const wanted = roundPage(tag.maxSize) + PAGE_SIZE;
  if (zone.total * PAGE_SIZE < wanted) {
    const lacking = pageOf(wanted) + 1 - zone.total;
    if (parts.pool.grow(zone, lacking) < lacking) {
      throw new ErrnoError(Errno.ENOMEM, `dma tag: ALLOCNOW of ${lacking} more bounce pages`);
    }
  }
  md.firstGrowthDone = true;
  return md;
}

/** @throws {ErrnoError} ENOMEM: no bounce pages for the tag's first map. @bsd #Y bounce_bus_dmamap_create (arm64) */
export function createMapState(parts: Arm64Parts, tag: DmaTag): WalkMap {
  const md = arm64Of(tag);
  const zone = zoneOf(parts, tag, md);
  const enough = growForMap(parts, tag, md, zone);
  if (enough || !md.semantics.failedMapNotCounted) zone.mapCount++;
  if (!enough)
    throw new ErrnoError(Errno.ENOMEM, "dma map: no bounce pages for the tag's first map");
  return md.newMap(new BounceState(zone), md.coherent);
}

/** @returns OK; EBUSY: it holds bounce pages, or ranges to maintain. @bsd #Y bounce_bus_dmamap_destroy (arm64) */
export function destroyMapState(tag: DmaTag, map: DmaMap): Errno {
  const state = walkMapOf(map);
  if (state.bounce!.pages.count > 0 || state.list.count > 0) return Errno.EBUSY;
  arm64Of(tag).zone!.mapCount--;
  return Errno.OK;
}

function zoneOf({ pool }: Arm64Parts, tag: DmaTag, md: Arm64Tag): BounceZone {
  md.zone ??= pool.zoneFor(tag.lowAddr, tag.alignment, tag.domain);
  return md.zone;
}

/** Grow the zone for one more map: always for a tag's first, later up to the cap. @returns false: the first map's pages are not to be had. */
function growForMap(parts: Arm64Parts, tag: DmaTag, md: Arm64Tag, zone: BounceZone): boolean {
  // Pages above lowaddr; where RAM ends below it the original's difference wraps.
  const above = pageOf(parts.mem.top) - pageOf(tag.lowAddr);
  const wraps = above < 0 || tag.lowAddr === MAXADDR;
  const cap = tag.alignment > 1 || wraps ? MAX_BPAGES : Math.min(MAX_BPAGES, above);
  if (md.firstGrowthDone && !(zone.mapCount > 0 && zone.total < cap)) return true;
  const wanted = Math.min(Math.ceil(tag.maxSize / PAGE_SIZE) + 1, cap - zone.total);
  const pages = Math.max(wanted, 2);
  const enough = parts.pool.grow(zone, pages) === pages;
  if (!md.firstGrowthDone) md.firstGrowthDone = enough;
  return md.firstGrowthDone;
}
