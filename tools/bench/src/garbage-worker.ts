/**
 * Worker of the T2 rows: bytes that a load, a sync or an unload leaves behind. See garbage.ts.
 */
import type { DmaMap } from "@physio/busdma";
import { Sync } from "@physio/busdma";
import { garbageOf } from "./garbage.ts";
import type { Scene, Sum } from "./scene.ts";
import { loadLoop, makeScene } from "./scene.ts";
import { bouncedRange, bounceLoop, packetCase } from "./transfer-cases.ts";

const OPERATIONS = 100_000;
const WARM_ROUNDS = 6;
/** A bounced load copies 128 KiB: fewer of them. */
const BOUNCE_SHARE = 16;

/** Bytes an operation, by row. */
export type GarbageOutput = Record<string, number>;

type Body = (n: number) => void;

function syncLoop(map: DmaMap, n: number): void {
  for (let i = 0; i < n; i++) {
    map.sync(Sync.PREWRITE);
    map.sync(Sync.POSTREAD);
  }
}

function othersLoop({ others }: Scene, sum: Sum, n: number): void {
  for (const c of others) loadLoop(c, sum, n);
}

function bodies(): ReadonlyMap<string, Body> {
  const scene = makeScene();
  const sum: Sum = { total: 0 };
  const bounced = bouncedRange();
  const page = { ...bounced, length: 4096 };
  const [a] = scene.cases;
  return new Map<string, Body>([
    ...scene.cases.map((c): [string, Body] => [c.name, (n) => loadLoop(c, sum, n)]),
    ["sync", (n) => syncLoop(a.at[0], n)],
    ["d", packetCase(scene.machine, sum).body],
    ["page", (n) => bounceLoop(page, sum, n)],
    ["bounced", (n) => bounceLoop(bounced, sum, n / BOUNCE_SHARE)],
    ["others", (n) => othersLoop(scene, sum, n / 50)],
  ]);
}

export function measureGarbage(): GarbageOutput {
  const all = bodies();
  for (let round = 0; round < WARM_ROUNDS; round++) {
    for (const body of all.values()) body(OPERATIONS / 4);
  }
  const measured = [...all].filter(([name]) => name !== "others");
  const found: GarbageOutput = {};
  for (const [name, body] of measured) found[name] = garbageOf(body, OPERATIONS);
  found.bounced *= BOUNCE_SHARE;
  return found;
}
