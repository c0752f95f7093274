/**
 * uio: a scattered range of an address space, and how much of it is left to move.
 *
 * `uiomove` moves bytes between a kernel buffer and the ranges, and advances the uio by what it
 * moved. It is plain: where the space has nothing mapped it stops, and the caller decides whether
 * to fault and go on. Follows uio(9).
 *
 * Invariant: `resid` is the sum of the iovecs' lengths, unless its maker says less.
 */
import type { Bytes, FileOffset, VirtAddr } from "@physio/kern";
import { Errno, panic } from "@physio/kern";
import type { AddressSpace } from "@physio/pmap";

/** One range. `uiomove` advances `base` and shrinks `length`. */
export interface Iovec {
  base: VirtAddr;
  length: Bytes;
}

/** Which way the bytes go, from the kernel's callers' point of view. */
export const UioRw = Object.freeze({ READ: 0, WRITE: 1 } as const);
export type UioRw = (typeof UioRw)[keyof typeof UioRw];

export class Uio {
  readonly iov: Iovec[];
  /** The first iovec that is not used up. */
  iovIndex: number;
  offset: FileOffset;
  resid: Bytes;
  readonly rw: UioRw;
  /** Where the ranges lie; null: user memory of nobody, of no use but for tests. */
  readonly space: AddressSpace | null;

  constructor(rw: UioRw, space: AddressSpace | null, iov: Iovec[], offset: FileOffset) {
    this.rw = rw;
    this.space = space;
    this.iov = iov;
    this.iovIndex = 0;
    this.offset = offset;
    this.resid = iov.reduce((sum, range) => sum + range.length, 0);
  }
}

/**
 * Move up to `length` bytes: READ copies `buffer[at…]` to the uio, WRITE copies from it.
 * @returns OK; EFAULT: stopped where the space is not mapped; what was moved is accounted for.
 * @bsd #Y uiomove(9)
 */
export function uiomove(buffer: Uint8Array, at: number, length: Bytes, uio: Uio): Errno {
  if (!(length >= 0)) panic(`uiomove of ${length} bytes`);
  const { space } = uio;
  if (space === null) panic("uiomove: user memory without a process");
  let done = 0;
  while (done < length && uio.resid > 0 && uio.iovIndex < uio.iov.length) {
    const range = uio.iov[uio.iovIndex];
    const run = Math.min(length - done, range.length, uio.resid);
    if (run === 0) {
      uio.iovIndex++;
      continue;
    }
    const moved =
      uio.rw === UioRw.READ
        ? space.copyout(range.base, buffer, at + done, run)
        : space.copyin(range.base, buffer, at + done, run);
    range.base += moved;
    range.length -= moved;
    uio.resid -= moved;
    uio.offset += moved;
    done += moved;
    if (moved < run) return Errno.EFAULT;
  }
  return Errno.OK;
}
