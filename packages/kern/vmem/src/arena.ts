/**
 * Arenas of ranges: kernel virtual addresses, bus addresses, device windows.
 *
 * An arena hands out sub-ranges of the spans it was given and merges what comes back. Free segments
 * hang on lists by power-of-two size, so `alloc` looks only at lists that can fit (instant fit);
 * a constrained allocation walks the candidates of each list. Follows NetBSD's subr_vmem.c and
 * Bonwick's "Magazines and Vmem" in structure; quantum caches and import from a parent arena are
 * not here yet.
 *
 * Invariant (`check`): segments cover the spans without gap or overlap, no two free neighbours
 * touch within a span, and free + allocated sizes add up.
 */
import {
  alignUp,
  Errno,
  ErrnoError,
  isPowerOf2,
  isWhole,
  MAXADDR,
  panic,
  withinBoundary,
} from "@physio/kern";
import { CLASSES, classOf, FreeLists, Segment } from "./segment.ts";

/** What an allocation must obey; all fields are in units of the arena's addresses. */
export interface Constraints {
  /** Alignment of the start, a power of 2; default the quantum. */
  readonly align?: number;
  /** The start is `phase` above a multiple of `align`; default 0. */
  readonly phase?: number;
  /** The range crosses no multiple of this power of 2 (0: may). */
  readonly nocross?: number;
  /** Lowest address of the first unit and highest of the last. */
  readonly min?: number;
  readonly max?: number;
}

/** Where a range goes inside of [`start`, `end`], or −1. => `align`, `nocross`: powers of 2 or 0. */
function place(start: number, end: number, size: number, c: Required<Constraints>): number {
  const low = Math.max(start, c.min);
  const high = Math.min(end, c.max);
  let at = alignUp(Math.max(low - c.phase, 0), c.align) + c.phase;
  if (!withinBoundary(at, size, c.nocross)) {
    // Move to the next multiple of nocross; what the phase then needs may not fit behind it.
    at = alignUp(alignUp(at, c.nocross) - c.phase, c.align) + c.phase;
    if (!withinBoundary(at, size, c.nocross)) return -1;
  }
  return at + size - 1 <= high ? at : -1;
}

export class Arena {
  readonly name: string;
  /** Every size and address is a multiple of this power of 2. */
  readonly quantum: number;
  /** Sizes in units of addresses. */
  total: number;
  allocated: number;
  readonly #free: FreeLists;
  readonly #used: Map<number, Segment>;
  #first: Segment | null;
  #pool: Segment | null;

  /** @throws {ErrnoError} EINVAL: quantum not a power of 2. */
  constructor(name: string, quantum: number) {
    if (!isPowerOf2(quantum)) {
      throw new ErrnoError(Errno.EINVAL, `vmem ${name}: quantum ${quantum} is not a power of 2`);
    }
    this.name = name;
    this.quantum = quantum;
    this.total = 0;
    this.allocated = 0;
    this.#free = new FreeLists();
    this.#used = new Map();
    this.#first = null;
    this.#pool = null;
  }

  /** Give the arena [`start`, `start + size`). @throws {ErrnoError} EINVAL; EEXIST: overlaps a span. @bsd #Y vmem_add */
  add(start: number, size: number): void {
    const bad = !isWhole(start) || !isWhole(size) || size === 0 || start + size - 1 > MAXADDR;
    if (bad || start % this.quantum !== 0 || size % this.quantum !== 0) {
      throw new ErrnoError(Errno.EINVAL, `vmem ${this.name}: span ${start}+${size}`);
    }
    let below: Segment | null = null;
    let above = this.#first;
    while (above !== null && above.start < start) {
      below = above;
      above = above.above;
    }
    const clash =
      (below !== null && below.start + below.size > start) ||
      (above !== null && start + size > above.start);
    if (clash)
      throw new ErrnoError(Errno.EEXIST, `vmem ${this.name}: span ${start}+${size} overlaps`);
    const seg = this.#newSegment(start, size, below, above);
    this.total += size;
    this.#free.insert(this.#merge(seg));
  }

  /**
   * Allocate `size`, rounded up to the quantum.
   * @returns the first address, or −1 when nothing fits.
   * @throws {ErrnoError} EINVAL: a size of 0, or constraints that contradict themselves.
   * @bsd #P[no sleep, no fit strategies] vmem_alloc, vmem_xalloc
   */
  alloc(size: number, constraints: Constraints = {}): number {
    const wanted = alignUp(size, this.quantum);
    const c = this.#constraints(wanted, constraints);
    const plain = c.align === this.quantum && c.phase === 0 && c.nocross === 0;
    const anywhere = plain && c.min === 0 && c.max === MAXADDR;
    // Every segment of a class above the size's own is large enough: take the first.
    const exact = classOf(wanted);
    const first = anywhere && wanted !== 2 ** exact ? exact + 1 : exact;
    for (let cls = first; cls < CLASSES; cls++) {
      const at = this.#search(cls, wanted, c);
      if (at >= 0) return at;
    }
    return first === exact ? -1 : this.#search(exact, wanted, c);
  }

