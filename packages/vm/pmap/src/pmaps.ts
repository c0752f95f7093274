/**
 * All pmaps of one machine, and what is asked of a frame rather than of an address.
 *
 * A frame may be mapped many times; taking rights away from all its mappings, forgetting that it was
 * written, zeroing and copying it are done here. Bytes go through the CPU's port, so on a machine
 * whose caches do not snoop they stay in the cache like any store. Follows pmap(9).
 */
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import { Errno, ErrnoError, hex, PAGE_SIZE, panic } from "@physio/kern";
import type { CpuPort } from "@physio/membus";
import type { PhysMem } from "@physio/physmem";
import { ROW_MASK } from "@physio/physmem";
import { DirectMap } from "./direct-map.ts";
import type { PageTable } from "./page-table.ts";
import { leafAddr, VA_LIMIT } from "./page-table.ts";
import { Pmap } from "./pmap.ts";
import type { Enter, Prot } from "./prot.ts";
import { checkAttr, checkProt, PmapBit, PTE_PROT, Pte } from "./prot.ts";
import { PvTable } from "./pv.ts";
import { RadixTable } from "./radix.ts";

export class Pmaps {
  readonly mem: PhysMem;
  readonly cpu: CpuPort;
  readonly pv: PvTable;
  /** The kernel's own, with the direct map in its upper half. */
  readonly kernel: Pmap;
  readonly direct: DirectMap;
  readonly #live: Map<number, Pmap>;
  /** Their page tables. */
  readonly #tables: Map<PageTable, Pmap>;
  #nextId: number;

  /** @throws {ErrnoError} EBUSY: there are pmaps over this memory, whose lists the frames keep. */
  constructor(mem: PhysMem, cpu: CpuPort) {
    if (mem.pvOwner !== null) {
      throw new ErrnoError(Errno.EBUSY, "pmap: second pmaps over one memory");
    }
    mem.pvOwner = this;
    this.mem = mem;
    this.cpu = cpu;
    this.pv = new PvTable(mem);
    this.direct = new DirectMap(mem);
    this.#live = new Map();
    this.#tables = new Map();
    this.#nextId = 0;
    this.kernel = this.#add("kernel", this.direct.table(), this.direct.base);
  }

  /** A pmap for another address space. @throws {ErrnoError} EBUSY: `table` is another pmap's. @bsd #Y pmap_pinit, pmap_create */
  create(name: string, table: PageTable = new RadixTable()): Pmap {
    const owner = this.#tables.get(table);
    if (owner !== undefined) {
      throw new ErrnoError(Errno.EBUSY, `pmap ${name}: its table is that of pmap ${owner.name}`);
    }
    return this.#add(name, table, VA_LIMIT);
  }

