export type { Piece } from "./mkfs.ts";
export { makeExt2 } from "./mkfs.ts";
export type { Ext2Feature, MakeExt2Options } from "./mkfs-plan.ts";
export type { Ext2Mount, Ext2Options } from "./mount.ts";
export { mountExt2 } from "./mount-disk.ts";
export type { Superblock } from "./superblock.ts";
export { decodeSuperblock } from "./superblock.ts";
