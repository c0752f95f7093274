export type { DmaFilter, TagOptions } from "./constraints.ts";
export type { DmaMem } from "./dma-mem.ts";
export {
  BUS_SPACE_MAXADDR,
  BUS_SPACE_MAXADDR_24BIT,
  BUS_SPACE_MAXADDR_32BIT,
  BUS_SPACE_UNRESTRICTED,
  BusDma,
  Sync,
} from "./flags.ts";
export type { LockFunction, LockOp } from "./lock.ts";
export { BUS_DMA_LOCK, BUS_DMA_UNLOCK, busdmaLockMutex, dfltLock } from "./lock.ts";
export type { DmaMap, LoadCallback, LoadCallback2 } from "./map.ts";
export type { DmaMemory } from "./memory.ts";
export type { Segment } from "./seg-list.ts";
export { SegList } from "./seg-list.ts";
export type { DmaSemantics } from "./semantics.ts";
export { FIXED, SEED } from "./semantics.ts";
export type { DmaContext, DmaTag } from "./tag.ts";
export { createTag } from "./tag.ts";
export { TagTemplate } from "./template.ts";
