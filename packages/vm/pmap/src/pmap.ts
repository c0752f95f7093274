/**
 * A pmap: one address space's mappings from virtual pages to frames.
 *
 * Owns nothing but the translation: frames belong to whoever allocated them. Mappings made by
 * `enter` are managed: the frame's pv list knows them, so that `Pmaps` can find all mappings of a
 * frame. Those made by `kenter` are not: kernel memory, whose frames nobody takes away. Modified and
 * referenced bits live in the frame's column and speak for all its mappings. Follows pmap(9).
 *
 * Invariant (`Pmaps.check`): the counts agree with the table; a managed mapping is on its frame's pv
 * list exactly once.
 */
import type { Bytes, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import {
  Errno,
  ErrnoError,
  formatBits,
  hex,
  isWhole,
  NO_FRAME,
  PAGE_SIZE,
  pageOf,
  pageOffset,
  panic,
} from "@physio/kern";
import type { CacheAttr } from "@physio/membus";
import type { PhysMem } from "@physio/physmem";
import { ROW_MASK } from "@physio/physmem";
import type { PageTable } from "./page-table.ts";
import { LEAF_PAGES } from "./page-table.ts";
import type { Pmaps } from "./pmaps.ts";
import {
  checkAttr,
  checkProt,
  Enter,
  PmapBit,
  Prot,
  PTE_ATTR_SHIFT,
  PTE_PROT,
  Pte,
} from "./prot.ts";

/** Virtual addresses lie below this. */
export const VA_LIMIT = 2 ** 48;

// This module's own names: the compiler folds them.
const PAGE = PAGE_SIZE;
const IN_LEAF = LEAF_PAGES - 1;
const PROT_MASK = PTE_PROT;
const ENTER_BITS = Enter.WIRED | Enter.UNCACHED | Enter.WRITE_COMBINING;

/** What `Pmap.run` found: filled in by the pmap, owned by the caller. */
export class Run {
  /** Frame of the first byte; NO_FRAME: it is not mapped, or not for this. */
  frame: Frame;
  /** Bytes that lie in a row in memory. */
  length: Bytes;
  /** Their cache attribute. */
  attr: CacheAttr;

  constructor() {
    this.frame = NO_FRAME;
    this.length = 0;
    this.attr = 0;
  }
}

export class Pmap {
  readonly name: string;
  /** Unique among the pmaps of its machine. */
  readonly id: number;
  readonly mem: PhysMem;
  /** Pages mapped. @bsd #Y pmap_resident_count */
  residentCount: number;
  /** Wired ones among them. @bsd #Y pmap_wired_count */
  wiredCount: number;
  readonly #pmaps: Pmaps;
  readonly #table: PageTable;
  /** Pages from here on are no business of enter and remove: the direct map. */
  readonly #limit: number;

  /** => for Pmaps, which makes all pmaps of a machine. */
  constructor(pmaps: Pmaps, id: number, name: string, table: PageTable, limit: VirtAddr) {
    this.name = name;
    this.id = id;
    this.mem = pmaps.mem;
    this.residentCount = 0;
    this.wiredCount = 0;
    this.#pmaps = pmaps;
    this.#table = table;
    this.#limit = pageOf(limit);
  }

  /**
   * Map the page at `va` to `frame`, managed. A mapping of the same frame there changes its rights and
   * flags; one of another frame is replaced.
   * => the frame is allocated.
   * @throws {ErrnoError} EINVAL: not a page of this space, no such rights; EBUSY: another frame is wired there.
   * @bsd #Y pmap_enter
   */
  enter(va: VirtAddr, frame: Frame, prot: Prot, flags: Enter = 0): void {
    const page = this.#check("enter", va, frame, prot, flags);
    if (this.#table.frame(page) === frame && (this.#table.pte(page) & Pte.MANAGED) !== 0) {
      this.#change(page, prot | flags | Pte.MANAGED);
      return;
    }
    this.#drop(page, va, frame);
    this.#pmaps.pv.insert(frame, this.id, page);
    this.#set(page, frame, prot | flags | Pte.MANAGED);
  }

  /**
   * Map the page at `va` to a frame of the kernel's own: wired, and on no pv list. It takes the place
   * of what is mapped there.
   * => the frame is allocated.
   * @throws {ErrnoError} EINVAL: not a page of this space, no such rights; EBUSY: another frame is wired there.
   * @bsd #Y pmap_kenter, pmap_kenter_attr
   */
  kenter(va: VirtAddr, frame: Frame, prot: Prot, flags: Enter = 0): void {
    const page = this.#check("kenter", va, frame, prot, flags);
    this.#drop(page, va, frame);
    this.#set(page, frame, prot | flags | Pte.WIRED);
  }

  /** Unmap [`va`, `va + length`), page aligned; what is not mapped is skipped. @throws {ErrnoError} EINVAL. @bsd #Y pmap_remove, pmap_kremove, pmap_qremove */
  remove(va: VirtAddr, length: Bytes): void {
    const end = this.#end("remove", va, length);
    for (
      let page = this.#table.next(pageOf(va), end);
      page >= 0;
      page = this.#table.next(page + 1, end)
    ) {
      this.removePage(page);
    }
  }

  /** Take rights away from the mappings of a range; none left: unmap. Never gives any. @throws {ErrnoError} EINVAL. @bsd #Y pmap_protect */
  protect(va: VirtAddr, length: Bytes, prot: Prot): void {
    checkProt(this.name, "protect", prot);
    if (prot === 0) {
      this.remove(va, length);
      return;
    }
    const end = this.#end("protect", va, length);
    for (
      let page = this.#table.next(pageOf(va), end);
      page >= 0;
      page = this.#table.next(page + 1, end)
    ) {
      this.protectPage(page, prot);
    }
  }

  /** The mappings of a range are wired no more. Panics on one that is not wired, or not there. @bsd #Y pmap_unwire */
  unwire(va: VirtAddr, length: Bytes): void {
    const end = this.#end("unwire", va, length);
    for (let page = pageOf(va); page < end; page++) {
      const pte = this.#table.pte(page);
      if ((pte & Pte.WIRED) === 0) {
        panic(
          `pmap ${this.name}: unwire at ${hex(page * PAGE)}, which is not wired (${formatBits(Pte, pte)})`,
        );
      }
      this.#table.setPte(page, pte & ~Pte.WIRED);
      this.wiredCount--;
    }
  }

  /**
   * Give the mapped pages of a range another cache attribute (flags UNCACHED, WRITE_COMBINING, or 0).
   * Combined stores reach memory first, and the CPU's cache is written back and forgets the pages.
   * => every page of the range is mapped.
   * @throws {ErrnoError} EINVAL: not pages of this space, no such attribute.   @bsd #Y pmap_change_attr
   */
  changeAttr(va: VirtAddr, length: Bytes, attr: Enter): void {
    checkAttr(this.name, "changeAttr", attr);
    const end = this.#end("changeAttr", va, length);
    this.#pmaps.cpu.drain();
    for (let page = pageOf(va); page < end; page++) {
      const frame = this.#table.frame(page);
      if (frame === NO_FRAME)
        panic(`pmap ${this.name}: changeAttr at ${hex(page * PAGE)}, not mapped`);
      this.#pmaps.cpu.writeBackInvalidate(this.mem.addrOf(frame), PAGE);
      this.attrPage(page, attr);
    }
  }

  /** The frame mapped at `va`, or NO_FRAME. */
  frameAt(va: VirtAddr): Frame {
    return this.#table.frame(pageOf(va));
  }

  /** The entry at `va`; 0: not mapped. Its rights are `pteAt(va) & PTE_PROT`. */
  pteAt(va: VirtAddr): Pte {
    return this.#table.pte(pageOf(va));
  }

  /** Frames of the LEAF_PAGES pages, aligned, that hold page number `page`; null: none is mapped. For loops over pages. */
  leaf(page: number): Int32Array | null {
    return this.#table.leaf(page);
  }

  /** The physical address behind `va`, or −1. @bsd #Y pmap_extract, pmap_kextract */
  extract(va: VirtAddr): PhysAddr {
    const frame = this.#table.frame(pageOf(va));
    return frame === NO_FRAME ? -1 : this.mem.addrOfKnown(frame) + pageOffset(va);
  }

  /** The frame behind `va` if it is mapped for `prot`, wired so that it stays; `PhysMem.unwire` lets it go. @returns NO_FRAME: it is not. @bsd #Y pmap_extract_and_hold */
  extractAndHold(va: VirtAddr, prot: Prot): Frame {
    const page = pageOf(va);
    if ((this.#table.pte(page) & prot) !== prot) return NO_FRAME;
    const frame = this.#table.frame(page);
    if (frame !== NO_FRAME) this.mem.wire(frame);
    return frame;
  }

  /**
   * The frame behind `va` for an access of kind `access`, with referenced and modified bits set. The
   * direct map sets none: it is no mapping that anybody made.
   * @returns NO_FRAME: not mapped, or not allowed.
   */
  access(va: VirtAddr, access: Prot): Frame {
    const page = pageOf(va);
    const frame = this.#table.frame(page);
    if (frame === NO_FRAME || (this.#table.pte(page) & access) !== access) return NO_FRAME;
    if (page < this.#limit) this.#touch(frame, access);
    return frame;
  }

  /**
   * What of [`va`, `va + length`) lies in a row of memory with one cache attribute and may be
   * accessed, with referenced and modified bits set: into `run`. Its frame is NO_FRAME when the first
   * byte may not.
   */
  run(va: VirtAddr, length: Bytes, access: Prot, run: Run): void {
    const first = pageOf(va);
    const frame = this.access(va, access);
    run.frame = frame;
    if (frame === NO_FRAME) return;
    const attr = (this.#table.pte(first) >> PTE_ATTR_SHIFT) as CacheAttr;
    const bytes = pageOffset(va) + length;
    let pages = 1;
    while (pages * PAGE < bytes && this.#joins(first + pages, frame + pages, attr, access)) pages++;
    run.attr = attr;
    run.length = Math.min(bytes, pages * PAGE) - pageOffset(va);
  }

  // ---- for Pmaps, page by page

  /** The first mapped page in [`page`, `end`), or −1. */
  nextPage(page: number, end: number): number {
    return this.#table.next(page, Math.min(end, this.#limit));
  }

  pte(page: number): Pte {
    return this.#table.pte(page);
  }

  /** Unmap one page. @returns its frame, or NO_FRAME. */
  removePage(page: number): Frame {
    const pte = this.#table.pte(page);
    const frame = this.#table.clear(page);
    if (frame === NO_FRAME) return frame;
    this.residentCount--;
    if ((pte & Pte.WIRED) !== 0) this.wiredCount--;
    if ((pte & Pte.MANAGED) !== 0) this.#pmaps.pv.remove(frame, this.id, page);
    return frame;
  }

  /** Keep of a mapped page's rights what is in `prot`; none left: unmap. */
  protectPage(page: number, prot: Prot): void {
    const pte = this.#table.pte(page);
    const left = pte & (~PROT_MASK | prot);
    if ((left & PROT_MASK) === 0) this.removePage(page);
    else this.#table.setPte(page, left);
  }

  attrPage(page: number, attr: Enter): void {
    const kept = this.#table.pte(page) & ~(Pte.UNCACHED | Pte.WRITE_COMBINING);
    this.#table.setPte(page, kept | attr);
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Pmap(${this.name}, ${this.residentCount} pages, ${this.wiredCount} wired)`;
  }

  #joins(page: number, frame: Frame, attr: number, access: Prot): boolean {
    const frames = this.#table.leaf(page);
    if (frames === null || frames[page & IN_LEAF] !== frame) return false;
    const pte = this.#table.pte(page);
    if ((pte & access) !== access || pte >> PTE_ATTR_SHIFT !== attr) return false;
    if (page < this.#limit) this.#touch(frame, access);
    return true;
  }

  #touch(frame: Frame, access: Prot): void {
    this.mem.section(frame).pmapBits[frame & ROW_MASK] |=
      (access & Prot.WRITE) === 0 ? PmapBit.REFERENCED : PmapBit.REFERENCED | PmapBit.MODIFIED;
  }

  #check(what: string, va: VirtAddr, frame: Frame, prot: Prot, flags: Enter): number {
    const page = pageOf(va);
    const place = isWhole(va) && page < this.#limit && pageOffset(va) === 0;
    const rights = (prot & PROT_MASK) === prot && prot !== 0;
    const both = Enter.UNCACHED | Enter.WRITE_COMBINING;
    if (!place || !rights || (flags & ENTER_BITS) !== flags || (flags & both) === both) {
      throw new ErrnoError(
        Errno.EINVAL,
        `pmap ${this.name}: ${what} at ${hex(va)}, frame ${frame}, rights ${prot}, flags ${flags}`,
      );
    }
    this.mem.assertAllocated(frame); // whoever reads a pmap need not ask again
    return page;
  }

  /** End of a page-aligned range, as a page number. */
  #end(what: string, va: VirtAddr, length: Bytes): number {
    const end = pageOf(va + length);
    if (
      !(
        isWhole(va) &&
        isWhole(length) &&
        end <= this.#limit &&
        pageOffset(va) === 0 &&
        pageOffset(length) === 0
      )
    ) {
      throw new ErrnoError(Errno.EINVAL, `pmap ${this.name}: ${what} of ${hex(va)}+${hex(length)}`);
    }
    return end;
  }

  /** Make room at `page` for `frame`. */
  #drop(page: number, va: VirtAddr, frame: Frame): void {
    const old = this.#table.frame(page);
    if (old === NO_FRAME) return;
    if (old !== frame && (this.#table.pte(page) & Pte.WIRED) !== 0) {
      throw new ErrnoError(
        Errno.EBUSY,
        `pmap ${this.name}: frame ${frame} at ${hex(va)}, where frame ${old} is wired`,
      );
    }
    this.removePage(page);
  }

  #set(page: number, frame: Frame, pte: Pte): void {
    this.residentCount++;
    if ((pte & Pte.WIRED) !== 0) this.wiredCount++;
    this.#table.set(page, frame, pte);
  }

  #change(page: number, pte: Pte): void {
    const was = this.#table.pte(page) & Pte.WIRED;
    const is = pte & Pte.WIRED;
    if (was !== is) this.wiredCount += is === 0 ? -1 : 1;
    this.#table.setPte(page, pte);
  }
}
