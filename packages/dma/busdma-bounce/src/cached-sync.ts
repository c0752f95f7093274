/**
 * Sync where caches do not snoop: copies of bounced data, and maintenance of what a device uses in
 * place.
 *
 * A coherent map copies and maintains nothing. `seed` takes the operations of one call as a set, as
 * the original does; `fixed` gives each its own step. Follows bounce_bus_dmamap_sync and
 * dma_dcache_sync of FreeBSD's arm64 and riscv busdma_bounce.c, which agree. For their backends.
 */
import type { DmaMap } from "@physio/busdma";
import { BusDma, Sync } from "@physio/busdma";
import { formatBits, panic } from "@physio/kern";
import { copyIn, copyOut } from "./bounce.ts";
import type { CacheCall, DmaCache } from "./dma-cache.ts";
import type { BounceState, Bouncing } from "./map-state.ts";
import type { BouncePool } from "./pool.ts";
import type { SyncList } from "./sync-list.ts";

const { PREREAD, POSTREAD, PREWRITE, POSTWRITE } = Sync;

/** What sync needs of a map's `md`. */
export interface CachedMap extends Bouncing {
  /** Nothing of it needs maintenance. */
  readonly coherent: boolean;
  /** What the device uses in place; empty when coherent. */
  readonly list: SyncList;
}

/**
 * Make memory and the device's view of it agree.
 * => `directFirst`: POSTREAD invalidates what was used in place before it copies bounced data back,
 *   so that a line that both share keeps the copy; the original does it after.
 */
export function syncCached(
  pool: BouncePool,
  cache: DmaCache,
  map: DmaMap,
  ops: Sync,
  directFirst: boolean,
): void {
  if (ops === POSTWRITE) return;
  if (!map.tag.context.semantics.syncEachOperation) {
    syncSet(pool, cache, map, ops, directFirst);
    return;
  }
  // Together: the POST operation ends a transfer, so it goes before the PRE operation of the next.
  if ((ops & POSTREAD) !== 0) syncSet(pool, cache, map, POSTREAD, directFirst);
  const begin = ops & (PREREAD | PREWRITE);
  if (begin !== 0) syncSet(pool, cache, map, begin, directFirst);
}

/** One step of the original. */
function syncSet(
  pool: BouncePool,
  cache: DmaCache,
  map: DmaMap,
  ops: Sync,
  directFirst: boolean,
): void {
  const { bounce, coherent, list } = map.md as CachedMap;
  const first = directFirst && (ops & POSTREAD) !== 0;
  if (first) syncRanges(cache, list, ops);
  if (bounce !== null && bounce.pages.count > 0) {
    syncPages(pool, coherent ? null : cache, map, bounce, ops);
  }
  if (!first) syncRanges(cache, list, ops);
  if ((ops & (PREREAD | PREWRITE)) !== 0) cache.barrier();
}

/** Bounced data: copied before the device sees it, and before the CPU does. `cache` null: no maintenance. */
function syncPages(
  pool: BouncePool,
  cache: DmaCache | null,
  map: DmaMap,
  bounce: BounceState,
  ops: Sync,
): void {
  if ((ops & PREWRITE) !== 0) {
    copyOut(pool, map, bounce);
    maintain(cache, map, bounce, "clean");
  } else if ((ops & PREREAD) !== 0) {
    maintain(cache, map, bounce, "clean-invalidate");
  }
  if ((ops & POSTREAD) === 0) return;
  if ((ops & (PREREAD | PREWRITE)) === 0) {
    maintain(cache, map, bounce, "invalidate");
    copyIn(pool, map, bounce);
  } else {
    // The original has walked its list of pages by now: it counts, and copies nothing.
    bounce.zone.totalBounced++;
  }
}

function maintain(cache: DmaCache | null, map: DmaMap, bounce: BounceState, call: CacheCall): void {
  const keepOffset = (map.tag.flags & BusDma.KEEP_PG_OFFSET) !== 0;
  cache?.bounced(bounce.zone, bounce.pages, keepOffset, call);
}

/** Data used in place. Panics on a set of operations that has no meaning for it. @bsd #Y dma_dcache_sync */
function syncRanges(cache: DmaCache, list: SyncList, ops: Sync): void {
  if (list.count === 0) return;
  switch (ops) {
    case PREWRITE:
    case PREWRITE | PREREAD:
      cache.ranges(list, "clean");
      return;
    case PREREAD:
      cache.beforeRead(list);
      return;
    case POSTREAD:
    case POSTREAD | POSTWRITE:
      cache.ranges(list, "invalidate");
      return;
    default:
      panic(
        `bus_dma: sync of data used in place with ${formatBits(Sync, ops)}, which is no combination`,
      );
  }
}
