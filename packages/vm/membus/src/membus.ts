/**
 * The memory bus of one machine: RAM, the ports onto it and the windows beside it.
 *
 * Devices go through a port that this object made; the kernel's own code goes through `cpu`
 * wherever caches matter. On a coherent machine, which is one without `cache`, the CPU's port is RAM
 * itself. Windows never overlap each other or RAM.
 */
import type { Bytes, Nanoseconds, PhysAddr } from "@physio/kern";
import { Errno, ErrnoError, hex, isWhole, MAXADDR } from "@physio/kern";
import type { PhysMem } from "@physio/physmem";
import type { Trace } from "@physio/trace";
import { BusSpace } from "./bus-space.ts";
import { CpuPort } from "./cpu-port.ts";
import type { CacheConfig } from "./data-cache.ts";
import type { DevicePortConfig } from "./device-port.ts";
import { DevicePort } from "./device-port.ts";
import type { BusFault } from "./fault.ts";
import type { MmioWindow } from "./mmio.ts";
import type { EventClock } from "./posted.ts";
import type { AccessWatcher } from "./watcher.ts";

export interface MembusConfig {
  readonly mem: PhysMem;
  readonly trace: Trace;
  /** Virtual time, for fault records and posted writes. */
  readonly now: () => Nanoseconds;
  /** The data cache of a machine whose devices do not snoop; absent: the machine is coherent. */
  readonly cache?: CacheConfig;
  /** Where posted writes wait, with `now` as its time; absent: no port may post. */
  readonly sched?: EventClock;
}

export class Membus {
  readonly mem: PhysMem;
  readonly trace: Trace;
  readonly now: () => Nanoseconds;
  readonly sched: EventClock | null;
  /** How the kernel's code touches RAM by physical address. */
  readonly cpu: CpuPort;
  /** All ports, in the order in which they were made. */
  readonly ports: DevicePort[];
  /** Called with each fault of any port, after it was counted. */
  onFault: ((fault: BusFault) => void) | null;
  /** Told of each device's access before it happens. The CPU's are `cpu.watcher`'s. */
  watcher: AccessWatcher | null;
  readonly #windows: MmioWindow[];

  /** @throws {ErrnoError} EINVAL: a cache whose geometry makes no sense. */
  constructor(config: MembusConfig) {
    this.mem = config.mem;
    this.trace = config.trace;
    this.now = config.now;
    this.sched = config.sched ?? null;
    this.cpu = new CpuPort(config.mem, config.cache ?? null);
    if (!this.cpu.coherent) config.mem.cachedBy = this.cpu; // freed frames leave the cache
    this.ports = [];
    this.onFault = null;
    this.watcher = null;
    this.#windows = [];
  }

  /** A port for one device. @throws {ErrnoError} EINVAL: numbers that make no sense or contradict. */
  devicePort(config: DevicePortConfig): DevicePort {
    const port = new DevicePort(this, config);
    this.ports.push(port);
    return port;
  }

  /** Put a device's registers at physical addresses. @throws {ErrnoError} EINVAL: not a range of addresses; EEXIST: RAM or another window is there. */
  mapWindow(window: MmioWindow): BusSpace {
    const { name, base, size } = window;
    if (!isRange(base, size)) {
      throw new ErrnoError(Errno.EINVAL, `membus: window ${name} at ${base}+${size}`);
    }
    const end = base + size;
    const clash = this.#windows.some((w) => base < w.base + w.size && w.base < end);
    const overRam = this.mem.banks.some((b) => base < b.end && b.base < end);
    if (clash || overRam) {
      const where = `${hex(base)}+${hex(size)}`;
      throw new ErrnoError(Errno.EEXIST, `membus: window ${name} at ${where} is taken`);
    }
    this.#windows.push(window);
    return new BusSpace(window, this.cpu);
  }

  /**
   * The registers at [`pa`, `pa + length`).
   * @throws {ErrnoError} EINVAL: not a range of addresses; ENXIO: no window holds all of it.
   * @bsd #Y bus_space_map
   */
  spaceAt(pa: PhysAddr, length: Bytes): BusSpace {
    if (!isRange(pa, length)) {
      throw new ErrnoError(Errno.EINVAL, `membus: bus space at ${pa}+${length}`);
    }
    const end = pa + length;
    const window = this.#windows.find((w) => pa >= w.base && end <= w.base + w.size);
    if (window === undefined) {
      const where = `${hex(pa)}+${hex(length)}`;
      throw new ErrnoError(Errno.ENXIO, `membus: bus space at ${where}: no window`);
    }
    return new BusSpace(window, this.cpu, pa - window.base, length);
  }

  /** Faults of all ports since boot. */
  get faultCount(): number {
    return this.ports.reduce((sum, port) => sum + port.faultCount, 0);
  }
}

/** Whether [`base`, `base + size`) is a range of 52-bit addresses, not an empty one. */
function isRange(base: PhysAddr, size: Bytes): boolean {
  return isWhole(base) && isWhole(size) && size > 0 && base + size - 1 <= MAXADDR;
}
