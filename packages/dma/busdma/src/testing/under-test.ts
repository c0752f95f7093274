/**
 * What the test-kit needs of a bus_dma backend: a whole machine round it, made to order.
 *
 * A third party gives one function, `MakeBackend`; the kit asks it for a fresh machine for each case
 * and looks at nothing of the backend but its table (`DmaBackend`), the memory and the counts here.
 *
 * => the machine's semantics are FIXED: the kit tests what bus_dma(9) promises, not the original's slips.
 */
import type { BusAddr, Bytes, Errno } from "@physio/kern";
import { GiB, MiB } from "@physio/kern";
import type { SparseBank } from "@physio/physmem";
import type { Kmem } from "@physio/pmap";
import type { Scheduler } from "@physio/sched";
import type { DmaContext } from "../tag.ts";

/** Whole numbers from 0 to 2^32 − 1. */
export interface RandomSource {
  next(): number;
}

/** The last address that a 24-bit device reaches: the first bank, and no other. */
export const REACH: BusAddr = 16 * MiB - 1;
/** Where the three banks of RAM begin: within that reach, out of it, and at the end of all addresses. */
export const LOW_BANK = MiB;
export const HIGH_BANK = 8 * GiB;
export const TOP_BANK = 2 ** 52 - MiB / 8;
/** Small: each case makes its machine. */
export const HIGH_SIZE = MiB / 4;

export const BANKS: readonly SparseBank[] = Object.freeze([
  { base: LOW_BANK, size: MiB / 2 },
  { base: HIGH_BANK, size: HIGH_SIZE },
  { base: TOP_BANK, size: MiB / 8 },
]);

/** The machine that is wanted. */
export interface BackendSpec {
  /** RAM, all zero. */
  readonly banks: readonly SparseBank[];
  /** Bounce pages that all zones together may ever have. */
  readonly bouncePages: number;
  /** Names what is left to chance in the machine: caches that evict and prefetch. */
  readonly seed: number;
}

/** Pages of a zone, the maps that use it and those of them that wait. */
export interface ZoneCounts {
  readonly total: number;
  readonly free: number;
  readonly reserved: number;
  readonly active: number;
  readonly maps: number;
  readonly waiting: number;
}

/** A device without limits: moves bytes by bus address, past the CPU's caches. A DevicePort is one. */
export interface DeviceUnderTest {
  read(addr: BusAddr, to: Uint8Array, at: number, length: Bytes): Errno;
  write(addr: BusAddr, from: Uint8Array, at: number, length: Bytes): Errno;
}

export interface BackendUnderTest {
  /** => FIXED semantics. */
  readonly context: DmaContext;
  /** How the CPU sees memory: through its caches, where there are any. */
  readonly kmem: Kmem;
  /** Deferred loads are resumed by its threads: the kit pumps it. */
  readonly sched: Scheduler;
  readonly device: DeviceUnderTest;
  /** All zones; none for a backend that does not bounce. */
  zones(): readonly ZoneCounts[];
  /** Panic on a broken invariant of the machine's own. */
  check(): void;
}

export type MakeBackend = (spec: BackendSpec) => BackendUnderTest;
