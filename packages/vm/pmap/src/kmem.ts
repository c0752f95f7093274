/**
 * Kernel memory: virtual ranges of the kernel map with frames behind them.
 *
 * `alloc` serves sizes up to half a page from zones, and others with scattered frames of their own;
 * `allocContig` gives frames in a row under the constraints of a device. All of it comes zeroed and
 * stays where it is. `allocWait` sleeps where `alloc` fails. Follows malloc(9), kva_alloc(9) and
 * contigmalloc(9).
 *
 * Invariant (`check`): every page of a range has its own frame; `free` gives all of them back.
 */
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import {
  alignDown,
  Errno,
  ErrnoError,
  GiB,
  hex,
  isWhole,
  NO_FRAME,
  PAGE_SIZE,
  pageOf,
  panic,
  roundPage,
  TiB,
} from "@physio/kern";
import { CpuPort } from "@physio/membus";
import type { ContigLimits, PhysMem } from "@physio/physmem";
import { ROW_MASK } from "@physio/physmem";
import type { Scheduler, Sleeps } from "@physio/sched";
import { Arena } from "@physio/vmem";
import { copyinAll, copyoutAll, PmapSpace } from "./address-space.ts";
import { checkFreeable } from "./freeable.ts";
import { LEAF_PAGES, leafIndex, leafOf } from "./page-table.ts";
import type { Pmap } from "./pmap.ts";
import { clearBits, Pmaps } from "./pmaps.ts";
import { Prot, Pte } from "./prot.ts";
import type { SlabSource, ZoneOptions } from "./zone.ts";
import { Slab, Zone } from "./zone.ts";

// This module's own names: the compiler folds them.
const PAGE = PAGE_SIZE;
const LEAF_SHIFT = 9;
const IN_LEAF = LEAF_PAGES - 1;
/** Where the kernel's virtual addresses begin, and how many there are. */
const KVA_BASE = TiB;
const KVA_SIZE = 512 * GiB;
/** Ranges up to here come from the arena's caches. */
const KVA_CACHED = 16 * PAGE;
const RIGHTS = Prot.READ | Prot.WRITE;
const ENTRY = RIGHTS | Pte.WIRED;
/** Sizes of `alloc` that zones serve: powers of 2 up to half a page. */
const SMALLEST = 16;
const LARGEST = PAGE / 2;

export interface KmemOptions {
  /** How the CPU reaches memory; default: the port whose cache the memory has, else a coherent one. */
  readonly cpu?: CpuPort;
  /** For `allocWait`. */
  readonly sched?: Scheduler;
}

export class Kmem implements SlabSource {
  readonly mem: PhysMem;
  readonly cpu: CpuPort;
  readonly pmaps: Pmaps;
  readonly pmap: Pmap;
  readonly space: PmapSpace;
  /** Kernel virtual addresses. */
  readonly arena: Arena;
  /** All zones, in the order in which they were made. */
  readonly zones: Zone[];
  /** Times that `allocWait` slept. */
  waits: number;
  /** By power of 2: the zone of sizes up to it. */
  readonly #buckets: Zone[];
  /** Address of what is freed, or was allocated: in a column, where no call boxes it (see zone.ts). */
  readonly #at: Float64Array;
  readonly #slabs: (Slab | null)[];
  readonly #spareSlabs: number[];
  readonly #sched: Scheduler | null;
  #waiting: number;
  /** Bytes that those who wait asked for, the sum. */
  #wanted: Bytes;
  /** An allocation that failed gives back what it had: no news for those who wait. */
  #givingUp: boolean;

