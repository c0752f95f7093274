/**
 * Free segments by size: list n holds the sizes [2^n, 2^(n+1)).
 *
 * A bit for each list says whether it holds something, so that the first list from n on which does
 * takes two tests and not a walk. Follows vmem_freelist of subr_vmem.c. Used by spans.ts.
 *
 * Invariant (`check`): a segment is on the list of its class and nowhere else; a bit is set exactly
 * when its list holds something.
 */
import { panic } from "@physio/kern";
import type { Segment } from "./segment.ts";

/** Sizes go up to 2^53 − 1. */
export const CLASSES = 53;

const TWO_31 = 2 ** 31;
/** How many lists the first word of bits stands for. */
const WORD = 32;
const NO_CLASS = CLASSES;

/** The smallest size of each class. */
// table: a comparison with `2 ** cls` took 18 ns, with an entry 3
const SMALLEST: Readonly<Float64Array> = Float64Array.from({ length: CLASSES }, (_, n) => 2 ** n);

/** Size class of `size`: floor(log2). */
export function classOf(size: number): number {
  if (size < TWO_31) return 31 - Math.clz32(size);
  return 31 + (31 - Math.clz32(Math.floor(size / TWO_31)));
}

/** The first class of which every segment has room for `size`. */
export function classThatFits(size: number): number {
  const cls = classOf(size);
  return SMALLEST[cls] === size ? cls : cls + 1;
}

export class FreeLists {
  readonly heads: (Segment | null)[];
  /** Which lists hold something: 0 to 31, and 32 on. */
  #low: number;
  #high: number;

  constructor() {
    this.heads = new Array<Segment | null>(CLASSES).fill(null);
    this.#low = 0;
    this.#high = 0;
  }

  /** The first class from `cls` on that holds a segment, or CLASSES. */
  firstFrom(cls: number): number {
    if (cls < WORD) {
      const bits = this.#low >>> cls;
      if (bits !== 0) return cls + 31 - Math.clz32(bits & -bits);
      cls = WORD;
    }
    const bits = this.#high >>> (cls - WORD);
    return bits === 0 ? NO_CLASS : cls + 31 - Math.clz32(bits & -bits);
  }

  insert(seg: Segment): void {
    const cls = classOf(seg.size);
    const head = this.heads[cls];
    seg.free = true;
    seg.prev = null;
    seg.next = head;
    this.heads[cls] = seg;
    if (head !== null) head.prev = seg;
    else if (cls < WORD) this.#low |= 1 << cls;
    else this.#high |= 1 << (cls - WORD);
  }

  remove(seg: Segment): void {
    const { next, prev } = seg;
    if (next !== null) next.prev = prev;
    if (prev !== null) prev.next = next;
    else this.#behead(classOf(seg.size), next);
    seg.free = false;
    seg.next = null;
    seg.prev = null;
  }

  /** Size of the largest segment, 0 when there is none. */
  largest(): number {
    let size = 0;
    for (let cls = CLASSES - 1; cls >= 0 && size === 0; cls--) {
      for (let seg = this.heads[cls]; seg !== null; seg = seg.next) {
        if (seg.size > size) size = seg.size;
      }
    }
    return size;
  }

  /** Panic on a broken invariant. @returns how many segments hang here. */
  check(name: string): number {
    let count = 0;
    for (let cls = 0; cls < CLASSES; cls++) {
      const bit = cls < WORD ? (this.#low >>> cls) & 1 : (this.#high >>> (cls - WORD)) & 1;
      if ((bit === 1) !== (this.heads[cls] !== null)) panic(`vmem ${name}: bit of list ${cls}`);
      for (let seg = this.heads[cls]; seg !== null; seg = seg.next) {
        const linked = seg.prev === null ? this.heads[cls] === seg : seg.prev.next === seg;
        if (!linked || !seg.free || classOf(seg.size) !== cls) {
          panic(`vmem ${name}: ${seg.start}+${seg.size} on free list ${cls}`);
        }
        count++;
      }
    }
    return count;
  }

  #behead(cls: number, next: Segment | null): void {
    this.heads[cls] = next;
    if (next !== null) return;
    if (cls < WORD) this.#low &= ~(1 << cls);
    else this.#high &= ~(1 << (cls - WORD));
  }
}
