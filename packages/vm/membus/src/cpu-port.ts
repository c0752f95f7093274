/**
 * The CPU's port: how the kernel's own code touches RAM by physical address.
 *
 * On a machine whose caches devices snoop, the port is RAM itself and maintenance does nothing. On
 * another one it goes through a model of the data cache (data-cache.ts). An access says how the
 * mapping that it stands for is cached: WRITE_BACK through the cache, UNCACHED past it,
 * WRITE_COMBINING past it with stores gathered (write-combine.ts). UNCACHED and WRITE_COMBINING do
 * not look into the cache: two mappings of one line with different attributes are the caller's
 * fault, here as on hardware.
 *
 * Every machine has one, `membus.cpu`. Follows bus_dma's view of cpu_dcache_* and membarrier ops.
 */
import type { Bytes, Frame, PhysAddr } from "@physio/kern";
import { Errno, hex, isWhole, offsetIn, panic } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import type { CacheConfig } from "./data-cache.ts";
import { DataCache } from "./data-cache.ts";
import type { AccessWatcher } from "./watcher.ts";
import { WriteCombine } from "./write-combine.ts";

/** How a mapping is cached. The numbers are plain so that they fit a column. */
export const CacheAttr = Object.freeze({
  WRITE_BACK: 0, //      loads and stores go through the data cache
  UNCACHED: 1, //        each goes to memory at once; a store first pushes what was combined
  WRITE_COMBINING: 2, // loads go to memory, stores gather in line-sized buffers
} as const);
export type CacheAttr = (typeof CacheAttr)[keyof typeof CacheAttr];

// This module's own names: the compiler folds them.
const WRITE_BACK = CacheAttr.WRITE_BACK;
const UNCACHED = CacheAttr.UNCACHED;
const WRITE_COMBINING = CacheAttr.WRITE_COMBINING;
const OK = Errno.OK;
const EFAULT = Errno.EFAULT;
/** Line of the combining buffers of a machine without a cache model. */
const COMBINED_LINE = 64;

export class CpuPort {
  /** Whether devices see what the CPU stores, and the other way round, without maintenance. */
  readonly coherent: boolean;
  /** Bytes of a cache line, the grain of maintenance; 0 when coherent. */
  readonly lineSize: Bytes;
  /** The cache model, for its counters and questions; null when coherent. */
  readonly cache: DataCache | null;
  /** Told of each access before it happens; copies are a read and a write. */
  watcher: AccessWatcher | null;
  readonly #mem: PhysMem;
  /** Made by the first combined store. */
  #combine: WriteCombine | null;
  /** One line on its way, for `copy`. */
  readonly #staged: Uint8Array;

  /** @throws {ErrnoError} EINVAL: a geometry that makes no sense. */
  constructor(mem: PhysMem, config: CacheConfig | null) {
    const cache = config === null ? null : new DataCache(mem, config);
    this.coherent = cache === null;
    this.lineSize = cache === null ? 0 : cache.line;
    this.cache = cache;
    this.watcher = null;
    this.#mem = mem;
    this.#combine = null;
    this.#staged = new Uint8Array(this.lineSize);
  }

