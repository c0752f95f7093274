/**
 * The device tree: who hangs on whom, and what each device was given.
 *
 * A device gets its resources (register window, interrupt line, DMA tag, port) when it is attached
 * to a bus, before its driver sees it. `dmaTag` is the parent tag with everything that lies between
 * the device and memory: a driver derives its own tags from it. Follows device(9), bus_get_dma_tag
 * and rman(9) in what a driver sees.
 */
import type { DmaTag } from "@physio/busdma";
import type { BusSpace, DevicePort } from "@physio/membus";
import type { Mutex } from "@physio/sched";
import type { InterruptLine } from "./interrupt.ts";

export interface DeviceResources {
  /** The register window. */
  readonly regs: BusSpace;
  readonly intr: InterruptLine;
  /** How the device reaches memory; for reports only: drivers never move data through it. */
  readonly port: DevicePort;
  /** @bsd #Y bus_get_dma_tag */
  readonly dmaTag: DmaTag;
  /** The driver's lock. */
  readonly lock: Mutex;
}

export class Device implements DeviceResources {
  readonly name: string;
  /** Which device of the bus it is, from 0. */
  readonly unit: number;
  readonly parent: Device | null;
  readonly children: Device[];
  readonly regs: BusSpace;
  readonly intr: InterruptLine;
  readonly port: DevicePort;
  readonly dmaTag: DmaTag;
  readonly lock: Mutex;
  /** The driver's. */
  softc: unknown;

  constructor(name: string, unit: number, parent: Device | null, resources: DeviceResources) {
    this.name = name;
    this.unit = unit;
    this.parent = parent;
    this.children = [];
    this.regs = resources.regs;
    this.intr = resources.intr;
    this.port = resources.port;
    this.dmaTag = resources.dmaTag;
    this.lock = resources.lock;
    this.softc = null;
    parent?.children.push(this);
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Device(${this.name} at 0x${this.regs.window.base.toString(16)})`;
  }
}
