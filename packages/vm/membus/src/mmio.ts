/**
 * MMIO windows and the bus space that drivers use to reach them.
 *
 * A device puts a handler behind a window of physical addresses; a driver holds a BusSpace, which
 * is a window with its base, and reads and writes registers at offsets. Nothing is cached or
 * reordered here, so a barrier is only a place that says where one is due. Follows bus_space(9).
 */
import type { Bytes, PhysAddr } from "@physio/kern";
import { hex, panic } from "@physio/kern";

/** The registers of a device. Offsets count from the start of its window. */
export interface MmioHandler {
  /** Read `size` bytes (1, 2 or 4) at `offset`; unknown registers read as zeros. */
  mmioRead(offset: Bytes, size: number): number;
  mmioWrite(offset: Bytes, size: number, value: number): void;
}

/** A range of physical addresses with a device behind it. */
export interface MmioWindow {
  readonly name: string;
  readonly base: PhysAddr;
  readonly size: Bytes;
  readonly handler: MmioHandler;
}

export const BARRIER_READ = 1;
export const BARRIER_WRITE = 2;

/** A driver's handle on a window. Numbers are unsigned and little-endian, as the window's device sees them. */
export class BusSpace {
  readonly window: MmioWindow;

  constructor(window: MmioWindow) {
    this.window = window;
  }

  /** @bsd #Y bus_space_read_4 */
  read4(offset: Bytes): number {
    this.#check(offset, 4);
    return this.window.handler.mmioRead(offset, 4) >>> 0;
  }

  /** @bsd #Y bus_space_write_4 */
  write4(offset: Bytes, value: number): void {
    this.#check(offset, 4);
    this.window.handler.mmioWrite(offset, 4, value >>> 0);
  }

  /** Two 32-bit reads, low word first. @returns a number; => the register's value is below 2^53. */
  read8(offset: Bytes): number {
    const low = this.read4(offset);
    return this.read4(offset + 4) * 2 ** 32 + low;
  }

  /** Two 32-bit writes, low word first. */
  write8(offset: Bytes, value: number): void {
    this.write4(offset, value % 2 ** 32);
    this.write4(offset + 4, Math.floor(value / 2 ** 32));
  }

  /** Accesses before it are seen before those after it. @bsd #Y bus_space_barrier */
  barrier(offset: Bytes, length: Bytes, _flags: number): void {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.window.size)) {
      panic(`bus_space ${this.window.name}: barrier at ${hex(offset)}+${length}`);
    }
  }

  #check(offset: Bytes, size: number): void {
    const { name, size: windowSize } = this.window;
    if (!(offset >= 0 && offset + size <= windowSize && offset % Math.min(size, 4) === 0)) {
      panic(
        `bus_space ${name}: offset ${hex(offset)} size ${size} in a window of ${hex(windowSize)}`,
      );
    }
  }
}
