export { chainLength, copyPacketFields, demote, lastOf, movePacketFields } from "./chain.ts";
export type { ExtFree, ExtPages, ExtRange, FrameAddresses } from "./mbuf.ts";
export { ExtKind, Mbuf, MbufExt, MbufFlag, MbufType } from "./mbuf.ts";
export { MbufPool } from "./pool.ts";
export {
  alignEnd,
  isWritable,
  leadingSpace,
  M_COPYALL,
  MCLBYTES,
  MHLEN,
  MINCLSIZE,
  MJUM9BYTES,
  MJUM16BYTES,
  MJUMPAGESIZE,
  MLEN,
  MSIZE,
  storageSize,
  storageStart,
  trailingSpace,
} from "./space.ts";
export type { MbufLimits, MbufPoolOptions, MbufStore } from "./store.ts";
export type { MbufSink } from "./walk.ts";
export { assertPacketHeader, extPagesLength, walkMbuf } from "./walk.ts";
export type { MbufCounters } from "./zones.ts";
