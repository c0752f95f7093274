/**
 * Memory that a caller lends: RAM that is somebody else's buffer, adopted without a copy.
 *
 * An emulator's guest RAM is an ArrayBuffer, a SharedArrayBuffer, a window of either, or a
 * WebAssembly.Memory. A bank over such memory reads and writes the caller's own bytes. When a
 * WebAssembly.Memory grows, the host detaches the buffer that it had, and every view of it has no
 * bytes any more; `take` makes a new one over the buffer that it has now. A plain buffer or view
 * that was detached has nothing to be taken from again: that is the caller's mistake, and said so.
 *
 * Two ranges of one buffer, or of one WebAssembly.Memory, are told apart. A shared Memory that grew
 * has another SharedArrayBuffer over the same bytes, and nothing that can be read says so: that two
 * such buffers are not lent as two banks is up to the lender.
 */
import type { Bytes } from "@physio/kern";
import { Errno, ErrnoError, isWhole } from "@physio/kern";

/** Host memory that may be replaced when it grows: a WebAssembly.Memory is one. */
export interface GrowableMemory {
  readonly buffer: ArrayBufferLike;
}

/** What a bank can adopt. */
export type Adoptable = GrowableMemory | ArrayBufferLike | ArrayBufferView;

/** A range of lent memory. */
export class Lent {
  readonly size: Bytes;
  /** Where the range begins in the buffer. */
  readonly offset: Bytes;
  readonly #source: GrowableMemory;
  readonly #growable: boolean;

  /**
   * `offset` counts from the start of what is lent, `size` is all that follows when absent.
   * @throws {ErrnoError} EINVAL: not a kind of memory that can be lent, or the range is not in it.
   */
  constructor(adopt: Adoptable, offset: Bytes = 0, size?: Bytes) {
    const isBuffer = isRealBuffer(adopt);
    const source = isBuffer ? { buffer: adopt } : (adopt as GrowableMemory);
    const buffer = (source as { buffer?: unknown } | null | undefined)?.buffer;
    if (!isRealBuffer(buffer)) {
      throw new ErrnoError(
        Errno.EINVAL,
        `physmem: cannot adopt a ${typeof adopt}: no buffer in it`,
      );
    }
    const length = buffer.byteLength;
    const isView = ArrayBuffer.isView(adopt);
    const lent = isView ? adopt.byteLength : length;
    const wanted = size ?? lent - offset;
    if (!isWhole(offset) || !isWhole(wanted) || wanted === 0 || offset + wanted > lent) {
      throw new ErrnoError(
        Errno.EINVAL,
        `physmem: cannot adopt ${wanted} bytes at ${offset} of ${lent}`,
      );
    }
    this.size = wanted;
    this.offset = offset + (isView ? adopt.byteOffset : 0);
    this.#source = isView ? { buffer: adopt.buffer } : source;
    this.#growable = !isBuffer && !isView;
  }

  /** Whether the two lend some byte twice. */
  overlaps(other: Lent): boolean {
    const same = this.#source === other.#source || this.#source.buffer === other.#source.buffer;
    if (!same) return false;
    return this.offset < other.offset + other.size && other.offset < this.offset + this.size;
  }

  /**
   * A view of the range, over the buffer that the memory has now.
   * @throws {ErrnoError} EBUSY: the lender has detached or shrunk the buffer.
   */
  take(): Uint8Array {
    const { buffer } = this.#source;
    if (!isRealBuffer(buffer) || buffer.byteLength < this.offset + this.size) {
      const advice =
        this.#growable || !isDetached(buffer)
          ? ""
          : "; if a WebAssembly.Memory has grown: adopt the WebAssembly.Memory, not its buffer";
      throw new ErrnoError(
        Errno.EBUSY,
        `physmem: ${this.size} adopted bytes at ${this.offset} are gone: the buffer has ${buffer.byteLength} now${advice}`,
      );
    }
    return new Uint8Array(buffer, this.offset, this.size);
  }
}

/** Whether it is what a Uint8Array can show: anything else that has a length would be copied, or refused. */
function isRealBuffer(buffer: unknown): buffer is ArrayBufferLike {
  if (typeof buffer !== "object" || buffer === null || ArrayBuffer.isView(buffer)) return false;
  if (!("byteLength" in buffer)) return false;
  try {
    return new Uint8Array(buffer as ArrayBufferLike, 0, 0).buffer === buffer;
  } catch {
    return isDetached(buffer as ArrayBufferLike);
  }
}

/** Whether all bytes are gone, as a grown Memory's are from the buffer that it had. Shrinking leaves `resizable`. */
function isDetached(buffer: ArrayBufferLike): boolean {
  return (buffer as { readonly detached?: boolean }).detached ?? buffer.byteLength === 0;
}
