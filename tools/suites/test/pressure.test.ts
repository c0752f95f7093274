/** Memory pressure, small: long/pressure.long.test.ts has the sizes that take a while. */
import { KiB, MiB } from "@physio/kern";
import { describe, expect, test } from "vitest";
import { fileTraffic, mappedTraffic, sparseRead } from "../src/pressure.ts";

const SEEDS = process.env.PHYSIO_ALL === undefined ? [null, 1] : [null, 1, 2, 3, 4, 5, 6, 7];

describe("more traffic than memory", () => {
  for (const seed of SEEDS) {
    test(`by read and write, seed ${seed}`, () => {
      const report = fileTraffic(MiB, 4 * MiB, 1, seed);
      expect(report.resident).toBeLessThanOrEqual(report.total);
      expect(report.transferred).toBeGreaterThanOrEqual(16 * MiB);
      expect(report.reclaimed + report.daemonFreed).toBeGreaterThan(3500);
    });

    test(`through a mapping, seed ${seed}`, () => {
      const report = mappedTraffic(512 * KiB, 3 * MiB, seed);
      expect(report.resident).toBeLessThanOrEqual(report.total);
      expect(report.daemonFreed).toBeGreaterThan(500);
    });
  }
});

test("reading a huge sparse file keeps memory bounded", () => {
  const report = sparseRead(2 * MiB, 48 * MiB);
  expect(report.resident).toBeLessThanOrEqual(report.total);
  expect(report.reclaimed + report.daemonFreed).toBeGreaterThan(11_000);
  expect(report.grown).toBeLessThan(200 * MiB); // the host's own garbage included
});

test("the page daemon works ahead of time, also where physical memory holds low frames back", () => {
  const report = sparseRead(8 * MiB, 12 * MiB);
  expect(report.rounds).toBeGreaterThan(0);
  expect(report.daemonFreed).toBeGreaterThan(500);
});