  /** @throws {ErrnoError} EBUSY: this memory has a Kmem, or Pmaps, already. */
  constructor(mem: PhysMem, options: KmemOptions = {}) {
    this.mem = mem;
    this.cpu = options.cpu ?? portOf(mem);
    this.pmaps = new Pmaps(mem, this.cpu);
    this.pmap = this.pmaps.kernel;
    this.space = new PmapSpace(this.pmap, true, this.cpu);
    this.arena = new Arena("kva", PAGE, { quantumCacheMax: KVA_CACHED });
    this.arena.add(KVA_BASE, KVA_SIZE);
    this.zones = [];
    this.waits = 0;
    this.#buckets = [];
    this.#at = new Float64Array(1);
    this.#slabs = [];
    this.#spareSlabs = [];
    this.#sched = options.sched ?? null;
    this.#waiting = 0;
    this.#wanted = 0;
    this.#givingUp = false;
    for (let size = SMALLEST; size <= LARGEST; size *= 2) {
      this.#buckets.push(this.zone(`kmem-${size}`, size, { align: size, zero: true }));
    }
    this.arena.onFree(() => this.#wake());
    mem.pressure.onReclaim(() => this.reclaim());
    mem.pressure.onRelief(() => this.#wake());
  }

  /**
   * Zeroed memory of at least `size` bytes. Up to half a page it is aligned to the power of 2 that
   * holds it and lies in one page; above, it is whole pages.
   * @throws {ErrnoError} ENOMEM: no frames, or no addresses; EINVAL: a size of 0 or less.   @bsd #Y malloc(9), kmem_malloc
   */
  alloc(size: Bytes): VirtAddr {
    this.allocHere(size);
    return this.#at[0];
  }

  /** The same. @returns −1 instead of ENOMEM. @throws {ErrnoError} EINVAL. */
  tryAlloc(size: Bytes): VirtAddr {
    this.tryHere(size);
    return this.#at[0];
  }

  /**
   * The same, asleep until there are frames and addresses.
   * @throws {ErrnoError} ENOMEM: the machine is too small, waiting would not help; EINVAL.   @bsd #Y malloc(9) M_WAITOK
   */
  *allocWait(size: Bytes): Sleeps<VirtAddr> {
    let va = this.tryAlloc(size);
    while (va < 0) {
      yield* this.#wait(size, this.mem.totalFrames * PAGE);
      va = this.tryAlloc(size);
    }
    return va;
  }

  /** Kernel addresses with nothing behind them, for the caller's own mappings. @returns −1: none are free. @bsd #Y kva_alloc, UVM_KMF_VAONLY */
  kvaAlloc(size: Bytes): VirtAddr {
    return this.arena.alloc(roundPage(size));
  }

  /** The same, asleep until there are some. @throws {ErrnoError} ENOMEM: there never are so many. @bsd #Y UVM_KMF_WAITVA */
  *kvaWait(size: Bytes): Sleeps<VirtAddr> {
    let va = this.kvaAlloc(size);
    while (va < 0) {
      yield* this.#wait(size, KVA_SIZE);
      va = this.kvaAlloc(size);
    }
    return va;
  }

  /** Give addresses from `kvaAlloc` or `kvaWait` back. => nothing is mapped there any more, else panic before anything is undone. @bsd #Y kva_free */
  kvaFree(va: VirtAddr, size: Bytes): void {
    if (this.pmap.hasMappings(va, roundPage(size))) {
      panic(`kmem: kvaFree of ${hex(va)}+${size}, where something is mapped`);
    }
    this.arena.free(va, roundPage(size));
  }

  /**
   * Zeroed memory in frames that lie in a row under `limits`: whole pages.
   * @returns its virtual address, or −1 when no such frames, or no addresses, are free.
   * @throws {ErrnoError} EINVAL: see PhysMem.allocContig.
   * @bsd #Y contigmalloc(9), kmem_alloc_contig
   */
  allocContig(size: Bytes, limits: Partial<ContigLimits>): VirtAddr {
    const length = roundPage(size);
    const pages = length / PAGE;
    const first = this.mem.allocContig(pages, limits);
    if (first === NO_FRAME) return -1;
    const va = this.arena.alloc(length);
    if (va < 0) {
      this.mem.freeFrame(first, pages);
      return -1;
    }
    for (let i = 0; i < pages; i++) this.#map(pageOf(va) + i, first + i);
    return va;
  }

  /** Give back memory from any of these. => `size` is what was asked for. Panics on anything else, and on pages that are wired or mapped elsewhere, before anything is undone. @bsd #Y free(9), kmem_free */
  free(va: VirtAddr, size: Bytes): void {
    this.#at[0] = va;
    this.freeHere(size);
  }

  /** A zone of items of one size, up to a page. @throws {ErrnoError} EINVAL. @bsd #Y uma_zcreate */
  zone(name: string, itemSize: Bytes, options: ZoneOptions = {}): Zone {
    const zone = new Zone(this, name, itemSize, options);
    this.zones.push(zone);
    return zone;
  }

  /** Give back pages that zones hold in reserve. @returns how many. @bsd #Y uma_reclaim */
  reclaim(): number {
    let pages = 0;
    for (let i = 0; i < this.zones.length; i++) pages += this.zones[i].reclaim();
    return pages;
  }

  /** Copy bytes into kernel memory. @throws {ErrnoError} EFAULT: not mapped. */
  write(va: VirtAddr, from: Uint8Array): void {
    if (copyoutAll(this.space, va, from) !== Errno.OK) {
      throw new ErrnoError(Errno.EFAULT, `kmem: write of ${from.length} bytes at ${hex(va)}`);
    }
  }

  /** Copy bytes out of kernel memory. @throws {ErrnoError} EFAULT: not mapped. */
  read(va: VirtAddr, to: Uint8Array): void {
    if (copyinAll(this.space, va, to) !== Errno.OK) {
      throw new ErrnoError(Errno.EFAULT, `kmem: read of ${to.length} bytes at ${hex(va)}`);
    }
  }

  /** For the scheduler's reports: what is wanted, and what there is. */
  describeWait(): string {
    const { freeFrames, totalFrames } = this.mem;
    const wanted = `${this.#wanted} bytes of kernel memory, wanted by ${this.#waiting}`;
    const free = `${freeFrames} of ${totalFrames} frames and ${this.arena.freeSize} bytes of addresses are free`;
    return `${wanted}; ${free}`;
  }

  /** Walk zones, addresses and mappings, and panic on a broken invariant. */
  check(): void {
    for (const zone of this.zones) zone.check();
    this.arena.check();
    this.pmaps.check();
  }

  // ---- for `alloc`, `tryAlloc` and `free`, which are small so that they are always inlined (see zone.ts)

  /** Allocate into `#at`, or throw ENOMEM. */
  allocHere(size: Bytes): void {
    this.tryHere(size);
    if (this.#at[0] < 0) throw new ErrnoError(Errno.ENOMEM, `kmem: no memory for ${size} bytes`);
  }

  /** Allocate into `#at`; −1: ENOMEM. */
  tryHere(size: Bytes): void {
    if (!(isWhole(size) && size > 0)) {
      throw new ErrnoError(Errno.EINVAL, `kmem: allocation of ${size} bytes`);
    }
    if (size <= LARGEST) {
      this.#at[0] = this.#buckets[bucketOf(size)].alloc();
      return;
    }
    const page = this.#takePages(roundPage(size) / PAGE);
    this.#at[0] = page < 0 ? -1 : page * PAGE;
  }

  /** Free what is at `#at`. */
  freeHere(size: Bytes): void {
    const va = this.#at[0];
    const slab = this.slabAt(leafOf(va), leafIndex(va));
    if (slab === null) this.#freePages(size);
    else {
      if (!(size > 0 && size <= LARGEST && this.#buckets[bucketOf(size)] === slab.zone)) {
        panic(`kmem: free of ${hex(va)} with size ${size}, allocated ${slab.zone.itemSize}`);
      }
      slab.zone.freeAt(slab, va - slab.va);
    }
  }

  // ---- for zones

  makeSlab(zone: Zone): Slab | null {
    const va = this.arena.alloc(PAGE);
    if (va < 0) return null;
    const frame = this.mem.allocFrame();
    if (frame === NO_FRAME) {
      this.#giveUp(pageOf(va), 0, 1);
      return null;
    }
    this.pmap.kenter(va, frame, RIGHTS);
    const slab = new Slab(zone, va, frame);
    const id = this.#spareSlabs.pop() ?? this.#slabs.length;
    this.#slabs[id] = slab;
    this.mem.section(frame).index[frame & ROW_MASK] = id + 1;
    return slab;
  }

  dropSlab(slab: Slab): void {
    const { index } = this.mem.section(slab.frame);
    const id = index[slab.frame & ROW_MASK] - 1;
    index[slab.frame & ROW_MASK] = 0;
    this.#slabs[id] = null;
    this.#spareSlabs.push(id);
    this.#unmap(pageOf(slab.va), 1);
    this.arena.free(slab.va, PAGE);
  }

  itemFreed(): void {
    this.#wake();
  }

  /** The slab that holds `va`, or null. */
  slabOf(va: VirtAddr): Slab | null {
    return this.slabAt(leafOf(va), leafIndex(va));
  }

  /** A kernel frame's `index` column holds its slab's number, or 0. */
  slabAt(leaf: number, index: number): Slab | null {
    const frames = this.pmap.leaf(leaf);
    const frame = frames === null ? NO_FRAME : frames[index];
    if (frame === NO_FRAME) return null;
    const id = this.mem.section(frame).index[frame & ROW_MASK] | 0; // a column of doubles: as such it is boxed
    const slab = id > 0 && id <= this.#slabs.length ? this.#slabs[id - 1] : null;
    return slab !== null && slab.frame === frame ? slab : null;
  }

  zero(slab: Slab, offset: Bytes, length: Bytes): void {
    this.cpu.zeroFrame(slab.frame, offset, length);
  }

  // ---- pages: by number, which is below 2^31 in the kernel's range

  /** `pages` pages with frames. @returns the number of the first, or −1. */
  #takePages(pages: number): number {
    const first = this.#takeRange(pages);
    if (first < 0) return -1;
    for (let i = 0; i < pages; i++) {
      const frame = this.mem.allocFrame();
      if (frame === NO_FRAME) {
        this.#giveUp(first, i, pages);
        return -1;
      }
      this.#map(first + i, frame);
    }
    return first;
  }

  /** Addresses alone; this and `#giveRange` stand apart so that loops do not use up their allowance for inlining. */
  #takeRange(pages: number): number {
    const va = this.arena.alloc(pages * PAGE);
    return va < 0 ? -1 : pageOf(va);
  }

  #freePages(size: Bytes): void {
    const first = pageOf(this.#at[0]);
    const pages = roundPage(size) / PAGE;
    checkFreeable(this.pmap, this.pmaps.pv, first, pages);
    this.#giveRange(size); // panics before anything is undone when the size is wrong
    this.#unmap(first, pages);
  }

  #giveRange(size: Bytes): void {
    const va = this.#at[0];
    if (alignDown(va, PAGE) !== va) panic(`kmem: free of ${hex(va)}`);
    this.arena.free(va, roundPage(size));
  }

  #map(page: number, frame: Frame): void {
    this.pmaps.zeroPage(frame);
    clearBits(this.mem, frame);
    this.mem.section(frame).index[frame & ROW_MASK] = 0;
    this.pmap.enterPage(page >> LEAF_SHIFT, page & IN_LEAF, frame, ENTRY);
  }

