/**
 * The data cache against a model: RAM as a map of bytes, a cache as sets of lines, one byte at a
 * time. And against a coherent machine: a program that maintains its buffers as the rules ask sees
 * the same bytes on both, whatever the cache does by itself.
 */
import { Errno } from "@physio/kern";
import type { CacheConfig } from "@physio/membus";
import { CacheAttr } from "@physio/membus";
import { expect, test } from "vitest";
import { BASES, dice, machine, seeds, source } from "./fixture.ts";

interface Line {
  readonly base: number;
  readonly bytes: Map<number, number>;
  dirty: boolean;
}

class Model {
  readonly ram = new Map<number, number>();
  readonly slots: (Line | null)[];
  hits = 0;
  misses = 0;
  fills = 0;
  writeBacks = 0;
  evictions = 0;
  lostDirtyLines = 0;
  readonly #config: Required<CacheConfig>;

  constructor(config: Required<CacheConfig>) {
    this.#config = config;
    this.slots = new Array<Line | null>(config.sets * config.ways).fill(null);
  }

  byte(pa: number): number {
    return this.ram.get(pa) ?? 0;
  }

  /** Each byte in turn; the first one in a line counts as the access to it. */
  access(pa: number, length: number, store: ((i: number) => number) | null): number[] {
    const { line } = this.#config;
    const seen: number[] = [];
    let current: Line | null = null;
    for (let i = 0; i < length; i++) {
      const base = this.#baseOf(pa + i);
      if (current?.base !== base) {
        if (current !== null) this.#speculate(current.base + line);
        current = this.#touch(base, store !== null && base >= pa && base + line <= pa + length);
      }
      seen.push(current.bytes.get(pa + i) ?? 0);
      if (store === null) continue;
      current.bytes.set(pa + i, store(i));
      current.dirty = true;
    }
    if (current !== null) this.#speculate(current.base + line);
    return seen;
  }

  maintain(pa: number, length: number, clean: boolean, drop: boolean): void {
    for (const [slot, l] of this.slots.entries()) {
      const last = pa + length - 1;
      if (l === null || length === 0 || this.#baseOf(pa) > l.base || l.base > last) continue;
      if (clean) this.#clean(l);
      if (!drop) continue;
      const covered = pa <= l.base && last >= l.base + this.#config.line - 1;
      if (l.dirty && !covered) this.lostDirtyLines++;
      this.slots[slot] = null;
    }
  }

  #baseOf(pa: number): number {
    return Math.floor(pa / this.#config.line) * this.#config.line;
  }

  #draw(n: number): number {
    return this.#config.random.next() % n;
  }

  #lineAt(base: number): Line | null {
    return this.slots.find((l) => l?.base === base) ?? null;
  }

  #touch(base: number, whole: boolean): Line {
    if (this.#draw(this.#config.evictOneIn) === 0 && this.slots.some((l) => l !== null)) {
      const from = this.#draw(this.slots.length);
      const order = [...this.slots.keys()].map((i) => (from + i) % this.slots.length);
      this.#evict(order.find((i) => this.slots[i] !== null)!);
    }
    const known = this.#lineAt(base);
    if (known !== null) {
      this.hits++;
      return known;
    }
    this.misses++;
    return this.#bringIn(base, whole);
  }

  #speculate(base: number): void {
    if (this.#draw(this.#config.prefetchOneIn) !== 0) return;
    const ram = BASES.some((bank) => base >= bank && base < bank + 0x1_0000);
    if (ram && this.#lineAt(base) === null) this.#bringIn(base, false);
  }

  #bringIn(base: number, whole: boolean): Line {
    const { line, sets, ways } = this.#config;
    const first = (Math.floor(base / line) % sets) * ways;
    const set = this.slots.slice(first, first + ways);
    const free = set.indexOf(null);
    const slot = first + (free < 0 ? this.#draw(ways) : free);
    if (free < 0) this.#evict(slot);
    const bytes = new Map<number, number>();
    if (!whole) {
      this.fills++;
      for (let i = 0; i < line; i++) bytes.set(base + i, this.byte(base + i));
    }
    const made: Line = { base, bytes, dirty: false };
    this.slots[slot] = made;
    return made;
  }

  #evict(slot: number): void {
    this.evictions++;
    this.#clean(this.slots[slot]!);
    this.slots[slot] = null;
  }

  #clean(l: Line): void {
    if (!l.dirty) return;
    this.writeBacks++;
    l.dirty = false;
    for (const [pa, value] of l.bytes) this.ram.set(pa, value);
  }
}

/** A few lines on either side of places where something ends; the banks begin and end there. */
function drawRange(draw: (n: number) => number): [pa: number, length: number] {
  const base = BASES[draw(3)] + (draw(2) === 0 ? 0 : 0x1_0000 - 512);
  const at = draw(512);
  const length = draw(10) === 0 ? 0 : 1 + draw(Math.min(512 - at, draw(3) === 0 ? 300 : 40));
  return [base + at, Math.min(length, 512 - at)];
}

