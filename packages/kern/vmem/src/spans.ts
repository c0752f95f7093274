/**
 * The spans of an arena, cut into segments: search, carve, merge.
 *
 * Spans that were added and touch become one; an imported span stays by itself, since it goes back
 * whole. In a merge or a cut the lowest segment keeps its tag, so a span's first one lives as long
 * as the span. Nothing here counts what is allocated or calls anybody: that is the arena's.
 * Follows the segment list and the fit strategies of subr_vmem.c; next fit follows vmem(9) of
 * FreeBSD. Used by arena.ts.
 *
 * Invariant (`check`): segments cover their span without gap or overlap, no two free neighbours
 * touch within a span, each is on the free list or in the hash.
 */
import { panic } from "@physio/kern";
import type { Request } from "./constraints.ts";
import { Fit } from "./constraints.ts";
import { CLASSES, classOf, classThatFits, FreeLists } from "./free-lists.ts";
import { TagHash } from "./hash.ts";
import { checkSlab } from "./quantum-cache.ts";
import { Segment, Span } from "./segment.ts";

const ALL = CLASSES;
const BEST = Fit.BEST;
const NEXT = Fit.NEXT;

/** The next segment above in the span, or the first of the next span. */
function following(seg: Segment): Segment | null {
  if (seg.above !== null) return seg.above;
  const span = seg.span!.next;
  return span === null ? null : span.first;
}

/** Units that `check` has found. */
export interface SpanSums {
  readonly total: number;
  readonly free: number;
  /** In slabs, and of that in callers' hands. */
  readonly slabs: number;
  readonly held: number;
}

export class Spans {
  readonly used: TagHash;
  first: Span | null;
  readonly #free: FreeLists;
  /** Where NEXT goes on, and a segment that begins at or below it. */
  #cursor = 0;
  #rotor: Segment | null;
  /** Unused tags. */
  #segments: Segment | null;
  #spans: Span | null;

  constructor(quantum: number) {
    this.used = new TagHash(quantum);
    this.first = null;
    this.#free = new FreeLists();
    this.#rotor = null;
    this.#segments = null;
    this.#spans = null;
  }

  /** Add [`start`, `start + size`), free. @returns false: it overlaps a span. @bsd #Y vmem_add1 */
  add(start: number, size: number, imported: boolean): boolean {
    let below: Span | null = null;
    let above = this.first;
    while (above !== null && above.start < start) {
      below = above;
      above = above.next;
    }
    if (below !== null && below.start + below.size > start) return false;
    if (above !== null && start + size > above.start) return false;

    const span = this.#newSpan(below, above);
    const seg = this.#newSegment(span, null, null);
    span.start = start;
    span.size = size;
    span.imported = imported;
    span.first = seg;
    seg.start = start;
    seg.size = size;
    if (above !== null) this.#join(span, above);
    if (below !== null) this.#join(below, span);
    this.#free.insert(this.#merge(seg));
    return true;
  }

  /** Find a free segment with a place for `want`, and leave the place in `want.at`. */
  search(want: Request): Segment | null {
    if (want.fit === BEST) return this.#searchBest(want);
    if (want.fit === NEXT) return this.#searchNext(want);
    return want.anywhere ? this.#searchAny(want) : this.#searchPlace(want);
  }

  /** Cut the place `want.at` out of `seg`. => `search` gave both, and nothing has changed since. */
  carve(seg: Segment, want: Request): Segment {
    const { at, size } = want;
    this.#free.remove(seg);
    let used = seg;
    if (at > seg.start) {
      used = this.#newSegment(seg.span!, seg, seg.above);
      used.start = at;
      used.size = seg.start + seg.size - at;
      seg.size = at - seg.start;
      this.#free.insert(seg);
    }
    if (used.size > size) {
      const rest = this.#newSegment(used.span!, used, used.above);
      rest.start = at + size;
      rest.size = used.size - size;
      used.size = size;
      this.#free.insert(rest);
    }
    this.used.insert(used);
    if (want.fit === NEXT) {
      this.#rotor = used;
      this.#cursor = at + size;
    }
    return used;
  }

