/**
 * What an allocation must obey, and the one place in a free segment that does.
 *
 * A Request is an arena's scratch: `alloc`, `xalloc` and `free` put their operands here and inner
 * functions read them, because a number above 2^31 that crosses a call which is not inlined is boxed
 * (16 bytes each). It holds what the caller said until `judge` has accepted it.
 * Follows vmem_xalloc and vmem_fit of subr_vmem.c. Used inside of this package only.
 */
import {
  alignUp,
  Errno,
  ErrnoError,
  isPowerOf2,
  isWhole,
  MAXADDR,
  offsetIn,
  withinBoundary,
} from "@physio/kern";
import type { Segment } from "./segment.ts";

/** How a place is chosen among those that obey the constraints. @bsd #Y VM_INSTANTFIT, VM_BESTFIT, M_FIRSTFIT, M_NEXTFIT */
export const Fit = Object.freeze({
  INSTANT: 0, // the first segment of the first size class that fits: fast
  BEST: 1, //    the smallest segment that fits: least waste
  NEXT: 2, //    the lowest place above the last one that NEXT gave, in rotation: late reuse
} as const);
export type Fit = (typeof Fit)[keyof typeof Fit];

const INSTANT = Fit.INSTANT;
const BEST = Fit.BEST;
const NEXT = Fit.NEXT;
const MAX = MAXADDR;
const WHOLE = Number.MAX_SAFE_INTEGER;

/** What an allocation must obey; numbers are in units of the arena's addresses. */
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
  /** Default INSTANT. */
  readonly fit?: Fit;
}

export class Request {
  /** A multiple of the quantum. */
  size = 0;
  align = 1;
  phase = 0;
  nocross = 0;
  min = 0;
  max: number = MAX;
  fit: Fit = INSTANT;
  /** Whether only the size counts. */
  anywhere = true;
  /** The search is for places from here on; `min` or more. */
  from = 0;
  /** Where it was put, or −1; for `free`, what is freed. */
  at = -1;
  /** The scratch of calls made while this one waits for a source. */
  #inner: Request | null = null;

  inner(): Request {
    this.#inner ??= new Request();
    return this.#inner;
  }

  /** `size`, rounded up to the quantum; what is no number becomes NaN, which `judge` refuses. */
  round(size: number, quantum: number): void {
    this.size = typeof size === "number" ? alignUp(size, quantum) : Number.NaN;
  }

  /** Only `size`, rounded up to the quantum, counts. => `judge` is called next. */
  plain(size: number, quantum: number): void {
    this.round(size, quantum);
    this.align = quantum;
    this.phase = 0;
    this.nocross = 0;
    this.min = 0;
    this.max = MAX;
    this.fit = INSTANT;
  }

  /** As `given`; what is not given means no constraint. => `judge` is called next. */
  given(size: number, quantum: number, given: Constraints): void {
    this.round(size, quantum);
    this.align = given.align ?? quantum;
    this.phase = given.phase ?? 0;
    this.nocross = given.nocross ?? 0;
    this.min = given.min ?? 0;
    this.max = given.max ?? MAX;
    this.fit = given.fit ?? INSTANT;
  }

  /** Make the request ready for a search. @throws {ErrnoError} EINVAL: it contradicts itself. */
  judge(name: string, quantum: number): void {
    const { size, align, phase, nocross, min, max, fit } = this;
    this.at = -1;
    this.from = min;
    this.anywhere = align === quantum && phase === 0 && nocross === 0 && min === 0 && max === MAX;
    if (this.anywhere && fit === INSTANT && size > 0 && isWhole(size)) return;
    // `min` and `max` may be large: a call that is not inlined, and isWhole at times, boxes them.
    const bounds = min >= 0 && min <= max && max <= WHOLE;
    const numbers = isWhole(size) && isWhole(phase) && size > 0 && bounds;
    const exact = min === Math.floor(min) && max === Math.floor(max);
    const powers = isPowerOf2(align) && (nocross === 0 || isPowerOf2(nocross));
    const sane = phase < align && exact && (nocross === 0 || nocross >= size);
    const onQuantum = align >= quantum && offsetIn(phase, quantum) === 0;
    const known = fit === INSTANT || fit === BEST || fit === NEXT;
    if (!(numbers && powers && sane && onQuantum && known)) this.#refuse(name);
  }

  /**
   * Find the lowest place in `seg` from `from` on; leave it in `at`. @returns whether there is one.
   * @bsd #Y vmem_fit
   */
  place(seg: Segment): boolean {
    const { size, align, phase, nocross } = this;
    const low = Math.max(seg.start, this.from);
    const high = Math.min(seg.start + seg.size - 1, this.max);
    let at = alignUp(Math.max(low - phase, 0), align) + phase;
    if (!withinBoundary(at, size, nocross)) {
      // Move to the next multiple of nocross; what the phase then needs may not fit behind it.
      at = alignUp(alignUp(at, nocross) - phase, align) + phase;
      if (!withinBoundary(at, size, nocross)) return false;
    }
    if (!(at + size - 1 <= high)) return false;
    this.at = at;
    return true;
  }

  /**
   * A size such that any range of it has a place, or −1: no range has one, or only some do because
   * of `min` and `max`.
   */
  sizeToImport(quantum: number): number {
    const { size, align, phase, nocross } = this;
    if (this.min !== 0 || this.max !== MAX) return -1;
    // The offset in a block of nocross is the same for all places when align is larger, and least
    // for the first place of a block otherwise: it is the phase.
    if (nocross !== 0 && offsetIn(phase, nocross) + size > nocross) return -1;
    return size + Math.max(align, nocross) - quantum;
  }

  /** A function of its own: a message in `judge` has the numbers boxed on every call. */
  #refuse(name: string): never {
    const { size, align, phase, nocross, min, max, fit } = this;
    const strategy = fit === INSTANT ? "" : ` fit ${fit}`;
    throw new ErrnoError(
      Errno.EINVAL,
      `vmem ${name}: size ${size} align ${align} phase ${phase} nocross ${nocross} min ${min} max ${max}${strategy}`,
    );
  }
}
