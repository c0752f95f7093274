/**
 * Worker of the T2 rows: bytes that a load, a sync or an unload leaves behind. See garbage.ts.
 */
import type { DmaMap } from "@physio/busdma";
import { Sync } from "@physio/busdma";
import { machine, pc32BitDma } from "@physio/machine";
import { garbageOf } from "./garbage.ts";
import type { LoadCase, Scene, Sum } from "./scene.ts";
import { loadLoop, makeScene, TAG, take } from "./scene.ts";

const PAGE = 4096;
const OPERATIONS = 100_000;
const WARM_ROUNDS = 6;

/** Bytes an operation, by row. */
export type GarbageOutput = Record<string, number>;

type Body = (n: number) => void;

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
  return Object.fromEntries(measured.map(([name, body]) => [name, garbageOf(body, OPERATIONS)]));
}
