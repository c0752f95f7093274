/**
 * Boundary tags of an arena: spans, and the segments that cover them.
 *
 * A span is what an arena was given or has imported; spans form one list in address order. The
 * segments of a span form another, and cover it without a gap. A free segment also hangs on the free
 * list of its size class, a used one in the hash of used segments, through the same two links.
 * Tags are made once and go back to a pool, so an arena in steady state makes no garbage.
 * `start = 0` stands at the field and not in a constructor: a field that is only declared begins as
 * undefined, and then each number above 2^31 that is stored in it is boxed (16 bytes).
 * Follows struct vmem_btag of subr_vmem.c. Used inside of this package only.
 */
import type { Slab } from "./quantum-cache.ts";

/** Where an arena may hand out. @bsd #P[a class of its own, not a type of tag] BT_TYPE_SPAN, BT_TYPE_SPAN_STATIC */
export class Span {
  start = 0;
  size = 0;
  /** Whether a source gave it and gets it back; else it came by `add` and stays. */
  imported = false;
  /** The segment at its start. */
  first: Segment | null = null;
  /** Neighbours in address order; `next` also links the pool. */
  next: Span | null = null;
  prev: Span | null = null;
}

/** @bsd #Y struct vmem_btag */
export class Segment {
  start = 0;
  size = 0;
  free = false;
  span: Span | null = null;
  /** What a quantum cache keeps about a used segment that it has carved up. */
  slab: Slab | null = null;
  /** Neighbours in the span, in address order. */
  below: Segment | null = null;
  above: Segment | null = null;
  /** Links of the free list or of the hash chain; `next` also links the pool. */
  next: Segment | null = null;
  prev: Segment | null = null;
}
