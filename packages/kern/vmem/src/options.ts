/**
 * How an arena is made, and what its walks and queries speak of.
 *
 * `settle` turns options into the sizes that the arena works with. Slabs of quantum caches are the
 * first power of 2 above three times the largest cached size, as in Bonwick's vmem: at least three
 * pieces each, and at most a quarter of a slab is lost at its end. Used by arena.ts.
 */
import { Errno, ErrnoError, isPowerOf2, isWhole, MAXADDR, offsetIn } from "@physio/kern";
import type { ArenaSource } from "./source.ts";

/** The most sizes that are cached; a slab then has at most 256 pieces. */
const CACHES_MAX = 64;
/** An import is this many quanta, when nothing else is said. */
const IMPORT_QUANTA = 16;

/** What `Arena.size` counts; a set. Values of FreeBSD's sys/vmem.h. @bsd #Y VMEM_ALLOC, VMEM_FREE, VMEM_MAXFREE */
export const SizeOf = Object.freeze({
  ALLOC: 0x01, //   what callers hold
  FREE: 0x02, //    all the rest
  MAXFREE: 0x10, // the largest free segment; only by itself
} as const);
export type SizeOf = (typeof SizeOf)[keyof typeof SizeOf];

/** Sizes are in units of the arena's addresses. */
export interface ArenaOptions {
  /** The largest size that quantum caches serve: a multiple of the quantum, at most 64 of it. 0: none. */
  readonly quantumCacheMax?: number;
  /** Where spans come from when the arena runs out. */
  readonly source?: ArenaSource;
  /** Imports are multiples of this, itself a multiple of the quantum. Default: 16 quanta, or two slabs. */
  readonly importSize?: number;
}

/** What `Arena.segments` tells of a segment. */
export interface ArenaSegment {
  readonly start: number;
  readonly size: number;
  readonly free: boolean;
  /** Start of the span that it lies in. */
  readonly span: number;
  /** The size that a quantum cache cuts it into; 0: it is no slab. */
  readonly pieceSize: number;
}

/** Options with their defaults. */
export interface Settings {
  readonly cacheMax: number;
  /** Number of cached sizes. */
  readonly caches: number;
  /** 0: no caches. */
  readonly slabSize: number;
  readonly importSize: number;
}

/** @throws {ErrnoError} EINVAL: quantum not a power of 2; sizes that are not multiples of it, or too large. */
export function settle(name: string, quantum: number, options: ArenaOptions): Settings {
  if (!isPowerOf2(quantum)) {
    throw new ErrnoError(Errno.EINVAL, `vmem ${name}: quantum ${quantum} is not a power of 2`);
  }
  const cacheMax = options.quantumCacheMax ?? 0;
  const caches = cacheMax / quantum;
  if (!isWhole(cacheMax) || !isWhole(caches) || caches > CACHES_MAX || 4 * cacheMax > MAXADDR) {
    throw new ErrnoError(
      Errno.EINVAL,
      `vmem ${name}: quantumCacheMax ${cacheMax} with quantum ${quantum}`,
    );
  }
  let slabSize = cacheMax === 0 ? 0 : quantum;
  while (slabSize !== 0 && slabSize <= 3 * cacheMax) slabSize *= 2;
  const importSize = options.importSize ?? Math.max(IMPORT_QUANTA * quantum, 2 * slabSize);
  if (!isWhole(importSize) || importSize === 0 || offsetIn(importSize, quantum) !== 0) {
    throw new ErrnoError(
      Errno.EINVAL,
      `vmem ${name}: importSize ${importSize} with quantum ${quantum}`,
    );
  }
  return { cacheMax, caches, slabSize, importSize };
}
