/**
 * MMIO windows: registers of a device at physical addresses.
 *
 * A device puts a handler behind a window; the membus says where windows may lie, and drivers reach
 * them through a BusSpace. A window that names the port of its device takes part in the ordering of
 * the bus: a register read brings in what the device had posted before it.
 */
import type { Bytes, PhysAddr } from "@physio/kern";
import type { DevicePort } from "./device-port.ts";

/** The registers of a device. Offsets count from the start of its window. */
export interface MmioHandler {
  /**
   * Read `size` bytes (1, 2 or 4) at `offset`, a multiple of `size`: a whole number from −2^31 to
   * 2^32 − 1, of which the low `size` bytes count. Unknown registers read as zeros; a size that the
   * device does not answer reads as all ones (`0xffff_ffff` will do for each).
   */
  mmioRead(offset: Bytes, size: number): number;
  /** Write `size` bytes (1, 2 or 4): an unsigned number of that size. A size that the device does not take is ignored. */
  mmioWrite(offset: Bytes, size: number, value: number): void;
}

/** A range of physical addresses with a device behind it. */
export interface MmioWindow {
  readonly name: string;
  readonly base: PhysAddr;
  readonly size: Bytes;
  readonly handler: MmioHandler;
  /** The device's way to memory: its posted writes arrive before a read of this window returns. */
  readonly port?: DevicePort;
}

/** A window's place on a bus, known to all spaces of it: what ends when it is unmapped. */
export class Mapping {
  readonly window: MmioWindow;
  readonly base: PhysAddr;
  /** First address behind it. */
  readonly end: PhysAddr;
  live: boolean;

  constructor(window: MmioWindow) {
    this.window = window;
    this.base = window.base;
    this.end = window.base + window.size;
    this.live = true;
  }
}
