/**
 * Cache maintenance for DMA: what sync does to the CPU's caches where devices do not snoop.
 *
 * Three calls on ranges: `clean` (dirty lines reach memory), `invalidate` (lines are dropped) and
 * `clean-invalidate`. A range of the kernel's map is one call; one without kernel address is a call
 * for each page, as the original maps its pages one at a time. Bounce pages count as physical.
 * Follows the cache calls of FreeBSD's arm64 and riscv busdma_bounce.c.
 *
 * The calls go to the CPU's port, and before that to the hook, which tests and recorders give. On a
 * machine whose memory is modelled as coherent only the hook notices anything.
 */
import type { Bytes, PhysAddr, VirtAddr } from "@physio/kern";
import {
  Errno,
  ErrnoError,
  isAligned,
  isPowerOf2,
  PAGE_SIZE,
  pageOffset,
  panic,
} from "@physio/kern";
import type { CpuPort } from "@physio/membus";
import type { SyncList } from "./sync-list.ts";
import type { BounceZone, PageList } from "./zone.ts";

/** @bsd #Y cpu_dcache_wb_range, cpu_dcache_inv_range, cpu_dcache_wbinv_range */
export type CacheCall = "clean" | "invalidate" | "clean-invalidate";

/** Told of each call before it is done. `kernel`: a kernel address; `phys`: a physical one. Bytes. */
export type CacheHook = (
  call: CacheCall,
  space: "kernel" | "phys",
  address: VirtAddr | PhysAddr,
  length: Bytes,
) => void;

/** The kernel's map, as far as maintenance needs it. @returns of extract: −1: nothing is mapped there. */
export interface KernelMap {
  extract(va: VirtAddr): PhysAddr;
}

const LINE = 64;

/**
 * The cache line that a backend of kind `arch` works with: the one `given`, or the CPU port's, or 64
 * bytes when that is coherent.
 * @throws {ErrnoError} EINVAL: no such line, or shorter than the port's.
 */
export function cacheLineOf(arch: string, cpu: CpuPort, given: Bytes | undefined): Bytes {
  const line = given ?? (cpu.coherent ? LINE : cpu.lineSize);
  const sane = isPowerOf2(line) && line <= PAGE_SIZE && (cpu.coherent || line >= cpu.lineSize);
  if (!sane) throw new ErrnoError(Errno.EINVAL, `${arch}: cache line of ${given} bytes`);
  return line;
}

export class DmaCache {
  /** Bytes of a line, the grain of maintenance. */
  readonly line: Bytes;
  readonly #cpu: CpuPort;
  readonly #kernel: KernelMap;
  readonly #hook: CacheHook | null;
  /** Nothing would happen, and nobody would hear of it. */
  readonly #idle: boolean;

  constructor(line: Bytes, cpu: CpuPort, kernel: KernelMap, hook: CacheHook | null) {
    this.line = line;
    this.#cpu = cpu;
    this.#kernel = kernel;
    this.#hook = hook;
    this.#idle = cpu.coherent && hook === null;
  }

  /** Stores that are on their way to uncached memory arrive: before a device is started. */
  barrier(): void {
    this.#cpu.drain();
  }

  /** One call for all of each entry. */
  ranges(list: SyncList, call: CacheCall): void {
    if (!this.#idle) this.#each(list, call, false);
  }

  /**
   * The device will write these ranges: dirty lines must not fall on its bytes later. Lines that lie
   * in a range only in part are cleaned before all is invalidated, as the rest of them is not ours.
   * @bsd #Y dma_preread_safe
   */
  beforeRead(list: SyncList): void {
    if (!this.#idle) this.#each(list, "invalidate", true);
  }

  /** One call for the data in each bounce page of a map. `keepOffset`: BUS_DMA_KEEP_PG_OFFSET. */
  bounced(zone: BounceZone, list: PageList, keepOffset: boolean, call: CacheCall): void {
    if (this.#idle) return;
    for (let row = list.head; row >= 0; row = zone.next[row]) {
      const pa: PhysAddr = zone.busAddr[row] as number;
      const offset = keepOffset ? zone.dataOffset[row] : 0;
      this.#physical(call, pa + offset, zone.dataCount[row]);
    }
  }

  #each(list: SyncList, call: CacheCall, partial: boolean): void {
    for (let i = 0; i < list.count; i++) {
      const where = list.where(i);
      const length = list.length(i);
      if (where >= 0) this.#range(call, true, where, length, partial);
      else this.#pages(call, -1 - where, length, partial);
    }
  }

  #pages(call: CacheCall, pa: PhysAddr, length: Bytes, partial: boolean): void {
    for (let done = 0; done < length; ) {
      const size = Math.min(length - done, PAGE_SIZE - pageOffset(pa + done));
      this.#range(call, false, pa + done, size, partial);
      done += size;
    }
  }

  /** `call` on one range, after its partial lines were cleaned. */
  #range(call: CacheCall, kernel: boolean, at: number, length: Bytes, partial: boolean): void {
    const end = at + length;
    if (partial && !isAligned(at, this.line)) this.#one("clean", kernel, at, 1);
    if (partial && !isAligned(end, this.line)) this.#one("clean", kernel, end, 1);
    this.#one(call, kernel, at, length);
  }

  #one(call: CacheCall, kernel: boolean, at: number, length: Bytes): void {
    if (kernel) this.#virtual(call, at, length);
    else this.#physical(call, at, length);
  }

  #virtual(call: CacheCall, va: VirtAddr, length: Bytes): void {
    if (this.#hook !== null) this.#hook(call, "kernel", va, length);
    if (this.#cpu.coherent) return;
    for (let done = 0; done < length; ) {
      const pa = this.#kernel.extract(va + done);
      if (!(pa >= 0)) panic(`bus_dma: sync of ${length} bytes at ${va}: nothing is mapped there`);
      const size = Math.min(length - done, PAGE_SIZE - pageOffset(pa));
      this.#maintain(call, pa, size);
      done += size;
    }
  }

  #physical(call: CacheCall, pa: PhysAddr, length: Bytes): void {
    if (this.#hook !== null) this.#hook(call, "phys", pa, length);
    this.#maintain(call, pa, length);
  }

  #maintain(call: CacheCall, pa: PhysAddr, length: Bytes): void {
    switch (call) {
      case "clean":
        this.#cpu.writeBack(pa, length);
        return;
      case "invalidate":
        this.#cpu.invalidate(pa, length);
        return;
      case "clean-invalidate":
        this.#cpu.writeBackInvalidate(pa, length);
    }
  }
}
