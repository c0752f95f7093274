/** Mapped access against a byte model, under seeded schedules, with and without memory pressure. */
import { test } from "vitest";
import { seeds } from "./machine.ts";
import { runMappedModel } from "./mapped-model.ts";

const SEEDS = process.env.PHYSIO_ALL === "1" ? 400 : 8;

test("mappings show what an array shows, with plenty of memory", () => {
  const options = { frames: 256, filePages: 12, threads: 5, turns: 40, daemon: false };
  for (const seed of seeds(SEEDS)) runMappedModel(seed, options);
});

test("and with a page daemon that is always short of it", () => {
  const options = { frames: 84, filePages: 24, threads: 6, turns: 60, daemon: true };
  for (const seed of seeds(SEEDS)) runMappedModel(seed, options);
});
