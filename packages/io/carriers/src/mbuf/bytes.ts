/**
 * Moving the bytes of single mbufs, mapped or not, in the machine's memory.
 *
 * Storage of the pool lies in a row in memory, so its bytes go through the CPU's port by physical
 * address; external storage of others goes through the kernel's mappings, and the frames of an
 * unmapped mbuf through the port again. Nothing here looks at lengths of chains or at sharing: that
 * is for the callers, all in this folder.
 */
import type { Bytes, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { Errno, hex, PAGE_SIZE, panic } from "@physio/kern";
import type { Kmem } from "@physio/pmap";
import type { Mbuf } from "./mbuf.ts";
import { HostView } from "./mbuf.ts";
import { frameOfData, offsetOfData } from "./space.ts";
import { frameLength, pagesOf } from "./walk.ts";

// Flags of MbufFlag, and names that the compiler folds.
const EXTPG = 0x0100;
const OK = Errno.OK;
const PAGE = PAGE_SIZE;
/** Up to so many bytes a loop is faster than `set` and needs no view. */
const SHORT = 32;
const SMALL = 2 ** 30;

/** What `part` found: a piece of an unmapped mbuf, by physical address or by kernel address. */
class Piece {
  pa: PhysAddr;
  va: VirtAddr;
  length: Bytes;

  constructor() {
    this.pa = -1;
    this.va = -1;
    this.length = 0;
  }
}

/** The piece of the unmapped `m` that begins `offset` bytes into its data, at most `length` bytes: into `piece`. */
function pieceAt(m: Mbuf, offset: Bytes, length: Bytes, piece: Piece): void {
  const pages = pagesOf(m);
  const { frames, header, trailer } = pages;
  let skip = m.data + offset;
  piece.pa = -1;
  piece.va = header.va + skip;
  piece.length = Math.min(length, header.len - skip);
  if (piece.length > 0) return;
  skip -= header.len;
  for (let i = 0; i < frames.length; i++) {
    const run = frameLength(pages, i);
    if (skip < run) {
      piece.pa = pages.memory.addrOf(frames[i]) + (i === 0 ? pages.firstOffset : 0) + skip;
      piece.length = Math.min(length, run - skip);
      return;
    }
    skip -= run;
  }
  piece.va = trailer.va + skip;
  piece.length = Math.min(length, trailer.len - skip);
  if (!(piece.length > 0)) {
    panic(`mbuf: ext trailer overrun: byte ${skip} of a trailer of ${trailer.len}`);
  }
}

export class MbufBytes {
  /** Bytes and calls of RAM-to-RAM moves: data that the chain operations had to copy. */
  copies: number;
  copiedBytes: Bytes;
  readonly #kmem: Kmem;
  readonly #cpu: Kmem["cpu"];
  readonly #piece: Piece;
  /** For moves that no port can do in one go. */
  readonly #staged: Uint8Array;

  constructor(kmem: Kmem) {
    this.copies = 0;
    this.copiedBytes = 0;
    this.#kmem = kmem;
    this.#cpu = kmem.cpu;
    this.#piece = new Piece();
    this.#staged = new Uint8Array(PAGE);
  }

  /** Copy `length` bytes from `offset` of the data of `m` to `to[at…]`. => `to` has room, `m` has them. */
  read(m: Mbuf, offset: Bytes, to: Uint8Array, at: number, length: Bytes): void {
    if ((m.flags & EXTPG) === 0) {
      const view = this.#viewOf(m, offset, length);
      if (view !== null) to.set(view, at);
      else this.#readMapped(m, offset, to, at, length);
      return;
    }
    const piece = this.#piece;
    for (let done = 0; done < length; done += piece.length) {
      pieceAt(m, offset + done, length - done, piece);
      if (piece.pa >= 0) this.#readPa(piece.pa, to, at + done, piece.length);
      else this.#readVa(piece.va, to, at + done, piece.length);
    }
  }

  /** Copy `from[at…]` to `offset` of the data of `m`. => `m` is mapped and has room. */
  write(m: Mbuf, offset: Bytes, from: Uint8Array, at: number, length: Bytes): void {
    const frame = frameOfData(m);
    if (frame >= 0) {
      this.#cpu.writeFrame(frame, offsetOfData(m) + offset, from, at, length);
    } else {
      const va = m.data + offset;
      if (this.#kmem.space.copyout(va, from, at, length) !== length) notMapped(va, length);
    }
  }

  /** Copy between two mbufs, each from an offset of its data. => `to` is mapped; the ranges do not overlap. */
  move(to: Mbuf, toOffset: Bytes, from: Mbuf, fromOffset: Bytes, length: Bytes): void {
    if (length <= 0) return;
    this.copies++;
    this.copiedBytes += length;
    if ((from.flags & EXTPG) === 0) {
      const target = frameOfData(to);
      const source = frameOfData(from);
      if (target >= 0 && source >= 0) {
        this.#copy(
          target,
          offsetOfData(to) + toOffset,
          source,
          offsetOfData(from) + fromOffset,
          length,
        );
        return;
      }
    }
    const staged = this.#staged;
    for (let done = 0; done < length; ) {
      const run = Math.min(length - done, PAGE);
      this.read(from, fromOffset + done, staged, 0, run);
      this.write(to, toOffset + done, staged, 0, run);
      done += run;
    }
  }

  /** Zero `length` bytes from `offset` of the data of `m`. => `m` is mapped and has room. */
  zero(m: Mbuf, offset: Bytes, length: Bytes): void {
    const frame = frameOfData(m);
    if (frame >= 0) {
      this.#cpu.zeroFrame(frame, offsetOfData(m) + offset, length);
      return;
    }
    this.#staged.fill(0);
    for (let done = 0; done < length; ) {
      const run = Math.min(length - done, PAGE);
      this.write(m, offset + done, this.#staged, 0, run);
      done += run;
    }
  }

  /**
   * Call `f` for each piece of [`offset`, `offset + length`) of the data of `m`, with its kernel address
   * (in the direct map for frames), until it returns something else than 0. @returns the last result.
   */
  apply<A>(
    m: Mbuf,
    offset: Bytes,
    length: Bytes,
    f: (arg: A, va: VirtAddr, length: Bytes) => number,
    arg: A,
  ): number {
    if ((m.flags & EXTPG) === 0) return f(arg, m.data + offset, length);
    const piece = new Piece();
    for (let done = 0; done < length; done += piece.length) {
      pieceAt(m, offset + done, length - done, piece);
      const va = piece.pa >= 0 ? this.#kmem.pmaps.direct.va(piece.pa) : piece.va;
      if (va < 0) panic(`mbuf: ${hex(piece.pa)} is not in the direct map`);
      const result = f(arg, va, piece.length);
      if (result !== 0) return result;
    }
    return 0;
  }

  /**
   * Copy between frames. Inside one array `copyWithin` is enough (a fifth of the time that the port
   * takes to look at addresses); a range that leaves its page may leave the array.
   */
  #copy(target: Frame, to: Bytes, source: Frame, from: Bytes, length: Bytes): void {
    const { mem } = this.#kmem;
    if (this.#isDirect() && to + length <= PAGE && from + length <= PAGE) {
      const bytes = mem.bytes(source);
      if (bytes === mem.bytes(target)) {
        const start = mem.byteOffset(source) + from;
        bytes.copyWithin(mem.byteOffset(target) + to, start, start + length);
        return;
      }
    }
    const pa = mem.addrOf(source) + from;
    if (this.#cpu.copy(mem.addrOf(target) + to, pa, length) !== OK) notRam(pa, length);
  }

  /**
   * The view of these bytes that was made for an earlier read, or null. A storage is read again and
   * again at the same place (headers; the packets of one stream), at most in turns with another, as it
   * is handed out for this part of a packet or that. So there are two, and while they serve, a read is
   * one `set`: 22 ns, not 60 by the port, and no garbage.
   */
  #viewOf(m: Mbuf, offset: Bytes, length: Bytes): Uint8Array | null {
    const host = m.ext === null ? m.host : m.ext.host;
    if (host === null || !this.#isDirect()) return null;
    const start = m.data + offset;
    if (host.start === start && host.view.length === length) return host.view;
    return host.olderStart === start && host.older.length === length ? host.older : null;
  }

  /** Whether the CPU's accesses go straight to memory, and nobody is told of them. */
  #isDirect(): boolean {
    return this.#cpu.coherent && this.#cpu.watcher === null;
  }

  #readMapped(m: Mbuf, offset: Bytes, to: Uint8Array, at: number, length: Bytes): void {
    const frame = frameOfData(m);
    if (frame < 0) {
      this.#readVa(m.data + offset, to, at, length);
      return;
    }
    const inFrame = offsetOfData(m) + offset;
    if (!(this.#isDirect() && inFrame + length <= PAGE && length > 0)) {
      this.#cpu.readFrame(frame, inFrame, to, at, length);
      return;
    }
    const { mem } = this.#kmem;
    const array = mem.bytes(frame);
    const start: number = mem.byteOffset(frame) + inFrame; // an index, not a size
    if (length <= SHORT && start < SMALL) {
      const first = start | 0; // as a small integer: as a double it is made one for each byte
      for (let i = 0; i < length; i++) to[at + i] = array[first + i];
      return;
    }
    const view = array.subarray(start, start + length);
    keepView(m, m.data + offset, view);
    to.set(view, at);
  }

  #readPa(pa: PhysAddr, to: Uint8Array, at: number, length: Bytes): void {
    if (this.#cpu.read(pa, to, at, length) !== OK) notRam(pa, length);
  }

  #readVa(va: VirtAddr, to: Uint8Array, at: number, length: Bytes): void {
    if (this.#kmem.space.copyin(va, to, at, length) !== length) notMapped(va, length);
  }
}

/** Keep `view`, which begins at `start`, and the one before it, with the storage of `m`. */
function keepView(m: Mbuf, start: VirtAddr, view: Uint8Array): void {
  const of = m.ext ?? m;
  of.host ??= new HostView();
  const { host } = of;
  host.olderStart = host.start;
  host.older = host.view;
  host.start = start;
  host.view = view;
}

function notRam(pa: PhysAddr, length: Bytes): never {
  panic(`mbuf: ${length} bytes at ${hex(pa)} are not RAM`);
}

function notMapped(va: VirtAddr, length: Bytes): never {
  panic(`mbuf: ${length} bytes of external storage at ${hex(va)} are not mapped`);
}
