/**
 * Bounce zones: pools of pages that a limited device can reach.
 *
 * A zone serves all tags whose alignment it satisfies and whose lowaddr is not below its own. Its
 * pages are rows of columns, linked by number: the free ones in the zone's FIFO, the used ones in
 * their map's list. Follows struct bounce_zone and struct bounce_page of subr_busdma_bounce.c.
 *
 * Invariant (`check`): free + reserved + active = total; the free list holds free + reserved pages.
 */

import type { DmaMap } from "@physio/busdma";
import type { BusAddr, Bytes, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { hex, panic, Stailq } from "@physio/kern";

const NIL = -1;
const FIRST_ROWS = 64;

/** A list of bounce pages, by row. */
export class PageList {
  head: number;
  tail: number;
  count: number;

  constructor() {
    this.head = NIL;
    this.tail = NIL;
    this.count = 0;
  }
}

/** @bsd #Y struct bounce_zone */
export class BounceZone {
  readonly name: string;
  /** Highest address that its pages have, and their alignment. */
  readonly lowAddr: BusAddr;
  readonly alignment: Bytes;
  /** The memory domain that its pages prefer, or ANY_DOMAIN. */
  readonly domain: number;
  /** Pages: all, in nobody's hands, promised to a map, attached to a map. */
  total: number;
  free: number;
  reserved: number;
  active: number;
  /** Syncs that copied, loads that were deferred, and for how long together (ns). */
  totalBounced: number;
  totalDeferred: number;
  deferredTime: number;
  /** Maps of all tags that use the zone. */
  mapCount: number;
  /** Pages copied in either direction, and the most that were in use at once. */
  pagesCopied: number;
  highWater: number;
  readonly freeList: PageList;
  readonly waiting: Stailq<DmaMap>;
  /** Columns of the pages: link, where a page is, and the client data behind a page in use. */
  next: Int32Array;
  busAddr: Float64Array;
  pageFrame: Int32Array;
  /** Kernel address of the data, or −1: then the frames say where they are. */
  dataVa: Float64Array;
  dataFrame: Int32Array;
  dataFrame2: Int32Array;
  dataOffset: Int32Array;
  dataCount: Int32Array;

  constructor(name: string, lowAddr: BusAddr, alignment: Bytes, domain: number) {
    this.name = name;
    this.lowAddr = lowAddr;
    this.alignment = alignment;
    this.domain = domain;
    this.total = 0;
    this.free = 0;
    this.reserved = 0;
    this.active = 0;
    this.totalBounced = 0;
    this.totalDeferred = 0;
    this.deferredTime = 0;
    this.mapCount = 0;
    this.pagesCopied = 0;
    this.highWater = 0;
    this.freeList = new PageList();
    this.waiting = new Stailq<DmaMap>();
    this.next = new Int32Array(FIRST_ROWS);
    this.busAddr = new Float64Array(FIRST_ROWS);
    this.pageFrame = new Int32Array(FIRST_ROWS);
    this.dataVa = new Float64Array(FIRST_ROWS);
    this.dataFrame = new Int32Array(FIRST_ROWS);
    this.dataFrame2 = new Int32Array(FIRST_ROWS);
    this.dataOffset = new Int32Array(FIRST_ROWS);
    this.dataCount = new Int32Array(FIRST_ROWS);
  }

  /** One more page, free: `frame`, which begins at `pa`. */
  addPage(pa: PhysAddr, frame: Frame): void {
    const row = this.total;
    if (row === this.next.length) this.#grow(row * 2);
    this.busAddr[row] = pa as number;
    this.pageFrame[row] = frame;
    this.total++;
    this.free++;
    this.#append(this.freeList, row);
  }

  /** Attach the first free page to `list` for `count` bytes of client data. => a page is reserved for it. @returns its row. */
  attach(
    list: PageList,
    va: VirtAddr,
    frame: Frame,
    frame2: Frame,
    offset: Bytes,
    count: Bytes,
  ): number {
    const row = this.freeList.head;
    if (row === NIL) panic(`bounce ${this.name}: no free page, ${this.reserved} reserved`);
    this.freeList.head = this.next[row];
    if (this.freeList.head === NIL) this.freeList.tail = NIL;
    this.freeList.count--;
    this.reserved--;
    this.active++;
    if (this.active > this.highWater) this.highWater = this.active;
    this.dataVa[row] = va;
    this.dataFrame[row] = frame;
    this.dataFrame2[row] = frame2;
    this.dataOffset[row] = offset;
    this.dataCount[row] = count;
    this.#append(list, row);
    return row;
  }

  /** Put all pages of `list` at the end of the free list, in their order. */
  detachAll(list: PageList): void {
    if (list.count === 0) return;
    if (this.freeList.tail === NIL) this.freeList.head = list.head;
    else this.next[this.freeList.tail] = list.head;
    this.freeList.tail = list.tail;
    this.freeList.count += list.count;
    this.active -= list.count;
    this.free += list.count;
    list.head = NIL;
    list.tail = NIL;
    list.count = 0;
  }

  /** Panic on a broken invariant. */
  check(): void {
    const { total, free, reserved, active } = this;
    let listed = 0;
    for (let row = this.freeList.head; row !== NIL; row = this.next[row]) listed++;
    const sums = free + reserved + active === total && listed === free + reserved;
    if (!sums || Math.min(free, reserved, active) < 0 || listed !== this.freeList.count) {
      panic(
        `bounce ${this.name}: total ${total} = free ${free} + reserved ${reserved} + active ${active}, ${listed} listed`,
      );
    }
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const { name, total, free, reserved, active, waiting } = this;
    return (
      `BounceZone(${name} up to ${hex(this.lowAddr)}: ${total} pages, ${free} free, ${reserved} reserved, ` +
      `${active} active, ${waiting.length} maps wait)`
    );
  }

  #append(list: PageList, row: number): void {
    this.next[row] = NIL;
    if (list.tail === NIL) list.head = row;
    else this.next[list.tail] = row;
    list.tail = row;
    list.count++;
  }

  #grow(rows: number): void {
    const doubles = (old: Float64Array) => {
      const grown = new Float64Array(rows);
      grown.set(old);
      return grown;
    };
    const ints = (old: Int32Array) => {
      const grown = new Int32Array(rows);
      grown.set(old);
      return grown;
    };
    this.next = ints(this.next);
    this.busAddr = doubles(this.busAddr);
    this.pageFrame = ints(this.pageFrame);
    this.dataVa = doubles(this.dataVa);
    this.dataFrame = ints(this.dataFrame);
    this.dataFrame2 = ints(this.dataFrame2);
    this.dataOffset = ints(this.dataOffset);
    this.dataCount = ints(this.dataCount);
  }
}
