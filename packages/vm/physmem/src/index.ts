export type { Bank, BankConfig } from "./bank.ts";
export type { ContigLimits } from "./contig.ts";
export type { PhysMemConfig } from "./physmem.ts";
export { PhysMem } from "./physmem.ts";
export type { Section } from "./section.ts";
export { ROW_MASK, SECTION_FRAMES } from "./section.ts";
