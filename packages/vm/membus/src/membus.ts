/**
 * The memory bus of one machine: RAM, the ports onto it and the windows beside it.
 *
 * Devices go through a port that this object made; the kernel's own code goes through `cpu`
 * wherever caches matter. On a coherent machine, which is one without `cache`, the CPU's port is RAM
 * itself. With a cache, lines of a frame that is freed stay in it, as on hardware: whoever gets the frame
 * may see them. Only memory that verifies (PhysMem `verify`) has them written back and dropped first.
 * Windows never overlap each other or RAM.
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
import type { MmioHandler, MmioWindow } from "./mmio.ts";
import { Mapping } from "./mmio.ts";
import type { EventClock } from "./posted.ts";
import type { AccessWatcher } from "./watcher.ts";

export interface MembusConfig {
  readonly mem: PhysMem;
  readonly trace: Trace;
  /** Virtual time, for fault records; default: that of `sched`, and 0 without one. */
  readonly now?: () => Nanoseconds;
  /** The data cache of a machine whose devices do not snoop; absent: the machine is coherent. */
  readonly cache?: CacheConfig;
  /** Where posted writes wait, by its own time; absent: no port may post. */
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
  readonly #mappings: Mapping[];

  /** @throws {ErrnoError} EINVAL: a cache whose geometry makes no sense; EBUSY: another bus has a cache of this memory. */
  constructor(config: MembusConfig) {
    this.mem = config.mem;
    this.trace = config.trace;
    const { mem, sched = null, cache = null } = config;
    this.now = config.now ?? (sched === null ? () => 0 : () => sched.now);
    this.sched = sched;
    this.cpu = new CpuPort(mem, cache);
    if (cache !== null) {
      if (mem.cachedBy !== null) {
        throw new ErrnoError(Errno.EBUSY, "membus: a cache for memory that another bus caches");
      }
      mem.cachedBy = this.cpu;
    }
    this.ports = [];
    this.onFault = null;
    this.watcher = null;
    this.#mappings = [];
  }

  /** A port for one device. @throws {ErrnoError} EINVAL: numbers that make no sense or contradict. */
  devicePort(config: DevicePortConfig): DevicePort {
    const port = new DevicePort(this, config);
    this.ports.push(port);
    return port;
  }

  /** Put a device's registers at physical addresses. @throws {ErrnoError} EINVAL: not a range of addresses, no handler; EEXIST: RAM or another window is there. */
  mapWindow(window: MmioWindow): BusSpace {
    const { name, base, size } = window;
    if (!isHandler(window.handler)) {
      throw new ErrnoError(Errno.EINVAL, `membus: window ${name} without a handler`);
    }
    if (!isRange(base, size)) {
      throw new ErrnoError(Errno.EINVAL, `membus: window ${name} at ${base}+${size}`);
    }
    const end = base + size;
    const clash = this.#mappings.some(({ base: at, end: to }) => base < to && at < end);
    const overRam = this.mem.banks.some((b) => base < b.end && b.base < end);
    if (clash || overRam) {
      const where = `${hex(base)}+${hex(size)}`;
      throw new ErrnoError(Errno.EEXIST, `membus: window ${name} at ${where} is taken`);
    }
    const mapping = new Mapping(window);
    this.#mappings.push(mapping);
    return new BusSpace(window, this.cpu, 0, size, mapping);
  }

  /**
   * Take a window away: `space` is what `mapWindow` returned, or one that holds all of it. Accesses
   * through any space of it panic from now on; its addresses are free.
   * @throws {ErrnoError} EINVAL: a part of a window, or one that is not here (any more).
   * @bsd #Y bus_space_unmap
   */
  unmapWindow(space: BusSpace): void {
    const { window, start, size } = space;
    const index = this.#mappings.findIndex((mapping) => space.isOf(mapping));
    if (index < 0 || start !== 0 || size !== window.size) {
      const what = index < 0 ? "which is not mapped" : `of which this is ${start}+${size}`;
      throw new ErrnoError(Errno.EINVAL, `membus: unmap of window ${window.name}, ${what}`);
    }
    this.#mappings[index].live = false;
    this.#mappings.splice(index, 1);
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
    const mapping = this.#mappings.find((m) => pa >= m.base && end <= m.end);
    if (mapping === undefined) {
      const where = `${hex(pa)}+${hex(length)}`;
      throw new ErrnoError(Errno.ENXIO, `membus: bus space at ${where}: no window`);
    }
    return new BusSpace(mapping.window, this.cpu, pa - mapping.base, length, mapping);
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

function isHandler(handler: MmioHandler | undefined): boolean {
  return typeof handler?.mmioRead === "function" && typeof handler.mmioWrite === "function";
}