function runAgainstModel(seed: number, steps: number): void {
  const draw = dice(seed);
  const config = {
    line: ([32, 64, 128] as const)[draw(3)],
    sets: [1, 2, 4][draw(3)],
    ways: 1 + draw(3),
    evictOneIn: 1 + draw(12),
    prefetchOneIn: 1 + draw(12),
  };
  const { mem, cpu, device } = machine({ cache: { ...config, random: source(seed) } });
  const dcache = cpu.cache!;
  const model = new Model({ ...config, random: source(seed) });
  const at = (n: number) => `seed ${seed}, step ${n}`;
  for (let n = 0; n < steps; n++) {
    const [pa, length] = drawRange(draw);
    const data = Uint8Array.from({ length }, () => draw(256));
    const put = (i: number) => data[i];
    const inRam = () => Array.from({ length }, (_, i) => model.byte(pa + i));
    const store = () => {
      for (const [i, value] of data.entries()) model.ram.set(pa + i, value);
    };
    const seen = new Uint8Array(length);
    switch (draw(11)) {
      case 0:
      case 1:
        cpu.write(pa, data);
        model.access(pa, length, put);
        break;
      case 2:
      case 3:
        cpu.read(pa, seen);
        expect([...seen], at(n)).toEqual(model.access(pa, length, null));
        break;
      case 4:
        expect(device.write(pa, data), at(n)).toBe(Errno.OK);
        store();
        break;
      case 5:
        expect(device.read(pa, seen), at(n)).toBe(Errno.OK);
        expect([...seen], at(n)).toEqual(inRam());
        break;
      case 6:
        cpu.fill(pa, length, n & 0xff);
        model.access(pa, length, () => n & 0xff);
        break;
      case 7:
        if (draw(2) === 0) {
          cpu.write(pa, data, 0, length, CacheAttr.UNCACHED);
          store();
        } else {
          cpu.read(pa, seen, 0, length, CacheAttr.UNCACHED);
          expect([...seen], at(n)).toEqual(inRam());
        }
        break;
      case 8:
        maintainBoth(pa, draw(4) === 0 ? length * 4096 : length, draw(3));
        break;
      default:
        maintainBoth(pa, length, draw(3));
    }
    dcache.check();
    const { hits, misses, fills, writeBacks, evictions, lostDirtyLines } = model;
    expect(dcache, at(n)).toMatchObject({
      ...{ hits, misses, fills, writeBacks, evictions, lostDirtyLines },
    });
    const cached = model.slots.every(
      (l) => l === null || (dcache.contains(l.base) && dcache.isDirty(l.base) === l.dirty),
    );
    expect(cached, at(n)).toBe(true);
  }
  for (const base of BASES) {
    const ram = new Uint8Array(0x1_0000);
    mem.read(base, ram);
    const expected = Uint8Array.from(ram, (_, i) => model.byte(base + i));
    expect(Buffer.compare(ram, expected), `seed ${seed}, RAM at ${base}`).toBe(0);
  }

  function maintainBoth(pa: number, length: number, what: number): void {
    if (what === 0) cpu.writeBack(pa, length);
    else if (what === 1) cpu.invalidate(pa, length);
    else cpu.writeBackInvalidate(pa, length);
    model.maintain(pa, length, what !== 1, what !== 0);
  }
}

test("every byte, counter and line is as a model has it", () => {
  for (const seed of seeds(40)) runAgainstModel(seed, 150);
});

/** Buffers of whole lines, handed to and fro as bus_dma asks; what the CPU and the device see. */
function transcript(seed: number, cache: CacheConfig | undefined): Buffer {
  const draw = dice(seed);
  const { cpu, device } = machine(cache === undefined ? {} : { cache });
  expect([cpu.coherent, cpu.lineSize]).toEqual(
    cache === undefined ? [true, 0] : [false, cache.line],
  );
  const seen: Uint8Array[] = [];
  const page = new Uint8Array(512);
  for (let n = 0; n < 200; n++) {
    const size = 128 * (1 + draw(3));
    const pa = BASES[draw(3)] + 128 * draw(8);
    const data = Uint8Array.from({ length: size }, () => draw(256));
    switch (draw(4)) {
      case 0: // the CPU fills a buffer and the device reads it
        cpu.write(pa, data);
        cpu.writeBack(pa, size);
        device.read(pa, page, 0, size);
        break;
      case 1: // the device fills a buffer and the CPU reads it
        cpu.writeBackInvalidate(pa, size); // no dirty line may reach RAM later
        device.write(pa, data);
        cpu.invalidate(pa, size); // what was read in meanwhile
        cpu.read(pa, page, 0, size);
        break;
      case 2: // the CPU's own affairs, anywhere and in any size
        cpu.write(pa + draw(100), data, 0, draw(size));
        cpu.zero(pa + draw(100), draw(64));
        cpu.read(pa, page, 0, size);
        break;
      default:
        cpu.copy(pa + 4096, pa, size);
        cpu.read(pa + 4096, page, 0, size);
    }
    seen.push(page.slice(0, size));
  }
  cpu.check();
  return Buffer.concat(seen);
}

test("a program that keeps the rules sees on any cache what it sees on a coherent machine", () => {
  for (const seed of seeds(15)) {
    const expected = transcript(seed, undefined);
    for (const line of [32, 64, 128] as const) {
      for (const evictOneIn of [1, 3, 50]) {
        const random = source(seed + evictOneIn);
        const cache = { line, sets: 4, ways: 2, evictOneIn, prefetchOneIn: 3, random };
        const same = transcript(seed, cache).equals(expected);
        expect(same, `seed ${seed}, line ${line}, an eviction in ${evictOneIn}`).toBe(true);
      }
    }
  }
});
