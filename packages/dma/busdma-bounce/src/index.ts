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
export { isIdentity } from "./must-bounce.ts";
export type { BouncePoolConfig } from "./pool.ts";
export { BouncePool } from "./pool.ts";
export { SyncList, SyncRoom } from "./sync-list.ts";
export { SyncSlab } from "./sync-slab.ts";
export { unloadWalk, walkBuffer, walkPages, walkPhys } from "./walk.ts";
export type { CachedOptions, CachedParts, WalkDecisions, WalkManner } from "./walk-state.ts";
export { cachedParts, reachesAll, WalkMap, WalkTag, walkMapOf } from "./walk-state.ts";
export type { BounceZone } from "./zone.ts";
