export {
  addBouncePage,
  addrNeedsBounce,
  attachBouncePage,
  clearReservation,
  copyIn,
  copyOut,
  frameNeedsBounce,
  freeBouncePages,
  reservePages,
} from "./bounce.ts";
export type { CachedMap } from "./cached-sync.ts";
export { syncCached } from "./cached-sync.ts";
export type { CacheCall, CacheHook, KernelMap } from "./dma-cache.ts";
export { cacheLineOf, DmaCache } from "./dma-cache.ts";
export type { Bouncing } from "./map-state.ts";
export { BounceState, bounceOf } from "./map-state.ts";
export type { BouncePoolConfig } from "./pool.ts";
export { BouncePool } from "./pool.ts";
export { SyncList } from "./sync-list.ts";
export type { BounceZone } from "./zone.ts";
