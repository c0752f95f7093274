/**
 * A machine: parts put together so that it boots.
 *
 * The constructor wires RAM, buses, kernel memory, DMA and paging; disks are attached and file
 * systems mounted afterwards. Code that sleeps runs as a thread: `runSync` until it ends, `run` the
 * same with a promise, giving the host's event loop its turn.
 *
 * Invariant: two machines share nothing.
 */

import type { Disk } from "@physio/blkio";
import { BufCache, IoBufs } from "@physio/blkio";
import { RootBus } from "@physio/bus";
import type { DmaTag } from "@physio/busdma";
import { createTag } from "@physio/busdma";
import { BouncePool } from "@physio/busdma-bounce";
import type { Media } from "@physio/dev-nvme";
import { NvmeDriver, NvmeHardware } from "@physio/dev-nvme";
import type { Nanoseconds } from "@physio/kern";
import { panic } from "@physio/kern";
import type { MembusConfig } from "@physio/membus";
import { Membus } from "@physio/membus";
import { formatFreeLists, PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Scheduler } from "@physio/sched";
import type { ChromeTrace, SysctlValue } from "@physio/trace";
import { chromeTrace, SysctlTree, Trace } from "@physio/trace";
import { PageArrays, PageDaemon, PagerMap, UvmPages } from "@physio/uvm";
import type { Mount } from "@physio/vfs";
import { Syncer } from "@physio/vfs";
import type { MountChoices } from "./mount-any.ts";
import { mountAny } from "./mount-any.ts";
import type { MachineConfig } from "./profiles.ts";
import { seededRandom } from "./random.ts";

const NVME_WINDOW = 0x4000;
const CACHE_SEED = 0x5eed;
/** Scheduler steps between two turns of the host's event loop. */
const STEPS_A_TURN = 20_000;

export class Machine {
  readonly config: MachineConfig;
  /** The trace of everything: its mask, its ring and its hash. */
  readonly ktr: Trace;
  readonly sysctls: SysctlTree;
  readonly sched: Scheduler;
  readonly mem: PhysMem;
  readonly membus: Membus;
  readonly kmem: Kmem;
  readonly bouncePool: BouncePool;
  /** The parent of all DMA tags. */
  readonly dmaTag: DmaTag;
  readonly bus: RootBus;
  readonly bufs: IoBufs;
  readonly cache: BufCache;
  readonly pages: UvmPages;
  readonly pager: PagerMap;
  readonly syncer: Syncer;
  readonly pageArrays: PageArrays;
  readonly pageDaemon: PageDaemon;
  /** Drivers of the disks, in the order of attachment. */
  readonly nvme: NvmeDriver[];

  /** @throws {ErrnoError} EINVAL, EEXIST, ENOMEM: the configuration makes no sense. */
  constructor(config: MachineConfig) {
    const { banks, mmioBase, mmioSize, completion, semantics, filters, seed } = config;
    this.config = config;
    this.ktr = new Trace(config.traceEntries);
    this.sysctls = new SysctlTree();
    const random = seed === null ? null : seededRandom(seed);
    this.sched = new Scheduler({ trace: this.ktr, ...(random === null ? {} : { random }) });
    this.mem = new PhysMem({ banks, verify: config.verify });
    const { mem, ktr: trace } = this;
    const now = () => this.sched.now;
    this.membus = new Membus({ mem, trace, sched: this.sched, now, ...cacheOf(config) });
    this.kmem = new Kmem(mem, { cpu: this.membus.cpu, sched: this.sched });
    this.bouncePool = this.#makeBouncePool();
    const backend = config.dmaBackend(this.bouncePool, this.kmem, this.membus);
    const context = {
      backend,
      semantics,
      filters,
      kernelPmap: this.kmem.pmap,
      trace: this.ktr,
      sched: this.sched,
      verify: config.verify,
    };
    this.dmaTag = createTag(context, null, {});
    const { sched, membus, dmaTag } = this;
    this.bus = new RootBus({ sched, membus, dmaTag, mmioBase: mmioBase as number, mmioSize });
    this.bufs = new IoBufs({ sched, trace: this.ktr, completion });
    this.cache = new BufCache({ bufs: this.bufs, kmem: this.kmem, limit: config.bufCacheBytes });
    this.pages = new UvmPages({ mem, pmaps: this.kmem.pmaps, sched, trace });
    this.pager = new PagerMap(this.kmem, sched);
    this.syncer = new Syncer(sched);
    this.pageArrays = new PageArrays();
    this.pageDaemon = new PageDaemon(this.pages);
    this.nvme = [];
    this.#addSysctls();
  }

