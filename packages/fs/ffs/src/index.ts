export type { FfsMount } from "./mount.ts";
export { mountFfs, probeFfs } from "./mount-disk.ts";
export type { Flavor, Superblock } from "./superblock.ts";
export { decodeSuperblock } from "./superblock.ts";
