/**
 * Machine profiles: named configurations of real kinds of machines.
 *
 * A profile says what the machine is made of; `Machine` builds it. Nothing is chosen by default
 * there: the backend, the memory map and the reach of the disk controller all come from here.
 */

import { arm64Backend, arm64Banks, VIRT_MMIO_BASE, VIRT_MMIO_SIZE } from "@physio/arch-arm64";
import {
  VIRT_MMIO_BASE as RISCV_MMIO_BASE,
  VIRT_MMIO_SIZE as RISCV_MMIO_SIZE,
  riscvBackend,
  riscvBanks,
} from "@physio/arch-riscv";
import { MMIO_BASE, MMIO_SIZE, pcBanks, x86Backend } from "@physio/arch-x86";
import type { CompletionPolicy } from "@physio/blkio";
import type { DmaContext, DmaSemantics } from "@physio/busdma";
import { FIXED } from "@physio/busdma";
import type { DmaBackend } from "@physio/busdma/impl";
import type { BouncePool } from "@physio/busdma-bounce";
import type { BusAddr, Bytes } from "@physio/kern";
import { Errno, ErrnoError, GiB, KiB, MAXADDR, MAXADDR_32BIT, MiB, PAGE_SIZE } from "@physio/kern";
import type { CacheConfig, Membus } from "@physio/membus";
import type { BankConfig } from "@physio/physmem";
import type { Kmem } from "@physio/pmap";

/** Filters of DMA tags: honoured, as FreeBSD did for long, or refused, as its later revisions do. */
export type DmaFilters = NonNullable<DmaContext["filters"]>;

/** Everything that a machine is made of. */
export interface MachineConfig {
  readonly profile: string;
  readonly banks: readonly BankConfig[];
  readonly mmioBase: BusAddr;
  readonly mmioSize: Bytes;
  /** `membus` is for backends that watch it. */
  readonly dmaBackend: (pool: BouncePool, kmem: Kmem, membus: Membus) => DmaBackend;
  readonly semantics: DmaSemantics;
  /** What becomes of DMA tags with a filter: it is asked, or making such a tag is EINVAL. */
  readonly filters: DmaFilters;
  /** The data cache of a machine whose devices do not snoop, but for the source of its random numbers; null: they do. */
  readonly dataCache: Omit<CacheConfig, "random"> | null;
  /** Highest bus address that the disk controller reaches. */
  readonly diskReach: BusAddr;
  /** Bounce pages that the machine may have for each of its disks; 0 means no limit. */
  readonly bouncePages: number;
  /** Names one interleaving of threads and completions; null: first come, first served. */
  readonly seed: number | null;
  readonly completion: CompletionPolicy;
  readonly bufCacheBytes: Bytes;
  /** Largest transfer of the disk controller. */
  readonly maxTransfer: Bytes;
  /** Events that the trace keeps. */
  readonly traceEntries: number;
  /** Whether freed memory is filled with junk and looked at when it is had again (physmem's `verify`). */
  readonly verify: boolean;
}

/** What a user may change of a profile. */
export interface ProfileOptions {
  readonly ram?: Bytes;
  readonly seed?: number | null;
  readonly bouncePages?: number;
  readonly completion?: CompletionPolicy;
  readonly semantics?: DmaSemantics;
  readonly filters?: DmaFilters;
  readonly traceEntries?: number;
  readonly verify?: boolean;
}

const MAX_TRANSFER = 128 * KiB;

/** The largest transfer whose pages a limited pool can hold at once: a longer one would wait for ever. */
function transferFor(bouncePages: number): Bytes {
  if (bouncePages === 0) return MAX_TRANSFER;
  return Math.min(MAX_TRANSFER, 2 ** Math.floor(Math.log2(bouncePages)) * PAGE_SIZE);
}

