export type { AddressSpace } from "./address-space.ts";
export { copyinAll, copyoutAll, PmapSpace } from "./address-space.ts";
export { Kmem } from "./kmem.ts";
export { clearModify, isModified, Pmap, VA_LIMIT } from "./pmap.ts";
export { PmapBit, Prot } from "./prot.ts";
export type { PageTable } from "./radix.ts";
export { LEAF_PAGES, RadixTable } from "./radix.ts";