  /**
   * Unmap a range and free its frames: all mappings go first, as whoever hears of a free frame may
   * allocate these addresses. The frames wait in a chain through their `next` column.
   */
  #unmap(first: number, pages: number): void {
    let chain = NO_FRAME;
    for (let page = first + pages - 1; page >= first; page--) {
      const frame = this.pmap.removePage(page >> LEAF_SHIFT, page & IN_LEAF);
      if (frame === NO_FRAME) panic(`kmem: ${hex(page * PAGE)} is not mapped`);
      this.mem.section(frame).next[frame & ROW_MASK] = chain;
      chain = frame;
    }
    while (chain !== NO_FRAME) {
      const frame = chain;
      chain = this.mem.section(frame).next[frame & ROW_MASK];
      this.mem.freeFrame(frame);
    }
  }

  /**
   * Undo an allocation of `pages` pages of which `mapped` had frames. Two who wait for more than
   * there is would wake each other without end, so nobody is told, and the wait goes on.
   */
  #giveUp(first: number, mapped: number, pages: number): void {
    this.#givingUp = true;
    this.#unmap(first, mapped);
    this.arena.free(first * PAGE, pages * PAGE);
    this.#givingUp = false;
    if (this.#waiting > 0) this.mem.pressure.expect();
  }

  /** Sleep until something is given back. */
  *#wait(size: Bytes, most: Bytes): Sleeps<void> {
    const sched = this.#sched;
    if (sched === null) panic("kmem: nobody to sleep with: no scheduler was given");
    if (roundPage(size) > Math.min(most, KVA_SIZE)) {
      throw new ErrnoError(Errno.ENOMEM, `kmem: ${size} bytes never fit`);
    }
    this.waits++;
    this.#waiting++;
    this.#wanted += size;
    this.mem.pressure.expect();
    yield* sched.sleep(this, "kmem");
    this.#waiting--;
    this.#wanted -= size;
  }

  #wake(): void {
    if (this.#waiting > 0 && !this.#givingUp) this.#sched?.wakeup(this);
  }
}

/** Which bucket serves `size`, at most half a page. */
function bucketOf(size: Bytes): number {
  return size <= SMALLEST ? 0 : 28 - Math.clz32(size - 1);
}

/** The CPU's port of a machine: past its cache would be past what the CPU stored. */
function portOf(mem: PhysMem): CpuPort {
  return mem.cachedBy instanceof CpuPort ? mem.cachedBy : new CpuPort(mem, null);
}
