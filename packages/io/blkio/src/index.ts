export type { BlockDevice, BufOwner, OutputCounter } from "./buf.ts";
export { Buf, BufFlag, BufPriority, blockOffset, DEV_BSHIFT, DEV_BSIZE } from "./buf.ts";
export type { BufCacheConfig } from "./cache.ts";
export { BufCache } from "./cache.ts";
export type { DiskConfig, DiskOrder } from "./disk.ts";
export { Disk } from "./disk.ts";
export type { CompletionPolicy, IoBufsConfig } from "./iodone.ts";
export { IoBufs } from "./iodone.ts";
