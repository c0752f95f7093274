/**
 * Addresses, sizes and offsets: their types, units and arithmetic.
 *
 * All of them are plain numbers. A physical address has at most 52 bits, so every sum of two is
 * exact in a double. JavaScript's bit operators truncate to 32 bits, which is why nobody writes
 * them on such a number outside this file: `offsetIn`, `alignDown`, `alignUp` and `pageOf` are the
 * whole vocabulary. tidy flags the rest.
 */

declare const unit: unique symbol;

/** A number with a unit. The brand is optional: arithmetic needs no cast, names and fields are checked. */
export type Quantity<N extends string> = number & { readonly [unit]?: N };

/** An address of simulated RAM or of a device window, as the CPU puts it on its bus. */
export type PhysAddr = Quantity<"physaddr">;
/** An address as a device puts it on its bus. */
export type BusAddr = Quantity<"busaddr">;
/** An address that a pmap translates. */
export type VirtAddr = Quantity<"virtaddr">;
/** A length in bytes. */
export type Bytes = Quantity<"bytes">;
/** A byte offset in a file or on a disk. */
export type FileOffset = Quantity<"fileoffset">;
/** A page frame: a dense index over all RAM banks, fit for an Int32Array; NO_FRAME is none. */
export type Frame = Quantity<"frame">;
/** Virtual time in nanoseconds since boot. */
export type Nanoseconds = Quantity<"ns">;

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
export const TiB = 1024 * GiB;

// The compiler folds a module's own constant and looks an exported one up each time (a page loop:
// 139 ns against 99), so what runs hot uses private names for the same numbers.
const PAGE = 4096;
const PAGE_MASK = PAGE - 1;
/** Exact, since a page is a power of 2; a multiplication takes 1 ns less than a division. */
const PER_PAGE = 1 / PAGE;

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = PAGE;
export const NO_FRAME: Frame = -1;

/** The highest physical or bus address (52 bits): BUS_SPACE_MAXADDR here. Larger inputs clamp to it. */
export const MAXADDR = 2 ** 52 - 1;
/** The highest address that 32 bits reach: BUS_SPACE_MAXADDR_32BIT. */
export const MAXADDR_32BIT = 2 ** 32 - 1;
/** The highest address that 24 bits reach: BUS_SPACE_MAXADDR_24BIT. */
export const MAXADDR_24BIT = 2 ** 24 - 1;
/** The largest page-aligned file offset. */
export const OFF_MAX = 2 ** 52 - 4096;

const TWO_31 = 2 ** 31;

export function isPowerOf2(n: number): boolean {
  if (!(n >= 1 && n <= MAXADDR + 1)) return false;
  const log = Math.log2(n);
  return log === Math.floor(log) && 2 ** log === n;
}

/**
 * How far `a` lies above the multiple of `align` below it.
 * => `a`: 0 … 2^53 − 1. `align`: a power of 2.
 *
 * A mask is exact for every such `a` (its low 32 bits survive ToInt32) and takes 1 ns where `%` on
 * a large double takes 10, so only alignments above 2^31 pay for the remainder.
 */
export function offsetIn(a: number, align: number): number {
  return align <= TWO_31 ? (a & (align - 1)) >>> 0 : a % align;
}

/** `a` rounded down to a multiple of the power of 2 `align`. */
export function alignDown(a: number, align: number): number {
  return a - offsetIn(a, align);
}

/** `a` rounded up to a multiple of the power of 2 `align`. */
export function alignUp(a: number, align: number): number {
  const over = offsetIn(a, align);
  return over === 0 ? a : a - over + align;
}

/** Whether `a` is a multiple of the power of 2 `align`. @bsd #Y vm_addr_align_ok */
export function isAligned(a: number, align: number): boolean {
  return offsetIn(a, align) === 0;
}

/** Whether [`a`, `a + size`) crosses no multiple of `boundary` (0: none). @bsd #Y vm_addr_bound_ok */
export function withinBoundary(a: number, size: number, boundary: number): boolean {
  if (boundary === 0) return true;
  return offsetIn(a, boundary) + size <= boundary;
}

/** Offset of `a` in its page. */
export function pageOffset(a: number): number {
  return a & PAGE_MASK;
}

/** Start of the page that holds `a`. @bsd #Y trunc_page */
export function truncPage(a: number): number {
  return a - (a & PAGE_MASK);
}

/** `a` rounded up to a page. @bsd #Y round_page */
export function roundPage(a: number): number {
  return truncPage(a + PAGE_MASK);
}

/** Number of the page that holds `a`. @bsd #Y atop */
export function pageOf(a: number): number {
  return (a - (a & PAGE_MASK)) * PER_PAGE;
}

/** Whether `n` is a whole number from 0 to 2^53 − 1: what an address, a size or a count must be. */
export function isWhole(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

/** `0xfff00`, `none` for a negative "no address". */
export function hex(a: number): string {
  return a < 0 ? "none" : `0x${a.toString(16)}`;
}
