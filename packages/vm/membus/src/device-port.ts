/**
 * Device ports: how a device sees memory.
 *
 * A port takes bus addresses, knows how far its device reaches, and moves bytes to and from RAM. An
 * access that leaves the reach or the RAM moves nothing and is recorded as a fault. A port is the
 * only way by which the model of a chip (`hw.ts`) touches memory, so a driver that hands it a wrong
 * or stale address sees what it would see on the board.
 *
 * Bus addresses are physical addresses here; a translation (IOMMU) will go between.
 */
import type { BusAddr, Bytes } from "@physio/kern";
import { Errno } from "@physio/kern";
import { Ktr, traceEvent } from "@physio/trace";
import type { BusFault, FaultReason } from "./fault.ts";
import type { Membus } from "./membus.ts";

export interface DevicePortConfig {
  readonly name: string;
  /** Highest bus address that the device can put on the bus. */
  readonly highest: BusAddr;
}

const KEPT_FAULTS = 64;
const FAULT = traceEvent(Ktr.FAULT, "bus fault", "address", "length", "write");

export class DevicePort {
  readonly name: string;
  readonly highest: BusAddr;
  /** The first faults, oldest first; `faultCount` counts all of them. */
  readonly faults: BusFault[];
  faultCount: number;
  bytesRead: Bytes;
  bytesWritten: Bytes;
  readonly #bus: Membus;
  readonly #word: Uint8Array;

  constructor(bus: Membus, config: DevicePortConfig) {
    this.name = config.name;
    this.highest = config.highest;
    this.faults = [];
    this.faultCount = 0;
    this.bytesRead = 0;
    this.bytesWritten = 0;
    this.#bus = bus;
    this.#word = new Uint8Array(4);
  }

  /** The device reads memory into `to`. @returns OK; EFAULT: a fault is recorded, nothing was moved. */
  read(address: BusAddr, to: Uint8Array, at = 0, length: Bytes = to.length - at): Errno {
    if (!(address + length - 1 <= this.highest))
      return this.#fault("read", address, length, "beyond reach");
    if (this.#bus.mem.read(this.#bus.translate(address), to, at, length) !== Errno.OK) {
      return this.#fault("read", address, length, "no memory");
    }
    this.bytesRead += length;
    return Errno.OK;
  }

  /** The device writes `from` into memory. @returns OK; EFAULT: a fault is recorded, nothing was moved. */
  write(address: BusAddr, from: Uint8Array, at = 0, length: Bytes = from.length - at): Errno {
    if (!(address + length - 1 <= this.highest))
      return this.#fault("write", address, length, "beyond reach");
    if (this.#bus.mem.write(this.#bus.translate(address), from, at, length) !== Errno.OK) {
      return this.#fault("write", address, length, "no memory");
    }
    this.bytesWritten += length;
    return Errno.OK;
  }

  /** One little-endian 32-bit word; all ones after a fault, as from an unanswered bus cycle. */
  read32(address: BusAddr): number {
    const word = this.#word;
    if (this.read(address, word) !== Errno.OK) return 0xffff_ffff;
    return (word[0] | (word[1] << 8) | (word[2] << 16) | (word[3] << 24)) >>> 0;
  }

  #fault(direction: "read" | "write", address: BusAddr, length: Bytes, reason: FaultReason): Errno {
    this.faultCount++;
    const time = this.#bus.now();
    if (this.faults.length < KEPT_FAULTS) {
      this.faults.push({ port: this.name, direction, address, length, reason, time });
    }
    this.#bus.trace.record(FAULT, address, length, direction === "write" ? 1 : 0);
    return Errno.EFAULT;
  }
}
