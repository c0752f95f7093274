/**
 * DMA memory in a driver's hands: allocated for a tag, with a map of its own.
 *
 * Made by `tag.allocMem`. Loaded once to learn its bus address, kept loaded while the device uses it,
 * unloaded and freed at the end. Syncs are due as for any map. Follows bus_dmamem_alloc of bus_dma(9).
 */
import type { BusAddr, Errno } from "@physio/kern";
import { Errno as E, ErrnoError, PAGE_SIZE, panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { BusDma } from "./flags.ts";
import type { DmaMap, LoadCallback } from "./map.ts";
import type { DmaMemory } from "./memory.ts";
import type { DmaTag } from "./tag.ts";

interface Loaded {
  addr: BusAddr;
  error: Errno;
}

const note: LoadCallback<Loaded> = (loaded, segs, count, error) => {
  loaded.error = error === E.OK && count !== 1 ? E.EFBIG : error;
  loaded.addr = segs.addr[0];
};

export class DmaMem {
  readonly tag: DmaTag;
  readonly memory: DmaMemory;
  readonly map: DmaMap;

  constructor(tag: DmaTag, memory: DmaMemory, map: DmaMap) {
    this.tag = tag;
    this.memory = memory;
    this.map = map;
  }

  /**
   * Load it.
   * @returns the bus address of its one segment. @throws {ErrnoError} EFBIG: it is in several, as a tag
   *   of several segments allows: `map.load` gives them all; else what the load said.
   */
  load(): BusAddr {
    const loaded: Loaded = { addr: -1, error: E.OK };
    const error = this.map.load(this.memory.va, this.tag.maxSize, note, loaded, BusDma.NOWAIT);
    const failed = error === E.OK ? loaded.error : error;
    if (failed === E.OK) return loaded.addr;
    this.map.unload();
    throw new ErrnoError(failed, `dmamem load of ${this.tag.maxSize} bytes`);
  }

  /** => it is unloaded, and the device does not use it any more. */
  free(): void {
    this.tag.freeMem(this.memory.va, this.map);
  }
}

/**
 * Sleep until there is more free memory than now.
 * @throws {ErrnoError} ENOMEM: the tag asks for more than the machine has.
 */
export function* waitForMemory(tag: DmaTag): Sleeps<void> {
  const { sched } = tag.context;
  const { mem } = tag.kernelPmap;
  if (sched === undefined) panic("bus_dma: nobody to sleep with: the context has no scheduler");
  if (!(tag.maxSize <= mem.totalFrames * PAGE_SIZE)) {
    throw new ErrnoError(E.ENOMEM, `dmamem: ${tag.maxSize} bytes never fit`);
  }
  const before = mem.freeFrames;
  const channel = { name: "dmamem" };
  // An allocation that failed gives back what it took: that is no news, or two who wait would wake
  // each other without end.
  const stop = mem.pressure.onRelief(() => {
    if (mem.freeFrames > before) sched.wakeup(channel);
    else mem.pressure.expect();
  });
  try {
    mem.pressure.expect();
    yield* sched.sleep(channel, "dmamem");
  } finally {
    stop();
  }
}
