/**
 * Zones: kernel memory in items of one size.
 *
 * A zone cuts pages into items and keeps the free ones of each page (a slab) as a linked list in a
 * column. Slabs with free items hang on a list; one slab that is wholly free is kept, others go back
 * at once. No item crosses a page, so each is one run of physical memory. Follows zone(9) and the
 * small sizes of malloc(9).
 *
 * Invariant (`check`): used + free items = items of all slabs; a slab is on the list exactly if it
 * has a free item.
 */
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import { Errno, ErrnoError, hex, isPowerOf2, isWhole, PAGE_SIZE, panic } from "@physio/kern";
import { leafIndex, leafOf } from "./page-table.ts";

const END = -1;
/** Link of an item that is in use. */
const USED = -2;

/** One page of items. */
export class Slab {
  readonly zone: Zone;
  readonly va: VirtAddr;
  readonly frame: Frame;
  /** By item: the next free one, END, or USED. */
  readonly links: Int16Array;
  head: number;
  free: number;
  /** Neighbours on the zone's list of slabs with free items. */
  next: Slab | null;
  prev: Slab | null;

  constructor(zone: Zone, va: VirtAddr, frame: Frame) {
    this.zone = zone;
    this.va = va;
    this.frame = frame;
    this.links = new Int16Array(zone.perSlab);
    for (let i = 0; i < zone.perSlab; i++) this.links[i] = i + 1 < zone.perSlab ? i + 1 : END;
    this.head = 0;
    this.free = zone.perSlab;
    this.next = null;
    this.prev = null;
  }
}

/** Where a zone has its pages from: kernel memory. */
export interface SlabSource {
  /** A mapped page as slab of `zone`, or null when memory or addresses are short. */
  makeSlab(zone: Zone): Slab | null;
  /** => no item of it is in use. */
  dropSlab(slab: Slab): void;
  /** An item came back: whoever waits for memory may look again. */
  itemFreed(): void;
  /** The slab on page `index` of a leaf of the addresses, or null. */
  slabAt(leaf: number, index: number): Slab | null;
  /** Zero an item. => it lies in one page. */
  zero(slab: Slab, offset: Bytes, length: Bytes): void;
}

export interface ZoneOptions {
  /** Alignment of every item, a power of 2 up to the page; default 8. */
  readonly align?: Bytes;
  /** Whether items come zeroed; default false: their bytes are whatever they were. */
  readonly zero?: boolean;
}

export class Zone {
  readonly name: string;
  /** Bytes asked for, and bytes that an item takes. */
  readonly itemSize: Bytes;
  readonly stride: Bytes;
  readonly perSlab: number;
  /** Items in use, and allocations since boot. */
  used: number;
  requests: number;
  failures: number;
  slabs: number;
  readonly #source: SlabSource;
  readonly #zero: boolean;
  /** Slabs with free items. */
  #partial: Slab | null;
  /** Wholly free slabs among them: at most one stays. */
  #empty: number;
  /** Address of the item that is freed, or was allocated: in a column, where no call boxes it. */
  readonly #item: Float64Array;

  /** @throws {ErrnoError} EINVAL: an item that is empty or larger than a page, a bad alignment. */
  constructor(source: SlabSource, name: string, itemSize: Bytes, options: ZoneOptions = {}) {
    const align = options.align ?? 8;
    const sane = isWhole(itemSize) && itemSize > 0 && itemSize <= PAGE_SIZE;
    if (!sane || !isPowerOf2(align) || align > PAGE_SIZE) {
      throw new ErrnoError(
        Errno.EINVAL,
        `zone ${name}: items of ${itemSize} bytes, alignment ${align}`,
      );
    }
    this.name = name;
    this.itemSize = itemSize;
    this.stride = Math.ceil(itemSize / align) * align;
    this.perSlab = Math.floor(PAGE_SIZE / this.stride);
    this.used = 0;
    this.requests = 0;
    this.failures = 0;
    this.slabs = 0;
    this.#source = source;
    this.#zero = options.zero ?? false;
    this.#partial = null;
    this.#empty = 0;
    this.#item = new Float64Array(1);
  }

  // A number above 2^31 that crosses a call is boxed: 16 bytes. A function of 27 bytes of bytecode is
  // always inlined, others are as long as the caller's allowance lasts (alloc and free: 16 bytes an
  // item). So these two do nothing but move the address from or to the column.

