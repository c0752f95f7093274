/**
 * The constraints of a tag: as a driver states them, and as they are once a parent has narrowed them.
 *
 * Follows bus_dma_tag_create of bus_dma(9) and common_bus_dma_tag_create.
 */
import type { BusAddr, Bytes } from "@physio/kern";
import {
  Errno,
  ErrnoError,
  isPowerOf2,
  isWhole,
  MAXADDR,
  PAGE_SIZE,
  truncPage,
} from "@physio/kern";
import { ANY_DOMAIN } from "@physio/physmem";
import type { BusDma } from "./flags.ts";
import { BUS_SPACE_UNRESTRICTED } from "./flags.ts";
import type { LockFunction } from "./lock.ts";
import { dfltLock } from "./lock.ts";
import type { DmaSemantics } from "./semantics.ts";
import type { DmaTag } from "./tag.ts";

/**
 * Whether a device cannot have what lies from `addr` to the end of its page.
 * Asked of addresses inside the window and of misaligned ones. @returns 0: it can. @bsd #Y bus_dma_filter_t
 */
export type DmaFilter = (arg: unknown, addr: BusAddr) => number;

/** Constraints as a driver states them. Sizes and addresses in bytes. */
export interface TagOptions {
  /** A power of 2; default 1. */
  readonly alignment?: Bytes;
  /** Addresses that no segment crosses a multiple of: a power of 2, or 0 for none (default). */
  readonly boundary?: Bytes;
  /** The device cannot reach above `lowAddr` and up to `highAddr`. Default: it reaches everything. */
  readonly lowAddr?: BusAddr;
  readonly highAddr?: BusAddr;
  /** Lets addresses of the window pass. Default: none pass. */
  readonly filter?: DmaFilter | null;
  readonly filterArg?: unknown;
  /** Largest load. */
  readonly maxSize?: Bytes;
  /** Most segments of a load; BUS_SPACE_UNRESTRICTED (default) means as many as maxSize can need. */
  readonly segments?: number;
  /** Largest segment; default maxSize. */
  readonly maxSegSize?: Bytes;
  readonly flags?: BusDma;
  /** Taken round the callback of a deferred load; without one such a load panics. */
  readonly lock?: LockFunction | null;
  /** The memory domain that bounce pages come from; default the parent's, or any. */
  readonly domain?: number;
}

/** What a tag is made of. */
export interface Constraints {
  readonly alignment: Bytes;
  readonly boundary: Bytes;
  readonly lowAddr: BusAddr;
  readonly highAddr: BusAddr;
  readonly filter: DmaFilter | null;
  readonly filterArg: unknown;
  readonly maxSize: Bytes;
  readonly segments: number;
  readonly maxSegSize: Bytes;
  readonly flags: BusDma;
  readonly lock: LockFunction;
  readonly domain: number;
}

const clampAddr = (a: BusAddr): BusAddr =>
  Math.min(truncPage(Math.min(a, MAXADDR)) + PAGE_SIZE - 1, MAXADDR);

function checkConstraints(o: Constraints, semantics: DmaSemantics): void {
  const wrong = (what: string) => new ErrnoError(Errno.EINVAL, `dma tag: ${what}`);
  const sane = semantics.checkPowersOf2 ? isPowerOf2 : (n: number) => isWhole(n) && n > 0;
  if (!sane(o.alignment)) throw wrong(`alignment ${o.alignment} is not a power of 2`);
  if (o.boundary !== 0 && !sane(o.boundary))
    throw wrong(`boundary ${o.boundary} is not a power of 2`);
  if (!isWhole(o.lowAddr) || !isWhole(o.highAddr))
    throw wrong(`window ${o.lowAddr} - ${o.highAddr}`);
  if (!(o.maxSize > 0)) throw wrong(`maxSize ${o.maxSize}`);
  if (!(Number.isInteger(o.segments) && o.segments > 0)) throw wrong(`${o.segments} segments`);
  if (!(o.maxSegSize > 0)) throw wrong(`maxSegSize ${o.maxSegSize}`);
  if (!(Number.isInteger(o.domain) && o.domain >= ANY_DOMAIN)) throw wrong(`domain ${o.domain}`);
}

/** What the options say on their own. */
function settle(parent: DmaTag | null, options: TagOptions): Constraints {
  const maxSize = options.maxSize ?? MAXADDR;
  return {
    alignment: options.alignment ?? 1,
    boundary: options.boundary ?? 0,
    lowAddr: options.lowAddr ?? MAXADDR,
    highAddr: options.highAddr ?? MAXADDR,
    filter: options.filter ?? null,
    filterArg: options.filterArg ?? null,
    maxSize,
    segments: options.segments ?? BUS_SPACE_UNRESTRICTED,
    maxSegSize: options.maxSegSize ?? maxSize,
    flags: options.flags ?? 0,
    lock: options.lock ?? dfltLock,
    domain: options.domain ?? parent?.domain ?? ANY_DOMAIN,
  };
}

/**
 * Settle a tag's constraints: its own, then its parent's.
 * @throws {ErrnoError} EINVAL: one makes no sense, or a filter where the machine refuses them.
 * @bsd #Y common_bus_dma_tag_create
 */
export function narrow(
  parent: DmaTag | null,
  options: TagOptions,
  semantics: DmaSemantics,
  filters: "honoured" | "refused",
): Constraints {
  const own = settle(parent, options);
  checkConstraints(own, semantics);
  if (own.filter !== null && filters === "refused") {
    throw new ErrnoError(Errno.EINVAL, "dma tag: this machine refuses filters");
  }
  const above = parent?.boundary ?? 0;
  const boundary =
    own.boundary === 0 ? above : above === 0 ? own.boundary : Math.min(own.boundary, above);
  const cut = semantics.inheritedBoundaryLowersSegment ? boundary : own.boundary;
  const alignment = semantics.inheritAlignment
    ? Math.max(own.alignment, parent?.alignment ?? 1)
    : own.alignment;
  const inherits = own.filter === null && parent !== null;
  return {
    ...own,
    alignment,
    boundary,
    lowAddr: Math.min(clampAddr(own.lowAddr), parent?.lowAddr ?? MAXADDR),
    highAddr: Math.max(clampAddr(own.highAddr), parent?.highAddr ?? 0),
    filter: inherits ? parent.filter : own.filter,
    filterArg: inherits ? parent.filterArg : own.filterArg,
    maxSegSize: cut === 0 ? own.maxSegSize : Math.min(own.maxSegSize, cut),
  };
}
