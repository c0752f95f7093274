/** A PC with one NVMe disk and its driver; bios are made by hand. */
import { x86Backend } from "@physio/arch-x86";
import type { Disk, DiskOrder } from "@physio/blkio";
import { IoBufs } from "@physio/blkio";
import type { Device } from "@physio/bus";
import { RootBus } from "@physio/bus";
import type { Sync } from "@physio/busdma";
import { createTag, FIXED } from "@physio/busdma";
import type { DmaBackend } from "@physio/busdma/impl";
import { defineBackend } from "@physio/busdma/impl";
import { BouncePool } from "@physio/busdma-bounce";
import { Bio } from "@physio/carriers";
import { GiB, MAXADDR, MAXADDR_32BIT, MiB } from "@physio/kern";
import type { MmioHandler } from "@physio/membus";
import { Membus } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { SysctlTree, Trace } from "@physio/trace";
import { expect } from "vitest";
import { NvmeDriver } from "../src/driver.ts";
import { NvmeHardware } from "../src/hw.ts";
import type { NvmeConfig } from "../src/hw-config.ts";
import { MemoryMedia } from "../src/media.ts";
import { seeded } from "./hw-fixture.ts";

export interface DriverOptions extends Partial<NvmeConfig> {
  /** The chip reaches only 4 GiB, and the kernel's memory lies above: everything is bounced. */
  readonly bounce?: boolean;
  readonly bouncePages?: number;
  readonly seed?: number;
  readonly mediaSize?: number;
  /** Syncs that the backend leaves out. */
  readonly leaveOut?: Sync;
  /** In which order the disk is given its requests. */
  readonly queue?: DiskOrder;
  /** Put something between the bus and the chip's registers. */
  readonly wrap?: (chip: MmioHandler) => MmioHandler;
}

export const BASE = 3 * GiB;

const PIECE = Uint8Array.from({ length: 65_521 }, (_, i) => (i * 7 + (i >> 9) * 13) & 0xff);

/** Bytes that differ from sector to sector and from page to page: the period is a prime. */
function contents(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += PIECE.length) bytes.set(PIECE.subarray(0, size - at), at);
  return bytes;
}

/** Compare megabytes: element by element only to tell of a difference. */
export function sameBytes(got: Uint8Array, wanted: Uint8Array, what = ""): void {
  if (Buffer.compare(got, wanted) !== 0) expect(got, what).toEqual(wanted);
}

export class DriverMachine {
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly kmem: Kmem;
  readonly pool: BouncePool;
  readonly bufs: IoBufs;
  readonly device: Device;
  readonly driver: NvmeDriver;
  readonly media: MemoryMedia;
  hw: NvmeHardware | null = null;
  /** The disk, when the driver is attached. */
  disk: Disk | null = null;
  /** bios that were answered, in order. */
  readonly answered: Bio[] = [];
  /** Frames that are free or bounce pages when nothing goes on. */
  #frames: number;

  constructor(options: DriverOptions = {}) {
    const { bounce = false, bouncePages, seed, mediaSize = 2 * MiB, leaveOut = 0 } = options;
    const { wrap = (chip) => chip, queue, ...config } = options;
    const trace = new Trace();
    this.mem = new PhysMem({
      banks: [
        { base: MiB, size: 16 * MiB },
        { base: 4 * GiB, size: 16 * MiB },
      ],
    });
    this.sched = new Scheduler(seed === undefined ? { trace } : { trace, random: seeded(seed) });
    const membus = new Membus({ mem: this.mem, trace, now: () => this.sched.now });
    this.kmem = new Kmem(this.mem);
    this.pool = new BouncePool({
      mem: this.mem,
      sched: this.sched,
      trace,
      sysctl: new SysctlTree(),
      allocPage: (highest) => {
        const frame = this.mem.allocContig(1, { high: highest as number });
        return frame < 0 ? -1 : this.mem.addrOf(frame);
      },
      ...(bouncePages === undefined ? {} : { maxPages: bouncePages }),
    });
    const x86 = x86Backend(this.pool, this.kmem);
    const backend: DmaBackend = defineBackend({
      ...x86,
      sync: (tag, map, ops) => x86.sync(tag, map, ops & ~leaveOut),
    });
    const context = { backend, semantics: FIXED, kernelPmap: this.kmem.pmap, trace };
    const dmaTag = createTag(context, null, {});
    const { sched } = this;
    const bus = new RootBus({ sched, membus, dmaTag, mmioBase: BASE, mmioSize: MiB });
    this.media = new MemoryMedia(contents(mediaSize));
    this.device = bus.attach({
      name: "nvme0",
      windowSize: 0x4000,
      reach: bounce ? MAXADDR_32BIT : MAXADDR,
      hardware: (slot) => {
        this.hw = new NvmeHardware(slot, { media: this.media, ...config });
        return wrap(this.hw);
      },
    });
    this.bufs = new IoBufs({ sched, trace, completion: "softintr" });
    const { bufs, kmem } = this;
    const order = queue === undefined ? {} : { queue };
    this.driver = new NvmeDriver(this.device, { bufs, kmem, sched, trace, ...order });
    this.#frames = this.mem.freeFrames + this.pool.totalPages;
  }

  /** A machine whose driver is attached. */
  static attached(options: DriverOptions = {}): DriverMachine {
    const m = new DriverMachine(options);
    m.disk = m.sched.runSync(m.driver.attach());
    m.sched.pump();
    m.#frames = m.mem.freeFrames + m.pool.totalPages;
    return m;
  }

  /** Start a transfer between the disk and `va`. */
  start(command: number, offset: number, bcount: number, va: number): Bio {
    const bio = new Bio();
    bio.command = command as Bio["command"];
    bio.offset = offset;
    bio.bcount = bcount;
    bio.resid = bcount;
    bio.data = va;
    bio.done = (b) => this.answered.push(b);
    this.driver.start(bio);
    return bio;
  }

  bytes(va: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.kmem.read(va, bytes);
    return bytes;
  }

  /** Bounce pages used so far, over all zones. */
  get copied(): number {
    return this.pool.zones.reduce((sum, zone) => sum + zone.pagesCopied, 0);
  }

  /** All frames are back, no bounce page is in use, the chip did nothing that the bus refused. */
  finish(): void {
    this.sched.pump();
    for (const zone of this.pool.zones) {
      zone.check();
      expect([zone.active, zone.reserved, zone.waiting.length]).toEqual([0, 0, 0]);
    }
    expect(this.bufs.outstanding).toBe(0);
    expect(this.device.lock.owned).toBe(false);
    expect(this.device.port.faults).toEqual([]);
    this.kmem.arena.check();
    this.mem.check();
    expect(this.mem.freeFrames + this.pool.totalPages).toBe(this.#frames);
  }
}
