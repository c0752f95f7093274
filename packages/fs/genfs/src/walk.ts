/**
 * How write-back goes over the pages of an object: in the order in which they came, or by offset.
 *
 * A walk stands on a page, or has ended. While its user sleeps others add and free pages; the walk
 * keeps its place by `hold` … `resume`. `ListWalk` is the original's walk over memq with its two markers;
 * `OffsetWalk` goes up page by page, from one resident page to the next, or from one dirty page to the
 * next. Both pass over pages that somebody else is freeing, and say so: the object was not clean.
 */
import type { FileOffset, Frame } from "@physio/kern";
import { NO_FRAME, PAGE_SIZE } from "@physio/kern";
import type { UvmObject, UvmPages } from "@physio/uvm";
import { OrderEntry, PageTag, Pg } from "@physio/uvm";

const GOING = Pg.RELEASED | Pg.PAGEOUT;

export interface PageWalk {
  /** A page was passed over that is being freed or paged out. */
  sawGoing: boolean;
  /** The page that the walk stands on, or NO_FRAME: it has ended. */
  here(): Frame;
  /** Keep this place while others run; then stand on what is there. */
  hold(): void;
  resume(): void;
  /** The user takes `frames[0 … count)` in hand, a run of which `back` pages lie before the one here. */
  takeCluster(frames: Int32Array, count: number, back: number): void;
  /** Keep the place behind the cluster while it is written. */
  holdBehind(): void;
  resumeBehind(): void;
  /** The page here is going to be freed. */
  leave(): void;
  /** Go on behind the cluster. */
  pass(): void;
  /** Take the markers away. */
  end(): void;
}

/** The range of a walk. */
export interface WalkRange {
  readonly uvm: UvmPages;
  readonly object: UvmObject;
  readonly lo: FileOffset;
  readonly hi: FileOffset;
}

/** Over the list of pages, up to the one that was the last when the walk began. => the object is ordered. */
export class ListWalk implements PageWalk {
  sawGoing: boolean;
  readonly #range: WalkRange;
  readonly #end: OrderEntry;
  readonly #place: OrderEntry;
  #at: OrderEntry | null;
  /** Where to go on when the page here is freed. */
  #after: OrderEntry | null;

  constructor(range: WalkRange) {
    const { list } = range.object.order!;
    this.sawGoing = false;
    this.#range = range;
    this.#end = new OrderEntry(-1);
    this.#place = new OrderEntry(-1);
    this.#after = null;
    list.insertTail(this.#end);
    this.#at = list.first;
  }

  here(): Frame {
    const { uvm, object, lo, hi } = this.#range;
    for (; this.#at !== null && this.#at !== this.#end; this.#at = this.#at.next) {
      const { index } = this.#at;
      if (index < 0) continue; // another walk's marker
      const frame = object.lookup(index);
      const going = (uvm.flags(frame) & GOING) !== 0;
      if (going) this.sawGoing = true;
      const offset = index * PAGE_SIZE;
      if (!going && offset >= lo && offset < hi) return frame;
    }
    return NO_FRAME;
  }

  hold(): void {
    this.#range.object.order!.list.insertBefore(this.#at, this.#place);
  }

  resume(): void {
    this.#at = this.#place.next;
    this.#range.object.order!.list.remove(this.#place);
  }

  takeCluster(frames: Int32Array, count: number): void {
    const { uvm } = this.#range;
    for (let i = 0; i < count; i++) {
      const next = this.#at!.next;
      if (next !== null && next.index === uvm.indexOf(frames[i])) this.#at = next;
    }
  }

  holdBehind(): void {
    this.#range.object.order!.list.insertBefore(this.#at!.next, this.#place);
  }

  resumeBehind(): void {
    this.resume();
    this.#after = this.#at; // `pass` goes there
  }

  leave(): void {
    this.#after = this.#at!.next;
  }

  pass(): void {
    this.#at = this.#after ?? this.#at!.next;
    this.#after = null;
  }

  end(): void {
    this.#range.object.order!.list.remove(this.#end);
  }
}

/** Which pages an OffsetWalk stops at. */
export type Stops = "each" | "resident" | "dirty";

/** Up the offsets of the range. */
export class OffsetWalk implements PageWalk {
  sawGoing: boolean;
  readonly #range: WalkRange;
  readonly #stops: Stops;
  #index: number;
  readonly #last: number;
  /** Pages to go on by. */
  #step: number;

  constructor(range: WalkRange, stops: Stops) {
    this.sawGoing = false;
    this.#range = range;
    this.#stops = stops;
    this.#index = range.lo / PAGE_SIZE;
    this.#last = range.hi / PAGE_SIZE;
    this.#step = 1;
  }

  here(): Frame {
    const { uvm, object } = this.#range;
    for (; this.#index < this.#last; this.#index++) {
      const index = this.#next();
      if (index < 0) break;
      this.#index = index;
      const frame = object.lookup(index);
      if (frame === NO_FRAME) continue;
      if ((uvm.flags(frame) & GOING) === 0) return frame;
      this.sawGoing = true;
    }
    return NO_FRAME;
  }

  hold(): void {}

  resume(): void {}

  takeCluster(_frames: Int32Array, count: number, back: number): void {
    this.#step = count - back;
  }

  holdBehind(): void {}

  resumeBehind(): void {}

  leave(): void {}

  pass(): void {
    this.#index += this.#step;
  }

  end(): void {}

  /** From the place on: the page to look at, or −1. */
  #next(): number {
    const { index } = this.#range.object;
    switch (this.#stops) {
      case "each":
        return this.#index;
      case "resident":
        return index.next(this.#index, this.#last);
      case "dirty":
        return index.nextTagged(PageTag.DIRTY, this.#index, this.#last);
    }
  }
}
