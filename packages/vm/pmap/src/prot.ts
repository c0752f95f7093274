/** Access rights of a mapping, after sys/vm/vm.h. */
import type { Bits } from "@physio/kern";
import { bitset } from "@physio/kern";

/** What a mapping allows. */
export const Prot = bitset<"Prot">()({
  NONE: 0,
  READ: 1,
  WRITE: 2,
});
export type Prot = Bits<"Prot">;

/** What pmap knows of a frame (physmem's `pmapBits` column). */
export const PmapBit = bitset<"PmapBit">()({
  REFERENCED: 1, // read or written through some mapping since it was last cleared
  MODIFIED: 2, //   written through some mapping since it was last cleared
});
