/**
 * Worker of the T2 rows: bytes that a load, a sync or an unload leaves behind.
 *
 * The new generation is large enough that nothing is collected while an operation is measured, so
 * the growth of the used heap is what was allocated. Needs --expose-gc.
 */
import { getHeapStatistics } from "node:v8";
import type { DmaMap } from "@physio/busdma";
import { Sync } from "@physio/busdma";
import { machine, pc32BitDma } from "@physio/machine";
import { median } from "./arithmetic.ts";
import type { LoadCase, Scene, Sum } from "./scene.ts";
import { loadLoop, makeScene, TAG, take } from "./scene.ts";

const PAGE = 4096;
const OPERATIONS = 100_000;
const REPEATS = 5;
const WARM_ROUNDS = 6;

/** Bytes an operation, by row. */
export type GarbageOutput = Record<string, number>;

type Body = (n: number) => void;

function used(): number {
  return getHeapStatistics().used_heap_size;
}

/** Bytes that `body` allocates an operation, the median of some repeats. */
function garbageOf(body: Body): number {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error("garbage is measured with --expose-gc");
  return median(
    Array.from({ length: REPEATS }, () => {
      gc();
      const before = used();
      body(OPERATIONS);
      const grown = used() - before;
      if (grown < 0) throw new Error("garbage was collected while it was measured");
      return grown / OPERATIONS;
    }),
  );
}

function syncLoop(map: DmaMap, n: number): void {
  for (let i = 0; i < n; i++) {
    map.sync(Sync.PREWRITE);
    map.sync(Sync.POSTREAD);
  }
}

/** Load, sync both ways, unload: every byte bounces. */
function bounceLoop(c: LoadCase, sum: Sum, n: number): void {
  const map = c.at[0];
  const va = c.at[1];
  for (let i = 0; i < n; i++) {
    map.load(va, c.length, take, sum, 0);
    map.sync(Sync.PREWRITE);
    map.sync(Sync.POSTREAD);
    map.unload();
  }
}

function othersLoop({ others }: Scene, sum: Sum, n: number): void {
  for (const c of others) loadLoop(c, sum, n);
}

function bodies(): ReadonlyMap<string, Body> {
  const scene = makeScene();
  const sum: Sum = { total: 0 };
  const limited = machine(pc32BitDma({}));
  const reach = { lowAddr: 2 ** 32 - 1 };
  const page = limited.kmem.alloc(PAGE);
  limited.kmem.write(page, new Uint8Array(PAGE).fill(7));
  const map = limited.dmaTag.child({ ...TAG, ...reach }).createMap();
  const bounced: LoadCase = { name: "e", at: [map, page], length: PAGE, segments: 1 };
  const [a] = scene.cases;
  return new Map<string, Body>([
    ...scene.cases.map((c): [string, Body] => [c.name, (n) => loadLoop(c, sum, n)]),
    ["sync", (n) => syncLoop(a.at[0], n)],
    ["bounced", (n) => bounceLoop(bounced, sum, n)],
    ["others", (n) => othersLoop(scene, sum, n / 50)],
  ]);
}

export function measureGarbage(): GarbageOutput {
  const all = bodies();
  for (let round = 0; round < WARM_ROUNDS; round++) {
    for (const body of all.values()) body(OPERATIONS / 4);
  }
  const measured = [...all].filter(([name]) => name !== "others");
  return Object.fromEntries(measured.map(([name, body]) => [name, garbageOf(body)]));
}
