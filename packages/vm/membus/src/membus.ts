/**
 * The memory bus of one machine: RAM, the ports onto it and the windows beside it.
 *
 * Everything that is not the CPU's own code goes through a port that this object made. On a
 * coherent machine the CPU's port is RAM itself; the data-cache model of other machines will stand
 * here.
 */
import type { BusAddr, Nanoseconds, PhysAddr } from "@physio/kern";
import { Errno, ErrnoError, hex, isWhole, MAXADDR } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import type { Trace } from "@physio/trace";
import type { DevicePortConfig } from "./device-port.ts";
import { DevicePort } from "./device-port.ts";
import type { MmioWindow } from "./mmio.ts";
import { BusSpace } from "./mmio.ts";

export interface MembusConfig {
  readonly mem: PhysMem;
  readonly trace: Trace;
  /** Virtual time, for fault records. */
  readonly now: () => Nanoseconds;
}

export class Membus {
  readonly mem: PhysMem;
  readonly trace: Trace;
  readonly now: () => Nanoseconds;
  /** All ports, in the order in which they were made. */
  readonly ports: DevicePort[];
  readonly #windows: MmioWindow[];

  constructor(config: MembusConfig) {
    this.mem = config.mem;
    this.trace = config.trace;
    this.now = config.now;
    this.ports = [];
    this.#windows = [];
  }

  /** A port for one device. */
  devicePort(config: DevicePortConfig): DevicePort {
    const port = new DevicePort(this, config);
    this.ports.push(port);
    return port;
  }

  /** Bus address to physical address: the same on a bus without an IOMMU. */
  translate(address: BusAddr): PhysAddr {
    return address as number;
  }

  /** Put a device's registers at physical addresses. @throws {ErrnoError} EINVAL: not a range of addresses; EEXIST: RAM or another window is there. */
  mapWindow(window: MmioWindow): BusSpace {
    const end = window.base + window.size;
    if (!isWhole(window.base) || !isWhole(window.size) || window.size === 0 || end - 1 > MAXADDR) {
      throw new ErrnoError(
        Errno.EINVAL,
        `membus: window ${window.name} at ${window.base}+${window.size}`,
      );
    }
    const clash = this.#windows.some((w) => window.base < w.base + w.size && w.base < end);
    const overRam = this.mem.banks.some((b) => window.base < b.end && b.base < end);
    if (clash || overRam) {
      throw new ErrnoError(
        Errno.EEXIST,
        `membus: window ${window.name} at ${hex(window.base)}+${hex(window.size)} is taken`,
      );
    }
    this.#windows.push(window);
    return new BusSpace(window);
  }

  /** Faults of all ports since boot. */
  get faultCount(): number {
    return this.ports.reduce((sum, port) => sum + port.faultCount, 0);
  }
}
