export {
  addBouncePage,
  addrNeedsBounce,
  clearReservation,
  copyIn,
  copyOut,
  freeBouncePages,
  reservePages,
} from "./bounce.ts";
export { BounceState, bounceOf } from "./map-state.ts";
export type { BouncePoolConfig } from "./pool.ts";
export { BouncePool } from "./pool.ts";
export type { BounceZone } from "./zone.ts";
