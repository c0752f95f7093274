/**
 * Worker of the M1 and M3 rows: frames of large machines, half in use or broken into pieces.
 */
import type { Frame } from "@physio/kern";
import { GiB, MiB, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import type { ContigLimits } from "@physio/physmem";
import { PhysMem } from "@physio/physmem";
import type { Case, Rounds } from "./cases.ts";
import { makeCase, measureRounds, warm } from "./cases.ts";
import { memoryCases } from "./memory-cases.ts";
import { Random } from "./random.ts";
import { timeCases } from "./time-cases.ts";

const PAGE = PAGE_SIZE;
/** Frames of the machines of M1. */
const SIZES: readonly number[] = Object.freeze([1e3, 1e4, 1e5, 1e6, 1e7]);
/** Frames of 2 MiB. */
const BLOCK = 512;
const LARGE = (16 * GiB) / PAGE;
/** Of so many frames one is held: of the blocks of 2 MiB some hundred are then wholly free. */
const HELD_ONE_IN = 155;
/** So dense that there is no run of 2 MiB, but for the one that is left out. */
const DENSE_ONE_IN = 24;
const BURST = 256;

export interface FrameOutput {
  readonly rounds: Rounds;
  /** Frames of the machines of M1. */
  readonly sizes: readonly number[];
  /** Blocks of 2 MiB that are wholly free on the machine of M3. */
  readonly freeBlocks: number;
}

/** Visits 0 … n − 1 in leaps, so that neighbours are freed far apart. => n is not a multiple of the leap. */
function inLeaps(n: number, visit: (i: number) => void): void {
  let leap = 7919;
  while (n % leap === 0) leap += 2;
  for (let i = 0, at = 0; i < n; i++) {
    visit(at);
    at += leap;
    while (at >= n) at -= n;
  }
}

/** A machine with all frames in use but those that `isFree` names, in the order of their allocation. */
function fragmented(frames: number, isFree: (frame: Frame) => boolean): PhysMem {
  const mem = new PhysMem({ banks: [{ base: 0, size: frames * PAGE }], lowReserve: [0, 0] });
  const all = new Int32Array(frames);
  for (let i = 0; i < frames; i++) all[i] = mem.allocFrame();
  inLeaps(frames, (i) => {
    if (isFree(all[i])) mem.freeFrame(all[i]);
  });
  return mem;
}

function oneFrame(name: string, mem: PhysMem): Case {
  return makeCase(name, 20_000, (n) => {
    for (let i = 0; i < n; i++) mem.freeFrame(mem.allocFrame());
  });
}

/** Through the free lists: more frames at once than wait in front of them. */
function manyFrames(name: string, mem: PhysMem): Case {
  const held = new Int32Array(BURST);
  return makeCase(name, 80 * BURST, (n) => {
    for (let i = 0; i < n; i += BURST) {
      for (let k = 0; k < BURST; k++) held[k] = mem.allocFrame();
      for (let k = 0; k < BURST; k++) mem.freeFrame(held[k]);
    }
  });
}

function halfInUse(): Case[] {
  return SIZES.flatMap((frames) => {
    const random = new Random(frames);
    const mem = fragmented(frames, () => random.below(2) === 0);
    return [oneFrame(`one ${frames}`, mem), manyFrames(`many ${frames}`, mem)];
  });
}

function contiguous(name: string, mem: PhysMem, limits: Partial<ContigLimits>, n: number): Case {
  return makeCase(name, n, (count) => {
    for (let i = 0; i < count; i++) {
      const first = mem.allocContig(BLOCK, limits);
      if (first === NO_FRAME) throw new Error(`${name}: there is no such run`);
      mem.freeFrame(first, BLOCK);
    }
  });
}

/** Blocks of 2 MiB, aligned, that are wholly free. */
function countBlocks(mem: PhysMem): number {
  let count = 0;
  for (let reach = 0; reach < 3; reach++) {
    mem.freeBlocks(0, reach).forEach((blocks, order) => {
      if (order >= 9) count += blocks * 2 ** (order - 9);
    });
  }
  return count;
}

export function measureFrames(): FrameOutput {
  const random = new Random(1);
  const broken = fragmented(LARGE, () => random.below(HELD_ONE_IN) !== 0);
  // One run of 2 MiB alone, across the border of two blocks, two thirds up the machine.
  const run = Math.floor(LARGE / 3 / BLOCK) * 2 * BLOCK + 300;
  const isRun = (frame: Frame) => frame >= run && frame < run + BLOCK;
  const dense = fragmented(LARGE, (frame) => isRun(frame) || random.below(DENSE_ONE_IN) !== 0);
  const aligned: Partial<ContigLimits> = Object.freeze({ align: 2 * MiB });
  const anywhere: Partial<ContigLimits> = Object.freeze({});
  const cases = [
    ...halfInUse(),
    oneFrame("one, broken", broken),
    contiguous("aligned", broken, aligned, 2000),
    oneFrame("one, dense", dense),
  ];
  const scan = contiguous("scan", dense, anywhere, 1);
  const others = [...memoryCases(), ...timeCases()];
  warm([...others, ...cases, scan]);
  const rounds = measureRounds(cases, others);
  const before = dense.counters.contigScans;
  const scanned = measureRounds([scan], [], 5, 3);
  if (!(dense.counters.contigScans > before)) throw new Error("M3b has not scanned");
  const freeBlocks = countBlocks(broken);
  return { rounds: { ...rounds, ...scanned }, sizes: SIZES, freeBlocks };
}