  /** Put an NVMe disk on the bus and attach its driver. @throws {ErrnoError} EEXIST: the name; EINVAL: the medium; EIO, ETIMEDOUT: the device; ENOMEM. */
  *attachDisk(name: string, media: Media): Sleeps<Disk> {
    const { diskReach, maxTransfer } = this.config;
    const device = this.bus.attach({
      name,
      windowSize: NVME_WINDOW,
      reach: diskReach,
      hardware: (slot) => new NvmeHardware(slot, { media, maxTransfer }),
    });
    const driver = new NvmeDriver(device, {
      bufs: this.bufs,
      kmem: this.kmem,
      trace: this.ktr,
      sched: this.sched,
    });
    this.nvme.push(driver);
    try {
      return yield* driver.attach();
    } catch (error) {
      this.nvme.pop();
      throw error;
    }
  }

  /**
   * Mount the file system on `disk`: for reading, unless `writable` is asked for and it can be written.
   * @throws {ErrnoError} EINVAL: none that we know; EOPNOTSUPP; EIO.
   */
  *mount(disk: Disk, options: MountChoices = {}): Sleeps<Mount> {
    const { bufs, cache, pages, pager, kmem, syncer, pageArrays } = this;
    const context = { bufs, cache, pages, pager, kmem, syncer, pageArrays };
    return yield* mountAny(disk, context, options);
  }

  /** Run `body` as a thread until it ends. @returns what it returns. @throws what it throws, or Panic with a deadlock report. */
  runSync<T>(body: Sleeps<T>, name = "main"): T {
    return this.sched.runSync(body, name);
  }

  /**
   * The same as a promise: every now and then `turn` is awaited, which gives the host's event loop
   * its turn (a resolved timer, `scheduler.yield()`); without one only other promises get theirs.
   */
  async run<T>(body: Sleeps<T>, turn: () => Promise<void> = () => Promise.resolve()): Promise<T> {
    const { sched } = this;
    const thread = sched.start(body);
    while (!sched.advance(thread, STEPS_A_TURN)) {
      await (sched.stalledOn === null ? turn() : this.#hostAnswers());
    }
    return sched.resultOf<T>(thread);
  }

  /**
   * Wait for a promise of the host's without losing determinism inside: its value takes effect
   * `latency` ns of virtual time from now, however long the host really takes. => under `run`.
   * @throws what the promise is rejected with.
   */
  *ask<T>(name: string, latency: Nanoseconds, promise: Promise<T>): Sleeps<T> {
    const call = this.sched.outside<T>(name, latency);
    promise.then(
      (value) => call.complete(value),
      (error: unknown) => call.fail(error),
    );
    return yield* call.wait();
  }

  /** Value of one sysctl. @throws {ErrnoError} ENOENT. */
  sysctl(path: string): SysctlValue {
    return this.sysctls.get(path);
  }

  /** What the trace holds as Chrome trace JSON, which Perfetto opens. */
  trace(): ChromeTrace {
    const { profile, seed } = this.config;
    return chromeTrace(this.ktr, `${profile}, seed ${seed}`);
  }

  /** Panic when something is left over: busy pages, bufs, bounce pages, mappings. For the end of a run. */
  checkQuiet(): void {
    const busy = this.pages.busyCount();
    if (busy > 0) panic(`machine: ${busy} pages are busy`);
    if (this.bufs.outstanding > 0) panic(`machine: ${this.bufs.outstanding} bufs are out`);
    if (this.pager.mappedPages > 0)
      panic(`machine: ${this.pager.mappedPages} pages are in the pager map`);
    for (const zone of this.bouncePool.zones) {
      zone.check();
      if (zone.active + zone.reserved > 0)
        panic(`machine: ${zone.name}: ${zone.active} active bounce pages`);
    }
    this.mem.check();
    this.kmem.check();
    this.sched.check();
    this.pages.check();
    this.cache.check();
    this.syncer.check();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const { config, mem, nvme, sched } = this;
    return `Machine(${config.profile}, ${mem.totalFrames * 4} KiB, ${nvme.length} disks, ${sched.now} ns)`;
  }

  /** When the host has answered what virtual time waits for. */
  #hostAnswers(): Promise<void> {
    return new Promise((resolve) => {
      const { sched } = this;
      const others = sched.onUnstalled; // several `run` may wait
      sched.onUnstalled = () => {
        sched.onUnstalled = null;
        others?.();
        resolve();
      };
    });
  }

