/**
 * Watchers: who wants to know of every access to RAM before it happens.
 *
 * For tools that look whether drivers use the bus as they may. Without one, an access costs a branch.
 */
import type { BusAddr, Bytes, PhysAddr } from "@physio/kern";
import type { DevicePort } from "./device-port.ts";

export interface AccessWatcher {
  /** The device at `port` is about to read or write `length` bytes, more than 0. The bus may refuse it still. */
  device(port: DevicePort, address: BusAddr, length: Bytes, write: boolean): void;
  /** The kernel's code is about to read or write `length` bytes. Not all of them need be RAM. */
  cpu(pa: PhysAddr, length: Bytes, write: boolean): void;
}
