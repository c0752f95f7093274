/**
 * The bounce pool of one machine: its zones, its thread, its sysctl tree.
 *
 * Finds or makes the zone for a tag, grows zones, and resumes deferred loads from the software
 * interrupt thread "busdma". Follows alloc_bounce_zone, alloc_bounce_pages and busdma_thread of
 * subr_busdma_bounce.c. All of bounce_lock's sections are plain code here, which nothing interrupts.
 */

import type { DmaMap } from "@physio/busdma";
import { BUS_DMA_LOCK, BUS_DMA_UNLOCK } from "@physio/busdma";
import type { BusAddr, Bytes, PhysAddr } from "@physio/kern";
import { hex, PAGE_SIZE, Stailq } from "@physio/kern";
import { CpuPort } from "@physio/membus";
import type { PhysMem } from "@physio/physmem";
import { ANY_DOMAIN } from "@physio/physmem";
import type { Scheduler } from "@physio/sched";
import { SoftIntr } from "@physio/sched";
import type { SysctlTree, Trace } from "@physio/trace";
import { Ktr, traceEvent } from "@physio/trace";
import { bounceOf } from "./map-state.ts";
import { SyncSlab } from "./sync-slab.ts";
import { BounceZone } from "./zone.ts";

export interface BouncePoolConfig {
  readonly mem: PhysMem;
  readonly sched: Scheduler;
  readonly trace: Trace;
  readonly sysctl: SysctlTree;
  /** One page at or below `highest`, for good, of `domain` if it can be (ANY_DOMAIN: no wish). @returns its address, or −1. */
  readonly allocPage: (highest: BusAddr, domain: number) => PhysAddr;
  /** How the CPU copies; default: a coherent port of its own. */
  readonly cpu?: CpuPort;
  /** Pages that all zones together may have; default no limit. For machines with tiny pools. */
  readonly maxPages?: number;
}

const RESUME = traceEvent(Ktr.BOUNCE, "bounce resume", "waited");
const GROW = traceEvent(Ktr.BOUNCE, "bounce grow", "pages", "total");

export class BouncePool {
  readonly mem: PhysMem;
  readonly cpu: CpuPort;
  readonly sched: Scheduler;
  readonly trace: Trace;
  readonly zones: BounceZone[];
  /** Where sync lists of the maps have their entries. */
  readonly syncSlab: SyncSlab;
  totalPages: number;
  readonly #config: BouncePoolConfig;
  readonly #ready: Stailq<DmaMap>;
  /** Since when a deferred load waits (virtual ns). Few do: a field of each map would be 24 bytes. */
  readonly #waitsSince: Map<DmaMap, number>;
  readonly #thread: SoftIntr;

  constructor(config: BouncePoolConfig) {
    this.mem = config.mem;
    this.cpu = config.cpu ?? new CpuPort(config.mem, null);
    this.sched = config.sched;
    this.trace = config.trace;
    this.zones = [];
    this.syncSlab = new SyncSlab();
    this.totalPages = 0;
    this.#config = config;
    this.#ready = new Stailq<DmaMap>();
    this.#waitsSince = new Map();
    this.#thread = new SoftIntr(config.sched, "busdma", () => this.#resumeAll());
    config.sysctl.add("hw.busdma.total_bpages", "Pages of all zones", () => this.totalPages);
  }

  /** The zone for pages of `domain` at or below `lowAddr` with `alignment`: the first one that serves, or a new one. @bsd #Y alloc_bounce_zone */
  zoneFor(lowAddr: BusAddr, alignment: Bytes, domain: number = ANY_DOMAIN): BounceZone {
    const fits = (z: BounceZone) =>
      alignment <= z.alignment && domain === z.domain && lowAddr >= z.lowAddr;
    const found = this.zones.find(fits);
    if (found !== undefined) return found;
    const zone = new BounceZone(
      `zone${this.zones.length}`,
      lowAddr,
      Math.max(alignment, PAGE_SIZE),
      domain,
    );
    this.zones.push(zone);
    this.#addSysctl(zone);
    return zone;
  }

  /** Give `zone` up to `count` more pages. @returns how many it got. @bsd #Y alloc_bounce_pages */
  grow(zone: BounceZone, count: number): number {
    let got = 0;
    while (got < count && this.totalPages < (this.#config.maxPages ?? Number.POSITIVE_INFINITY)) {
      const pa = this.#config.allocPage(zone.lowAddr, zone.domain);
      if (pa < 0) break;
      zone.addPage(pa, this.mem.frameOf(pa));
      this.totalPages++;
      got++;
    }
    this.trace.record(GROW, got, zone.total);
    return got;
  }

  /** The load of `map` waits from now on, until it is scheduled and resumed. */
  noteWaiting(map: DmaMap): void {
    this.#waitsSince.set(map, this.sched.now);
  }

  /** A map has its pages now: resume its load from the thread. */
  schedule(map: DmaMap): void {
    this.#ready.insertTail(map);
    this.#thread.schedule();
  }

  /** @bsd #Y busdma_thread */
  #resumeAll(): void {
    for (let map = this.#ready.removeHead(); map !== null; map = this.#ready.removeHead()) {
      const { zone } = bounceOf(map);
      const { lock } = map.tag;
      const waited = this.sched.now - (this.#waitsSince.get(map) ?? this.sched.now);
      this.#waitsSince.delete(map);
      lock(BUS_DMA_LOCK);
      zone.deferredTime += waited;
      this.trace.record(RESUME, waited);
      map.resumeLoad();
      lock(BUS_DMA_UNLOCK);
    }
  }

  #addSysctl(zone: BounceZone): void {
    const { sysctl } = this.#config;
    const base = `hw.busdma.${zone.name}`;
    sysctl.add(`${base}.total_bpages`, "Pages of the zone", () => zone.total);
    sysctl.add(`${base}.free_bpages`, "Pages in nobody's hands", () => zone.free);
    sysctl.add(`${base}.reserved_bpages`, "Pages promised to loads", () => zone.reserved);
    sysctl.add(`${base}.active_bpages`, "Pages that hold client data", () => zone.active);
    sysctl.add(`${base}.total_bounced`, "Syncs that copied", () => zone.totalBounced);
    sysctl.add(
      `${base}.total_deferred`,
      "Loads that waited for pages and got them",
      () => zone.totalDeferred,
    );
    sysctl.add(`${base}.lowaddr`, "Highest address of the zone's pages", () => hex(zone.lowAddr));
    sysctl.add(`${base}.alignment`, "Alignment of the zone's pages", () => zone.alignment);
    sysctl.add(`${base}.domain`, "Memory domain of the zone's pages; -1: any", () => zone.domain);
    sysctl.add(`${base}.total_deferred_time`, "Time that those loads waited, in microseconds", () =>
      Math.floor(zone.deferredTime / 1000),
    );
  }
}
