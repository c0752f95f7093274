/**
 * A pmap: one address space's mappings from virtual pages to frames.
 *
 * Owns nothing but the translation: frames belong to whoever allocated them. Modified and
 * referenced bits live in the frame's column, set by accesses through `AddressSpace`, so they
 * speak for all mappings of the frame. Follows pmap(9).
 */
import type { Bytes, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { Errno, ErrnoError, hex, NO_FRAME, PAGE_SIZE, pageOf, pageOffset } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import { ROW_MASK } from "@physio/physmem";
import { PmapBit, Prot } from "./prot.ts";
import type { PageTable } from "./radix.ts";
import { RadixTable } from "./radix.ts";

/** Virtual addresses lie below this. */
export const VA_LIMIT = 2 ** 48;

export class Pmap {
  readonly name: string;
  readonly mem: PhysMem;
  /** Pages mapped. @bsd #Y pmap_resident_count */
  residentCount: number;
  readonly #table: PageTable;

  constructor(mem: PhysMem, name: string, table: PageTable = new RadixTable()) {
    this.name = name;
    this.mem = mem;
    this.residentCount = 0;
    this.#table = table;
  }

  /** Map the page at `va` to `frame`, in place of what was mapped there. @throws {ErrnoError} EINVAL: not a page of this space. @bsd #P[no wiring, no pv lists] pmap_enter, pmap_kenter */
  enter(va: VirtAddr, frame: Frame, prot: Prot): void {
    if (!(va >= 0 && va < VA_LIMIT && pageOffset(va) === 0)) {
      throw new ErrnoError(Errno.EINVAL, `pmap ${this.name}: enter at ${hex(va)}`);
    }
    this.mem.addrOf(frame); // panics unless the frame exists: whoever reads a pmap need not ask again
    const page = pageOf(va);
    if (this.#table.frame(page) === NO_FRAME) this.residentCount++;
    this.#table.set(page, frame, prot);
  }

  /** Unmap [`va`, `va + length`), page aligned; what is not mapped is skipped. @bsd #Y pmap_remove, pmap_kremove */
  remove(va: VirtAddr, length: Bytes): void {
    const end = pageOf(va + length);
    for (let page = pageOf(va); page < end; page++) {
      if (this.#table.clear(page) !== NO_FRAME) this.residentCount--;
    }
  }

  /** The frame mapped at `va`, or NO_FRAME. */
  frameAt(va: VirtAddr): Frame {
    return this.#table.frame(pageOf(va));
  }

  /** Frames of the LEAF_PAGES pages, aligned, that hold page number `page`; null: none is mapped. For loops over pages. */
  leaf(page: number): Int32Array | null {
    return this.#table.leaf(page);
  }

  /** The physical address behind `va`, or −1. @bsd #Y pmap_extract, pmap_kextract */
  extract(va: VirtAddr): PhysAddr {
    const frame = this.#table.frame(pageOf(va));
    return frame === NO_FRAME ? -1 : this.mem.addrOf(frame) + pageOffset(va);
  }

  /**
   * The frame behind `va` for an access of kind `access`, with referenced and modified bits set.
   * @returns NO_FRAME: not mapped, or not allowed.
   */
  access(va: VirtAddr, access: Prot): Frame {
    const page = pageOf(va);
    const frame = this.#table.frame(page);
    if (frame === NO_FRAME || (this.#table.prot(page) & access) !== access) return NO_FRAME;
    const section = this.mem.section(frame);
    section.pmapBits[frame & ROW_MASK] |=
      (access & Prot.WRITE) === 0 ? PmapBit.REFERENCED : PmapBit.REFERENCED | PmapBit.MODIFIED;
    return frame;
  }

  /** Bytes from `va` that lie in one page. */
  static inPage(va: VirtAddr, length: Bytes): Bytes {
    return Math.min(length, PAGE_SIZE - pageOffset(va));
  }
}

/** Forget both bits: the frame has a new owner. */
export function clearBits(mem: PhysMem, frame: Frame): void {
  mem.section(frame).pmapBits[frame & ROW_MASK] = 0;
}

/** Forget that `frame` was written. @returns whether it had been. @bsd #Y pmap_clear_modify */
export function clearModify(mem: PhysMem, frame: Frame): boolean {
  const { pmapBits } = mem.section(frame);
  const was = (pmapBits[frame & ROW_MASK] & PmapBit.MODIFIED) !== 0;
  pmapBits[frame & ROW_MASK] &= ~PmapBit.MODIFIED;
  return was;
}

/** Whether `frame` was written since the last clear. @bsd #Y pmap_is_modified */
export function isModified(mem: PhysMem, frame: Frame): boolean {
  return (mem.section(frame).pmapBits[frame & ROW_MASK] & PmapBit.MODIFIED) !== 0;
}