  /** Free the used segment `seg`. @returns its span when that is imported and wholly free now, else null. */
  release(seg: Segment): Span | null {
    this.used.remove(seg);
    const whole = this.#merge(seg);
    this.#free.insert(whole);
    const span = whole.span!;
    return span.imported && whole.size === span.size ? span : null;
  }

  /** Take `span` out. => it is wholly free. */
  remove(span: Span): void {
    const seg = span.first!;
    this.#free.remove(seg);
    if (this.#rotor === seg) this.#rotor = null;
    this.#poolSegment(seg);
    this.#unlinkSpan(span);
  }

  /** Size of the largest free segment, or 0. */
  maxFree(): number {
    return this.#free.largest();
  }

  /** Panic on a broken invariant. */
  check(name: string): SpanSums {
    let total = 0;
    let prev: Span | null = null;
    const sums = { total: 0, free: 0, slabs: 0, held: 0, usedTags: 0, freeTags: 0 };
    for (let span = this.first; span !== null; span = span.next) {
      const apart = prev === null || prev.start + prev.size <= span.start;
      const joined = prev !== null && !prev.imported && !span.imported;
      const touches = prev !== null && prev.start + prev.size === span.start;
      if (span.prev !== prev || !apart || (joined && touches)) {
        panic(`vmem ${name}: span ${span.start}+${span.size} behind ${prev?.start}+${prev?.size}`);
      }
      this.#checkSpan(name, span, sums);
      total += span.size;
      prev = span;
    }
    this.used.check(name);
    const listed = this.#free.check(name);
    if (listed !== sums.freeTags || this.used.count !== sums.usedTags || sums.total !== total) {
      panic(
        `vmem ${name}: ${sums.freeTags} free, ${listed} listed; ${sums.usedTags} used, ${this.used.count} hashed; ${sums.total} of ${total} covered`,
      );
    }
    return sums;
  }

  #checkSpan(
    name: string,
    span: Span,
    sums: { [K in keyof SpanSums | "usedTags" | "freeTags"]: number },
  ): void {
    let at = span.start;
    let below: Segment | null = null;
    for (let seg = span.first; seg !== null; seg = seg.above) {
      if (!(seg.start === at && seg.size > 0) || seg.below !== below || seg.span !== span) {
        panic(`vmem ${name}: ${seg.start}+${seg.size} in span ${span.start}, expected ${at}`);
      }
      if (seg.free && below?.free === true) panic(`vmem ${name}: unmerged at ${seg.start}`);
      this.used.key = seg.start;
      if (!seg.free && this.used.find() !== seg) panic(`vmem ${name}: lost ${seg.start}`);
      if (seg.free) {
        sums.free += seg.size;
        sums.freeTags++;
      } else sums.usedTags++;
      if (seg.slab !== null) {
        if (seg.free || seg.slab.segment !== seg) panic(`vmem ${name}: slab of ${seg.start}`);
        sums.slabs += seg.size;
        sums.held += checkSlab(name, seg.slab);
      }
      at += seg.size;
      below = seg;
    }
    sums.total += at - span.start;
    if (at !== span.start + span.size) {
      panic(`vmem ${name}: segments of span ${span.start}+${span.size} end at ${at}`);
    }
    if (span.imported && span.first?.free === true && span.first.above === null) {
      panic(`vmem ${name}: imported span ${span.start}+${span.size} is free and was kept`);
    }
  }

