/**
 * Worker of the growth curves: how a cost changes with the size of what it works on.
 */
import type { Machine } from "@physio/machine";
import { machine, pc, pc32BitDma } from "@physio/machine";
import type { Series } from "./chart.ts";
import type { LoadCase, Sum } from "./scene.ts";
import { loadLoop, scatteredRange, TAG } from "./scene.ts";
import { bestOf } from "./timing.ts";

const PAGE = 4096;
const MiB = 2 ** 20;
/** Between the reaches of two zones: 4096 of them lie within the upper half of 32 bits. */
const ZONE_STEP = MiB / 2;

export interface CurveOutput {
  readonly length: readonly Series[];
  readonly maps: readonly Series[];
}

function powers(base: number, from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => base ** (from + i));
}

/** Load and unload of 1 to 256 pages. */
function lengthCurves(m: Machine, sum: Sum): Series[] {
  const options = { maxSize: MiB, maxSegSize: MiB, segments: 256 };
  const map = m.dmaTag.child(options).createMap();
  const scattered = scatteredRange(m, 256);
  const contiguous = m.kmem.allocContig(MiB, { align: MiB });
  return [
    { name: "scattered", va: scattered },
    { name: "contiguous", va: contiguous },
  ].map(({ name, va }) => ({
    name,
    points: powers(2, 0, 8).map((pages) => {
      const c: LoadCase = { name, at: [map, va], length: pages * PAGE, segments: 0 };
      return [pages, bestOf((n) => loadLoop(c, sum, n), Math.ceil(40_000 / pages))] as const;
    }),
  }));
}

/** Load and unload of one page while more and more maps, or bounce zones, are alive. */
function mapCurves(sum: Sum): Series[] {
  const m = machine(pc({}));
  const tag = m.dmaTag.child(TAG);
  const c: LoadCase = {
    name: "maps",
    at: [tag.createMap(), m.kmem.alloc(PAGE)],
    length: PAGE,
    segments: 1,
  };
  const alive = [c.at[0]];
  const maps = powers(10, 0, 5).map((count) => {
    while (alive.length < count) alive.push(tag.createMap());
    return [count, bestOf((n) => loadLoop(c, sum, n), 40_000)] as const;
  });
  return [{ name: "maps", points: maps }, zoneCurve(sum)];
}

/** The same page bounced, among zones of ever lower reach. */
function zoneCurve(sum: Sum): Series {
  const m = machine(pc32BitDma({}));
  const va = m.kmem.alloc(PAGE);
  const limited = (lowAddr: number): LoadCase => {
    const map = m.dmaTag.child({ ...TAG, maxSize: PAGE, segments: 1, lowAddr }).createMap();
    return { name: "zones", at: [map, va], length: PAGE, segments: 1 };
  };
  const cases = [limited(2 ** 32 - 1)];
  const points = powers(4, 0, 6).map((count) => {
    while (cases.length < count) cases.push(limited(2 ** 32 - 1 - cases.length * ZONE_STEP));
    const last = cases[cases.length - 1];
    return [m.bouncePool.zones.length, bestOf((n) => loadLoop(last, sum, n), 10_000)] as const;
  });
  return { name: "zones, bounced", points };
}

export function measureCurves(): CurveOutput {
  const sum: Sum = { total: 0 };
  const m = machine(pc({}));
  lengthCurves(m, sum); // once for the compiler
  const length = lengthCurves(m, sum);
  mapCurves(sum);
  return { length, maps: mapCurves(sum) };
}