  /** An item. @returns its address, or −1 when memory is short. @bsd #Y uma_zalloc */
  alloc(): VirtAddr {
    this.#take();
    return this.#item[0];
  }

  /** Give an item back. Panics on an address that is not an item in use of this zone. @bsd #Y uma_zfree */
  free(va: VirtAddr): void {
    this.#item[0] = va;
    this.freeItem();
  }

  /** Give back the slab that is kept in reserve. @returns pages given back. @bsd #Y uma_reclaim */
  reclaim(): number {
    let dropped = 0;
    for (let slab = this.#partial; slab !== null; ) {
      const next = slab.next;
      if (slab.free === this.perSlab) {
        this.#drop(slab);
        dropped++;
      }
      slab = next;
    }
    return dropped;
  }

  // ---- for `free` and the source

  /** Free the item at `#item`. */
  freeItem(): void {
    const va = this.#item[0];
    const slab = this.#source.slabAt(leafOf(va), leafIndex(va));
    if (slab === null || slab.zone !== this) {
      panic(`zone ${this.name}: free of ${hex(va)}, not its own`);
    }
    this.freeAt(slab, va - slab.va);
  }

  /** `free` of what begins `offset` bytes into a slab. => the slab is this zone's. */
  freeAt(slab: Slab, offset: Bytes): void {
    const item = offset / this.stride;
    if (!(Number.isInteger(item) && slab.links[item] === USED)) {
      panic(`zone ${this.name}: free of ${hex(slab.va + offset)}, which is not an item in use`);
    }
    if (slab.free === 0) this.#link(slab);
    slab.links[item] = slab.head;
    slab.head = item;
    slab.free++;
    this.used--;
    if (slab.free === this.perSlab) {
      this.#empty++;
      if (this.#empty > 1) this.#drop(slab);
    }
    this.#source.itemFreed();
  }

  /** Panic when counts and lists disagree. */
  check(): void {
    let [free, empty, listed] = [0, 0, 0];
    let before: Slab | null = null;
    for (let slab = this.#partial; slab !== null; slab = slab.next) {
      let links = 0;
      for (let i = slab.head; i >= 0 && links <= this.perSlab; i = slab.links[i]) links++;
      if (slab.prev !== before || ++listed > this.slabs) {
        panic(`zone ${this.name}: the list of slabs is broken at ${hex(slab.va)}`);
      }
      before = slab;
      if (links !== slab.free || slab.free === 0) {
        panic(
          `zone ${this.name}: slab ${hex(slab.va)} has ${links} free items, counted ${slab.free}`,
        );
      }
      free += slab.free;
      if (slab.free === this.perSlab) empty++;
    }
    if (free + this.used !== this.slabs * this.perSlab || empty !== this.#empty) {
      panic(`zone ${this.name}: ${free} free + ${this.used} used of ${this.slabs} slabs`);
    }
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Zone(${this.name}, ${this.itemSize} bytes, ${this.used} used, ${this.slabs} slabs)`;
  }

  /** Allocate into `#item`. */
  #take(): void {
    const slab = this.#partial ?? this.#grow();
    if (slab === null) {
      this.failures++;
      this.#item[0] = -1;
      return;
    }
    const item = slab.head;
    if (slab.free === this.perSlab) this.#empty--;
    slab.head = slab.links[item];
    slab.links[item] = USED;
    slab.free--;
    if (slab.free === 0) this.#unlink(slab);
    this.used++;
    this.requests++;
    if (this.#zero) this.#source.zero(slab, item * this.stride, this.stride);
    this.#item[0] = slab.va + item * this.stride;
  }

  #grow(): Slab | null {
    const slab = this.#source.makeSlab(this);
    if (slab === null) return null;
    this.slabs++;
    this.#empty++;
    this.#link(slab);
    return slab;
  }

  #drop(slab: Slab): void {
    this.#unlink(slab);
    this.slabs--;
    this.#empty--;
    this.#source.dropSlab(slab);
  }

  #link(slab: Slab): void {
    slab.prev = null;
    slab.next = this.#partial;
    if (this.#partial !== null) this.#partial.prev = slab;
    this.#partial = slab;
  }

  #unlink(slab: Slab): void {
    if (slab.prev === null) this.#partial = slab.next;
    else slab.prev.next = slab.next;
    if (slab.next !== null) slab.next.prev = slab.prev;
    slab.next = null;
    slab.prev = null;
  }
}
