/**
 * The direct map: all RAM at fixed kernel addresses, so that the kernel reaches any frame without
 * mapping it first.
 *
 *   0 …            what enter and remove deal with
 *   2^47 … 2^48    physical address 0 and up: `va = pa + 2^47`
 *
 * RAM above 2^47 has no place in it (a real kernel's direct map ends somewhere, too): `va` is −1 then.
 * The table's leaves are made when somebody first looks there. Follows DMAP of amd64's vmparam.h.
 */
import type { Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { NO_FRAME } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import { leafAddr, leafOf } from "./page-table.ts";
import { Prot } from "./prot.ts";
import { RadixTable } from "./radix.ts";

const BASE = 2 ** 47;
const RIGHTS = Prot.READ | Prot.WRITE;

export class DirectMap {
  /** First address. */
  readonly base: VirtAddr;
  readonly #mem: PhysMem;

  constructor(mem: PhysMem) {
    this.base = BASE;
    this.#mem = mem;
  }

  /** Where the kernel sees physical address `pa`; −1: not RAM, or beyond the map. @bsd #Y PHYS_TO_DMAP */
  va(pa: PhysAddr): VirtAddr {
    return pa < BASE && this.#mem.isRam(pa, 1) ? pa + BASE : -1;
  }

  /** What `va` of the direct map stands for; −1: not an address of it. @bsd #Y DMAP_TO_PHYS */
  pa(va: VirtAddr): PhysAddr {
    const pa = va - BASE;
    return pa >= 0 && pa < BASE && this.#mem.isRam(pa, 1) ? pa : -1;
  }

  /** A page table with the direct map in it. */
  table(): RadixTable {
    const fill = (leaf: number, frames: Int32Array, ptes: Uint8Array): boolean => {
      let some = false;
      for (let i = 0; i < frames.length; i++) {
        const frame: Frame = this.#mem.frameOf(leafAddr(leaf, i) - BASE);
        if (frame === NO_FRAME) continue;
        frames[i] = frame;
        ptes[i] = RIGHTS;
        some = true;
      }
      return some;
    };
    return new RadixTable(fill, leafOf(BASE));
  }
}
