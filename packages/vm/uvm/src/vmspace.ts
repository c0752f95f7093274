/**
 * Address spaces whose pages come when they are touched: what a process has.
 *
 * A map says what each range shows, a pmap which pages are mapped now, and faults bring the pages in.
 * Copies are plain and stop at a page that is not mapped; `read` and `write` fault and go on, and `wire`
 * faults and keeps the pages. Nobody holds a busy page while a space faults. Follows sys/uvm/uvm_map.c,
 * uvm_mmap.c and uvm_glue.c.
 *
 * Invariant (`check`): a page is mapped only inside an entry, and for no more than the entry allows.
 */
import type { Bits, Bytes, FileOffset, Frame, VirtAddr } from "@physio/kern";
import {
  bitset,
  Errno,
  ErrnoError,
  hex,
  isAligned,
  isWhole,
  NO_FRAME,
  OFF_MAX,
  PAGE_SIZE,
  panic,
  roundPage,
  truncPage,
} from "@physio/kern";
import type { AddressSpace, PageTable, Pmap } from "@physio/pmap";
import { leafAddr, leafIndex, leafOf, PmapSpace, Prot, PTE_PROT } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { anonObject } from "./amap.ts";
import type { FaultReason, FaultSpace } from "./fault.ts";
import { fault, WINDOW_MOST } from "./fault.ts";
import type { MapEntry } from "./map.ts";
import { Advice, VmMap } from "./map.ts";
import type { UvmObject } from "./object.ts";
import type { UvmPages } from "./pages.ts";
import { PageRequest } from "./request.ts";

const PAGE = PAGE_SIZE;
const { READ, WRITE } = Prot;
const ALL = Prot.READ | Prot.WRITE | Prot.EXECUTE;

/** Addresses of a space: the first 64 KiB are left out, so that null pointers fault. @bsd #Y VM_MIN_ADDRESS, VM_MAXUSER_ADDRESS */
const VM_MIN = 16 * PAGE;
const VM_MAX = 2 ** 47;

/** How `mmap` maps. Values of sys/mman.h. @bsd #Y MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANON */
export const MapFlag = bitset<"MapFlag">()({
  SHARED: 0x1, //  stores go to the object; one of these two
  PRIVATE: 0x2, // the first store to a page makes a copy
  FIXED: 0x10, //  at `addr`, in place of what is there
  ANON: 0x1000, // zeroes, no object
});
export type MapFlag = Bits<"MapFlag">;

export interface MmapOptions {
  /** Rounded up to pages. */
  readonly length: Bytes;
  readonly prot: Prot;
  readonly flags: MapFlag;
  /** Without ANON: what is mapped, from `offset` on, page aligned. */
  readonly object?: UvmObject;
  readonly offset?: FileOffset;
  /** With FIXED the address, page aligned; else where to look first. */
  readonly addr?: VirtAddr;
  /** Rights that `mprotect` may give later; default: all. */
  readonly maxProt?: Prot;
}

export interface VmspaceOptions {
  readonly pages: UvmPages;
  readonly name: string;
  /** Default: the software table. */
  readonly table?: PageTable;
}

/** @bsd #Y struct vmspace */
export class Vmspace implements AddressSpace, FaultSpace {
  readonly pages: UvmPages;
  readonly map: VmMap;
  readonly pmap: Pmap;
  readonly kernel = false;
  readonly nearby: PageRequest;
  faults: number;
  copies: number;
  /** Why the last fault failed; read it before the caller sleeps. */
  faultReason: FaultReason;
  readonly #space: PmapSpace;
  /** Pages wired for writing, and their frames: a device may write to them unseen. */
  readonly #written: Map<VirtAddr, Frame>;

