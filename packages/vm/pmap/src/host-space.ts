/**
 * An address space of the host's: address 0 is the first byte of an array.
 *
 * Programs outside of the machine read and write files with it, so that bytes are copied once. It is
 * always there, so wiring it is nothing; but it has no pages, so no device reaches it.
 */
import type { Bytes, Frame, VirtAddr } from "@physio/kern";
import { Errno } from "@physio/kern";
import type { CpuPort } from "@physio/membus";
import type { Sleeps } from "@physio/sched";
import type { AddressSpace } from "./address-space.ts";
import type { Pmap } from "./pmap.ts";
import type { Pmaps } from "./pmaps.ts";
import type { Prot } from "./prot.ts";

export class HostSpace implements AddressSpace {
  /** Empty. */
  readonly pmap: Pmap;
  readonly kernel: boolean;
  /** Its memory; may be exchanged between calls. */
  bytes: Uint8Array;
  readonly #pmaps: Pmaps;
  readonly #cpu: CpuPort;
  #view: Uint8Array;

  constructor(pmaps: Pmaps, bytes: Uint8Array) {
    this.pmap = pmaps.create("host");
    this.kernel = false;
    this.bytes = bytes;
    this.#pmaps = pmaps;
    this.#cpu = pmaps.cpu;
    this.#view = bytes;
  }

  copyin(va: VirtAddr, to: Uint8Array, at: number, length: Bytes): Bytes {
    const count = this.#inside(va, length);
    move(to, at, this.bytes, va, count);
    return count;
  }

  copyout(va: VirtAddr, from: Uint8Array, at: number, length: Bytes): Bytes {
    const count = this.#inside(va, length);
    move(this.bytes, va, from, at, count);
    return count;
  }

  copyinFrames(va: VirtAddr, frame: Frame, offset: Bytes, length: Bytes): Bytes {
    const count = this.#inside(va, length);
    this.#cpu.writeFrame(frame, offset, this.#viewOf(va, count), 0, count);
    return count;
  }

  copyoutFrames(va: VirtAddr, frame: Frame, offset: Bytes, length: Bytes): Bytes {
    const count = this.#inside(va, length);
    this.#cpu.readFrame(frame, offset, this.bytes, va, count);
    return count;
  }

  // biome-ignore lint/correctness/useYield: other spaces fault, and sleep
  *wire(va: VirtAddr, length: Bytes, _access: Prot): Sleeps<Errno> {
    return this.#inside(va, length) === length ? Errno.OK : Errno.EFAULT;
  }

  unwire(): void {}

  /** A view of a part; the last one is kept, as programs write from where they wrote before (a new one is 96 bytes of garbage). */
  #viewOf(va: VirtAddr, length: Bytes): Uint8Array {
    const { bytes } = this;
    if (va === 0 && length === bytes.length) return bytes;
    const view = this.#view;
    const same = view.buffer === bytes.buffer && view.byteOffset === bytes.byteOffset + va;
    if (!same || view.length !== length) this.#view = bytes.subarray(va, va + length);
    return this.#view;
  }

  /** Give its pmap back. */
  close(): void {
    this.#pmaps.destroy(this.pmap);
  }

  #inside(va: VirtAddr, length: Bytes): Bytes {
    return va >= 0 ? Math.max(0, Math.min(length, this.bytes.length - va)) : 0;
  }
}

/** Copies below this length go byte by byte: a view costs more. */
const SHORT = 64;

function move(to: Uint8Array, at: number, from: Uint8Array, start: number, count: number): void {
  if (count > SHORT) to.set(from.subarray(start, start + count), at);
  else for (let i = 0; i < count; i++) to[at + i] = from[start + i];
}
