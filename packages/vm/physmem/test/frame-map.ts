/**
 * A map of frames, one byte each, and long random runs that are judged by it: every range by the
 * definition of its limits and of the low reserve, every refusal by a search of the map.
 */
import { GiB, MAXADDR, MAXADDR_24BIT, MAXADDR_32BIT, MiB, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import type { ContigLimits } from "@physio/physmem";
import { AllocClass, ANY_DOMAIN, PhysMem } from "@physio/physmem";
import { expect } from "vitest";

/** Evenly distributed whole numbers below `n`, named by a seed. */
export function dice(seed: number): (n: number) => number {
  let state = seed | 0;
  return (n) => {
    state = (state + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    return ((mixed ^ (mixed >>> 13)) >>> 0) % n;
  };
}

/** Which of the allocator's three reaches an address belongs to. */
export const reachOf = (pa: number) => (pa <= MAXADDR_24BIT ? 0 : pa <= MAXADDR_32BIT ? 1 : 2);

interface MapBank {
  readonly base: number;
  readonly size: number;
  readonly domain: number;
}

/** Three reaches, two domains, a bank that crosses 4 GiB and one that ends at 2^52. */
const BANKS: readonly MapBank[] = [
  { base: 0, size: 18 * MiB, domain: 0 },
  { base: 4 * GiB - 4 * MiB, size: 9 * MiB + 5 * PAGE_SIZE, domain: 1 },
  { base: 2 ** 40 + 0x3000, size: 3 * MiB, domain: 0 },
  { base: 2 ** 52 - 5 * MiB, size: 5 * MiB, domain: 1 },
];
const DOMAINS = 2;
const REACHES = 3;
/**
 * The low reserve by domain and reach: of 4096 frames below 16 MiB 1/64, of 512 and 1024 below 4 GiB
 * 1/64, too.
 */
const FLOORS = [64, 8, 0, 0, 16, 0];
const { SYSTEM, INTERRUPT } = AllocClass;

/** The definition of the limits, but for the domain. */
function obeys(pa: number, size: number, limits: ContigLimits): boolean {
  const { low, high, align, boundary } = limits;
  const last = pa + size - 1;
  const whole = boundary === 0 || Math.floor(pa / boundary) === Math.floor(last / boundary);
  return pa >= low && last <= high && pa % align === 0 && whole;
}

/** 1 is used. */
class FrameMap {
  readonly banks: readonly (MapBank & { readonly used: Uint8Array })[];
  /** Free pages by domain and reach. */
  readonly free: number[];

  constructor(banks: readonly MapBank[]) {
    this.banks = banks.map((bank) => ({ ...bank, used: new Uint8Array(bank.size / PAGE_SIZE) }));
    this.free = new Array<number>(DOMAINS * REACHES).fill(0);
    for (const { base, size, domain } of banks)
      for (let pa = base; pa < base + size; pa += PAGE_SIZE)
        this.free[domain * REACHES + reachOf(pa)]++;
  }

  bankAt(pa: number) {
    const bank = this.banks.find(({ base, size }) => pa >= base && pa < base + size);
    return bank ?? expect.fail(`${pa} is no RAM`);
  }

  /** Mark a range; it must have been the other way. */
  mark(pa: number, count: number, value: 0 | 1): void {
    const { base, used, domain } = this.bankAt(pa);
    const from = (pa - base) / PAGE_SIZE;
    const part = used.subarray(from, from + count);
    if (part.length !== count || part.includes(value)) expect.fail(`${count} at ${pa} overlap`);
    part.fill(value);
    for (let i = 0; i < count; i++) {
      const reach = reachOf(pa + i * PAGE_SIZE);
      this.free[domain * REACHES + reach] += value === 1 ? -1 : 1;
    }
  }

  /** Where allocFrame must find a frame: domain * 3 + reach, or −1. `all`: the low reserve, too. */
  singleFrom(domain: number, all: boolean): number {
    for (let reach = REACHES - 1; reach >= 0; reach--) {
      for (let d = 0; d < DOMAINS; d++) {
        const pool = d * REACHES + reach;
        const spare = this.free[pool] - (all ? 0 : FLOORS[pool]);
        if ((domain === ANY_DOMAIN || domain === d) && spare > 0) return pool;
      }
    }
    return -1;
  }

  /** Whether the low reserve is there without the free frames from `pa` on. */
  leaves(domain: number, pa: number, count: number): boolean {
    const borders = [0, MAXADDR_24BIT + 1, MAXADDR_32BIT + 1];
    for (let reach = 0; reach < REACHES - 1; reach++) {
      const from = Math.max(pa, borders[reach]);
      const to = Math.min(pa + count * PAGE_SIZE, borders[reach + 1]);
      const pool = domain * REACHES + reach;
      if (from < to && this.free[pool] - (to - from) / PAGE_SIZE < FLOORS[pool]) return false;
    }
    return true;
  }

  freeIn(domain: number): number {
    const from = domain * REACHES;
    return this.free.slice(from, from + REACHES).reduce((sum, n) => sum + n, 0);
  }

  /** Whether any run of free frames obeys the limits. */
  fits(count: number, limits: ContigLimits, all: boolean): boolean {
    for (const { base, used, domain } of this.banks) {
      if (limits.domain !== ANY_DOMAIN && limits.domain !== domain) continue;
      let run = 0;
      for (let at = 0; at < used.length; at++) {
        run = used[at] === 0 ? run + 1 : 0;
        const first = base + (at - count + 1) * PAGE_SIZE;
        if (run < count || !obeys(first, count * PAGE_SIZE, limits)) continue;
        if (all || this.leaves(domain, first, count)) return true;
      }
    }
    return false;
  }

  /** The highest reach that has the range in a free aligned block of the next power of two; −1: none. */
  blockReach(count: number, limits: ContigLimits, all: boolean): number {
    const block = 2 ** Math.ceil(Math.log2(count));
    let best = -1;
    for (const { base, used, domain } of this.banks) {
      if (limits.domain !== ANY_DOMAIN && limits.domain !== domain) continue;
      const page = base / PAGE_SIZE;
      for (let at = (block - (page % block)) % block; at + block <= used.length; at += block) {
        if (used.subarray(at, at + block).includes(1)) continue;
        for (let i = at; i + count <= at + block; i++) {
          const pa = base + i * PAGE_SIZE;
          const fits = obeys(pa, count * PAGE_SIZE, limits);
          if (fits && (all || this.leaves(domain, pa, count))) best = Math.max(best, reachOf(pa));
        }
      }
    }
    return best;
  }
}

type Roll = (n: number) => number;

/** One allocator and the map beside it. */
class Run {
  readonly mem: PhysMem;
  readonly map: FrameMap;
  readonly #roll: Roll;
  /** What is allocated, and the wires of its first frame. */
  readonly #live: { frame: number; count: number; wires: number }[];
  #used: number;

  constructor(seed: number) {
    this.mem = new PhysMem({ banks: BANKS });
    this.map = new FrameMap(BANKS);
    this.#roll = dice(seed);
    this.#live = [];
    this.#used = 0;
  }

  step(i: number): void {
    const roll = this.#roll;
    const full = i % 6000 < 3000;
    const kind = roll(100);
    if (this.#live.length > 0 && kind < (full ? 35 : 60)) this.#giveBack(roll(this.#live.length));
    else if (this.#live.length > 0 && kind > 90) this.#wire(this.#live[roll(this.#live.length)]);
    else if (roll(3) > 0) this.#single();
    else this.#range();
    if (this.mem.freeFrames !== this.mem.totalFrames - this.#used) expect.fail("count is off");
    if (i % 10_000 === 0) this.check();
  }

  check(): void {
    this.mem.check();
    for (let d = 0; d < DOMAINS; d++) expect(this.mem.freeFramesIn(d)).toBe(this.map.freeIn(d));
  }

  end(): void {
    while (this.#live.length > 0) this.#giveBack(this.#live.length - 1);
    this.check();
    const { counters, freeFrames, totalFrames } = this.mem;
    expect(freeFrames).toBe(totalFrames);
    expect(counters.frees).toBe(counters.allocs + counters.contigAllocs);
  }

  #take(frame: number, count: number): void {
    this.map.mark(this.mem.addrOf(frame), count, 1);
    this.#live.push({ frame, count, wires: 0 });
    this.#used += count;
  }

  #giveBack(i: number): void {
    const { frame, count, wires } = this.#live[i];
    this.#live[i] = this.#live[this.#live.length - 1];
    this.#live.pop();
    for (let left = wires - 1; left >= 0; left--)
      if (this.mem.unwire(frame) !== left) expect.fail(`frame ${frame} has not ${left} wires`);
    this.mem.freeFrame(frame, count);
    this.map.mark(this.mem.addrOf(frame), count, 0);
    this.#used -= count;
  }

  #wire(range: { frame: number; count: number; wires: number }): void {
    const { frame, count } = range;
    this.mem.wire(frame);
    range.wires++;
    if (this.#roll(20) === 0) expect(() => this.mem.freeFrame(frame, count)).toThrow("is wired");
  }

  #single(): void {
    const domain = this.#roll(3) === 0 ? this.#roll(DOMAINS) : ANY_DOMAIN;
    const cls = this.#roll(8) === 0 ? INTERRUPT : SYSTEM;
    const frame = this.mem.allocFrame(domain, cls);
    const from = this.map.singleFrom(domain, cls === INTERRUPT);
    const pool =
      frame === NO_FRAME
        ? -1
        : this.mem.domainOf(frame) * REACHES + reachOf(this.mem.addrOf(frame));
    if (pool !== from) expect.fail(`domain ${domain}: a frame came from ${pool}, not ${from}`);
    if (frame !== NO_FRAME) this.#take(frame, 1);
  }

  #range(): void {
    const roll = this.#roll;
    const count = roll(40) === 0 ? 900 + roll(1500) : 1 + roll(2 ** (1 + roll(8)));
    const limits = drawLimits(roll, count);
    const cls = roll(8) === 0 ? INTERRUPT : SYSTEM;
    const all = cls === INTERRUPT || limits.high < MAXADDR;
    const least = roll(64) === 0 && count <= 1024 ? this.map.blockReach(count, limits, all) : -1;
    const frame = this.mem.allocContig(count, limits, cls);
    const asked = `${count} pages of class ${cls} with ${JSON.stringify(limits)}`;
    if (frame === NO_FRAME) {
      if (this.map.fits(count, limits, all)) expect.fail(`${asked} fit`);
      return;
    }
    const pa = this.mem.addrOf(frame);
    const { domain } = this.map.bankAt(pa);
    const inDomain = limits.domain === ANY_DOMAIN || limits.domain === domain;
    if (!inDomain || !obeys(pa, count * PAGE_SIZE, limits) || reachOf(pa) < least)
      expect.fail(`${asked} were put at ${pa}; a block of reach ${least} was free`);
    if (!all && !this.map.leaves(domain, pa, count))
      expect.fail(`${asked} took of the low reserve at ${pa}`);
    this.#take(frame, count);
  }
}

function drawLimits(roll: Roll, count: number): ContigLimits {
  const { base, size } = BANKS[roll(BANKS.length)];
  const boundary = PAGE_SIZE * 2 ** (Math.ceil(Math.log2(count)) + roll(3));
  return {
    low: roll(3) === 0 ? base + roll(size) : 0,
    high: roll(3) === 0 ? Math.min(base + roll(size) + count * PAGE_SIZE, MAXADDR) : MAXADDR,
    align: roll(2) === 0 ? 2 ** roll(24) : 1,
    boundary: roll(3) === 0 ? boundary : 0,
    domain: roll(4) === 0 ? roll(DOMAINS) : ANY_DOMAIN,
  };
}

/** `steps` random operations. @returns the memory, when all has come back to it. */
export function longRun(seed: number, steps: number): PhysMem {
  const run = new Run(seed);
  for (let i = 0; i < steps; i++) run.step(i);
  run.end();
  return run.mem;
}
