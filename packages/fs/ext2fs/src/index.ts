export type { Ext2Mount, Ext2Options } from "./mount.ts";
export { mountExt2 } from "./mount-disk.ts";
export type { Superblock } from "./superblock.ts";
export { decodeSuperblock } from "./superblock.ts";
