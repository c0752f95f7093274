/**
 * Segment lists: what the device will be told.
 *
 * Two columns and a count, made once a tag: a load writes them and allocates nothing. The list of a tag
 * that allows thousands of segments begins smaller and grows when a load needs more. The callback's view
 * of the list is valid during the callback only; `toArray` copies it.
 */
import type { BusAddr, Bytes } from "@physio/kern";
import { withinBoundary } from "@physio/kern";

/** @bsd #Y bus_dma_segment_t */
export interface Segment {
  readonly addr: BusAddr;
  readonly len: Bytes;
}

export class SegList {
  /** Columns, the same ones unless the list grows. */
  addr: Float64Array;
  len: Float64Array;
  /** Segments that fit now, and that it may grow to: the tag's limit. */
  capacity: number;
  readonly limit: number;
  count: number;

  /** A list for `capacity` segments that may grow to `limit`. */
  constructor(capacity: number, limit = capacity) {
    this.addr = new Float64Array(capacity);
    this.len = new Float64Array(capacity);
    this.capacity = capacity;
    this.limit = limit;
    this.count = 0;
  }

  /** Make room for `capacity` segments, or twice as many as now, up to the limit. @returns false: it is at its limit. */
  grow(capacity = 2 * this.capacity): boolean {
    if (this.capacity >= this.limit) return false;
    this.capacity = Math.min(Math.max(capacity, this.capacity), this.limit);
    const [addr, len] = [new Float64Array(this.capacity), new Float64Array(this.capacity)];
    addr.set(this.addr);
    len.set(this.len);
    this.addr = addr;
    this.len = len;
    return true;
  }

  /** A copy as objects, for tests and for people. */
  toArray(): Segment[] {
    return Array.from({ length: this.count }, (_, i) => ({ addr: this.addr[i], len: this.len[i] }));
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const segs = this.toArray().map((s) => `0x${s.addr.toString(16)}+${s.len}`);
    return `SegList(${this.count}/${this.capacity}) [${segs.join(", ")}]`;
  }
}

/**
 * Append [`addr`, `addr + len`) to `segs`, coalescing with the last segment.
 *
 * A segment never exceeds `maxSegSize` nor crosses a multiple of `boundary`.
 * => `len`, `maxSegSize`: bytes, > 0. `boundary`: a power of two, or 0 for none.
 * => the caller has already bounced: `addr` is what the device will see.
 * @returns false when `segs` is full, or a chunk that begins on a boundary is longer than it (which
 *   the original reports so, and which cannot happen when maxSegSize <= boundary). What was added
 *   stays; the caller reports EFBIG.
 * @bsd #Y sys/kern/subr_busdma_bounce.c _bus_dmamap_addseg, _bus_dmamap_addsegs
 */
export function addRange(
  segs: SegList,
  addr: BusAddr,
  len: Bytes,
  maxSegSize: Bytes,
  boundary: Bytes,
): boolean {
  let at: BusAddr = addr;
  let left: Bytes = len;
  while (left > 0) {
    let size = Math.min(left, maxSegSize);
    if (!withinBoundary(at, size, boundary)) {
      const room = boundary - (at % boundary);
      if (room === boundary) return false;
      size = room;
    }
    const last = segs.count - 1;
    const grown = last >= 0 ? segs.len[last] + size : 0;
    if (
      last >= 0 &&
      segs.addr[last] + segs.len[last] === at &&
      grown <= maxSegSize &&
      withinBoundary(segs.addr[last], grown, boundary)
    ) {
      segs.len[last] = grown;
    } else {
      if (segs.count === segs.capacity && !segs.grow()) return false;
      segs.addr[segs.count] = at;
      segs.len[segs.count++] = size;
    }
    at += size;
    left -= size;
  }
  return true;
}
