export { getpages, getpagesNow } from "./getpages.ts";
export type { GenfsData, GenfsOps } from "./node.ts";
export { GenfsNode } from "./node.ts";
export { genfsRead } from "./read.ts";
