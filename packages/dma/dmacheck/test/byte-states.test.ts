/** Runs of bytes against an array of bytes. */
import { describe, expect, test } from "vitest";
import {
  BY_CPU_READ,
  BY_CPU_WRITE,
  BY_DEVICE_READ,
  BY_DEVICE_WRITE,
  ByteStates,
  POSTREAD,
  POSTWRITE,
  PREREAD,
  PREWRITE,
} from "../src/byte-states.ts";

const TABLES = [
  PREREAD,
  PREWRITE,
  POSTREAD,
  POSTWRITE,
  BY_DEVICE_READ,
  BY_DEVICE_WRITE,
  BY_CPU_READ,
  BY_CPU_WRITE,
];

/** Whole numbers below 2^32, named by a seed. */
function source(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
}

test("what is written in the middle makes three runs, and one again", () => {
  const states = new ByteStates();
  states.reset(100, 0);
  states.apply(40, 60, BY_DEVICE_WRITE);
  expect(states.runs()).toEqual([
    [0, 0],
    [40, 6],
    [60, 0],
  ]);
  expect([
    states.find(0, 100, 4, 4),
    states.alike(40, 100, 4, 4),
    states.find(60, 100, 4, 4),
  ]).toEqual([40, 20, -1]);
  states.applyAll(POSTREAD);
  expect(states.runs()).toEqual([[0, 0]]);
});

describe("random operations agree with an array of bytes", () => {
  test.each(Array.from({ length: 40 }, (_, i) => i + 1))("seed %i", (seed) => {
    const next = source(seed);
    const states = new ByteStates();
    const total = 1 + (next() % 60);
    states.reset(total, next() % 16);
    const model = new Uint8Array(total).fill(states.runs()[0][1]);
    for (let step = 0; step < 200; step++) {
      const table = TABLES[next() % TABLES.length];
      const from = next() % (total + 1);
      const end = from + (next() % (total - from + 1));
      if (next() % 8 === 0) {
        states.applyAll(table);
        model.forEach((s, i) => {
          model[i] = table[s];
        });
      } else {
        states.apply(from, end, table);
        for (let i = from; i < end; i++) model[i] = table[model[i]];
      }
      const flat = new Uint8Array(total);
      const runs = states.runs();
      for (const [i, [begin, state]] of runs.entries()) {
        flat.fill(state, begin, runs[i + 1]?.[0] ?? total);
        if (i > 0) expect(state).not.toBe(runs[i - 1][1]);
      }
      expect(flat).toEqual(model);
      const mask = next() % 16;
      const wanted = (next() % 16) & mask;
      let first = -1;
      for (let i = from; i < end && first < 0; i++) if ((model[i] & mask) === wanted) first = i;
      expect(states.find(from, end, mask, wanted)).toBe(first);
      if (first < 0) continue;
      let stop = first;
      while (stop < end && (model[stop] & mask) === wanted) stop++;
      expect(states.alike(first, end, mask, wanted)).toBe(stop - first);
    }
  });
});
