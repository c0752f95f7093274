/**
 * Media: the bytes behind a controller.
 *
 * The chip moves whole sectors; a medium knows nothing of sectors, queues or time. Errors are
 * errnos, which the chip turns into media statuses. The chip asks only for ranges inside of the
 * namespace, whose last sector may reach past the end of the medium: what lies there reads as
 * zeros, and what is written there is dropped.
 */
import type { Bytes, FileOffset } from "@physio/kern";
import { alignUp, Errno } from "@physio/kern";

export interface Media {
  readonly size: Bytes;
  /** Copy [`offset`, `offset + length`) to `to` from index `at` on. @returns OK; EIO. */
  read(offset: FileOffset, to: Uint8Array, at: number, length: Bytes): Errno;
  /** @returns OK; EIO: how much was written is unknown. */
  write(offset: FileOffset, from: Uint8Array, at: number, length: Bytes): Errno;
  /** Make everything written so far lasting. @returns OK; EIO. */
  flush(): Errno;
}

/** The largest sector: how far past its end a medium may be asked. */
const LARGEST_SECTOR = 4096;

/** A medium over bytes of the caller's, which stay the caller's: nothing is copied at creation. */
export class MemoryMedia implements Media {
  readonly bytes: Uint8Array;
  readonly size: Bytes;
  /** Times it was flushed. */
  flushes: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.size = bytes.length;
    this.flushes = 0;
  }

  /** @returns OK; EIO: the range leaves the medium's last sector. */
  read(offset: FileOffset, to: Uint8Array, at: number, length: Bytes): Errno {
    if (!this.#holds(offset, length)) return Errno.EIO;
    const held = Math.max(0, Math.min(length, this.size - offset));
    if (held > 0) to.set(this.bytes.subarray(offset, offset + held), at);
    if (held < length) to.fill(0, at + held, at + length);
    return Errno.OK;
  }

  /** @returns OK; EIO: the range leaves the medium's last sector; nothing was written. */
  write(offset: FileOffset, from: Uint8Array, at: number, length: Bytes): Errno {
    if (!this.#holds(offset, length)) return Errno.EIO;
    const held = Math.max(0, Math.min(length, this.size - offset));
    if (held > 0) this.bytes.set(from.subarray(at, at + held), offset);
    return Errno.OK;
  }

  flush(): Errno {
    this.flushes++;
    return Errno.OK;
  }

  #holds(offset: FileOffset, length: Bytes): boolean {
    return offset >= 0 && length >= 0 && offset + length <= alignUp(this.size, LARGEST_SECTOR);
  }
}
