/**
 * uio: a scattered range of an address space, and how much of it is left to move.
 *
 * `uiomove` moves bytes between a kernel buffer and the ranges, and advances the uio by what it
 * moved. It is plain: where the space has nothing mapped it stops, and the caller decides whether
 * to fault and go on. `uiomoveWait` is for callers that may sleep: it has the space bring the pages
 * in, and goes on. There is one body that copies. Follows uio(9).
 *
 * Invariant: `resid` is the sum of the iovecs' lengths, unless its maker says less.
 */
import type { Bytes, FileOffset, Frame, VirtAddr } from "@physio/kern";
import { Errno, PAGE_SIZE, pageOffset, panic } from "@physio/kern";
import type { AddressSpace } from "@physio/pmap";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";

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
 * Move up to `length` bytes: READ copies `buffer[at…]` to the uio, WRITE copies from it. Never sleeps.
 * For kernel memory, and for user memory where the caller holds what a fault would wait for.
 * @returns OK; EFAULT: stopped where the space is not mapped; what was moved is accounted for.
 * @bsd #Y uiomove_nofault
 */
export function uiomove(buffer: Uint8Array, at: number, length: Bytes, uio: Uio): Errno {
  if (!(length >= 0)) panic(`uiomove of ${length} bytes`);
  const { space } = uio;
  if (space === null) panic("uiomove: user memory without a process");
  let done = 0;
  while (done < length && nextRange(uio)) {
    const range = uio.iov[uio.iovIndex];
    const run = Math.min(length - done, range.length, uio.resid);
    const moved =
      uio.rw === UioRw.READ
        ? space.copyout(range.base, buffer, at + done, run)
        : space.copyin(range.base, buffer, at + done, run);
    advance(uio, range, moved);
    done += moved;
    if (moved < run) return Errno.EFAULT;
  }
  return Errno.OK;
}

/**
 * `uiomove` with RAM instead of a buffer: up to `length` bytes from byte `offset` of `frame` on.
 * => all of it is RAM of one section. @returns as uiomove.   @bsd #P[the pages are not mapped for it] ubc_uiomove
 */
export function uiomoveFrames(frame: Frame, offset: Bytes, length: Bytes, uio: Uio): Errno {
  if (!(length >= 0)) panic(`uiomove of ${length} bytes`);
  const { space } = uio;
  if (space === null) panic("uiomove: user memory without a process");
  let done = 0;
  while (done < length && nextRange(uio)) {
    const range = uio.iov[uio.iovIndex];
    const run = Math.min(length - done, range.length, uio.resid);
    const moved =
      uio.rw === UioRw.READ
        ? space.copyoutFrames(range.base, frame, offset + done, run)
        : space.copyinFrames(range.base, frame, offset + done, run);
    advance(uio, range, moved);
    done += moved;
    if (moved < run) return Errno.EFAULT;
  }
  return Errno.OK;
}

/** Go to the first range with room. @returns false: the uio is used up. */
function nextRange(uio: Uio): boolean {
  if (!(uio.resid > 0)) return false;
  while (uio.iovIndex < uio.iov.length) {
    if (uio.iov[uio.iovIndex].length > 0) return true;
    uio.iovIndex++;
  }
  return false;
}

function advance(uio: Uio, range: Iovec, moved: Bytes): void {
  range.base += moved;
  range.length -= moved;
  uio.resid -= moved;
  uio.offset += moved;
}

/**
 * The same for callers that may sleep: where user memory is not mapped, the space brings it in and the
 * move goes on. Nothing is wired when it returns.
 * => `buffer` is the caller's meanwhile, and nobody else uses the uio. For kernel memory it is `uiomove`.
 * @returns OK; EFAULT: some page cannot be had, or not for this direction; ENOMEM: a page is wired too
 *   often; another errno of the space's `wire`. What was moved is accounted for.
 * @bsd #Y uiomove(9)
 */
export function* uiomoveWait(
  buffer: Uint8Array,
  at: number,
  length: Bytes,
  uio: Uio,
): Sleeps<Errno> {
  const { resid, space } = uio;
  let error = uiomove(buffer, at, length, uio);
  if (space === null || space.kernel) return error;
  const access = uio.rw === UioRw.READ ? Prot.WRITE : Prot.READ;
  while (error === Errno.EFAULT) {
    // It stopped at the first byte of what is left of this range: its page, and then on as far as it goes.
    const done = resid - uio.resid;
    const { base, length: rest } = uio.iov[uio.iovIndex];
    const run = Math.min(length - done, rest, uio.resid, PAGE_SIZE - pageOffset(base));
    const refused = yield* space.wire(base, run, access);
    if (refused !== Errno.OK) return refused;
    error = uiomove(buffer, at + done, run, uio);
    space.unwire(base, run);
    if (error !== Errno.OK) return error;
    error = uiomove(buffer, at + done + run, length - done - run, uio);
  }
  return error;
}
