/** The sizes of the issue: 1 GiB of traffic in 64 MiB; 4 GiB of a sparse file in 256 MiB. */
import { GiB, MiB } from "@physio/kern";
import { expect, test } from "vitest";
import { fileTraffic, mappedTraffic, sparseRead } from "../src/pressure.ts";

const MINUTES = 600_000;

test("1 GiB of file traffic in 64 MiB", { timeout: MINUTES }, () => {
  for (const seed of [null, 1]) {
    const report = fileTraffic(64 * MiB, 128 * MiB, 2, seed);
    console.log(JSON.stringify(report));
    expect(report.resident).toBeLessThanOrEqual(report.total);
    expect(report.transferred).toBeGreaterThanOrEqual(GiB);
    expect(report.daemonFreed + report.reclaimed).toBeGreaterThan(200_000);
  }
});

test("256 MiB through a mapping in 64 MiB", { timeout: MINUTES }, () => {
  const report = mappedTraffic(64 * MiB, 256 * MiB, 1);
  console.log(JSON.stringify(report));
  expect(report.resident).toBeLessThanOrEqual(report.total);
  expect(report.daemonFreed + report.reclaimed).toBeGreaterThan(100_000);
});

test("4 GiB of a sparse file in 256 MiB", { timeout: MINUTES }, () => {
  const report = sparseRead(256 * MiB, 4 * GiB);
  console.log(JSON.stringify(report));
  expect(report.resident).toBeLessThanOrEqual(report.total);
  expect(report.daemonFreed + report.reclaimed).toBeGreaterThan(900_000);
  expect(report.grown).toBeLessThan(256 * MiB + 200 * MiB);
});
