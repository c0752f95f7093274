/**
 * Address spaces: a pmap with the means to move bytes through it.
 *
 * `copyin` and `copyout` are plain functions: they move what is mapped and stop at the first page
 * that is not. A space whose pages can be faulted in does so in `wire`, and callers that may sleep
 * loop: copy, fault, copy on. So there is one body for both worlds, and no page need be busy while a
 * user's buffer faults. Copies go run by run of memory, through the CPU's port, by frames: an address
 * that crosses a call would be boxed (a copy of 64 KiB left 32 bytes of garbage).
 */
import type { Bytes, VirtAddr } from "@physio/kern";
import { Errno, NO_FRAME, PAGE_SIZE, pageOf, pageOffset, panic } from "@physio/kern";
import type { CpuPort } from "@physio/membus";
import type { Sleeps } from "@physio/sched";
import { leafIndex, leafOf } from "./page-table.ts";
import type { Pmap } from "./pmap.ts";
import { Prot } from "./prot.ts";
import { Run } from "./run.ts";

// This module's own names: the compiler folds them.
const READ = Prot.READ;
const WRITE = Prot.WRITE;

/** What uio and DMA need of an address space. @bsd #P[the map with its entries is uvm's to bring] struct vmspace */
export interface AddressSpace {
  readonly pmap: Pmap;
  /** Whether this is the kernel's own space: UIO_SYSSPACE. */
  readonly kernel: boolean;
  /** Copy out of this space into `to[at…]`. @returns bytes moved; less than `length` where `va + moved` is not readable. @bsd #Y copyin(9) */
  copyin(va: VirtAddr, to: Uint8Array, at: number, length: Bytes): Bytes;
  /** Copy `from[at…]` into this space. @returns bytes moved; less than `length` where `va + moved` is not writable. @bsd #Y copyout(9) */
  copyout(va: VirtAddr, from: Uint8Array, at: number, length: Bytes): Bytes;
  /**
   * Make every page of [`va`, `va + length`) resident for `access`, and keep it so until `unwire`: the
   * frames are wired. A space that can fault pages in sleeps here.
   * @returns OK; EFAULT: some page cannot be had; ENOMEM. Then none is wired.
   * @bsd #P[here for spaces that cannot fault] uvm_vslock, vslock
   */
  wire(va: VirtAddr, length: Bytes, access: Prot): Sleeps<Errno>;
  /** End of `wire`, with the same range. @bsd #Y uvm_vsunlock, vsunlock */
  unwire(va: VirtAddr, length: Bytes): void;
}

/** A space of mappings that somebody else makes: the kernel's, and a bare pmap's. */
export class PmapSpace implements AddressSpace {
  readonly pmap: Pmap;
  readonly kernel: boolean;
  readonly #cpu: CpuPort;
  readonly #run: Run;

  constructor(pmap: Pmap, kernel: boolean, cpu: CpuPort) {
    this.pmap = pmap;
    this.kernel = kernel;
    this.#cpu = cpu;
    this.#run = new Run();
  }

  copyin(va: VirtAddr, to: Uint8Array, at: number, length: Bytes): Bytes {
    return this.#copyin(leafOf(va), leafIndex(va), pageOffset(va), to, at, length);
  }

  copyout(va: VirtAddr, from: Uint8Array, at: number, length: Bytes): Bytes {
    return this.#copyout(leafOf(va), leafIndex(va), pageOffset(va), from, at, length);
  }

  // biome-ignore lint/correctness/useYield: other spaces fault, and sleep
  *wire(va: VirtAddr, length: Bytes, access: Prot): Sleeps<Errno> {
    const end = lastPage(va, length);
    for (let page = pageOf(va); page <= end; page++) {
      if (this.pmap.extractAndHold(page * PAGE_SIZE, access) !== NO_FRAME) continue;
      for (let held = pageOf(va); held < page; held++) this.#release(held);
      return Errno.EFAULT;
    }
    return Errno.OK;
  }

  unwire(va: VirtAddr, length: Bytes): void {
    const end = lastPage(va, length);
    for (let page = pageOf(va); page <= end; page++) this.#release(page);
  }

  /** `offset`: where in that page the first byte is. */
  #copyin(
    leaf: number,
    index: number,
    offset: Bytes,
    to: Uint8Array,
    at: number,
    length: Bytes,
  ): Bytes {
    const run = this.#run;
    let done = 0;
    while (done < length) {
      const from = offset + done; // from the start of the first page
      const within = pageOffset(from);
      this.pmap.runFrom(leaf, index + pageOf(from), within, length - done, READ, run);
      if (run.frame === NO_FRAME) break;
      this.#cpu.readFrame(run.frame, within, to, at + done, run.length, run.attr);
      done += run.length;
    }
    return done;
  }

  #copyout(
    leaf: number,
    index: number,
    offset: Bytes,
    from: Uint8Array,
    at: number,
    length: Bytes,
  ): Bytes {
    const run = this.#run;
    let done = 0;
    while (done < length) {
      const to = offset + done;
      const within = pageOffset(to);
      this.pmap.runFrom(leaf, index + pageOf(to), within, length - done, WRITE, run);
      if (run.frame === NO_FRAME) break;
      this.#cpu.writeFrame(run.frame, within, from, at + done, run.length, run.attr);
      done += run.length;
    }
    return done;
  }

  #release(page: number): void {
    const frame = this.pmap.frameAt(page * PAGE_SIZE);
    if (frame === NO_FRAME) panic(`${this.pmap.name}: unwire of page ${page}, which is not mapped`);
    this.pmap.mem.unwire(frame);
  }
}

/** Number of the last page that has a byte of the range. */
function lastPage(va: VirtAddr, length: Bytes): number {
  if (!(va >= 0 && length > 0)) panic(`wire of ${length} bytes at ${va}`);
  return pageOf(va + length - 1);
}

/** Copy `length` bytes out of `space`. @returns OK; EFAULT: some of it is not readable. */
export function copyinAll(
  space: AddressSpace,
  va: VirtAddr,
  to: Uint8Array,
  at = 0,
  length: Bytes = to.length - at,
): Errno {
  return space.copyin(va, to, at, length) === length ? Errno.OK : Errno.EFAULT;
}

/** Copy `length` bytes into `space`. @returns OK; EFAULT: some of it is not writable. */
export function copyoutAll(
  space: AddressSpace,
  va: VirtAddr,
  from: Uint8Array,
  at = 0,
  length: Bytes = from.length - at,
): Errno {
  return space.copyout(va, from, at, length) === length ? Errno.OK : Errno.EFAULT;
}
