/**
 * Address spaces: a pmap with the means to move bytes through it.
 *
 * `copyin` and `copyout` are plain functions: they move what is mapped and stop at the first page
 * that is not. A space whose pages can be faulted in does so in `wire`, and callers that may sleep
 * loop: copy, fault, copy on. So there is one body for both worlds, and no page need be busy while a
 * user's buffer faults. Copies go run by run of memory, through the CPU's port, by frames: an address
 * that crosses a call would be boxed (a copy of 64 KiB left 32 bytes of garbage).
 */
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import {
  Errno,
  hex,
  isWhole,
  NO_FRAME,
  PAGE_SIZE,
  pageOf,
  pageOffset,
  panic,
  truncPage,
} from "@physio/kern";
import type { CpuPort } from "@physio/membus";
import { CacheAttr } from "@physio/membus";
import type { Sleeps } from "@physio/sched";
import { leafIndex, leafOf, VA_LIMIT } from "./page-table.ts";
import type { Pmap } from "./pmap.ts";
import { Prot } from "./prot.ts";
import { Run } from "./run.ts";

// This module's own names: the compiler folds them.
const PAGE = PAGE_SIZE;
const LIMIT = VA_LIMIT;
const READ = Prot.READ;
const WRITE = Prot.WRITE;
const WRITE_BACK = CacheAttr.WRITE_BACK;

