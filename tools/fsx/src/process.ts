/**
 * A process: an address space with a buffer, and the calls that move data of files.
 *
 * Reads and writes go through `vnRead` and `vnWrite`; mapped ones through a mapping of whole pages that is
 * there for one call.
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

export class Process {
  readonly #space: Vmspace;
  readonly #buffer: VirtAddr;

  /** => `most`: bytes of the longest read or write. */
  constructor(pages: UvmPages, name: string, most: Bytes) {
    this.#space = new Vmspace({ pages, name });
    const flags = MapFlag.PRIVATE | MapFlag.ANON;
    this.#buffer = this.#space.mmap({ length: most, prot: RIGHTS, flags });
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
   * Load `into` at `at` through a mapping. @returns the rest of the last page of the file, if the mapping has it.
   * @throws {ErrnoError}
   */
  mappedRead(vp: Vnode, at: FileOffset, into: Uint8Array): Sleeps<Uint8Array> {
    const space = this.#space;
    return this.#mapped(vp, at, into.length, function* (va) {
      check("load", at, yield* space.read(va, into));
    });
  }

  /** Store `from` at `at` through a mapping; with `sync` it is on the disk on return. @returns as `mappedRead`. @throws {ErrnoError} */
  mappedWrite(vp: Vnode, at: FileOffset, from: Uint8Array, sync: boolean): Sleeps<Uint8Array> {
    const space = this.#space;
    return this.#mapped(vp, at, from.length, function* (va) {
      check("store", at, yield* space.write(va, from));
      if (!sync) return;
      const first = truncPage(va);
      const length = roundPage(va + from.length) - first;
      check("msync", at, yield* msync(space, first, length, MsFlag.SYNC));
    });
  }

  /** Store to what the last page of a file has behind its end. @throws {ErrnoError} */
  *storeBehind(vp: Vnode, byte: number): Sleeps<void> {
    const at = vp.size as number;
    const rest = roundPage(at) - at;
    if (rest > 0) yield* this.mappedWrite(vp, at, new Uint8Array(rest).fill(byte), false);
  }

  /** Give the space up. */
  close(): void {
    this.#space.free();
  }

  *#mapped(
    vp: Vnode,
    at: FileOffset,
    length: Bytes,
    access: (va: VirtAddr) => Sleeps<void>,
  ): Sleeps<Uint8Array> {
    const space = this.#space;
    const offset = truncPage(at);
    const whole = roundPage(at + length) - offset;
    const { object } = vp;
    const va = space.mmap({ length: whole, prot: RIGHTS, flags: MapFlag.SHARED, object, offset });
    try {
      yield* access(va + (at - offset));
      const end = vp.size as number;
      const inLast = pageOffset(end) !== 0 && truncPage(end) < offset + whole && end > offset;
      const tail = new Uint8Array(inLast ? roundPage(end) - end : 0);
      check("load", end, yield* space.read(va + (end - offset), tail));
      return tail;
    } finally {
      space.munmap(va, whole);
    }
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
