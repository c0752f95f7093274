/**
 * What the tests of this package share: machines that look for leaks when a test ends, and random
 * numbers named by a seed.
 *
 * => a test gives back what it allocated itself; mappings and the frames of `frame()` go at the end.
 */
import { Errno, ErrnoError, MiB, NO_FRAME, PAGE_SIZE, Panic } from "@physio/kern";
import type { CacheConfig } from "@physio/membus";
import { CpuPort } from "@physio/membus";
import type { BankConfig } from "@physio/physmem";
import { PhysMem } from "@physio/physmem";
import type { Pmap } from "@physio/pmap";
import { Kmem, PmapSpace, Pmaps, Prot, VA_LIMIT } from "@physio/pmap";
import type { Scheduler } from "@physio/sched";
import { afterEach, expect } from "vitest";

export const SEED =
  process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };
export const RW = Prot.READ | Prot.WRITE;

export const fill = (length: number, value: number) => new Uint8Array(length).fill(value);

/** Evenly distributed whole numbers below `n`, named by a seed. */
export function dice(seed: number): (n: number) => number {
  let state = seed | 0;
  return (n) => {
    state = (state + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    return ((mixed ^ (mixed >>> 13)) >>> 0) % n;
  };
}

export function random(seed: number): { next(): number } {
  const roll = dice(seed);
  return { next: () => roll(2 ** 32) };
}

/** `action` throws this errno, and a text that has all of `words`. */
export function expectErrno(action: () => unknown, errno: Errno, ...words: string[]): void {
  expectThrown(action, ErrnoError, words, errno);
}

export function expectPanic(action: () => unknown, ...words: string[]): void {
  expectThrown(action, Panic, words, Errno.OK);
}

function expectThrown(
  action: () => unknown,
  kind: typeof ErrnoError | typeof Panic,
  words: readonly string[],
  errno: Errno,
): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof kind)) throw error;
    if (error instanceof ErrnoError) expect(error.errno).toBe(errno);
    for (const word of words) expect(error.message).toContain(word);
    return;
  }
  expect.fail(`nothing was thrown, expected ${kind.name}`);
}

export interface BenchOptions {
  readonly banks?: readonly BankConfig[];
  readonly cache?: CacheConfig;
  readonly sched?: Scheduler;
}

const BANKS: readonly BankConfig[] = [{ base: 2 ** 33, size: 4 * MiB }];
/** Frames low, above 2^33 and up to 2^52: eight of each. */
export const BANKS_24: readonly BankConfig[] = [2 ** 20, 2 ** 33, 2 ** 52 - 8 * PAGE_SIZE].map(
  (base) => ({ base, size: 8 * PAGE_SIZE }),
);
const open = new Set<Bench>();

/** RAM, the CPU's port and the pmaps of one machine. */
export class Bench {
  readonly mem: PhysMem;
  readonly cpu: CpuPort;
  readonly pmaps: Pmaps;
  /** A test that breaks its machine sets this: no leaks are looked for. */
  broken: boolean;
  readonly #kmem: Kmem | null;
  readonly #frames: number[];

  constructor(options: BenchOptions, withKmem: boolean) {
    this.mem = new PhysMem({ banks: options.banks ?? BANKS });
    this.cpu = new CpuPort(this.mem, options.cache ?? null);
    const { cpu } = this;
    const sched = options.sched === undefined ? {} : { sched: options.sched };
    this.#kmem = withKmem ? new Kmem(this.mem, { cpu, ...sched }) : null;
    this.pmaps = this.#kmem?.pmaps ?? new Pmaps(this.mem, cpu);
    this.broken = false;
    this.#frames = [];
    open.add(this);
  }

  get kmem(): Kmem {
    return this.#kmem!;
  }

  /** An allocated frame, freed at the end. */
  frame(): number {
    const frame = this.mem.allocFrame();
    if (frame === NO_FRAME) expect.fail("the bench has no frame left");
    this.#frames.push(frame);
    return frame;
  }

  /** A frame of `frame()` that the test frees itself. */
  free(frame: number): void {
    this.#frames.splice(this.#frames.indexOf(frame), 1);
    this.mem.freeFrame(frame);
  }

  space(pmap: Pmap, kernel = false): PmapSpace {
    return new PmapSpace(pmap, kernel, this.cpu);
  }

  /** Undo mappings and fail when a frame, an address or a mapping is missing. */
  end(): void {
    open.delete(this);
    if (this.broken) return;
    const { mem, pmaps } = this;
    pmaps.check();
    this.#kmem?.reclaim();
    this.#kmem?.check();
    for (const pmap of pmaps.all()) {
      if (this.#kmem === null || pmap !== pmaps.kernel) {
        pmap.remove(0, pmap === pmaps.kernel ? pmaps.direct.base : VA_LIMIT);
      }
      expect([pmap.name, pmap.residentCount, pmap.wiredCount]).toEqual([pmap.name, 0, 0]);
      if (pmap !== pmaps.kernel) pmaps.destroy(pmap);
    }
    for (const frame of this.#frames.splice(0)) mem.freeFrame(frame);
    pmaps.check();
    mem.check();
    this.cpu.check();
    expect([mem.totalFrames - mem.freeFrames, pmaps.pv.count]).toEqual([0, 0]);
    if (this.#kmem !== null) expect(this.#kmem.arena.allocated).toBe(0);
  }
}

afterEach((context) => {
  const failed = context.task.result?.state === "fail";
  for (const bench of open) {
    if (failed) bench.broken = true;
    bench.end();
  }
});

/** A machine with pmaps and no kernel memory. */
export function bench(options: BenchOptions = {}) {
  return new Bench(options, false);
}

/** A machine with kernel memory, of `size` bytes of RAM around 4 GiB unless the banks are given. */
export function kmemBench(size: number, options: BenchOptions = {}) {
  const base = 2 ** 32 - Math.floor(size / 8192) * 4096;
  return new Bench({ banks: [{ base, size }], ...options }, true);
}

/** A machine, a pmap of it and its space. */
export function userBench(options: BenchOptions = {}) {
  const b = bench(options);
  const pmap = b.pmaps.create("user");
  return { b, mem: b.mem, pmaps: b.pmaps, pmap, space: b.space(pmap) };
}
