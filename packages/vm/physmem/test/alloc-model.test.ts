/**
 * Frame allocation against a map of frames: long random runs in which every range is judged by the
 * definition of its limits, and every refusal by a search of the map.
 */
import { GiB, MAXADDR, MAXADDR_24BIT, MAXADDR_32BIT, MiB, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import type { BankConfig, ContigLimits } from "@physio/physmem";
import { PhysMem } from "@physio/physmem";
import fc from "fast-check";
import { expect, test } from "vitest";

const SEED = process.env.PHYSIO_SEED === undefined ? {} : { seed: Number(process.env.PHYSIO_SEED) };

/** Evenly distributed whole numbers below `n`, named by a seed. */
function dice(seed: number): (n: number) => number {
  let state = seed | 0;
  return (n) => {
    state = (state + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    return ((mixed ^ (mixed >>> 13)) >>> 0) % n;
  };
}

/** Which of the allocator's three reaches an address belongs to. */
const reachOf = (pa: number) => (pa <= MAXADDR_24BIT ? 0 : pa <= MAXADDR_32BIT ? 1 : 2);

const THREE_REACHES: BankConfig[] = [
  { base: 0, size: 18 * MiB },
  { base: 4 * GiB - 4 * MiB, size: 9 * MiB + 5 * PAGE_SIZE },
  { base: 2 ** 52 - 5 * MiB, size: 5 * MiB },
];

/** The map of frames: one list of pages per bank, 1 is used. */
class Model {
  readonly banks: { base: number; used: Uint8Array }[];

  constructor(banks: readonly BankConfig[]) {
    this.banks = banks.map(({ base, size }) => ({ base, used: new Uint8Array(size / PAGE_SIZE) }));
  }

  /** Mark a range; it must have been the other way. */
  mark(pa: number, count: number, value: 0 | 1): void {
    for (const { base, used } of this.banks) {
      const from = (pa - base) / PAGE_SIZE;
      if (!(from >= 0 && from < used.length)) continue;
      const part = used.subarray(from, from + count);
      if (part.length !== count || part.includes(value)) expect.fail(`${count} at ${pa} overlap`);
      part.fill(value);
    }
  }

  /** The highest reach that has a free page. */
  topReach(): number {
    const reaches = this.banks.flatMap(({ base, used }) => {
      const last = used.lastIndexOf(0);
      return last < 0 ? [] : [reachOf(base + last * PAGE_SIZE)];
    });
    return Math.max(-1, ...reaches);
  }

  /**
   * Whether the allocator must find `count` pages: they fit into one aligned free block of the next
   * power of two, or into a run of whole free sections.
   */
  mustFit(count: number, limits: ContigLimits): boolean {
    const block = Math.min(2 ** Math.ceil(Math.log2(count)), 1024);
    return this.banks.some(({ base, used }) => {
      const page = base / PAGE_SIZE;
      const usable = new Uint8Array(used.length);
      for (let at = (block - (page % block)) % block; at + block <= used.length; at += block) {
        if (!used.subarray(at, at + block).includes(1)) usable.fill(1, at, at + block);
      }
      let run = 0;
      for (let at = 0; at < used.length; at++) {
        run = usable[at] === 1 ? run + 1 : 0;
        const first = at - count + 1;
        const within = Math.floor((page + first) / block) === Math.floor((page + at) / block);
        if (run < count || (count <= 1024 && !within)) continue;
        if (obeys(base + first * PAGE_SIZE, count * PAGE_SIZE, limits)) return true;
      }
      return false;
    });
  }
}

/** The definition of the limits. */
function obeys(pa: number, size: number, { low, high, align, boundary }: ContigLimits): boolean {
  const last = pa + size - 1;
  const whole = boundary === 0 || Math.floor(pa / boundary) === Math.floor(last / boundary);
  return pa >= low && last <= high && pa % align === 0 && whole;
}

function drawLimits(roll: (n: number) => number, count: number): ContigLimits {
  const { base, size } = THREE_REACHES[roll(3)];
  const boundary = PAGE_SIZE * 2 ** (Math.ceil(Math.log2(count)) + roll(3));
  return {
    low: roll(3) === 0 ? base + roll(size) : 0,
    high: roll(3) === 0 ? Math.min(base + roll(size) + count * PAGE_SIZE, MAXADDR) : MAXADDR,
    align: roll(2) === 0 ? 2 ** roll(23) : 1,
    boundary: roll(3) === 0 ? boundary : 0,
  };
}

/** One allocation, judged by the model. @returns what was taken, or null. */
function allocate(
  mem: PhysMem,
  model: Model,
  roll: (n: number) => number,
): [number, number] | null {
  if (roll(3) === 0) {
    const frame = mem.allocFrame();
    const top = model.topReach();
    if (frame === NO_FRAME ? top >= 0 : reachOf(mem.addrOf(frame)) !== top) {
      expect.fail(`allocFrame gave ${frame}, the highest free reach is ${top}`);
    }
    return frame === NO_FRAME ? null : [frame, 1];
  }
  const count = roll(40) === 0 ? 900 + roll(1500) : 1 + roll(2 ** (1 + roll(8)));
  const limits = drawLimits(roll, count);
  const frame = mem.allocContig(count, limits);
  if (frame === NO_FRAME) {
    if (model.mustFit(count, limits)) expect.fail(`${count} ${JSON.stringify(limits)} fit`);
    return null;
  }
  if (!obeys(mem.addrOf(frame), count * PAGE_SIZE, limits)) {
    expect.fail(`${count} ${JSON.stringify(limits)} were put at ${mem.addrOf(frame)}`);
  }
  return [frame, count];
}

function longRun(seed: number, steps: number): void {
  const roll = dice(seed);
  const mem = new PhysMem({ banks: THREE_REACHES });
  const model = new Model(THREE_REACHES);
  const live: [number, number][] = [];
  let used = 0;
  const giveBack = (i: number) => {
    const [frame, count] = live[i];
    live[i] = live[live.length - 1];
    live.pop();
    mem.freeFrame(frame, count);
    model.mark(mem.addrOf(frame), count, 0);
    used -= count;
  };
  for (let step = 0; step < steps; step++) {
    if (live.length > 0 && roll(100) < (step % 6000 < 3000 ? 35 : 60)) giveBack(roll(live.length));
    else {
      const taken = allocate(mem, model, roll);
      if (taken !== null) {
        live.push(taken);
        model.mark(mem.addrOf(taken[0]), taken[1], 1);
        used += taken[1];
      }
    }
    if (mem.freeFrames !== mem.totalFrames - used) expect.fail(`step ${step}: count is off`);
    if (step % 1000 === 0) mem.check();
  }
  while (live.length > 0) giveBack(live.length - 1);
  mem.check();
  expect([mem.freeFrames, mem.touchedBytes]).toEqual([mem.totalFrames, 0]);
}

test("20,000 random allocations and frees agree with a map of frames", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => longRun(seed, 20_000)),
    { numRuns: 1, ...SEED },
  );
});
