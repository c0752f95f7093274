/**
 * File traffic on a machine with little memory: write and read a file in a row, many times, and look what
 * that leaves resident.
 */
import { Uio, UioRw } from "@physio/carriers";
import type { Bytes } from "@physio/kern";
import { Errno, errnoName, KiB } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { IoFlag, Vnode } from "@physio/vfs";
import { vnRead, vnWrite } from "@physio/vfs";
import type { PagingKernel } from "./paging-kernel.ts";

const PIECE = 64 * KiB;

/** What traffic has been seen to take. */
export class Watermarks {
  /** Most pages resident, least frames free. */
  resident: number;
  free: number;

  constructor() {
    this.resident = 0;
    this.free = Infinity;
  }

  look(kernel: PagingKernel): void {
    this.resident = Math.max(this.resident, kernel.pages.resident);
    this.free = Math.min(this.free, kernel.mem.freeFrames);
  }
}

/** The word that stands at `offset` after writing in round `round`. */
const wordAt = (offset: Bytes, round: number): number =>
  (Math.imul(offset / PIECE + 1, 2_654_435_761) + round) >>> 0;

/** Write `length` bytes of a file, piece by piece. */
export function* writeAll(
  kernel: PagingKernel,
  vp: Vnode,
  length: Bytes,
  round: number,
  marks: Watermarks,
): Sleeps<void> {
  const { kmem } = kernel;
  const va = kmem.alloc(PIECE);
  const words = new Uint32Array(PIECE / 4);
  for (let at = 0; at < length; at += PIECE) {
    words.fill(wordAt(at, round));
    kmem.write(va, new Uint8Array(words.buffer));
    const uio = new Uio(UioRw.WRITE, kmem.space, [{ base: va, length: PIECE }], at);
    const error = yield* vnWrite(vp, uio, 0);
    if (error !== Errno.OK) throw new Error(`write at ${at}: ${errnoName(error)}`);
    marks.look(kernel);
  }
  kmem.free(va, PIECE);
}

/** Read it; `round` null: all of it must be zeros. */
export function* readAll(
  kernel: PagingKernel,
  vp: Vnode,
  length: Bytes,
  round: number | null,
  marks: Watermarks,
  flags: IoFlag = 0,
): Sleeps<void> {
  const { kmem } = kernel;
  const va = kmem.alloc(PIECE);
  const words = new Uint32Array(PIECE / 4);
  for (let at = 0; at < length; at += PIECE) {
    const uio = new Uio(UioRw.READ, kmem.space, [{ base: va, length: PIECE }], at);
    const error = yield* vnRead(vp, uio, flags);
    if (error !== Errno.OK || uio.resid > 0) throw new Error(`read at ${at}: ${errnoName(error)}`);
    kmem.read(va, new Uint8Array(words.buffer));
    const wanted = round === null ? 0 : wordAt(at, round);
    for (let i = 0; i < words.length; i += 61) {
      if (words[i] !== wanted) throw new Error(`word ${i} at ${at} is ${words[i]}, not ${wanted}`);
    }
    marks.look(kernel);
  }
  kmem.free(va, PIECE);
}
