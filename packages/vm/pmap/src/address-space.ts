/**
 * Address spaces: a pmap with the means to move bytes through it.
 *
 * `copyin` and `copyout` are plain functions: they move what is mapped and stop at the first page
 * that is not. A space whose pages can be faulted in implements `fault`, and callers that may sleep
 * loop: copy, fault, copy on. So there is one body for both worlds, and no page need be busy while
 * a user's buffer faults.
 */
import type { Bytes, VirtAddr } from "@physio/kern";
import { Errno, NO_FRAME } from "@physio/kern";
import { Pmap } from "./pmap.ts";
import { Prot } from "./prot.ts";

export interface AddressSpace {
  readonly pmap: Pmap;
  /** Whether this is the kernel's own space: UIO_SYSSPACE. */
  readonly kernel: boolean;
  /** Copy out of this space into `to[at…]`. @returns bytes moved; less than `length` where `va + moved` is not readable. @bsd #Y copyin(9) */
  copyin(va: VirtAddr, to: Uint8Array, at: number, length: Bytes): Bytes;
  /** Copy `from[at…]` into this space. @returns bytes moved; less than `length` where `va + moved` is not writable. @bsd #Y copyout(9) */
  copyout(va: VirtAddr, from: Uint8Array, at: number, length: Bytes): Bytes;
}

/** Copies through a pmap, page by page. Kernel and user spaces share it. */
export class PmapSpace implements AddressSpace {
  readonly pmap: Pmap;
  readonly kernel: boolean;

  constructor(pmap: Pmap, kernel: boolean) {
    this.pmap = pmap;
    this.kernel = kernel;
  }

  copyin(va: VirtAddr, to: Uint8Array, at: number, length: Bytes): Bytes {
    const { pmap } = this;
    let done = 0;
    while (done < length) {
      const run = Pmap.inPage(va + done, length - done);
      const frame = pmap.access(va + done, Prot.READ);
      if (frame === NO_FRAME) break;
      pmap.mem.read(pmap.extract(va + done), to, at + done, run);
      done += run;
    }
    return done;
  }

  copyout(va: VirtAddr, from: Uint8Array, at: number, length: Bytes): Bytes {
    const { pmap } = this;
    let done = 0;
    while (done < length) {
      const run = Pmap.inPage(va + done, length - done);
      const frame = pmap.access(va + done, Prot.WRITE);
      if (frame === NO_FRAME) break;
      pmap.mem.write(pmap.extract(va + done), from, at + done, run);
      done += run;
    }
    return done;
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
