/**
 * A process: an address space with a buffer, and the calls that move data of files.
 *
 * Reads and writes go through `vnRead` and `vnWrite`; mapped ones through a mapping of whole pages that is
 * there for one call, or one that stays: of one file at a time.
 */
import { Uio, UioRw } from "@physio/carriers";
import type { Bytes, Errno, FileOffset, VirtAddr } from "@physio/kern";
import { Errno as E, ErrnoError, pageOffset, roundPage, truncPage } from "@physio/kern";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import type { UvmPages } from "@physio/uvm";
import { MapFlag, MsFlag, msync, Vmspace } from "@physio/uvm";
import type { IoFlag, Vnode } from "@physio/vfs";
import { vnLock, vnRead, vnUnlock, vnWrite } from "@physio/vfs";

const RIGHTS = Prot.READ | Prot.WRITE;

/** How a file is mapped for an access. */
export interface Mapping {
  /** Through a mapping of so many bytes from the beginning of the file on, which stays until `unmap`; 0: through one of its own. */
  readonly keep: Bytes;
}

const FRESH: Mapping = { keep: 0 };

export class Process {
  readonly #space: Vmspace;
  readonly #buffer: VirtAddr;
  /** The mapping that stays; length 0: there is none. */
  #keptAt: VirtAddr;
  #keptLength: Bytes;

  /** => `most`: bytes of the longest read or write. */
  constructor(pages: UvmPages, name: string, most: Bytes) {
    this.#space = new Vmspace({ pages, name });
    const flags = MapFlag.PRIVATE | MapFlag.ANON;
    this.#buffer = this.#space.mmap({ length: most, prot: RIGHTS, flags });
    this.#keptAt = 0;
    this.#keptLength = 0;
  }

  /** Read at `at` into `into`. @returns bytes. @throws {ErrnoError} */
  *read(vp: Vnode, at: FileOffset, into: Uint8Array, flags: IoFlag): Sleeps<Bytes> {
    const { length } = into;
    const uio = new Uio(UioRw.READ, this.#space, [{ base: this.#buffer, length }], at);
    check("read", at, yield* vnRead(vp, uio, flags));
    const got = length - uio.resid;
    check("buffer", at, yield* this.#space.read(this.#buffer, into.subarray(0, got)));
    return got;
  }

  /** Write `from` at `at`, from as many ranges of memory as `lengths` has. @throws {ErrnoError} */
  *write(
    vp: Vnode,
    at: FileOffset,
    from: Uint8Array,
    flags: IoFlag,
    lengths: readonly Bytes[] = [from.length],
  ): Sleeps<void> {
    check("buffer", at, yield* this.#space.write(this.#buffer, from));
    let base = this.#buffer;
    const ranges = lengths.map((length) => {
      base += length;
      return { base: base - length, length };
    });
    const uio = new Uio(UioRw.WRITE, this.#space, ranges, at);
    check("write", at, yield* vnWrite(vp, uio, flags));
    if (uio.resid > 0) throw new ErrnoError(E.EIO, `write at ${at}: ${uio.resid} bytes are left`);
  }

  /**
   * Load `into` at `at` through a mapping. @returns the rest of the last page of the file, if the access was near.
   * @throws {ErrnoError}
   */
  mappedRead(
    vp: Vnode,
    at: FileOffset,
    into: Uint8Array,
    how: Mapping = FRESH,
  ): Sleeps<Uint8Array> {
    const space = this.#space;
    return this.#mapped(vp, at, into.length, how, function* (va) {
      check("load", at, yield* space.read(va, into));
    });
  }

  /** Store `from` at `at` through a mapping; with `sync` it is on the disk on return. @returns as `mappedRead`. @throws {ErrnoError} */
  mappedWrite(
    vp: Vnode,
    at: FileOffset,
    from: Uint8Array,
    sync: boolean,
    how: Mapping = FRESH,
  ): Sleeps<Uint8Array> {
    const space = this.#space;
    return this.#mapped(vp, at, from.length, how, function* (va) {
      check("store", at, yield* space.write(va, from));
      if (!sync) return;
      const first = truncPage(va);
      const length = roundPage(va + from.length) - first;
      check("msync", at, yield* msync(space, first, length, MsFlag.SYNC));
    });
  }

  /** Store to what the last page of a file has behind its end. @throws {ErrnoError} */
  *storeBehind(vp: Vnode, byte: number, how: Mapping = FRESH): Sleeps<void> {
    const at = vp.size as number;
    const rest = roundPage(at) - at;
    if (rest > 0) yield* this.mappedWrite(vp, at, new Uint8Array(rest).fill(byte), false, how);
  }

  /** Unmap what is kept. */
  unmap(): void {
    if (this.#keptLength > 0) this.#space.munmap(this.#keptAt, this.#keptLength);
    this.#keptLength = 0;
  }

  /** Give the space up. */
  close(): void {
    this.#space.free();
  }

  *#mapped(
    vp: Vnode,
    at: FileOffset,
    length: Bytes,
    { keep }: Mapping,
    access: (va: VirtAddr) => Sleeps<void>,
  ): Sleeps<Uint8Array> {
    const offset = truncPage(at);
    const whole = roundPage(at + length) - offset;
    const va = keep > 0 ? this.#keep(vp, keep) + offset : this.#map(vp, offset, whole);
    try {
      yield* access(va + (at - offset));
      const end = vp.size as number;
      const inLast = pageOffset(end) !== 0 && truncPage(end) < offset + whole && end > offset;
      const tail = new Uint8Array(inLast ? roundPage(end) - end : 0);
      check("load", end, yield* this.#space.read(va + (end - offset), tail));
      return tail;
    } finally {
      if (keep === 0) this.#space.munmap(va, whole);
    }
  }

  #map({ object }: Vnode, offset: FileOffset, length: Bytes): VirtAddr {
    return this.#space.mmap({ length, prot: RIGHTS, flags: MapFlag.SHARED, object, offset });
  }

  /** The mapping that stays, of the first `length` bytes of a file. */
  #keep(vp: Vnode, length: Bytes): VirtAddr {
    if (this.#keptLength === 0) {
      this.#keptAt = this.#map(vp, 0, length);
      this.#keptLength = roundPage(length);
    }
    return this.#keptAt;
  }
}

/** The file ends at `size`. @throws {ErrnoError} */
export function* truncate(vp: Vnode, size: Bytes): Sleeps<void> {
  yield* vnLock(vp, RW_WRITER);
  try {
    yield* vp.ops.setattr!(vp, { size });
  } finally {
    vnUnlock(vp);
  }
}

function check(what: string, at: FileOffset, error: Errno): void {
  if (error !== E.OK) throw new ErrnoError(error, `${what} at ${at}`);
}