  /** Give a pmap up. => nothing is mapped or wired in it any more, else panic. @bsd #Y pmap_release, pmap_destroy */
  destroy(pmap: Pmap): void {
    if (this.#live.get(pmap.id) !== pmap || pmap === this.kernel) {
      panic(`pmap ${pmap.name}: destroyed twice, or not of this machine`);
    }
    if (pmap.residentCount > 0) panic(`pmap ${pmap.name}: ${pmap.residentCount} pages are mapped`);
    if (pmap.holds.pages > 0) panic(`pmap ${pmap.name}: ${pmap.holds.pages} pages are wired`);
    this.#live.delete(pmap.id);
    for (const [table, owner] of this.#tables) if (owner === pmap) this.#tables.delete(table);
    pmap.retire();
  }

  /** Live pmaps, in the order of their creation. */
  all(): readonly Pmap[] {
    return [...this.#live.values()];
  }

  // ---- all mappings of a frame

  /** Leave at most `prot` to every managed mapping of `frame`; NONE: unmap it everywhere. @throws {ErrnoError} EINVAL. @bsd #Y pmap_page_protect, pmap_remove_all, pmap_remove_write */
  pageProtect(frame: Frame, prot: Prot): void {
    const { pv } = this;
    checkProt("all", "pageProtect", prot);
    for (let row = pv.first(frame); row >= 0; ) {
      const next = pv.next(row); // the row may go
      this.#pmapOf(row).protectPage(pv.leafOf(row), pv.indexOf(row), prot);
      row = next;
    }
  }

  /** Managed mappings of `frame`. */
  mappings(frame: Frame): number {
    let count = 0;
    for (let row = this.pv.first(frame); row >= 0; row = this.pv.next(row)) count++;
    return count;
  }

  /** Wired ones among them. @bsd #Y pmap_page_wired_mappings */
  wiredMappings(frame: Frame): number {
    const { pv } = this;
    let count = 0;
    for (let row = pv.first(frame); row >= 0; row = pv.next(row)) {
      if ((this.#pteOf(row) & Pte.WIRED) !== 0) count++;
    }
    return count;
  }

  /** Whether `frame` may be written through some managed mapping. @bsd #Y pmap_page_is_write_mapped */
  isWriteMapped(frame: Frame): boolean {
    const { pv } = this;
    for (let row = pv.first(frame); row >= 0; row = pv.next(row)) {
      if ((this.#pteOf(row) & Pte.WRITE) !== 0) return true;
    }
    return false;
  }

  /** Another cache attribute for every managed mapping of `frame`, as `changeAttr` does it. @throws {ErrnoError} EINVAL. @bsd #P[the frame does not remember it: mappings made later have what `enter` says] pmap_page_set_memattr */
  setAttr(frame: Frame, attr: Enter): void {
    const { pv } = this;
    checkAttr("all", "setAttr", attr);
    this.settle(frame);
    for (let row = pv.first(frame); row >= 0; row = pv.next(row)) {
      this.#pmapOf(row).attrPage(pv.leafOf(row), pv.indexOf(row), attr);
    }
  }

  /** What the CPU stored to `frame` reaches memory, combined or cached, and its cache forgets the frame: before another attribute. */
  settle(frame: Frame): void {
    this.cpu.drain();
    this.cpu.writeBackInvalidate(this.mem.addrOf(frame), PAGE_SIZE);
  }

  // ---- bytes of a frame

  /** @bsd #Y pmap_zero_page */
  zeroPage(frame: Frame): void {
    this.cpu.zeroFrame(frame, 0, PAGE_SIZE);
  }

  /** Zero `length` bytes of a frame from `offset` on. @bsd #Y pmap_zero_page_area */
  zeroArea(frame: Frame, offset: Bytes, length: Bytes): void {
    if (!(offset >= 0 && length >= 0 && offset + length <= PAGE_SIZE)) {
      panic(`pmap: zero of ${length} bytes at ${offset} of a page`);
    }
    this.cpu.zeroFrame(frame, offset, length);
  }

  /** @bsd #Y pmap_copy_page */
  copyPage(from: Frame, to: Frame): void {
    this.cpu.copy(this.mem.addrOf(to), this.mem.addrOf(from), PAGE_SIZE);
  }

  /** Walk everything and panic where counts, tables and pv lists disagree. */
  check(): void {
    let managed = 0;
    for (const pmap of this.#live.values()) managed += this.#checkPmap(pmap);
    if (managed !== this.pv.count) {
      panic(`pmap: ${managed} managed mappings, ${this.pv.count} on pv lists`);
    }
    this.pv.check();
  }

  #checkPmap(pmap: Pmap): number {
    pmap.holds.check();
    let [resident, wired, managed] = [0, 0, 0];
    for (let more = pmap.next(0, 0); more; more = pmap.next(pmap.foundLeaf, pmap.foundIndex + 1)) {
      const { foundLeaf: leaf, foundIndex: index } = pmap;
      const va = leafAddr(leaf, index);
      const pte = pmap.pte(leaf, index);
      const frame = pmap.frameAt(va);
      resident++;
      if ((pte & PTE_PROT) === 0) panic(`pmap ${pmap.name}: ${hex(va)} is mapped without rights`);
      if ((pte & Pte.WIRED) !== 0) wired++;
      if ((pte & Pte.MANAGED) === 0) continue;
      managed++;
      if (this.#rows(frame, pmap.id, leaf, index) !== 1) {
        panic(`pmap ${pmap.name}: ${hex(va)} is not once on the pv list of frame ${frame}`);
      }
    }
    if (resident !== pmap.residentCount || wired !== pmap.wiredCount) {
      panic(
        `pmap ${pmap.name}: ${resident} pages, ${wired} wired; counted ${pmap.residentCount}, ${pmap.wiredCount}`,
      );
    }
    return managed;
  }

  #rows(frame: Frame, pmap: number, leaf: number, index: number): number {
    const { pv } = this;
    let count = 0;
    let length = 0;
    for (let row = pv.first(frame); row >= 0; row = pv.next(row)) {
      if (pv.is(row, pmap, leaf, index)) count++;
      if (++length > pv.count) panic(`pmap: the pv list of frame ${frame} has no end`);
    }
    return count;
  }

  #pmapOf(row: number): Pmap {
    return this.#live.get(this.pv.pmapOf(row))!;
  }

  #pteOf(row: number): Pte {
    return this.#pmapOf(row).pte(this.pv.leafOf(row), this.pv.indexOf(row));
  }

  #add(name: string, table: PageTable, limit: VirtAddr): Pmap {
    const id = this.#nextId++;
    const pmap = new Pmap(this, id, name, table, limit);
    this.#live.set(id, pmap);
    this.#tables.set(table, pmap);
    return pmap;
  }
}

// ---- what is known of a frame: no pmap is needed for it

/** Forget both bits: the frame has a new owner. */
export function clearBits(mem: PhysMem, frame: Frame): void {
  mem.section(frame).pmapBits[frame & ROW_MASK] = 0;
}

/** Forget that `frame` was written. @returns whether it had been. @bsd #Y pmap_clear_modify */
export function clearModify(mem: PhysMem, frame: Frame): boolean {
  return clearBit(mem, frame, PmapBit.MODIFIED);
}

/** Whether `frame` was written since the last clear. @bsd #Y pmap_is_modified */
export function isModified(mem: PhysMem, frame: Frame): boolean {
  return (mem.section(frame).pmapBits[frame & ROW_MASK] & PmapBit.MODIFIED) !== 0;
}

/** Forget that `frame` was used. @returns whether it had been. @bsd #Y pmap_clear_reference, pmap_ts_referenced */
export function clearReference(mem: PhysMem, frame: Frame): boolean {
  return clearBit(mem, frame, PmapBit.REFERENCED);
}

/** Whether `frame` was read or written since the last clear. @bsd #Y pmap_is_referenced */
export function isReferenced(mem: PhysMem, frame: Frame): boolean {
  return (mem.section(frame).pmapBits[frame & ROW_MASK] & PmapBit.REFERENCED) !== 0;
}

function clearBit(mem: PhysMem, frame: Frame, bit: PmapBit): boolean {
  const { pmapBits } = mem.section(frame);
  const was = (pmapBits[frame & ROW_MASK] & bit) !== 0;
  pmapBits[frame & ROW_MASK] &= ~bit;
  return was;
}
