/**
 * The machine of a recorded scenario: RAM, two address spaces, a bounce pool and an allocator with
 * fixed supplies, the backend of the variant, and the byte streams that scenarios fill and check.
 *
 * Invariant: every frame is taken from the machine's own allocator, so nothing but the scenario
 * says where memory is.
 */
import { crc32 } from "node:zlib";
import { arm64Backend } from "@physio/arch-arm64";
import { x86Backend } from "@physio/arch-x86";
import type { DmaContext } from "@physio/busdma";
import { SEED } from "@physio/busdma";
import type { DmaBackend } from "@physio/busdma/impl";
import { BouncePool } from "@physio/busdma-bounce";
import type { PhysAddr } from "@physio/kern";
import { Errno, PAGE_SIZE, pageOffset } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import { Kmem, Prot } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { SysctlTree, Trace } from "@physio/trace";
import { bouncePageSupply, SuppliedMemory } from "./supplies.ts";
import type { MachineSpec, Range, Scenario, Space } from "./vectors.ts";

/** Byte `i` of the pattern of `seed`. */
export function pattern(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = seed * 37 + i * 131 + Math.floor(i / 256) * 17 + 11;
  return bytes;
}

/** RAM in banks. It ends at physicalTop, which the runs need not reach: its last page then stands alone. */
function ramOf(spec: MachineSpec): PhysMem {
  const banks = spec.ram.map(([base, pages]) => ({ base, size: pages * PAGE_SIZE }));
  const last = spec.physicalTop - PAGE_SIZE;
  if (banks.every((bank) => bank.base + bank.size <= last)) {
    banks.push({ base: last, size: PAGE_SIZE });
  }
  banks.sort((a, b) => a.base - b.base);
  const mem = new PhysMem({ banks, lowReserve: [0, 0] });
  while (mem.freeFrames > 0) mem.allocFrame();
  return mem;
}

export class ScenarioMachine {
  readonly mem: PhysMem;
  readonly kmem: Kmem;
  readonly user: Pmap;
  readonly sched: Scheduler;
  readonly pool: BouncePool;
  readonly memory: SuppliedMemory;
  readonly context: DmaContext;
  /** Calls of cache maintenance since the list was last emptied. */
  readonly cacheCalls: unknown[];

  constructor(scenario: Scenario) {
    const { machine: spec, variant } = scenario;
    this.mem = ramOf(spec);
    this.sched = new Scheduler();
    const trace = new Trace();
    this.kmem = new Kmem(this.mem);
    this.memory = new SuppliedMemory(this.kmem);
    this.cacheCalls = [];
    this.pool = new BouncePool({
      mem: this.mem,
      sched: this.sched,
      trace,
      sysctl: new SysctlTree(),
      allocPage: bouncePageSupply(spec.bouncePages),
    });
    this.user = this.kmem.pmaps.create("user");
    for (const [va, pa, pages] of spec.kernelMap) this.#enter(this.kmem.pmap, va, pa, pages);
    for (const [va, pa, pages] of spec.userMap) this.#enter(this.user, va, pa, pages);
    this.context = {
      backend: this.#backend(scenario),
      semantics: SEED,
      kernelPmap: this.kmem.pmap,
      trace,
      filters: variant === "x86-filters" ? "honoured" : "refused",
    };
  }

  /** Memory is coherent in every variant: an arm64 backend only tells what it would have maintained. */
  #backend({ machine, variant }: Scenario): DmaBackend {
    const { pool, kmem, memory } = this;
    if (variant !== "arm64") return x86Backend(pool, kmem, memory);
    return arm64Backend({
      pool,
      kmem,
      allocator: memory,
      cacheLine: machine.cacheLine!,
      onCache: (call, space, address, length) =>
        this.cacheCalls.push([call, space, address as number, length]),
    });
  }

  #enter(pmap: Pmap, va: number, pa: number, pages: number): void {
    for (let at = 0; at < pages * PAGE_SIZE; at += PAGE_SIZE) {
      pmap.enter(va + at, this.mem.frameOf(pa + at), Prot.READ | Prot.WRITE);
    }
  }

  /** The physical memory behind a range, page by page. */
  runs(space: Space, addr: number, length: number): Range[] {
    const runs: Range[] = [];
    for (let done = 0; done < length; ) {
      const at = addr + done;
      const run = Math.min(length - done, PAGE_SIZE - pageOffset(at));
      runs.push([this.#physical(space, at), run]);
      done += run;
    }
    return runs;
  }

  #physical(space: Space, at: number): PhysAddr {
    if (space === "phys") return at;
    return (space === "kernel" ? this.kmem.pmap : this.user).extract(at);
  }

  write(runs: readonly Range[], bytes: Uint8Array): void {
    let done = 0;
    for (const [pa, length] of runs.flatMap(([at, len]) => this.runs("phys", at, len))) {
      if (this.mem.write(pa, bytes, done, length) !== Errno.OK) throw new Error(`no RAM at ${pa}`);
      done += length;
    }
  }

  read(runs: readonly Range[]): Uint8Array {
    const bytes = new Uint8Array(lengthOf(runs));
    let done = 0;
    for (const [pa, length] of runs.flatMap(([at, len]) => this.runs("phys", at, len))) {
      if (this.mem.read(pa, bytes, done, length) !== Errno.OK) throw new Error(`no RAM at ${pa}`);
      done += length;
    }
    return bytes;
  }

  checksum(runs: readonly Range[]): number {
    return crc32(this.read(runs));
  }
}

export const lengthOf = (runs: readonly Range[]): number =>
  runs.reduce((sum, [, length]) => sum + length, 0);