function x86Machine(profile: string, diskReach: BusAddr, options: ProfileOptions): MachineConfig {
  return {
    profile,
    banks: pcBanks(options.ram ?? 8 * GiB),
    mmioBase: MMIO_BASE as number,
    mmioSize: MMIO_SIZE,
    dmaBackend: (pool, kmem) => x86Backend(pool, kmem),
    dataCache: null,
    diskReach,
    ...common(options),
  };
}

/** What does not depend on the kind of machine. */
function common(options: ProfileOptions) {
  return {
    semantics: options.semantics ?? FIXED,
    filters: options.filters ?? "honoured",
    bouncePages: options.bouncePages ?? 0,
    seed: options.seed === undefined ? 1 : options.seed,
    completion: options.completion ?? "softintr",
    bufCacheBytes: 4 * MiB,
    traceEntries: options.traceEntries ?? 4096,
    verify: options.verify ?? false,
    maxTransfer: transferFor(options.bouncePages ?? 0),
  } as const;
}

/** Of machines that come with caches of several kinds. */
export interface CacheOptions extends ProfileOptions {
  /** Bytes of a cache line; default 64. */
  readonly cacheLine?: 32 | 64 | 128;
  /** Whether devices snoop the CPU's cache; default false. */
  readonly coherent?: boolean;
}

/** Now and then a line is evicted or read in without anybody's asking, as on hardware. */
function cacheOf({ cacheLine = 64, coherent = false }: CacheOptions): MachineConfig["dataCache"] {
  return coherent ? null : { line: cacheLine, evictOneIn: 64, prefetchOneIn: 32 };
}

/** An arm64 board (QEMU's virt) whose devices do not snoop unless told so. */
export function arm64(options: CacheOptions = {}): MachineConfig {
  const { cacheLine = 64, coherent = false } = options;
  return {
    profile: "arm64",
    banks: arm64Banks(options.ram ?? 8 * GiB),
    mmioBase: VIRT_MMIO_BASE as number,
    mmioSize: VIRT_MMIO_SIZE,
    dmaBackend: (pool, kmem) => arm64Backend({ pool, kmem, cacheLine, coherent }),
    dataCache: cacheOf(options),
    diskReach: MAXADDR,
    ...common(options),
  };
}

/** A riscv board (QEMU's virt) whose devices do not snoop unless told so. */
export function riscv(options: CacheOptions = {}): MachineConfig {
  const { cacheLine = 64, coherent = false } = options;
  return {
    profile: "riscv",
    banks: riscvBanks(options.ram ?? 8 * GiB),
    mmioBase: RISCV_MMIO_BASE as number,
    mmioSize: RISCV_MMIO_SIZE,
    dmaBackend: (pool, kmem) => riscvBackend({ pool, kmem, cacheLine, coherent }),
    dataCache: cacheOf(options),
    diskReach: MAXADDR,
    ...common(options),
  };
}

/** A PC whose disk controller reaches all of its memory. */
export function pc(options: ProfileOptions = {}): MachineConfig {
  return x86Machine("pc", MAXADDR, options);
}

/** A PC whose disk controller reaches only the low 4 GiB: what lies above is bounced. */
export function pc32BitDma(options: ProfileOptions = {}): MachineConfig {
  return x86Machine("pc-32bit-dma", MAXADDR_32BIT, options);
}

const PROFILES: Readonly<Record<string, (options: ProfileOptions) => MachineConfig>> =
  Object.freeze({
    pc,
    "pc-32bit-dma": pc32BitDma,
    arm64,
    riscv,
  });

export const PROFILE_NAMES: readonly string[] = Object.freeze(Object.keys(PROFILES));

/** The profile of that name. @throws {ErrnoError} EINVAL: there is none; the names that exist are listed. */
export function profileNamed(name: string, options: ProfileOptions = {}): MachineConfig {
  if (!Object.hasOwn(PROFILES, name)) {
    throw new ErrnoError(
      Errno.EINVAL,
      `profile "${name}" (there are: ${PROFILE_NAMES.join(", ")})`,
    );
  }
  return PROFILES[name](options);
}