  /**
   * Load [`pa`, `pa + length`) into `to` from `at` on.
   * => `to` has room. @returns OK; EFAULT: not all of it is RAM, nothing was moved.
   */
  read(
    pa: PhysAddr,
    to: Uint8Array,
    at = 0,
    length: Bytes = to.length - at,
    attr: CacheAttr = WRITE_BACK,
  ): Errno {
    checkMove(pa, to, at, length);
    if (this.watcher !== null && length > 0) this.watcher.cpu(pa, length, false);
    if (this.cache === null && attr === WRITE_BACK) return this.#mem.read(pa, to, at, length);
    if (!this.#mem.isRam(pa, length)) return EFAULT;
    switch (attr) {
      case WRITE_BACK:
        this.cache!.read(pa, to, at, length);
        return OK;
      case UNCACHED:
      case WRITE_COMBINING:
        if (this.#combine?.overlaps(pa, length) === true) this.#combine.drain();
        return this.#mem.read(pa, to, at, length);
      default:
        return panic(`cpu: read of ${hex(pa)}+${length} with attribute ${attr}`);
    }
  }

  /**
   * Store `from` from `at` on to [`pa`, `pa + length`).
   * => `from` has the bytes. @returns OK; EFAULT: not all of it is RAM, nothing was moved.
   */
  write(
    pa: PhysAddr,
    from: Uint8Array,
    at = 0,
    length: Bytes = from.length - at,
    attr: CacheAttr = WRITE_BACK,
  ): Errno {
    checkMove(pa, from, at, length);
    if (this.watcher !== null && length > 0) this.watcher.cpu(pa, length, true);
    if (this.cache === null && attr === WRITE_BACK) return this.#mem.write(pa, from, at, length);
    if (!this.#mem.isRam(pa, length)) return EFAULT;
    switch (attr) {
      case WRITE_BACK:
        this.cache!.write(pa, from, at, length);
        return OK;
      case UNCACHED:
        this.drain();
        return this.#mem.write(pa, from, at, length);
      case WRITE_COMBINING:
        this.#combine ??= new WriteCombine(this.#mem, this.cache?.line ?? COMBINED_LINE);
        this.#combine.write(pa, from, at, length);
        return OK;
      default:
        return panic(`cpu: write of ${hex(pa)}+${length} with attribute ${attr}`);
    }
  }

  /**
   * `read` for callers that know the frame: `length` bytes from `offset` on, which may lie behind the
   * frame's end. An address above 2^31 is boxed by a call, frame and offset are not.
   * => all of it is RAM, else panic; `to` has room.
   */
  readFrame(
    frame: Frame,
    offset: Bytes,
    to: Uint8Array,
    at: number,
    length: Bytes,
    attr: CacheAttr = WRITE_BACK,
  ): void {
    checkFrameMove(offset, to, at, length);
    if (this.cache === null && attr === WRITE_BACK && this.watcher === null) {
      this.#mem.readFrames(frame, offset, to, at, length);
    } else if (this.read(this.#mem.addrOf(frame) + offset, to, at, length, attr) !== OK) {
      panicNoRam("read", frame, offset, length);
    }
  }

  /** `write` in the same way. => all of it is RAM, else panic; `from` has the bytes. */
  writeFrame(
    frame: Frame,
    offset: Bytes,
    from: Uint8Array,
    at: number,
    length: Bytes,
    attr: CacheAttr = WRITE_BACK,
  ): void {
    checkFrameMove(offset, from, at, length);
    if (this.cache === null && attr === WRITE_BACK && this.watcher === null) {
      this.#mem.writeFrames(frame, offset, from, at, length);
    } else if (this.write(this.#mem.addrOf(frame) + offset, from, at, length, attr) !== OK) {
      panicNoRam("write", frame, offset, length);
    }
  }

  /** `zero` in the same way. => all of it is RAM, else panic. */
  zeroFrame(frame: Frame, offset: Bytes, length: Bytes): void {
    if (this.cache === null && this.watcher === null) {
      this.#mem.fillFrames(frame, offset, length, 0);
    } else if (this.fill(this.#mem.addrOf(frame) + offset, length, 0) !== OK) {
      panicNoRam("zero", frame, offset, length);
    }
  }

  /**
   * Copy `length` bytes at `from` to `to`, both through the cache.
   * => the ranges do not overlap. @returns OK; EFAULT: not all of it is RAM, nothing was moved.
   */
  copy(to: PhysAddr, from: PhysAddr, length: Bytes): Errno {
    checkRange(to, length);
    checkRange(from, length);
    if (!(length === 0 || to + length <= from || from + length <= to)) {
      panic(`cpu: copy of ${length} bytes from ${hex(from)} to ${hex(to)} overlaps`);
    }
    if (this.watcher !== null && length > 0) {
      this.watcher.cpu(from, length, false);
      this.watcher.cpu(to, length, true);
    }
    const { cache } = this;
    if (cache === null) return this.#mem.copy(to, from, length);
    if (!this.#mem.isRam(to, length) || !this.#mem.isRam(from, length)) return EFAULT;
    let run = Math.min(length, cache.line - offsetIn(to, cache.line));
    for (let done = 0; done < length; ) {
      cache.read(from + done, this.#staged, 0, run);
      cache.write(to + done, this.#staged, 0, run);
      done += run;
      run = Math.min(length - done, cache.line);
    }
    return OK;
  }

  /**
   * `copy` for callers that know the frames: `length` bytes from offset `from` of `source` to offset
   * `to` of `target`, both of which may lie behind the frame's end.
   * => all of it is RAM, and the ranges do not overlap, else panic.
   */
  copyFrame(target: Frame, to: Bytes, source: Frame, from: Bytes, length: Bytes): void {
    if (!(isWhole(to) && isWhole(from) && isWhole(length)))
      panic(`cpu: copy of ${length} bytes at offset ${from} to offset ${to}`);
    const mem = this.#mem;
    if (this.cache === null && this.watcher === null) {
      mem.copyFrames(target, to, source, from, length);
    } else if (
      length > 0 &&
      this.copy(mem.addrOf(target) + to, mem.addrOf(source) + from, length) !== OK
    ) {
      panicNoRam("copy", source, from, length);
    }
  }

  /** Store zeros. RAM that was never written stays untouched on a coherent machine. @returns OK; EFAULT: not all of it is RAM, nothing was changed. */
  zero(pa: PhysAddr, length: Bytes): Errno {
    return this.fill(pa, length, 0);
  }

  /** Store the byte `value`, 0 to 255, everywhere in the range. @returns OK; EFAULT: not all of it is RAM, nothing was changed. */
  fill(pa: PhysAddr, length: Bytes, value: number): Errno {
    checkRange(pa, length);
    if (!(Number.isInteger(value) && value >= 0 && value <= 0xff)) panic(`cpu: fill with ${value}`);
    if (this.watcher !== null && length > 0) this.watcher.cpu(pa, length, true);
    if (this.cache === null) return this.#mem.fill(pa, length, value);
    if (!this.#mem.isRam(pa, length)) return EFAULT;
    this.cache.fill(pa, length, value);
    return OK;
  }

  // ---- maintenance: nothing but a check of the range on a coherent machine

  /** Dirty lines that overlap the range reach RAM and stay valid. @bsd #Y cpu_dcache_wb_range */
  writeBack(pa: PhysAddr, length: Bytes): void {
    checkMaintained(pa, length);
    if (this.cache !== null) this.cache.writeBack(pa, length);
  }

  /** Lines that overlap the range are dropped whole, dirty or not. @bsd #Y cpu_dcache_inv_range */
  invalidate(pa: PhysAddr, length: Bytes): void {
    checkMaintained(pa, length);
    if (this.cache !== null) this.cache.invalidate(pa, length);
  }

  /** Dirty lines that overlap the range reach RAM, then all that overlap are dropped. @bsd #Y cpu_dcache_wbinv_range */
  writeBackInvalidate(pa: PhysAddr, length: Bytes): void {
    checkMaintained(pa, length);
    if (this.cache !== null) this.cache.writeBackInvalidate(pa, length);
  }

  // ---- combined stores

  /** Combined stores reach RAM. The data cache has no part in it. */
  drain(): void {
    if (this.#combine !== null) this.#combine.drain();
  }

  /** Bytes that combined stores have not yet brought to RAM. */
  get combinedBytes(): Bytes {
    return this.#combine === null ? 0 : this.#combine.pending;
  }

  /** Walk the cache and the combining buffers and panic on a broken invariant. */
  check(): void {
    this.cache?.check();
    this.#combine?.check();
  }
}

/** Whole numbers, of any sign: what is not RAM is EFAULT. */
function checkRange(pa: PhysAddr, length: Bytes): void {
  if (!(Number.isSafeInteger(pa) && Number.isSafeInteger(length) && length >= 0)) {
    panic(`cpu: no range of memory: ${pa}+${length}`);
  }
}

/** On every machine alike: a program that is right on one is not to fail on another. */
function checkMaintained(pa: PhysAddr, length: Bytes): void {
  if (!(isWhole(pa) && isWhole(length))) panic(`cpu: maintenance of ${pa}+${length}`);
}

/** What `readFrame` and `writeFrame` owe. */
function checkFrameMove(offset: Bytes, bytes: Uint8Array, at: number, length: Bytes): void {
  const whole = isWhole(offset) && isWhole(at) && isWhole(length);
  if (!(whole && at + length <= bytes.length)) {
    panic(`cpu: ${length} bytes at ${at} of an array of ${bytes.length}, offset ${offset}`);
  }
}

function checkMove(pa: PhysAddr, bytes: Uint8Array, at: number, length: Bytes): void {
  checkRange(pa, length);
  if (!(Number.isSafeInteger(at) && at >= 0 && at + length <= bytes.length)) {
    panic(`cpu: ${length} bytes at ${at} of an array of ${bytes.length}, for ${hex(pa)}`);
  }
}

function panicNoRam(what: string, frame: Frame, offset: Bytes, length: Bytes): never {
  panic(`cpu: ${what} of ${length} bytes at ${offset} of frame ${frame}, not all of it RAM`);
}
