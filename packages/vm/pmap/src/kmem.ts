/**
 * Kernel memory: virtual ranges of the kernel map with frames behind them.
 *
 * `alloc` maps scattered frames, `allocContig` frames in a row under the constraints of a device.
 * Follows kmem(9), kva_alloc(9) and
 * contigmalloc(9).
 *
 * Invariant: every page of a range from `alloc` or `allocContig` has its own wired frame; `free`
 * gives all of them back.
 */
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import {
  alignDown,
  Errno,
  ErrnoError,
  GiB,
  hex,
  NO_FRAME,
  PAGE_SIZE,
  panic,
  roundPage,
  TiB,
} from "@physio/kern";
import type { ContigLimits, PhysMem } from "@physio/physmem";
import { Arena } from "@physio/vmem";
import { copyinAll, copyoutAll, PmapSpace } from "./address-space.ts";
import { clearBits, Pmap } from "./pmap.ts";
import { Prot } from "./prot.ts";

/** Where the kernel's virtual addresses begin, and how many there are. */
const KVA_BASE = TiB;
const KVA_SIZE = 512 * GiB;

export class Kmem {
  readonly mem: PhysMem;
  readonly pmap: Pmap;
  readonly space: PmapSpace;
  /** Kernel virtual addresses. */
  readonly arena: Arena;

  constructor(mem: PhysMem) {
    this.mem = mem;
    this.pmap = new Pmap(mem, "kernel");
    this.space = new PmapSpace(this.pmap, true);
    this.arena = new Arena("kva", PAGE_SIZE);
    this.arena.add(KVA_BASE, KVA_SIZE);
  }

  /** Zeroed, wired memory of at least `size` bytes. @throws {ErrnoError} ENOMEM. @bsd #P[no small sizes, no wait] kmem_malloc */
  alloc(size: Bytes): VirtAddr {
    const length = roundPage(size);
    const va = this.arena.alloc(length);
    if (va < 0) throw new ErrnoError(Errno.ENOMEM, `kmem: no kernel addresses for ${length} bytes`);
    for (let at = 0; at < length; at += PAGE_SIZE) {
      const frame = this.mem.allocFrame();
      if (frame === NO_FRAME) {
        this.#unmap(va, at);
        this.arena.free(va, length);
        throw new ErrnoError(Errno.ENOMEM, `kmem: no frame for ${length} bytes`);
      }
      this.#wire(va + at, frame);
    }
    return va;
  }

  /**
   * Zeroed, wired memory in frames that lie in a row under `limits`.
   * @returns its virtual address, or −1 when no such frames are free.
   * @throws {ErrnoError} EINVAL: see PhysMem.allocContig; ENOMEM: no kernel addresses.
   * @bsd #Y contigmalloc(9), kmem_alloc_contig
   */
  allocContig(size: Bytes, limits: Partial<ContigLimits>): VirtAddr {
    const length = roundPage(size);
    const first = this.mem.allocContig(length / PAGE_SIZE, limits);
    if (first === NO_FRAME) return -1;
    const va = this.arena.alloc(length);
    if (va < 0) {
      this.mem.freeFrame(first, length / PAGE_SIZE);
      throw new ErrnoError(Errno.ENOMEM, `kmem: no kernel addresses for ${length} bytes`);
    }
    for (let i = 0; i < length / PAGE_SIZE; i++) this.#wire(va + i * PAGE_SIZE, first + i);
    return va;
  }

  /** Give back memory from `alloc` or `allocContig`. => `size` is what was asked for. @bsd #Y kmem_free */
  free(va: VirtAddr, size: Bytes): void {
    const length = roundPage(size);
    if (alignDown(va, PAGE_SIZE) !== va) panic(`kmem: free of ${hex(va)}`);
    this.arena.free(va, length); // panics before anything is undone when the size is wrong
    this.#unmap(va, length);
  }

  /** Copy bytes into kernel memory. @throws {ErrnoError} EFAULT: not mapped. */
  write(va: VirtAddr, from: Uint8Array): void {
    if (copyoutAll(this.space, va, from) !== Errno.OK) {
      throw new ErrnoError(Errno.EFAULT, `kmem: write of ${from.length} bytes at ${hex(va)}`);
    }
  }

  /** Copy bytes out of kernel memory. @throws {ErrnoError} EFAULT: not mapped. */
  read(va: VirtAddr, to: Uint8Array): void {
    if (copyinAll(this.space, va, to) !== Errno.OK) {
      throw new ErrnoError(Errno.EFAULT, `kmem: read of ${to.length} bytes at ${hex(va)}`);
    }
  }

  #wire(va: VirtAddr, frame: Frame): void {
    this.mem.zero(this.mem.addrOf(frame), PAGE_SIZE);
    clearBits(this.mem, frame);
    this.pmap.enter(va, frame, Prot.READ | Prot.WRITE);
  }

  #unmap(va: VirtAddr, length: Bytes): void {
    for (let at = 0; at < length; at += PAGE_SIZE) {
      const frame = this.pmap.frameAt(va + at);
      if (frame === NO_FRAME) panic(`kmem: ${hex(va + at)} is not mapped`);
      this.mem.freeFrame(frame);
    }
    this.pmap.remove(va, length);
  }
}
