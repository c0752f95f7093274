/**
 * The scene of the load rows: machines with the memory of the cases in them.
 *
 * Several machines are alive in the process, with tags of every kind, and all of them have loaded
 * before anything is measured: a process with one case in it flatters two- to threefold.
 */
import type { DmaMap, LoadCallback, TagOptions } from "@physio/busdma";
import type { VirtAddr } from "@physio/kern";
import type { Machine, MachineConfig } from "@physio/machine";
import { machine, pc, pc32BitDma } from "@physio/machine";
import { Prot } from "@physio/pmap";
import { Ktr } from "@physio/trace";

const KiB64 = 65536;
const PAGE = 4096;

/** What a callback adds to, so that no load is for nothing. */
export interface Sum {
  total: number;
}

export interface LoadCase {
  /** a, b, b2, c: see the native peer. */
  readonly name: string;
  /**
   * The map, and the address that it loads. In an array of anything, since an address in a field of
   * doubles is made anew for every call: 16 bytes of garbage that are not the load's.
   */
  readonly at: readonly [DmaMap, VirtAddr];
  readonly length: number;
  /** Segments that it must give. */
  readonly segments: number;
}

/** The addresses of a machine's cases. */
interface Memory {
  readonly page: VirtAddr;
  readonly scattered: VirtAddr;
  readonly contiguous: VirtAddr;
}

/** Kernel addresses of `pages` pages, no two frames of which lie in a row. */
export function scatteredRange(m: Machine, pages: number): VirtAddr {
  const first = m.mem.allocContig(2 * pages, { align: 2 * KiB64 });
  const va = m.kmem.arena.alloc(pages * PAGE);
  for (let i = 0; i < pages; i++) {
    const frame = first + 2 * ((i * 7 + 3) % pages); // 7 and the powers of 2 have no common factor
    m.kmem.pmap.kenter(va + i * PAGE, frame, Prot.READ | Prot.WRITE);
  }
  return va;
}

function memoryOf(m: Machine): Memory {
  return {
    page: m.kmem.alloc(PAGE),
    scattered: scatteredRange(m, 16),
    contiguous: m.kmem.allocContig(KiB64, { align: KiB64 }),
  };
}

export const TAG: TagOptions = Object.freeze({
  maxSize: KiB64,
  maxSegSize: KiB64,
  segments: 32,
});

function casesOf(m: Machine, memory: Memory, options: TagOptions = {}): LoadCase[] {
  const tag = m.dmaTag.child({ ...TAG, ...options });
  const bounded = m.dmaTag.child({ ...TAG, ...options, boundary: KiB64 });
  const { page, scattered, contiguous } = memory;
  const whole = { length: KiB64, segments: 16 };
  return [
    { name: "a", at: [tag.createMap(), page], length: PAGE, segments: 1 },
    { name: "b", at: [tag.createMap(), scattered], ...whole },
    { name: "b2", at: [bounded.createMap(), scattered], ...whole },
    { name: "c", at: [tag.createMap(), contiguous], length: KiB64, segments: 1 },
  ];
}

export interface Scene {
  readonly machine: Machine;
  /** The cases to measure. */
  readonly cases: readonly LoadCase[];
  /** Everybody else's loads. */
  readonly others: readonly LoadCase[];
  readonly otherMachines: readonly Machine[];
}

function boot(config: MachineConfig, traced = false): Machine {
  const m = machine(config);
  if (traced) m.ktr.mask = Ktr.ALL;
  return m;
}

/** A PC to measure on, and among others a machine that bounces, one that traces, and those of `more`. */
export function makeScene(more: readonly MachineConfig[] = []): Scene {
  const measured = boot(pc({}));
  const others = [boot(pc32BitDma({})), boot(pc({}), true), boot(pc({ ram: 2 ** 31 }))];
  others.push(...more.map((config) => boot(config)));
  const busy = others.flatMap((m) => {
    const memory = memoryOf(m);
    return [
      ...casesOf(m, memory),
      ...casesOf(m, memory, { lowAddr: 2 ** 32 - 1 }),
      ...casesOf(m, memory, { maxSegSize: 1024, segments: 64 }),
    ];
  });
  const cases = casesOf(measured, memoryOf(measured));
  return { machine: measured, cases, others: busy, otherMachines: others };
}

export const take: LoadCallback<Sum> = (sum, segs, count, error) => {
  if (error !== 0) throw new Error(`a load failed with errno ${error}`);
  sum.total += count + segs.len[count - 1];
};

/** Callbacks of other drivers: with them the call of the callback has many targets. */
export const CALLBACKS: readonly LoadCallback<Sum>[] = Object.freeze([
  take,
  ((sum, segs, count) => {
    sum.total += segs.addr[count - 1] % 2;
  }) satisfies LoadCallback<Sum>,
  ((sum, _segs, count) => {
    sum.total += count;
  }) satisfies LoadCallback<Sum>,
  ((sum, _segs, _count, error) => {
    sum.total -= error;
  }) satisfies LoadCallback<Sum>,
]);

/** Load and unload n times. */
export function loadLoop(c: LoadCase, sum: Sum, n: number, callback = take): void {
  const map = c.at[0];
  const va = c.at[1];
  const { length } = c;
  for (let i = 0; i < n; i++) {
    map.load(va, length, callback, sum, 0);
    map.unload();
  }
}

/** @throws when a case is not what its name says. */
export function checkCase(c: LoadCase): void {
  const sum: Sum = { total: 0 };
  loadLoop(c, sum, 1);
  if (sum.total !== c.segments + c.length / c.segments) {
    throw new Error(`case ${c.name} does not give ${c.segments} segments`);
  }
}