  constructor(options: VmspaceOptions) {
    const { pages } = options;
    this.pages = pages;
    this.map = new VmMap(VM_MIN, VM_MAX);
    this.pmap = pages.pmaps.create(options.name, options.table);
    this.nearby = new PageRequest(WINDOW_MOST);
    this.faults = 0;
    this.copies = 0;
    this.faultReason = "none";
    this.#space = new PmapSpace(this.pmap, false, pages.pmaps.cpu);
    this.#written = new Map();
  }

  /** Give the space up with all mappings. => nothing is wired, no thread faults in it. @bsd #Y uvmspace_free */
  free(): void {
    this.munmap(VM_MIN, VM_MAX - VM_MIN);
    this.pages.pmaps.destroy(this.pmap);
  }

  // ---- mappings

  /**
   * Map an object, or zeroes. @returns the address.
   * @throws {ErrnoError} EINVAL: lengths, alignment, flags; EACCES: rights that `maxProt` lacks; ENOMEM: no addresses.
   * @bsd #P[no MAP_INHERIT, MAP_TRYFIXED, MAP_STACK, no limits] mmap(2), uvm_mmap
   */
  mmap(options: MmapOptions): VirtAddr {
    const { prot, flags, addr = 0, offset = 0, maxProt = ALL } = options;
    checkMmap(options);
    const length = roundPage(options.length);
    const start = (flags & MapFlag.FIXED) === 0 ? this.#find(length, addr) : addr;
    if ((flags & MapFlag.FIXED) !== 0) this.#removeRange(start, start + length);
    const copyOnWrite = (flags & MapFlag.PRIVATE) !== 0;
    let object = options.object ?? null;
    if (object === null && !copyOnWrite) object = anonObject(this.pages, length);
    object?.pager?.reference();
    object?.pager?.mapped(!copyOnWrite && (maxProt & WRITE) !== 0);
    this.map.insert({
      start,
      end: start + length,
      prot,
      maxProt,
      object,
      offset: object === options.object ? offset : 0,
      copyOnWrite,
      amap: null,
      slot: 0,
      advice: Advice.NORMAL,
    });
    return start;
  }

  /** Unmap the pages of a range; holes are skipped. Pages that are wired stay until they are unwired. @returns OK; EINVAL: no range of pages. @bsd #Y munmap(2), uvm_unmap */
  munmap(va: VirtAddr, length: Bytes): Errno {
    if (!this.isRange(va, length)) return Errno.EINVAL;
    this.#removeRange(va, va + roundPage(length));
    return Errno.OK;
  }

  /** Change the rights of a range. @returns OK; EINVAL: no range of pages, no such rights; ENOMEM: a hole; EACCES: more than `maxProt`. Then nothing changes. @bsd #Y mprotect(2), uvm_map_protect */
  mprotect(va: VirtAddr, length: Bytes, prot: Prot): Errno {
    if (!this.isRange(va, length) || (prot & ALL) !== prot) return Errno.EINVAL;
    const end = va + roundPage(length);
    if (!this.map.covers(va, end)) return Errno.ENOMEM;
    const entries = this.map.clip(va, end);
    const granted = entries.every((entry) => (entry.maxProt & prot) === prot);
    if (granted) {
      for (const entry of entries) entry.prot = prot;
      this.pmap.protect(va, end - va, prot); // what is new comes with faults
    }
    this.map.join(va, end);
    return granted ? Errno.OK : Errno.EACCES;
  }

  /** Whether [`va`, `va + length`) begins at a page and lies in the space. */
  isRange(va: VirtAddr, length: Bytes): boolean {
    const whole = isWhole(va) && isWhole(length) && isAligned(va, PAGE);
    return whole && va >= VM_MIN && va + length <= VM_MAX;
  }

  // ---- access

  copyin(va: VirtAddr, to: Uint8Array, at: number, length: Bytes): Bytes {
    return this.#space.copyin(va, to, at, length);
  }

  copyout(va: VirtAddr, from: Uint8Array, at: number, length: Bytes): Bytes {
    return this.#space.copyout(va, from, at, length);
  }