/** What uio and DMA need of an address space. Its map with entries is uvm's to bring. */
export interface AddressSpace {
  readonly pmap: Pmap;
  /** Whether this is the kernel's own space: UIO_SYSSPACE. */
  readonly kernel: boolean;
  /** Copy out of this space into `to[at…]`. @returns bytes moved; less than `length` where `va + moved` is not readable. @bsd #Y copyin(9) */
  copyin(va: VirtAddr, to: Uint8Array, at: number, length: Bytes): Bytes;
  /** Copy `from[at…]` into this space. @returns bytes moved; less than `length` where `va + moved` is not writable. @bsd #Y copyout(9) */
  copyout(va: VirtAddr, from: Uint8Array, at: number, length: Bytes): Bytes;
  /**
   * `copyin` and `copyout` with RAM at the other end: `length` bytes from byte `offset` of `frame` on. What
   * lies in a row of the host's memory is moved there without a view of it. The two may overlap.
   * => all of it is RAM of one section, else panic.   @bsd #P[uiomove on a mapping of the pages] ubc_uiomove
   */
  copyinFrames(va: VirtAddr, frame: Frame, offset: Bytes, length: Bytes): Bytes;
  copyoutFrames(va: VirtAddr, frame: Frame, offset: Bytes, length: Bytes): Bytes;
  /**
   * Make every page of [`va`, `va + length`) resident for `access`, and keep it so until `unwire`: the
   * frames and their mappings are wired, once more for each call, and no other frame is entered there.
   * A mapping that is removed all the same leaves its frame wired. A space that can fault pages in
   * sleeps here.
   * @returns OK, also for no bytes; EFAULT: some page cannot be had, or is no address; ENOMEM: a frame
   * is wired too often. Then none is wired.
   * @bsd #P[here for spaces that cannot fault] vslock
   */
  wire(va: VirtAddr, length: Bytes, access: Prot): Sleeps<Errno>;
  /** End of `wire`, with the same range: the frames that it wired. Panics when it did not, before anything is undone. @bsd #Y uvm_vsunlock, vsunlock */
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
    checkPlace(this.pmap, to, at, length);
    return this.#copyin(leafOf(va), leafIndex(va), pageOffset(va), to, at, length);
  }

  copyout(va: VirtAddr, from: Uint8Array, at: number, length: Bytes): Bytes {
    checkPlace(this.pmap, from, at, length);
    return this.#copyout(leafOf(va), leafIndex(va), pageOffset(va), from, at, length);
  }

  copyinFrames(va: VirtAddr, frame: Frame, offset: Bytes, length: Bytes): Bytes {
    return this.#moveFrames(leafOf(va), leafIndex(va), pageOffset(va), frame, offset, length, READ);
  }

  copyoutFrames(va: VirtAddr, frame: Frame, offset: Bytes, length: Bytes): Bytes {
    return this.#moveFrames(
      leafOf(va),
      leafIndex(va),
      pageOffset(va),
      frame,
      offset,
      length,
      WRITE,
    );
  }

  // biome-ignore lint/correctness/useYield: other spaces fault, and sleep
  *wire(va: VirtAddr, length: Bytes, access: Prot): Sleeps<Errno> {
    if (!isRange(va, length)) return Errno.EFAULT;
    const first = truncPage(va);
    for (let at = first; at < va + length; at += PAGE) {
      const error = this.pmap.holds.hold(leafOf(at), leafIndex(at), access);
      if (error === Errno.OK) continue;
      for (let held = first; held < at; held += PAGE) this.#release(held);
      return error;
    }
    return Errno.OK;
  }

  unwire(va: VirtAddr, length: Bytes): void {
    if (!isRange(va, length)) panic(`${this.pmap.name}: unwire of ${length} bytes at ${va}`);
    const first = truncPage(va);
    for (let at = first; at < va + length; at += PAGE) {
      if (this.pmap.holds.isHeld(leafOf(at), leafIndex(at))) continue;
      panic(`${this.pmap.name}: unwire of ${hex(at)}, which is not wired`);
    }
    for (let at = first; at < va + length; at += PAGE) this.#release(at);
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

  /** `access`: WRITE copies from the frame to this space. `start`: where in its first page. */
  #moveFrames(
    leaf: number,
    index: number,
    start: Bytes,
    frame: Frame,
    offset: Bytes,
    length: Bytes,
    access: Prot,
  ): Bytes {
    const run = this.#run;
    let done = 0;
    while (done < length) {
      const at = start + done;
      const within = pageOffset(at);
      this.pmap.runFrom(leaf, index + pageOf(at), within, length - done, access, run);
      if (run.frame === NO_FRAME) break;
      const bytes = run.length;
      const apart = (run.frame - frame) * PAGE + within - (offset + done);
      if (run.attr !== WRITE_BACK || (apart < bytes && apart > -bytes)) {
        this.#moveStaged(run, within, frame, offset + done, access);
      } else if (access === WRITE) {
        this.#cpu.copyFrame(run.frame, within, frame, offset + done, bytes);
      } else this.#cpu.copyFrame(frame, offset + done, run.frame, within, bytes);
      done += bytes;
    }
    return done;
  }

  /** Bytes that go past the cache at one end, or onto themselves: a file's own mapping. */
  #moveStaged(run: Run, within: Bytes, frame: Frame, offset: Bytes, access: Prot): void {
    const cpu = this.#cpu;
    const { length } = run;
    const staged = new Uint8Array(length);
    if (access === WRITE) {
      cpu.readFrame(frame, offset, staged, 0, length);
      cpu.writeFrame(run.frame, within, staged, 0, length, run.attr);
    } else {
      cpu.readFrame(run.frame, within, staged, 0, length, run.attr);
      cpu.writeFrame(frame, offset, staged, 0, length);
    }
  }

  #release(va: VirtAddr): void {
    this.pmap.holds.release(leafOf(va), leafIndex(va));
  }
}

/** Whether [`va`, `va + length`) is a range of virtual addresses, maybe an empty one. */
function isRange(va: VirtAddr, length: Bytes): boolean {
  return isWhole(va) && isWhole(length) && va + length <= LIMIT;
}

/** Once for each copy; pages and runs of it need not ask again. */
function checkPlace(pmap: Pmap, bytes: Uint8Array, at: number, length: Bytes): void {
  if (!(isWhole(at) && isWhole(length) && at + length <= bytes.length)) {
    panic(`${pmap.name}: copy of ${length} bytes at ${at} of an array of ${bytes.length}`);
  }
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
