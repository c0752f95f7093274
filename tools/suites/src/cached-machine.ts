/**
 * A machine round one backend, for tests: a data cache that devices do not snoop and that evicts and
 * prefetches as chance says, or coherent memory, 1 MiB of RAM within a 24-bit device's reach, RAM above it and at the end of the
 * address space, a pool of bounce pages, and a device that knows bus addresses only.
 */
import type { Arm64Options } from "@physio/arch-arm64";
import { ARM64_FIXED, ARM64_SEED, arm64Backend } from "@physio/arch-arm64";
import type { RiscvOptions } from "@physio/arch-riscv";
import { RISCV_FIXED, RISCV_SEED, riscvBackend } from "@physio/arch-riscv";
import type {
  BusDma,
  DmaContext,
  DmaMap,
  DmaSemantics,
  DmaTag,
  SegList,
  TagOptions,
} from "@physio/busdma";
import { BUS_DMA_LOCK, createTag, FIXED, SEED } from "@physio/busdma";
import type { DmaAllocator, DmaBackend, DmaMemRequest } from "@physio/busdma/impl";
import type { BounceState, CacheHook, SyncList, WalkDecisions } from "@physio/busdma-bounce";
import { BouncePool } from "@physio/busdma-bounce";
import type { Bytes, Errno, Frame, PhysAddr, VirtAddr } from "@physio/kern";
import { Errno as E, GiB, MiB, NO_FRAME, PAGE_SIZE, TiB } from "@physio/kern";
import type { CacheConfig, DevicePort } from "@physio/membus";
import { Membus } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import { Kmem, PmapSpace, Prot } from "@physio/pmap";
import { Mutex, Scheduler } from "@physio/sched";
import { SysctlTree, Trace } from "@physio/trace";
import { source } from "./backends.ts";

/** The last address of a 24-bit device. */
export const REACH = 16 * MiB - 1;
export const HIGH = 8 * GiB;
export const TOP = 2 ** 52 - MiB;
export const LINE = 64;
const BANKS = [
  { base: MiB, size: 2 * MiB },
  { base: HIGH, size: MiB },
  { base: TOP, size: MiB },
];

/** The seeds of a property test, or the one that PHYSIO_SEED names. */
export function seeds(count: number): number[] {
  const { PHYSIO_SEED } = process.env;
  return PHYSIO_SEED === undefined
    ? Array.from({ length: count }, (_, i) => i + 1)
    : [Number(PHYSIO_SEED)];
}

/** [bus address, bytes]. */
export type Run = readonly [number, number];

/** What a callback was told. */
export interface Result {
  readonly who: string;
  readonly error: Errno;
  readonly segs: readonly Run[];
}

export interface MachineOptions {
  readonly semantics?: DmaSemantics;
  /** Bounce pages that there are. */
  readonly pages?: number;
  /** Null: memory is coherent, whatever the backend believes. */
  readonly cache?: Partial<CacheConfig> | null;
  readonly seed?: number;
}

/** What a backend under test is made of. */
export interface BackendParts {
  readonly pool: BouncePool;
  readonly kmem: Kmem;
  readonly onCache: CacheHook;
}

export class CachedMachine {
  readonly mem: PhysMem;
  readonly bus: Membus;
  readonly kmem: Kmem;
  readonly sched: Scheduler;
  readonly pool: BouncePool;
  readonly mutex: Mutex;
  readonly device: DevicePort;
  readonly context: DmaContext;
  readonly user: Pmap;
  readonly userSpace: PmapSpace;
  readonly results: Result[];
  /** Cache calls since the list was last emptied: [call, space, address, length]. */
  readonly calls: [string, string, number, number][];
  #nextVa: VirtAddr;