  copyinFrames(va: VirtAddr, frame: Frame, offset: Bytes, length: Bytes): Bytes {
    return this.#space.copyinFrames(va, frame, offset, length);
  }

  copyoutFrames(va: VirtAddr, frame: Frame, offset: Bytes, length: Bytes): Bytes {
    return this.#space.copyoutFrames(va, frame, offset, length);
  }

  /** Make the page at `va` accessible; it stays so until the caller sleeps. @returns as `fault` of fault.ts. @bsd #Y uvm_fault */
  fault(va: VirtAddr, access: Prot): Sleeps<Errno> {
    return fault(this, truncPage(va), access);
  }

  /** Load bytes as the program does, with faults. @returns OK; else the fault's error, and the bytes before it are there. */
  *read(va: VirtAddr, into: Uint8Array): Sleeps<Errno> {
    let done = this.copyin(va, into, 0, into.length);
    while (done < into.length) {
      const error = yield* this.fault(va + done, READ);
      if (error !== Errno.OK) return error;
      done += this.copyin(va + done, into, done, into.length - done);
    }
    return Errno.OK;
  }

  /** Store bytes as the program does, with faults. @returns as `read`. */
  *write(va: VirtAddr, from: Uint8Array): Sleeps<Errno> {
    let done = this.copyout(va, from, 0, from.length);
    while (done < from.length) {
      const error = yield* this.fault(va + done, WRITE);
      if (error !== Errno.OK) return error;
      done += this.copyout(va + done, from, done, from.length - done);
    }
    return Errno.OK;
  }

  /**
   * As AddressSpace says; sleeps while pages come. A page that the map would copy when it is written to is
   * copied now, so that it need not change while it is wired.
   * @returns OK; EFAULT; ENOMEM; EIO, ENOSPC, … from the object's pager.   @bsd #Y uvm_vslock, uvm_fault_wire
   */
  *wire(va: VirtAddr, length: Bytes, access: Prot): Sleeps<Errno> {
    if (!(isWhole(va) && isWhole(length) && va + length <= VM_MAX)) return Errno.EFAULT;
    const first = truncPage(va);
    for (let at = first; at < va + length; at += PAGE) {
      const error = yield* this.#wirePage(at, access);
      if (error === Errno.OK) continue;
      this.unwire(first, at - first);
      return error;
    }
    return Errno.OK;
  }

  /** As AddressSpace says. Pages that were wired for writing are dirty. @bsd #Y uvm_vsunlock, uvm_fault_unwire */
  unwire(va: VirtAddr, length: Bytes): void {
    const { pages } = this;
    const first = truncPage(va);
    const frames: Frame[] = [];
    for (let at = first; at < va + length; at += PAGE) frames.push(this.pmap.frameAt(at));
    this.#space.unwire(va, length);
    for (const [i, mapped] of frames.entries()) {
      const at = first + i * PAGE;
      if (this.pmap.holds.isHeld(leafOf(at), leafIndex(at))) continue;
      const written = this.#written.get(at) ?? NO_FRAME;
      this.#written.delete(at);
      if (written !== NO_FRAME && pages.isPage(written)) pages.markDirty(written);
      const frame = written === NO_FRAME ? mapped : written;
      if (frame === NO_FRAME || !pages.isPage(frame)) continue;
      if (!pages.objectOf(frame).anonymous) pages.activate(frame);
    }
    pages.supply.reap();
    pages.sched.wakeup(this);
  }

  /** Walk map and pmap, and panic where they disagree. */
  check(): void {
    this.map.check();
    const { pmap } = this;
    for (let more = pmap.next(0, 0); more; more = pmap.next(pmap.foundLeaf, pmap.foundIndex + 1)) {
      const va = leafAddr(pmap.foundLeaf, pmap.foundIndex);
      const entry = this.map.lookup(va);
      const rights = pmap.pteAt(va) & PTE_PROT;
      if (entry === null || (rights & ~entry.prot) !== 0) {
        panic(`${pmap.name}: ${hex(va)} is mapped with rights ${rights}`);
      }
    }
  }

