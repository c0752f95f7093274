/**
 * Boundary tags of a vmem arena.
 *
 * All segments of an arena form one list in address order; the free ones also hang on the free list
 * of their size class. A tag is made once and goes back to a pool, so an arena in steady state
 * allocates nothing on the host.
 */

/** Ends of the segment list and of free lists. */
export class Segment {
  start: number;
  size: number;
  free: boolean;
  /** Neighbours in address order. */
  below: Segment | null;
  above: Segment | null;
  /** Links of the free list, or of the pool of unused tags (`nextFree`). */
  nextFree: Segment | null;
  prevFree: Segment | null;

  constructor() {
    this.start = 0;
    this.size = 0;
    this.free = false;
    this.below = null;
    this.above = null;
    this.nextFree = null;
    this.prevFree = null;
  }
}

export const CLASSES = 53;

/** Size class of `size`: floor(log2), so class n holds [2^n, 2^(n+1)). */
export function classOf(size: number): number {
  if (size < 2 ** 31) return 31 - Math.clz32(size);
  return 31 + (31 - Math.clz32(Math.floor(size / 2 ** 31)));
}

/** Free segments by size class. */
export class FreeLists {
  readonly heads: (Segment | null)[];

  constructor() {
    this.heads = new Array<Segment | null>(CLASSES).fill(null);
  }

  insert(seg: Segment): void {
    const cls = classOf(seg.size);
    const head = this.heads[cls];
    seg.free = true;
    seg.prevFree = null;
    seg.nextFree = head;
    if (head !== null) head.prevFree = seg;
    this.heads[cls] = seg;
  }

  remove(seg: Segment): void {
    if (seg.prevFree === null) this.heads[classOf(seg.size)] = seg.nextFree;
    else seg.prevFree.nextFree = seg.nextFree;
    if (seg.nextFree !== null) seg.nextFree.prevFree = seg.prevFree;
    seg.free = false;
    seg.nextFree = null;
    seg.prevFree = null;
  }
}
