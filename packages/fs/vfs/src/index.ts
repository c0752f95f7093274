export type { FsContext, MountOps } from "./mount.ts";
export { Mount } from "./mount.ts";
export type { NameiOptions } from "./namei.ts";
export { MAXSYMLINKS, namei } from "./namei.ts";
export type { Attributes, DirBatch, DirEntry, VnodeOps, VnodeType } from "./vnode.ts";
export { BlockMap, PageRequest, Vnode } from "./vnode.ts";