  describeWait(): string {
    return `wired pages of ${this.pmap.name}`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Vmspace(${this.pmap.name}, ${this.map.entries.length} entries, ${this.pmap.residentCount} pages, ${this.faults} faults)`;
  }

  *#wirePage(at: VirtAddr, access: Prot): Sleeps<Errno> {
    for (;;) {
      const entry = this.map.lookup(at);
      const copy = entry?.copyOnWrite === true && (entry.prot & WRITE) !== 0;
      const rights = copy ? access | WRITE : access;
      const error = yield* this.#space.wire(at, PAGE, rights); // does not sleep
      if (error === Errno.OK) {
        const frame = this.pmap.frameAt(at);
        if ((access & WRITE) !== 0) this.#written.set(at, frame);
        this.pages.dequeue(frame);
      }
      if (error !== Errno.EFAULT) return error;
      const failed = yield* fault(this, at, rights === 0 ? READ : rights, true);
      if (failed !== Errno.OK) return failed;
    }
  }

  #find(length: Bytes, hint: VirtAddr): VirtAddr {
    const start = this.map.findSpace(length, truncPage(hint));
    if (start >= 0) return start;
    throw new ErrnoError(Errno.ENOMEM, `mmap of ${length} bytes: no addresses`);
  }

  #removeRange(start: VirtAddr, end: VirtAddr): void {
    if (this.map.isFree(start, end)) return;
    this.pmap.remove(start, end - start);
    for (const entry of this.map.remove(start, end)) dropEntry(entry);
  }
}

/** An entry has left the map: its own pages go, and its references. @bsd #Y uvm_unmap_detach */
function dropEntry(entry: MapEntry): void {
  if (entry.amap !== null) {
    entry.amap.free(entry.slot, (entry.end - entry.start) / PAGE);
    entry.amap.release();
  }
  entry.object?.pager?.detach();
}

/** @throws {ErrnoError} as `mmap`. */
function checkMmap(options: MmapOptions): void {
  const { length, prot, flags, object, addr = 0, offset = 0, maxProt = ALL } = options;
  const refuse = (errno: Errno, why: string): never => {
    throw new ErrnoError(errno, `mmap of ${length} bytes at ${hex(addr)}: ${why}`);
  };
  const { SHARED, PRIVATE, FIXED, ANON } = MapFlag;
  if ((flags & (SHARED | PRIVATE | FIXED | ANON)) !== flags) refuse(Errno.EINVAL, "unknown flags");
  const way = flags & (SHARED | PRIVATE);
  if (way !== SHARED && way !== PRIVATE) refuse(Errno.EINVAL, "SHARED or PRIVATE, one of them");
  if ((prot & ALL) !== prot || (maxProt & ALL) !== maxProt) refuse(Errno.EINVAL, `rights ${prot}`);
  if (!isWhole(length) || length === 0 || length > VM_MAX) refuse(Errno.EINVAL, "no such length");
  if (!isWhole(addr)) refuse(Errno.EINVAL, "no such address");
  if (((flags & ANON) !== 0) === (object !== undefined)) {
    refuse(Errno.EINVAL, "an object or ANON, one of them");
  }
  if (object !== undefined && object.pager === null)
    refuse(Errno.EINVAL, "an object without a pager");
  if (!isWhole(offset) || !isAligned(offset, PAGE) || offset + length > OFF_MAX) {
    refuse(Errno.EINVAL, `offset ${offset}`);
  }
  if ((flags & FIXED) !== 0) {
    const inside = addr >= VM_MIN && addr + roundPage(length) <= VM_MAX;
    if (!inside || !isAligned(addr, PAGE)) refuse(Errno.EINVAL, "no address for FIXED");
  }
  if ((prot & ~maxProt) !== 0) refuse(Errno.EACCES, `rights ${prot} of ${maxProt}`);
}
