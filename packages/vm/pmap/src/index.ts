export type { AddressSpace } from "./address-space.ts";
export { copyinAll, copyoutAll, PmapSpace } from "./address-space.ts";
export { DirectMap } from "./direct-map.ts";
export { HostSpace } from "./host-space.ts";
export type { KmemOptions } from "./kmem.ts";
export { Kmem } from "./kmem.ts";
export type { PageTable } from "./page-table.ts";
export { LEAF_PAGES, LEAVES, leafAddr, leafIndex, leafOf, VA_LIMIT } from "./page-table.ts";
export { Pmap } from "./pmap.ts";
export {
  clearBits,
  clearModify,
  clearReference,
  isModified,
  isReferenced,
  Pmaps,
} from "./pmaps.ts";
export { Enter, PmapBit, Prot, PTE_ATTR_SHIFT, PTE_PROT, Pte } from "./prot.ts";
export type { LeafFiller } from "./radix.ts";
export { RadixTable } from "./radix.ts";
export { Run } from "./run.ts";
export type { Slab, SlabSource, ZoneOptions } from "./zone.ts";
export { Zone } from "./zone.ts";
