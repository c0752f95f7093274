/**
 * The root bus: gives devices their place in the machine.
 *
 * `attach` allocates a register window, an interrupt line and a port of the memory bus, makes the
 * device's model with them, and returns the Device that a driver attaches to.
 */

import type { DmaTag } from "@physio/busdma";
import type { BusAddr, Bytes, PhysAddr } from "@physio/kern";
import { Errno, ErrnoError, isPowerOf2, MAXADDR } from "@physio/kern";
import type { DevicePort, Membus, MmioHandler } from "@physio/membus";
import type { Scheduler } from "@physio/sched";
import { Mutex } from "@physio/sched";
import { Arena } from "@physio/vmem";
import { Device } from "./device.ts";
import { InterruptLine } from "./interrupt.ts";

export interface RootBusConfig {
  readonly sched: Scheduler;
  readonly membus: Membus;
  /** The parent of all tags. */
  readonly dmaTag: DmaTag;
  /** Physical addresses for register windows. */
  readonly mmioBase: PhysAddr;
  readonly mmioSize: Bytes;
}

/** What the model of a chip is given: nothing of the kernel. */
export interface HardwareSlot {
  readonly sched: Scheduler;
  readonly port: DevicePort;
  readonly intr: InterruptLine;
}

export interface AttachOptions {
  readonly name: string;
  /** Size of the register window, a power of 2, at least a page. */
  readonly windowSize: Bytes;
  /** Highest bus address that the chip puts on the bus; default all. */
  readonly reach?: BusAddr;
  /** Make the chip. */
  readonly hardware: (slot: HardwareSlot) => MmioHandler;
}

const PAGE = 4096;

export class RootBus {
  readonly devices: Device[];
  readonly #config: RootBusConfig;
  readonly #windows: Arena;

  constructor(config: RootBusConfig) {
    this.devices = [];
    this.#config = config;
    this.#windows = new Arena("mmio", PAGE);
    this.#windows.add(config.mmioBase, config.mmioSize);
  }

  /** Put a chip on the bus. @throws {ErrnoError} EINVAL: window size; ENOMEM: no addresses; EEXIST: the name is taken; and what 'hardware' throws. */
  attach(options: AttachOptions): Device {
    const { name, windowSize } = options;
    if (!isPowerOf2(windowSize) || windowSize < PAGE) {
      throw new ErrnoError(Errno.EINVAL, `bus: ${name}: window of ${windowSize} bytes`);
    }
    if (this.devices.some((d) => d.name === name))
      throw new ErrnoError(Errno.EEXIST, `bus: ${name}`);
    const base = this.#windows.alloc(windowSize, { align: windowSize });
    if (base < 0)
      throw new ErrnoError(Errno.ENOMEM, `bus: ${name}: no window of ${windowSize} bytes`);
    try {
      const device = this.#populate(options, base);
      this.devices.push(device);
      return device;
    } catch (error) {
      this.#windows.free(base, windowSize); // the chip could not be made
      throw error;
    }
  }

  /** Make the chip behind the window at `base`, and its Device. */
  #populate(options: AttachOptions, base: PhysAddr): Device {
    const { name, windowSize, reach = MAXADDR } = options;
    const { sched, membus, dmaTag } = this.#config;
    const port = membus.devicePort({ name, highest: reach });
    const intr = new InterruptLine(sched, name);
    const handler = options.hardware({ sched, port, intr });
    const regs = membus.mapWindow({ name, base, size: windowSize, handler, port });
    const lock = new Mutex(sched, name);
    // What the bus knows of the chip's reach narrows the parent tag, as a bridge would.
    const tag = reach < MAXADDR ? dmaTag.child({ lowAddr: reach }) : dmaTag;
    return new Device(name, this.devices.length, null, { regs, intr, port, dmaTag: tag, lock });
  }

  /** Busy-wait for `ns`: hardware goes on, threads do not. @bsd #Y DELAY(9) */
  delay(ns: number): void {
    this.#config.sched.delay(ns);
  }
}
