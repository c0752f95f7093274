export type { Ext2Mount } from "./mount.ts";
export { mountExt2 } from "./mount.ts";
export type { Superblock } from "./superblock.ts";
export { decodeSuperblock } from "./superblock.ts";
