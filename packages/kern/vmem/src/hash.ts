/**
 * Used segments by their start: how `free` finds the tag of an address.
 *
 * Chains of segments, one chain for each bucket. The number of buckets doubles when there are twice
 * as many segments, and never shrinks: a table that has reached its size makes no garbage, which a
 * Map does (it is rebuilt after so many deletions). Follows vmem_hashlist of subr_vmem.c. Used by
 * spans.ts.
 *
 * Invariant (`check`): each segment is used, and in the chain of its start, once.
 */
import { offsetIn, panic } from "@physio/kern";
import type { Segment } from "./segment.ts";

const FIRST_SHIFT = 27; // 32 buckets
const PER_BUCKET = 2;
const TWO_31 = 2 ** 31;
const HALF = 2 ** -31;
/** 2^32 divided by the golden ratio: neighbouring numbers land far apart. */
const SPREAD = 0x9e3779b1;

export class TagHash {
  count: number;
  /** What `find` looks for: an argument would be boxed (and see segment.ts on `= 0`). */
  key = 0;
  #buckets: (Segment | null)[];
  /** The bucket is the top bits of a 32-bit product; this many bits are below them. */
  #shift: number;
  /** 1 / quantum, exact. */
  readonly #scale: number;

  constructor(quantum: number) {
    this.count = 0;
    this.#buckets = new Array<Segment | null>(2 ** (32 - FIRST_SHIFT)).fill(null);
    this.#shift = FIRST_SHIFT;
    this.#scale = 1 / quantum;
  }

  /** The used segment that starts at `key`, or null. Any number may be asked for. @bsd #Y bt_lookupbusy */
  find(): Segment | null {
    const { key } = this;
    let seg = this.#buckets[this.#bucketOfKey()];
    while (seg !== null && seg.start !== key) seg = seg.next;
    return seg;
  }

  /** @bsd #Y bt_insbusy */
  insert(seg: Segment): void {
    if (this.count === this.#buckets.length * PER_BUCKET) this.#double();
    this.count++;
    this.#link(seg);
  }

  /** => `seg` is here. @bsd #Y bt_rembusy */
  remove(seg: Segment): void {
    const { next, prev } = seg;
    if (next !== null) next.prev = prev;
    if (prev !== null) prev.next = next;
    else {
      this.key = seg.start;
      this.#buckets[this.#bucketOfKey()] = next;
    }
    seg.next = null;
    seg.prev = null;
    this.count--;
  }

  /** Panic on a broken invariant. */
  check(name: string): void {
    let count = 0;
    for (let i = 0; i < this.#buckets.length; i++) {
      for (let seg = this.#buckets[i]; seg !== null; seg = seg.next) {
        this.key = seg.start;
        const linked = seg.prev === null ? this.#buckets[i] === seg : seg.prev.next === seg;
        if (!linked || seg.free || this.#bucketOfKey() !== i) {
          panic(`vmem ${name}: ${seg.start}+${seg.size} in chain ${i}`);
        }
        count++;
      }
    }
    const { length } = this.#buckets;
    if (count !== this.count || length !== 2 ** (32 - this.#shift)) {
      panic(`vmem ${name}: ${count} in a hash of ${length}, counted ${this.count}`);
    }
  }

  #bucketOfKey(): number {
    const unit = this.key * this.#scale;
    const low = offsetIn(unit, TWO_31);
    return Math.imul(low ^ ((unit - low) * HALF), SPREAD) >>> this.#shift;
  }

  #link(seg: Segment): void {
    this.key = seg.start;
    const i = this.#bucketOfKey();
    const head = this.#buckets[i];
    if (head !== null) head.prev = seg;
    seg.prev = null;
    seg.next = head;
    this.#buckets[i] = seg;
  }

  /** @bsd #Y vmem_rehash */
  #double(): void {
    const old = this.#buckets;
    this.#buckets = new Array<Segment | null>(old.length * 2).fill(null);
    this.#shift--;
    for (let seg of old) {
      while (seg !== null) {
        const next: Segment | null = seg.next;
        this.#link(seg);
        seg = next;
      }
    }
  }
}
