/**
 * Segment lists: what the device will be told.
 *
 * Two columns and a count, made once a tag: a load writes them and allocates nothing. The callback's
 * view of the list is valid during the callback only; `toArray` copies it.
 */
import type { BusAddr, Bytes } from "@physio/kern";
import { withinBoundary } from "@physio/kern";

/** @bsd #Y bus_dma_segment_t */
export interface Segment {
  readonly addr: BusAddr;
  readonly len: Bytes;
}

export class SegList {
  readonly addr: Float64Array;
  readonly len: Float64Array;
  readonly capacity: number;
  count: number;

  /** @param capacity segments that fit: the tag's limit */
  constructor(capacity: number) {
    this.addr = new Float64Array(capacity);
    this.len = new Float64Array(capacity);
    this.capacity = capacity;
    this.count = 0;
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
      if (segs.count === segs.addr.length) return false;
      segs.addr[segs.count] = at;
      segs.len[segs.count++] = size;
    }
    at += size;
    left -= size;
  }
  return true;
}