  /** Give back what `alloc` returned. => `size` is what was asked for. @bsd #Y vmem_free, vmem_xfree */
  free(start: number, size: number): void {
    const seg = this.#used.get(start);
    if (seg === undefined) panic(`vmem ${this.name}: free of ${start}, which is not allocated`);
    if (seg.size !== alignUp(size, this.quantum)) {
      panic(`vmem ${this.name}: free of ${start} with size ${size}, allocated ${seg.size}`);
    }
    this.#used.delete(start);
    this.allocated -= seg.size;
    this.#free.insert(this.#merge(seg));
  }

  /** Walk everything and panic on a broken invariant. @bsd #Y vmem_check */
  check(): void {
    let free = 0;
    let used = 0;
    for (let seg = this.#first; seg !== null; seg = seg.above) {
      const next = seg.above;
      if (seg.size <= 0) panic(`vmem ${this.name}: segment at ${seg.start} has size ${seg.size}`);
      if (next !== null && next.below !== seg) panic(`vmem ${this.name}: links at ${seg.start}`);
      if (next !== null && seg.start + seg.size > next.start) {
        panic(`vmem ${this.name}: segment at ${seg.start} overlaps the next`);
      }
      const joined = next !== null && seg.start + seg.size === next.start;
      if (joined && seg.free && next.free) panic(`vmem ${this.name}: unmerged at ${next.start}`);
      if (!seg.free && this.#used.get(seg.start) !== seg)
        panic(`vmem ${this.name}: lost ${seg.start}`);
      if (seg.free) free += seg.size;
      else used += seg.size;
    }
    if (used !== this.allocated || free + used !== this.total) {
      panic(
        `vmem ${this.name}: free ${free} + used ${used}, counted ${this.allocated} of ${this.total}`,
      );
    }
  }

  #constraints(size: number, given: Constraints): Required<Constraints> {
    const c = {
      align: given.align ?? this.quantum,
      phase: given.phase ?? 0,
      nocross: given.nocross ?? 0,
      min: given.min ?? 0,
      max: given.max ?? MAXADDR,
    };
    const numbers = [size, c.phase, c.min, c.max].every(isWhole) && size > 0;
    const powers = isPowerOf2(c.align) && (c.nocross === 0 || isPowerOf2(c.nocross));
    const sane = c.phase < c.align && c.min <= c.max && (c.nocross === 0 || c.nocross >= size);
    if (!numbers || !powers || !sane || c.align < this.quantum || c.phase % this.quantum !== 0) {
      throw new ErrnoError(
        Errno.EINVAL,
        `vmem ${this.name}: size ${size} align ${c.align} phase ${c.phase} nocross ${c.nocross} min ${c.min} max ${c.max}`,
      );
    }
    return c;
  }

  #search(cls: number, size: number, c: Required<Constraints>): number {
    for (let seg = this.#free.heads[cls]; seg !== null; seg = seg.nextFree) {
      if (seg.size < size) continue;
      const at = place(seg.start, seg.start + seg.size - 1, size, c);
      if (at >= 0) return this.#carve(seg, at, size);
    }
    return -1;
  }

  /** Cut [`at`, `at + size`) out of the free segment `seg` and mark it used. */
  #carve(seg: Segment, at: number, size: number): number {
    this.#free.remove(seg);
    const end = seg.start + seg.size;
    if (at > seg.start) {
      const front = this.#newSegment(seg.start, at - seg.start, seg.below, seg);
      this.#free.insert(front);
      seg.start = at;
    }
    if (end > at + size) {
      this.#free.insert(this.#newSegment(at + size, end - at - size, seg, seg.above));
    }
    seg.size = size;
    this.#used.set(at, seg);
    this.allocated += size;
    return at;
  }

  #newSegment(start: number, size: number, below: Segment | null, above: Segment | null): Segment {
    const seg = this.#pool ?? new Segment();
    if (this.#pool !== null) this.#pool = seg.nextFree;
    seg.nextFree = null;
    seg.start = start;
    seg.size = size;
    seg.below = below;
    seg.above = above;
    if (below === null) this.#first = seg;
    else below.above = seg;
    if (above !== null) above.below = seg;
    return seg;
  }

  /** Join `seg`, which is on no list, with free neighbours that touch it. */
  #merge(seg: Segment): Segment {
    const { below, above } = seg;
    if (above?.free === true && seg.start + seg.size === above.start) {
      this.#free.remove(above);
      seg.size += above.size;
      this.#drop(above);
    }
    if (below?.free === true && below.start + below.size === seg.start) {
      this.#free.remove(below);
      below.size += seg.size;
      this.#drop(seg);
      return below;
    }
    return seg;
  }

  #drop(seg: Segment): void {
    if (seg.below === null) this.#first = seg.above;
    else seg.below.above = seg.above;
    if (seg.above !== null) seg.above.below = seg.below;
    seg.below = null;
    seg.above = null;
    seg.nextFree = this.#pool;
    this.#pool = seg;
  }
}
