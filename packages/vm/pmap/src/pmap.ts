/**
 * A pmap: one address space's mappings from virtual pages to frames.
 *
 * Owns nothing but the translation: frames belong to whoever allocated them. Mappings made by
 * `enter` are managed: the frame's pv list knows them, so that `Pmaps` can find all mappings of a
 * frame. Those made by `kenter` are not: kernel memory, whose frames nobody takes away. Modified and
 * referenced bits live in the frame's column and speak for all its mappings. Follows pmap(9).
 *
 * An address is split where it comes in, by functions so small that the caller has them inlined, and
 * travels on as leaf and index (page-table.ts): enter and remove in a user's space left 64 bytes of
 * garbage when it was handed on as a number.
 *
 * A pmap that was destroyed has no pages: `enter` and its like are EINVAL.
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
  NO_FRAME,
  PAGE_SIZE,
  pageOf,
  pageOffset,
  panic,
} from "@physio/kern";
import type { CacheAttr } from "@physio/membus";
import type { PhysMem } from "@physio/physmem";
import { ROW_MASK, SECTION_FRAMES, SECTION_SHIFT } from "@physio/physmem";
import { Holds, refuseBusy } from "./holds.ts";
import type { PageTable } from "./page-table.ts";
import { LEAF_PAGES, leafAddr, leafIndex, leafOf } from "./page-table.ts";
import type { Pmaps } from "./pmaps.ts";
import {
  canEnter,
  checkAttr,
  checkProt,
  Enter,
  PmapBit,
  Prot,
  PTE_ATTR_SHIFT,
  PTE_PROT,
  Pte,
} from "./prot.ts";
import type { Run } from "./run.ts";

// This module's own names: the compiler folds them.
const PAGE = PAGE_SIZE;
const PER_PAGE = 1 / PAGE; // exact: a power of 2
const LEAF = LEAF_PAGES;
const IN_LEAF = LEAF - 1;
const LEAF_SHIFT = 9;
const SHIFT = SECTION_SHIFT;
const ROW = ROW_MASK;
const PROT_MASK = PTE_PROT;
const ATTR_SHIFT = PTE_ATTR_SHIFT;
const { WIRED, MANAGED } = Pte;
const { REFERENCED, MODIFIED } = PmapBit;
const { NONE, WRITE } = Prot;
const ATTRS = Enter.UNCACHED | Enter.WRITE_COMBINING;

export class Pmap {
  readonly name: string;
  /** Unique among the pmaps of its machine. */
  readonly id: number;
  readonly mem: PhysMem;
  /** Pages mapped. @bsd #Y pmap_resident_count */
  residentCount: number;
  /** Wired ones among them. @bsd #Y pmap_wired_count */
  wiredCount: number;
  /** Pages that `PmapSpace.wire` keeps. */
  readonly holds: Holds;
  readonly #pmaps: Pmaps;
  readonly #table: PageTable;
  /** Leaves from here on are no business of enter and remove: the direct map; 0 after `retire`. */
  #limit: number;
  readonly #sectionAddr: Float64Array;

  /** => for Pmaps, which makes all pmaps of a machine; `limit` is a multiple of a leaf. */
  constructor(pmaps: Pmaps, id: number, name: string, table: PageTable, limit: VirtAddr) {
    this.name = name;
    this.id = id;
    this.mem = pmaps.mem;
    this.residentCount = 0;
    this.wiredCount = 0;
    this.holds = new Holds(this, table);
    this.#pmaps = pmaps;
    this.#table = table;
    this.#limit = leafOf(limit);
    this.#sectionAddr = pmaps.mem.sectionAddr;
  }

  /**
   * Map the page at `va` to `frame`, managed. A mapping of the same frame there changes its rights and
   * flags; one of another frame is replaced.
   * => the frame is allocated.
   * @throws {ErrnoError} EINVAL: not a page of this space, no such rights, a pmap that was destroyed; EBUSY: another frame is wired there.
   * @bsd #Y pmap_enter
   */
  enter(va: VirtAddr, frame: Frame, prot: Prot, flags: Enter = 0): void {
    if (!(this.#isRange(va, PAGE) && canEnter(prot, flags))) {
      this.#refuse("enter", va, frame, prot, flags);
    }
    this.enterPage(leafOf(va), leafIndex(va), frame, prot | flags | MANAGED);
  }

  /**
   * Map the page at `va` to a frame of the kernel's own: wired, and on no pv list. It takes the place
   * of what is mapped there.
   * => the frame is allocated.
   * @throws {ErrnoError} as `enter`.
   * @bsd #Y pmap_kenter, pmap_kenter_attr
   */
  kenter(va: VirtAddr, frame: Frame, prot: Prot, flags: Enter = 0): void {
    if (!(this.#isRange(va, PAGE) && canEnter(prot, flags))) {
      this.#refuse("kenter", va, frame, prot, flags);
    }
    this.enterPage(leafOf(va), leafIndex(va), frame, prot | flags | WIRED);
  }

  /** Unmap [`va`, `va + length`), page aligned; what is not mapped is skipped. @throws {ErrnoError} EINVAL. @bsd #Y pmap_remove, pmap_kremove, pmap_qremove */
  remove(va: VirtAddr, length: Bytes): void {
    if (!this.#isRange(va, length)) this.#refuseRange("remove", va, length);
    const end = va + length;
    this.#protect(leafOf(va), leafIndex(va), leafOf(end), leafIndex(end), NONE);
  }

  /** Take rights away from the mappings of a range; none left: unmap. Never gives any. @throws {ErrnoError} EINVAL. @bsd #Y pmap_protect */
  protect(va: VirtAddr, length: Bytes, prot: Prot): void {
    checkProt(this.name, "protect", prot);
    if (prot === NONE) {
      this.remove(va, length);
      return;
    }
    if (!this.#isRange(va, length)) this.#refuseRange("protect", va, length);
    const end = va + length;
    this.#protect(leafOf(va), leafIndex(va), leafOf(end), leafIndex(end), prot);
  }

  /** The mappings of a range are wired no more, but for those that `PmapSpace.wire` keeps. Panics on one that is not wired, or not there, before any is changed. @bsd #Y pmap_unwire */
  unwire(va: VirtAddr, length: Bytes): void {
    if (!this.#isRange(va, length)) this.#refuseRange("unwire", va, length);
    for (let at = va; at < va + length; at += PAGE) {
      if (!this.holds.isWired(leafOf(at), leafIndex(at))) {
        const pte = formatBits(Pte, this.pteAt(at));
        panic(`pmap ${this.name}: unwire at ${hex(at)}, which is not wired (${pte})`);
      }
    }
    for (let at = va; at < va + length; at += PAGE) this.holds.unwire(leafOf(at), leafIndex(at));
  }

  /**
   * Give the mapped pages of a range another cache attribute (flags UNCACHED, WRITE_COMBINING, or 0).
   * Combined stores reach memory first, and the CPU's cache is written back and forgets the pages.
   * => every page of the range is mapped, else panic before any is changed.
   * @throws {ErrnoError} EINVAL: not pages of this space, no such attribute.   @bsd #Y pmap_change_attr
   */
  changeAttr(va: VirtAddr, length: Bytes, attr: Enter): void {
    checkAttr(this.name, "changeAttr", attr);
    if (!this.#isRange(va, length)) this.#refuseRange("changeAttr", va, length);
    for (let at = va; at < va + length; at += PAGE) {
      if (this.pteAt(at) === 0) panic(`pmap ${this.name}: changeAttr at ${hex(at)}, not mapped`);
    }
    for (let at = va; at < va + length; at += PAGE) {
      this.#pmaps.settle(this.frameAt(at));
      this.attrPage(leafOf(at), leafIndex(at), attr);
    }
  }

  /** The frame mapped at `va`, or NO_FRAME. */
  frameAt(va: VirtAddr): Frame {
    return this.#table.frame(leafOf(va), leafIndex(va));
  }

  /** The entry at `va`; 0: not mapped. Its rights are `pteAt(va) & PTE_PROT`. */
  pteAt(va: VirtAddr): Pte {
    return this.#table.pte(leafOf(va), leafIndex(va));
  }

  /** Frames of the LEAF_PAGES pages of a leaf (`leafOf` an address); null: none is mapped. For loops over pages. */
  leaf(leaf: number): Int32Array | null {
    return this.#table.leaf(leaf);
  }

  /** The physical address behind `va`, or −1. @bsd #Y pmap_extract, pmap_kextract */
  extract(va: VirtAddr): PhysAddr {
    const frame = this.#table.frame(leafOf(va), leafIndex(va));
    if (frame === NO_FRAME) return -1;
    // physmem's column, and no call: the address would be boxed where a caller does not inline it.
    return this.#sectionAddr[frame >> SHIFT] + (frame & ROW) * PAGE + pageOffset(va);
  }

  /** The frame behind `va` if it is mapped for `prot`, wired so that it stays; `PhysMem.unwire` lets it go. @returns NO_FRAME: it is not. @bsd #Y pmap_extract_and_hold */
  extractAndHold(va: VirtAddr, prot: Prot): Frame {
    if ((this.pteAt(va) & prot) !== prot) return NO_FRAME;
    const frame = this.frameAt(va);
    if (frame !== NO_FRAME) this.mem.wire(frame);
    return frame;
  }

  /**
   * The frame behind `va` for an access of kind `access`, with referenced and modified bits set. The
   * direct map sets none: it is no mapping that anybody made.
   * @returns NO_FRAME: not mapped, or not allowed.
   */
  access(va: VirtAddr, access: Prot): Frame {
    return this.#access(leafOf(va), leafIndex(va), access);
  }

  /**
   * What of [`va`, `va + length`) lies in a row of memory with one cache attribute and may be
   * accessed, with referenced and modified bits set: into `run`. Its frame is NO_FRAME when the first
   * byte may not.
   */
  run(va: VirtAddr, length: Bytes, access: Prot, run: Run): void {
    this.runFrom(leafOf(va), leafIndex(va), pageOffset(va), length, access, run);
  }

  /** `run` from byte `offset` of page `index` of a leaf on; `index` may exceed the leaf. */
  runFrom(leaf: number, index: number, offset: Bytes, length: Bytes, access: Prot, run: Run): void {
    let atLeaf = leaf + (index >> LEAF_SHIFT);
    let at = index & IN_LEAF;
    const frame = this.#access(atLeaf, at, access);
    run.frame = frame;
    if (frame === NO_FRAME) return;
    const attr = (this.#table.pte(atLeaf, at) >> ATTR_SHIFT) as CacheAttr;
    const bytes = offset + length;
    let pages = 1;
    while (pages * PAGE < bytes) {
      at++;
      if (at === LEAF) {
        atLeaf++;
        at = 0;
      }
      const more = this.#joining(
        atLeaf,
        at,
        frame + pages,
        pageOf(bytes + PAGE - 1) - pages,
        access,
        attr,
      );
      if (more === 0) break;
      pages += more;
      at += more - 1;
    }
    run.attr = attr;
    run.length = Math.min(bytes, pages * PAGE) - offset;
  }

  /** Whether any page of [`va`, `va + length`), page aligned, is mapped; a range that is none has none. */
  hasMappings(va: VirtAddr, length: Bytes): boolean {
    if (!this.#isRange(va, length)) return false;
    const end = va + length;
    return this.#table.next(leafOf(va), leafIndex(va), leafOf(end), leafIndex(end));
  }

  // ---- for Pmaps and Kmem, page by page

  /** It was destroyed: no address is its own any more. */
  retire(): void {
    this.#limit = 0;
  }

  /** Whether a leaf is the direct map's. */
  isDirect(leaf: number): boolean {
    return leaf >= this.#limit;
  }

  /** Whether a page is mapped, below the direct map, from page `index` of a leaf on: in `foundLeaf` and `foundIndex`. */
  next(leaf: number, index: number): boolean {
    return this.#table.next(leaf, index, this.#limit, 0);
  }

  get foundLeaf(): number {
    return this.#table.foundLeaf;
  }

  get foundIndex(): number {
    return this.#table.foundIndex;
  }

  pte(leaf: number, index: number): Pte {
    return this.#table.pte(leaf, index);
  }

  /** `enter` (with MANAGED) or `kenter` (with WIRED) of one page. => its rights and flags are sane. */
  enterPage(leaf: number, index: number, frame: Frame, pte: Pte): void {
    this.mem.assertAllocated(frame); // whoever reads a pmap need not ask again
    const entry = this.holds.pages === 0 ? pte : this.holds.entry(leaf, index, frame, pte);
    const was = this.#table.pte(leaf, index);
    const managed = (entry & MANAGED) !== 0;
    if (was !== 0 && this.#table.frame(leaf, index) === frame) {
      // What the CPU stored through the mapping so far may wait where the new one does not look.
      if (((was ^ entry) & ATTRS) !== 0) this.#pmaps.settle(frame);
      if (managed && (was & MANAGED) !== 0) {
        this.wiredCount += wiredIn(entry) - wiredIn(was);
        this.#table.setPte(leaf, index, entry);
        return;
      }
    }
    this.#drop(leaf, index, frame);
    if (managed) this.#pmaps.pv.insert(frame, this.id, leaf, index);
    this.residentCount++;
    this.wiredCount += wiredIn(entry);
    this.#table.set(leaf, index, frame, entry);
  }

  /** Unmap one page. @returns its frame, or NO_FRAME. */
  removePage(leaf: number, index: number): Frame {
    const pte = this.#table.pte(leaf, index);
    const frame = this.#table.clear(leaf, index);
    if (frame === NO_FRAME) return frame;
    this.residentCount--;
    if ((pte & WIRED) !== 0) this.wiredCount--;
    if ((pte & MANAGED) !== 0) this.#pmaps.pv.remove(frame, this.id, leaf, index);
    return frame;
  }

  /** Keep of a mapped page's rights what is in `prot`; none left: unmap. */
  protectPage(leaf: number, index: number, prot: Prot): void {
    const left = this.#table.pte(leaf, index) & (~PROT_MASK | prot);
    if ((left & PROT_MASK) === 0) this.removePage(leaf, index);
    else this.#table.setPte(leaf, index, left);
  }

  attrPage(leaf: number, index: number, attr: Enter): void {
    this.#table.setPte(leaf, index, (this.#table.pte(leaf, index) & ~ATTRS) | attr);
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Pmap(${this.name}, ${this.residentCount} pages, ${this.wiredCount} wired)`;
  }

  /** Keep in a range what is in `prot` of the rights. */
  #protect(leaf: number, index: number, endLeaf: number, endIndex: number, prot: Prot): void {
    const table = this.#table;
    let more = table.next(leaf, index, endLeaf, endIndex);
    while (more) {
      const { foundLeaf, foundIndex } = table;
      this.protectPage(foundLeaf, foundIndex, prot);
      more = table.next(foundLeaf, foundIndex + 1, endLeaf, endIndex);
    }
  }

  #access(leaf: number, index: number, access: Prot): Frame {
    const frame = this.#table.frame(leaf, index);
    if (frame === NO_FRAME || (this.#table.pte(leaf, index) & access) !== access) return NO_FRAME;
    if (leaf < this.#limit) this.#touch(frame, access);
    return frame;
  }

  /**
   * How many pages from `index` of a leaf on, `most` at most, are mapped to `frame` and those behind it, with
   * `attr` and for `access`; marks them. The leaf's arrays once, not for each page: 16 pages took 240 ns, now 70.
   */
  #joining(
    leaf: number,
    index: number,
    frame: Frame,
    most: number,
    access: Prot,
    attr: number,
  ): number {
    const frames = this.#table.leaf(leaf);
    if (frames === null) return 0;
    const ptes = this.#table.leafPtes(leaf)!;
    const count = Math.min(most, LEAF - index);
    let i = 0;
    for (; i < count && frames[index + i] === frame + i; i++) {
      const pte = ptes[index + i];
      if ((pte & access) !== access || pte >> ATTR_SHIFT !== attr) break;
    }
    if (leaf < this.#limit) this.#touchRun(frame, i, access);
    return i;
  }

  /** `#touch` of frames in a row, by their sections' columns. */
  #touchRun(frame: Frame, count: number, access: Prot): void {
    const bits = (access & WRITE) === 0 ? REFERENCED : REFERENCED | MODIFIED;
    for (let i = 0; i < count; ) {
      const { pmapBits } = this.mem.section(frame + i);
      const end = Math.min(count, i + SECTION_FRAMES - ((frame + i) & ROW));
      for (; i < end; i++) pmapBits[(frame + i) & ROW] |= bits;
    }
  }

  #touch(frame: Frame, access: Prot): void {
    this.mem.section(frame).pmapBits[frame & ROW] |=
      (access & WRITE) === 0 ? REFERENCED : REFERENCED | MODIFIED;
  }

  /** Whether [`va`, `va + length`) is whole pages that enter and remove deal with. */
  #isRange(va: VirtAddr, length: Bytes): boolean {
    const below = va >= 0 && length >= 0 && va + length <= leafAddr(this.#limit, 0);
    return below && isWholePages(va) && isWholePages(length);
  }

  /** Make room for `frame` at a page. */
  #drop(leaf: number, index: number, frame: Frame): void {
    const old = this.#table.frame(leaf, index);
    if (old === NO_FRAME) return;
    if (old !== frame && (this.#table.pte(leaf, index) & WIRED) !== 0) {
      refuseBusy(this.name, leaf, index, frame, old);
    }
    this.removePage(leaf, index);
  }

  #refuse(what: string, va: VirtAddr, frame: Frame, prot: Prot, flags: Enter): never {
    const who = this.#limit === 0 ? `${this.name} (destroyed)` : this.name;
    throw new ErrnoError(
      Errno.EINVAL,
      `pmap ${who}: ${what} at ${hex(va)}, frame ${frame}, rights ${prot}, flags ${flags}`,
    );
  }

  #refuseRange(what: string, va: VirtAddr, length: Bytes): never {
    throw new ErrnoError(Errno.EINVAL, `pmap ${this.name}: ${what} of ${hex(va)}+${hex(length)}`);
  }
}

function isWholePages(bytes: number): boolean {
  const pages = bytes * PER_PAGE;
  return pages === Math.floor(pages);
}

/** 1 for a wired entry, else 0. */
function wiredIn(pte: Pte): number {
  return (pte & WIRED) === 0 ? 0 : 1;
}