  #makeBouncePool(): BouncePool {
    const { mem, sched, ktr: trace } = this;
    const allocPage = (highest: number, domain: number) => {
      // A zone prefers its domain; any memory in reach is better than none.
      const near = domain < 0 ? -1 : mem.allocContig(1, { high: highest, domain });
      const frame = near < 0 ? mem.allocContig(1, { high: highest }) : near;
      return frame < 0 ? -1 : mem.addrOf(frame);
    };
    const { bouncePages } = this.config;
    const disks = () => Math.max(1, this.nvme.length);
    return new BouncePool({
      mem,
      cpu: this.membus.cpu,
      sched,
      trace,
      sysctl: this.sysctls,
      allocPage,
      // Every disk's first map must find pages, however many disks took theirs before.
      get maxPages() {
        return bouncePages > 0 ? bouncePages * disks() : Number.POSITIVE_INFINITY;
      },
    });
  }

  #addSysctls(): void {
    const { sysctls, mem, pages, cache, membus, sched, syncer } = this;
    sysctls.add("hw.physmem", "Bytes of RAM", () => mem.totalFrames * 4096);
    sysctls.add("hw.pagesize", "Bytes of a page", () => 4096);
    sysctls.add(
      "hw.bus.faults",
      "Accesses of devices that the bus refused",
      () => membus.faultCount,
    );
    sysctls.add("vm.free_count", "Free frames", () => mem.freeFrames);
    sysctls.add("vm.phys_free", "Free blocks by domain, reach and order", () =>
      formatFreeLists(mem),
    );
    sysctls.add("vm.stats.allocs", "Frames allocated since boot", () => mem.counters.allocs);
    sysctls.add(
      "vm.stats.failures",
      "Allocations that found no frame",
      () => mem.counters.failures,
    );
    sysctls.add(
      "vm.stats.reclaims",
      "Times that memory was asked back",
      () => mem.counters.reclaims,
    );
    sysctls.add("vm.kmem.allocated", "Kernel addresses in use", () => this.kmem.arena.allocated);
    sysctls.add("vm.kmem.items", "Items of kernel memory in use, all zones", () =>
      this.kmem.zones.reduce((sum, zone) => sum + zone.used, 0),
    );
    sysctls.add("vm.resident", "Pages of files", () => pages.resident);
    sysctls.add("vm.reclaimed", "Pages taken back because memory was short", () => pages.reclaimed);
    sysctls.add("vfs.bufcache.hits", "Metadata blocks found cached", () => cache.hits);
    sysctls.add("vfs.bufcache.misses", "Metadata blocks read", () => cache.misses);
    sysctls.add(
      "vfs.syncer.worklist",
      "Vnodes that may have something to write",
      () => syncer.length,
    );
    sysctls.add("vfs.syncer.visits", "Vnodes that the syncer looked at", () => syncer.visits);
    sysctls.add("vfs.syncer.givenup", "Vnodes whose writes failed too often", () => syncer.givenUp);
    sysctls.add(
      "vfs.bufcache.dirtybytes",
      "Metadata that waits to be written",
      () => cache.dirtyBytes,
    );
    sysctls.add("vfs.bufcache.writes", "Metadata blocks written", () => cache.writes);
    sysctls.add("vfs.dirty_vnodes", "Vnodes on the syncer's worklist", () => this.syncer.length);
    sysctls.add("vm.daemon.rounds", "Rounds of the page daemon", () => this.pageDaemon.rounds);
    sysctls.add("vm.daemon.pageouts", "Pages that it had written", () => this.pageDaemon.pageouts);
    sysctls.add("vm.daemon.freed", "Pages that it freed", () => this.pages.daemonFreed);
    sysctls.add("kern.switches", "Threads switched to", () => sched.switches);
  }
}

/** The cache's random numbers have a seed of their own: threads and evictions do not share a stream. */
function cacheOf({ dataCache, seed }: MachineConfig): Pick<MembusConfig, "cache"> {
  if (dataCache === null) return {};
  return { cache: { ...dataCache, random: seededRandom((seed ?? 0) + CACHE_SEED) } };
}

/** Build a machine of a profile, given as it is or as `arch`. @throws {ErrnoError} see Machine. */
export function machine(config: MachineConfig | { readonly arch: MachineConfig }): Machine {
  return new Machine("arch" in config ? config.arch : config);
}
