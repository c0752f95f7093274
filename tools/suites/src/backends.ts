/**
 * Machines round the house's own bus_dma backends, as the test-kit of busdma wants them.
 *
 * The cached ones have a data cache that devices do not snoop and that evicts and prefetches as
 * chance says, so that a sync too few shows.
 */
import { arm64Backend } from "@physio/arch-arm64";
import { riscvBackend } from "@physio/arch-riscv";
import { x86Backend } from "@physio/arch-x86";
import { FIXED } from "@physio/busdma";
import type { DmaBackend } from "@physio/busdma/impl";
import type {
  BackendSpec,
  BackendUnderTest,
  MakeBackend,
  RandomSource,
} from "@physio/busdma/testing";
import { BouncePool } from "@physio/busdma-bounce";
import { NO_FRAME } from "@physio/kern";
import { Membus } from "@physio/membus";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import { Scheduler } from "@physio/sched";
import { SysctlTree, Trace } from "@physio/trace";

/** Whole numbers from 0 to 2^32 − 1, named by a seed. */
export function source(seed: number): RandomSource {
  let state = seed | 0;
  return {
    next: () => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      return (mixed ^ (mixed >>> 16)) >>> 0;
    },
  };
}

const LINE = 64;

function machine(
  spec: BackendSpec,
  cached: boolean,
  backendOf: (pool: BouncePool, kmem: Kmem) => DmaBackend,
): BackendUnderTest {
  const mem = new PhysMem({ banks: spec.banks });
  const sched = new Scheduler();
  const trace = new Trace(1);
  const random = source(spec.seed);
  const cache = { line: LINE, sets: 32, ways: 2, random, evictOneIn: 16, prefetchOneIn: 4 };
  const parts = { mem, trace, now: () => sched.now };
  const bus = new Membus(cached ? { ...parts, cache } : parts);
  const kmem = new Kmem(mem, { cpu: bus.cpu });
  const pool = new BouncePool({
    mem,
    cpu: bus.cpu,
    sched,
    trace,
    sysctl: new SysctlTree(),
    maxPages: spec.bouncePages,
    allocPage: (high) => {
      const frame = mem.allocContig(1, { high: high as number });
      return frame === NO_FRAME ? -1 : mem.addrOf(frame);
    },
  });
  const backend = backendOf(pool, kmem);
  return {
    context: { backend, semantics: FIXED, kernelPmap: kmem.pmap, trace },
    kmem,
    sched,
    device: bus.devicePort({ name: "kit0" }),
    zones: () =>
      pool.zones.map((zone) => {
        const { total, free, reserved, active, mapCount: maps, waiting } = zone;
        return { total, free, reserved, active, maps, waiting: waiting.length };
      }),
    check: () => {
      for (const zone of pool.zones) zone.check();
      bus.cpu.check();
    },
  };
}

/** Every backend of the house, on each kind of machine that it knows. */
export const BACKENDS: Readonly<Record<string, MakeBackend>> = Object.freeze({
  x86: (spec) => machine(spec, false, (pool, kmem) => x86Backend(pool, kmem)),
  arm64: (spec) => machine(spec, true, (pool, kmem) => arm64Backend({ pool, kmem })),
  "coherent arm64": (spec) =>
    machine(spec, false, (pool, kmem) => arm64Backend({ pool, kmem, coherent: true })),
  riscv: (spec) => machine(spec, true, (pool, kmem) => riscvBackend({ pool, kmem })),
  "coherent riscv": (spec) => machine(spec, false, (pool, kmem) => riscvBackend({ pool, kmem })),
});
