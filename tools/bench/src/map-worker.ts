/**
 * Worker of the rows about maps: the heap that a map takes, and what checking costs a load.
 */
import type { DmaMap, DmaTag } from "@physio/busdma";
import { dmacheck } from "@physio/dmacheck";
import type { MachineConfig } from "@physio/machine";
import { machine, pc, pc32BitDma } from "@physio/machine";
import { boards } from "./board-scene.ts";
import type { Rounds } from "./cases.ts";
import { makeCase, measureRounds, warm } from "./cases.ts";
import { collect } from "./garbage.ts";
import type { Sum } from "./scene.ts";
import { loadLoop, scatteredRange, TAG, take } from "./scene.ts";

/** So many that what else comes and goes in the heap is less than a byte a map. */
const MAPS = 100_000;
const KiB64 = 65536;
const LOADS = 4000;

export interface MapOutput {
  /** Bytes of a map, by kind. */
  readonly bytes: Readonly<Record<string, number>>;
  readonly rounds: Rounds;
}

/** The heap and the arrays outside of it. */
function held(): number {
  collect();
  collect(); // arrays that died are counted until the next one
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Bytes of a map of `tag`, over many; `use` is done with each. => nothing has used maps so much before, as what they gave back is not counted. */
function bytesOfMap(tag: DmaTag, use: (map: DmaMap) => void = () => {}): number {
  const first = tag.createMap();
  const maps: DmaMap[] = new Array<DmaMap>(MAPS).fill(first);
  const make = () => {
    for (let i = 0; i < MAPS; i++) maps[i] = tag.createMap();
  };
  const drop = () => {
    for (const map of maps) {
      map.unload();
      if (map.destroy() !== 0) throw new Error("a map stays busy");
    }
    maps.fill(first);
  };
  make(); // the zone gets its pages, which are not the maps'
  drop();
  const before = held();
  make();
  for (const map of maps) use(map);
  const grown = held() - before;
  drop();
  return grown / MAPS;
}

/** Maps of a board whose devices do not snoop: empty, and with a load of 16 segments to maintain. */
function bytesOfBoard(sum: Sum) {
  const m = machine(boards()[0]);
  const va = scatteredRange(m, 16);
  const tag = m.dmaTag.child(TAG);
  const arm64 = bytesOfMap(tag);
  const loaded = bytesOfMap(tag, (map) => {
    map.load(va, KiB64, take, sum, 0);
  });
  return { arm64, loaded };
}

function loadCase(name: string, config: MachineConfig, sum: Sum) {
  const m = machine(config);
  const map = m.dmaTag.child(TAG).createMap();
  const c = { name, at: [map, scatteredRange(m, 16)] as const, length: KiB64, segments: 16 };
  return makeCase(name, LOADS, (n) => loadLoop(c, sum, n));
}

function checked(config: MachineConfig): MachineConfig {
  return {
    ...config,
    dmaBackend: (pool, kmem, membus) =>
      dmacheck(config.dmaBackend(pool, kmem, membus), { membus }).backend,
  };
}

export function measureMaps(): MapOutput {
  const limited = machine(pc32BitDma({}));
  const plain = machine(pc({})).dmaTag.child(TAG);
  const bouncing = limited.dmaTag.child({ ...TAG, segments: 1, lowAddr: 2 ** 32 - 1 });
  const sum: Sum = { total: 0 };
  const bytes = {
    plain: bytesOfMap(plain),
    bouncing: bytesOfMap(bouncing),
    ...bytesOfBoard(sum),
  };
  const cases = [loadCase("load", pc({}), sum), loadCase("checked load", checked(pc({})), sum)];
  warm(cases);
  return { bytes, rounds: measureRounds(cases, []) };
}