  constructor(make: (parts: BackendParts) => DmaBackend, options: MachineOptions = {}) {
    const { semantics = FIXED, pages = 256, cache = {}, seed = 1 } = options;
    this.mem = new PhysMem({ banks: BANKS });
    this.sched = new Scheduler();
    const trace = new Trace();
    const random = source(seed);
    const sets = { line: LINE, sets: 32, ways: 2, random, evictOneIn: 16, prefetchOneIn: 4 };
    const now = () => this.sched.now;
    const bus = { mem: this.mem, trace, now };
    this.bus = new Membus(cache === null ? bus : { ...bus, cache: { ...sets, ...cache } });
    this.kmem = new Kmem(this.mem, { cpu: this.bus.cpu });
    this.mutex = new Mutex(this.sched, "driver");
    this.device = this.bus.devicePort({ name: "toy0" });
    this.results = [];
    this.calls = [];
    this.#nextVa = 32 * TiB;
    this.pool = new BouncePool({
      mem: this.mem,
      cpu: this.bus.cpu,
      sched: this.sched,
      trace,
      sysctl: new SysctlTree(),
      maxPages: pages,
      allocPage: (high) => {
        const frame = this.mem.allocContig(1, { high: Math.min(high, 2 * MiB) });
        return frame === NO_FRAME ? -1 : this.mem.addrOf(frame);
      },
    });
    this.user = this.kmem.pmaps.create("user");
    this.userSpace = new PmapSpace(this.user, false, this.bus.cpu);
    const onCache: CacheHook = (call, space, address, length) =>
      this.calls.push([call, space, address as number, length]);
    const { pool, kmem } = this;
    const backend = make({ pool, kmem, onCache });
    this.context = { backend, semantics, kernelPmap: kmem.pmap, trace };
  }

  /** A tag that reaches everything, with the driver's mutex as its lock. */
  tag(options: TagOptions = {}, parent: DmaTag | null = null): DmaTag {
    const lock = (op: number) => (op === BUS_DMA_LOCK ? this.mutex.enter() : this.mutex.exit());
    return createTag(this.context, parent, {
      lock,
      segments: 64,
      maxSize: 16 * PAGE_SIZE,
      ...options,
    });
  }

  /** Frames in a row, all from one bank. */
  frames(count: number, low: PhysAddr = HIGH): Frame[] {
    const high = low + (low === MiB ? 2 * MiB : MiB) - 1;
    const first = this.mem.allocContig(count, { low: low === MiB ? 2 * MiB : low, high });
    if (first === NO_FRAME) throw new Error("the test has no frames left");
    return Array.from({ length: count }, (_, i) => first + i);
  }

  /** Memory over the frames, with a hole behind it. */
  map(frames: readonly Frame[], pmap: Pmap = this.kmem.pmap): VirtAddr {
    const va = this.#nextVa;
    for (const [i, frame] of frames.entries()) {
      pmap.enter(va + i * PAGE_SIZE, frame, Prot.READ | Prot.WRITE);
    }
    this.#nextVa = va + (frames.length + 1) * PAGE_SIZE;
    return va;
  }

  buffer(pages: number, low: PhysAddr = HIGH): VirtAddr {
    return this.map(this.frames(pages, low));
  }

  /** A callback that notes under the name `who`. */
  note(who = "map"): (arg: null, segs: SegList, count: number, error: Errno) => void {
    return (_arg, segs, _count, error) => {
      const list = segs.toArray().map((s): Run => [s.addr as number, s.len]);
      this.results.push({ who, error, segs: list });
    };
  }

  /** Load, and give what the caller was told. */
  load(map: DmaMap, va: VirtAddr, length: Bytes, who = "map", flags = 0): Errno {
    return map.load(va, length, this.note(who), null, flags);
  }

  last(): Result {
    return this.results[this.results.length - 1];
  }

  deviceWrite(segs: readonly Run[], bytes: Uint8Array): void {
    let done = 0;
    for (const [addr, length] of segs) {
      if (this.device.write(addr, bytes, done, length) !== E.OK) throw new Error("a bus fault");
      done += length;
    }
  }

  deviceRead(segs: readonly Run[]): Uint8Array {
    const bytes = new Uint8Array(segs.reduce((sum, [, length]) => sum + length, 0));
    let done = 0;
    for (const [addr, length] of segs) {
      if (this.device.read(addr, bytes, done, length) !== E.OK) throw new Error("a bus fault");
      done += length;
    }
    return bytes;
  }

  cpuRead(va: VirtAddr, length: Bytes): Uint8Array {
    const bytes = new Uint8Array(length);
    this.kmem.read(va, bytes);
    return bytes;
  }

  /** [total, free, reserved, active] of each zone, checked. */
  counts(): number[][] {
    return this.pool.zones.map((zone) => {
      zone.check();
      return [zone.total, zone.free, zone.reserved, zone.active];
    });
  }