  /** Every segment of a class above the size's own is large enough; its own class comes last. */
  #searchAny(want: Request): Segment | null {
    const fits = classThatFits(want.size);
    const cls = this.#free.firstFrom(fits);
    let seg = cls < ALL ? this.#free.heads[cls] : null;
    if (seg === null) {
      seg = this.#free.heads[classOf(want.size)];
      while (seg !== null && seg.size < want.size) seg = seg.next;
    }
    if (seg !== null) want.at = seg.start;
    return seg;
  }

  /** The first place in any class, small segments first. */
  #searchPlace(want: Request): Segment | null {
    const { size } = want;
    const lists = this.#free;
    let cls = lists.firstFrom(classOf(size));
    while (cls < ALL) {
      for (let seg = lists.heads[cls]; seg !== null; seg = seg.next) {
        if (seg.size >= size && want.place(seg)) return seg;
      }
      cls = lists.firstFrom(cls + 1);
    }
    return null;
  }

  /** The smallest segment that has a place: in the first class where one has. */
  #searchBest(want: Request): Segment | null {
    const { size } = want;
    const lists = this.#free;
    let best: Segment | null = null;
    let cls = lists.firstFrom(classOf(size));
    while (cls < ALL && best === null) {
      for (let seg = lists.heads[cls]; seg !== null; seg = seg.next) {
        if (seg.size < size || (best !== null && seg.size >= best.size)) continue;
        if (want.place(seg)) best = seg;
      }
      cls = lists.firstFrom(cls + 1);
    }
    return best; // `place` writes only when it succeeds: want.at is the place in the best
  }

  /** The lowest place at or above the cursor, else the lowest of all: a walk, not a list. */
  #searchNext(want: Request): Segment | null {
    want.from = Math.max(want.min, this.#cursor);
    const begin = this.#rotor ?? (this.first === null ? null : this.first.first);
    for (let seg = begin; seg !== null; seg = following(seg)) {
      if (seg.free && want.place(seg)) return seg;
    }
    want.from = want.min;
    for (let seg = this.first?.first ?? null; seg !== null; seg = following(seg)) {
      if (seg.free && want.place(seg)) return seg;
    }
    return null;
  }

  /** Join `seg`, which is on no list, with its free neighbours. */
  #merge(seg: Segment): Segment {
    const { below, above } = seg;
    if (above?.free === true) {
      this.#free.remove(above);
      seg.size += above.size;
      this.#drop(above, seg);
    }
    if (below?.free === true) {
      this.#free.remove(below);
      below.size += seg.size;
      this.#drop(seg, below);
      return below;
    }
    return seg;
  }

  /** Take `seg` out of its span. => `below`, its neighbour, has taken over what it covered. */
  #drop(seg: Segment, below: Segment): void {
    below.above = seg.above;
    if (seg.above !== null) seg.above.below = below;
    if (this.#rotor === seg) this.#rotor = below;
    this.#poolSegment(seg);
  }

  /** Make one span of two that were added and touch; others stay as they are. */
  #join(below: Span, above: Span): void {
    if (below.imported || above.imported || below.start + below.size !== above.start) return;
    let last = below.first!;
    while (last.above !== null) last = last.above;
    last.above = above.first;
    above.first!.below = last;
    for (let seg = above.first; seg !== null; seg = seg.above) seg.span = below;
    below.size += above.size;
    this.#unlinkSpan(above);
  }

  #newSegment(span: Span, below: Segment | null, above: Segment | null): Segment {
    const seg = this.#segments ?? new Segment();
    this.#segments = seg.next;
    seg.next = null;
    seg.span = span;
    seg.below = below;
    seg.above = above;
    if (below !== null) below.above = seg;
    if (above !== null) above.below = seg;
    return seg;
  }

  #poolSegment(seg: Segment): void {
    seg.span = null;
    seg.below = null;
    seg.above = null;
    seg.next = this.#segments;
    this.#segments = seg;
  }

  #newSpan(below: Span | null, above: Span | null): Span {
    const span = this.#spans ?? new Span();
    this.#spans = span.next;
    span.prev = below;
    span.next = above;
    if (below === null) this.first = span;
    else below.next = span;
    if (above !== null) above.prev = span;
    return span;
  }

  #unlinkSpan(span: Span): void {
    if (span.prev === null) this.first = span.next;
    else span.prev.next = span.next;
    if (span.next !== null) span.next.prev = span.prev;
    span.first = null;
    span.prev = null;
    span.next = this.#spans;
    this.#spans = span;
  }
}
