/** Rights of a mapping, its state in a page table, and what is known of a frame; after sys/vm/vm.h and vm_page.h. */
import type { Bits } from "@physio/kern";
import { bitset, Errno, ErrnoError } from "@physio/kern";

/** What a mapping allows. */
export const Prot = bitset<"Prot">()({
  NONE: 0,
  READ: 1,
  WRITE: 2,
  EXECUTE: 4,
});
export type Prot = Bits<"Prot">;

/** How `enter` maps a page, beside its rights. @bsd #Y PMAP_WIRED, PMAP_NOCACHE */
export const Enter = bitset<"Enter">()({
  WIRED: 8, //            the mapping stays until it is unwired: counted, and never replaced by another frame
  UNCACHED: 32, //        the CPU goes to memory past its cache
  WRITE_COMBINING: 64, // stores gather on their way to memory
});
export type Enter = Bits<"Enter">;

/**
 * One entry of a page table, a byte: the rights in bits 0-2, then these. `pte >> PTE_ATTR_SHIFT` is
 * the cache attribute (membus CacheAttr).
 */
export const Pte = bitset<"Pte">()({
  READ: 1,
  WRITE: 2,
  EXECUTE: 4,
  WIRED: 8, //            set by enter and kenter, cleared by unwire
  MANAGED: 16, //         entered by `enter`: the frame's pv list has this mapping
  UNCACHED: 32,
  WRITE_COMBINING: 64,
});
export type Pte = Bits<"Pte">;

const RIGHTS = 7;
const ATTRS = Enter.UNCACHED | Enter.WRITE_COMBINING;
const ENTER_BITS = Enter.WIRED | ATTRS;

export const PTE_PROT = RIGHTS;
export const PTE_ATTR_SHIFT = 5;

/** What pmap knows of a frame (physmem's `pmapBits` column). */
export const PmapBit = bitset<"PmapBit">()({
  REFERENCED: 1, // read or written through some mapping since it was last cleared
  MODIFIED: 2, //   written through some mapping since it was last cleared
});
export type PmapBit = Bits<"PmapBit">;

/** Whether a mapping may have these rights, some at least, and these flags. */
export function canEnter(prot: Prot, flags: Enter): boolean {
  const rights = (prot & RIGHTS) === prot && prot !== 0;
  return rights && (flags & ENTER_BITS) === flags && (flags & ATTRS) !== ATTRS;
}

/** For `what` of `name`. @throws {ErrnoError} EINVAL: `prot` is no set of rights; NONE is one. */
export function checkProt(name: string, what: string, prot: Prot): void {
  if ((prot & RIGHTS) === prot) return;
  throw new ErrnoError(Errno.EINVAL, `pmap ${name}: ${what} with rights ${prot}`);
}

/** For `what` of `name`. @throws {ErrnoError} EINVAL: `attr` is not UNCACHED, WRITE_COMBINING or 0. */
export function checkAttr(name: string, what: string, attr: Enter): void {
  if (attr === 0 || attr === Enter.UNCACHED || attr === Enter.WRITE_COMBINING) return;
  throw new ErrnoError(Errno.EINVAL, `pmap ${name}: ${what} with attribute ${attr}`);
}