  /** Each of `maps` and `tags` can go, and every bounce page and sync entry is free then. */
  tearDown(maps: readonly DmaMap[], tags: readonly DmaTag[]): void {
    for (const map of maps) {
      map.unload();
      if (map.destroy() !== E.OK) throw new Error("a map stays busy");
    }
    for (const tag of tags) if (tag.destroy() !== E.OK) throw new Error("a tag stays busy");
    for (const [total, free] of this.counts()) {
      if (free !== total) throw new Error(`${total - free} of ${total} bounce pages are lost`);
    }
    if (this.pool.zones.some((zone) => zone.mapCount !== 0 || zone.waiting.length !== 0))
      throw new Error("a zone still has maps");
    this.pool.syncSlab.check();
    if (this.pool.syncSlab.used !== 0) throw new Error("entries of sync lists are lost");
    this.bus.cpu.check();
  }
}

/** An arm64 machine; `backend` adds to what its backend is made of. */
export function arm64Machine(
  options: MachineOptions & { readonly backend?: Partial<Arm64Options> } = {},
): CachedMachine {
  const { backend = {} } = options;
  return new CachedMachine(
    (parts) => arm64Backend({ ...parts, cacheLine: LINE, ...backend }),
    options,
  );
}

/** A riscv machine whose devices do not snoop unless `backend` says so. */
export function riscvMachine(
  options: MachineOptions & { readonly backend?: Partial<RiscvOptions> } = {},
): CachedMachine {
  const { backend = {} } = options;
  return new CachedMachine(
    (parts) => riscvBackend({ ...parts, coherent: false, ...backend }),
    options,
  );
}

/** A kind of machine whose devices may not snoop, for tests of what all of them do. */
export interface CachedKind {
  readonly name: string;
  readonly make: (
    options?: MachineOptions & {
      readonly backend?: { readonly allocator?: DmaAllocator; readonly cacheLine?: Bytes };
    },
  ) => CachedMachine;
  /** The backend's own decisions of either semantics. */
  readonly decisions: { readonly seed: object; readonly fixed: object };
  /** A coherent machine with all decisions of the original, and `decision` as given. */
  readonly only: (decision: keyof WalkDecisions, fixed: boolean) => CachedMachine;
}

const ORIGINAL = { semantics: SEED, cache: null } as const;

export const CACHED_KINDS: readonly CachedKind[] = Object.freeze([
  {
    name: "arm64",
    make: arm64Machine,
    decisions: { seed: ARM64_SEED, fixed: ARM64_FIXED },
    only: (decision, fixed) =>
      arm64Machine({ ...ORIGINAL, backend: { decisions: { ...ARM64_SEED, [decision]: fixed } } }),
  },
  {
    name: "riscv",
    make: riscvMachine,
    decisions: { seed: RISCV_SEED, fixed: RISCV_FIXED },
    only: (decision, fixed) =>
      riscvMachine({ ...ORIGINAL, backend: { decisions: { ...RISCV_SEED, [decision]: fixed } } }),
  },
]);

/** Pages of the first zone: after the tag if there is one by then, and after each map, `count` in all. */
export function growth(machine: CachedMachine, options: TagOptions, count: number): number[] {
  const tag = machine.tag(options);
  const seen = machine.counts().map(([total]) => total);
  while (seen.length < count) {
    tag.createMap();
    seen.push(machine.counts()[0][0]);
  }
  return seen;
}

/** What a backend asks its allocator for, in words: `small 128 align 64`. Nothing is given. */
export function memoryAsked(make: CachedKind["make"], options: TagOptions, flags: BusDma): string {
  const asked: DmaMemRequest[] = [];
  const alloc = (request: DmaMemRequest) => {
    asked.push(request);
    return -1;
  };
  const machine = make({ cache: null, backend: { allocator: { alloc, free: () => {} } } });
  const tag = machine.tag(options);
  if (tag.allocMem(flags) !== null) throw new Error("there was no memory");
  machine.tearDown([], [tag]);
  const [{ allocator, size, alignment, uncacheable, zero, wait }] = asked;
  const words = [uncacheable ? " uncached" : "", zero ? " zero" : "", wait ? "" : " nowait"];
  return `${allocator} ${size} align ${alignment}${words.join("")}`;
}

interface MapState {
  readonly bounce: BounceState | null;
  readonly list: SyncList;
}

export const stateOf = (map: DmaMap): MapState => map.md as MapState;

/** `length` bytes of a stream that is named by `seed`. */
export function pattern(seed: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed * 37 + i * 131 + (i >> 8) * 17 + 11) & 0xff);
}
