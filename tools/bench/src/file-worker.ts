/**
 * Worker of the rows about resident pages: reads and requests, their time and their garbage.
 */
import { MiB } from "@physio/kern";
import type { Rounds } from "./cases.ts";
import { measureRounds, warm } from "./cases.ts";
import { lockedCases, readCases, writeCases } from "./file-cases.ts";
import { FileScene } from "./file-scene.ts";
import { garbageOf } from "./garbage.ts";

const ROUNDS = 5;
const SLICES = 16;
const OPERATIONS = 20_000;

function makeCases() {
  const scene = new FileScene({ ram: 128 * MiB, disk: 64 * MiB, blockSize: 4096 });
  return [...readCases(scene), ...lockedCases(scene), ...writeCases(scene)];
}

export function measureFiles(): Rounds {
  const cases = makeCases();
  warm(cases);
  return measureRounds(cases, [], ROUNDS, SLICES);
}

/** Bytes that an operation leaves behind, by case; the peers' too. */
export function measureFileGarbage(): Record<string, number> {
  const cases = makeCases();
  warm(cases, 24);
  return Object.fromEntries(cases.map((c) => [c.name, garbageOf(c.body, OPERATIONS)]));
}
