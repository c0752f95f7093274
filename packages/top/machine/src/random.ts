/** Random numbers from a seed, for the scheduler and the devices: xoroshiro128+ of pure-rand. */
import type { RandomSource } from "@physio/sched";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

export function seededRandom(seed: number): RandomSource {
  const generator = xoroshiro128plus(seed);
  return { next: () => generator.next() >>> 0 };
}
