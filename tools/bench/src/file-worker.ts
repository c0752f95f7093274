/**
 * Worker of the rows about files: hits, misses, write-back, and the scan for dirty pages.
 */
import { MiB } from "@physio/kern";
import type { Rounds } from "./cases.ts";
import { measureRounds, warm } from "./cases.ts";
import { lockedCases, readCases } from "./file-cases.ts";
import { FileScene } from "./file-scene.ts";

const ROUNDS = 5;
const SLICES = 8;

export function measureFiles(): Rounds {
  const scene = new FileScene({ ram: 128 * MiB, disk: 64 * MiB, blockSize: 4096 });
  const cases = [...readCases(scene), ...lockedCases(scene)];
  warm(cases);
  return measureRounds(cases, [], ROUNDS, SLICES);
}
