/**
 * Where a PC has its RAM: never over the holes, and exactly as much as asked for, less the holes.
 */

import { MMIO_BASE, MMIO_SIZE, pcBanks } from "@physio/arch-x86";
import { ErrnoError, GiB, KiB, MiB, PAGE_SIZE, TiB } from "@physio/kern";
import fc from "fast-check";
import { expect, test } from "vitest";

const conventional = { base: PAGE_SIZE, size: 640 * KiB - PAGE_SIZE };

const cases = [
  { ram: 2 * MiB, banks: [conventional, { base: MiB, size: MiB }] },
  { ram: 3 * GiB, banks: [conventional, { base: MiB, size: 3 * GiB - MiB }] },
  {
    ram: 8 * GiB,
    banks: [conventional, { base: MiB, size: 3 * GiB - MiB }, { base: 4 * GiB, size: 5 * GiB }],
  },
];

for (const { ram, banks } of cases) {
  test(`a PC with ${ram / MiB} MiB has its RAM around the holes`, () => {
    expect(pcBanks(ram)).toEqual(banks);
  });
}

for (const ram of [0, MiB, 2 * MiB + 1, -4 * MiB, Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`a PC with ${ram} bytes is EINVAL`, () => {
    expect(() => pcBanks(ram)).toThrow(ErrnoError);
  });
}

test("no bank touches page 0, the video memory or the device window, whatever the size", () => {
  const pages = fc.integer({ min: (2 * MiB) / PAGE_SIZE, max: (2 * TiB) / PAGE_SIZE });
  const property = fc.property(pages, (count) => {
    const ram = count * PAGE_SIZE;
    const banks = pcBanks(ram);
    const hole = 384 * KiB + PAGE_SIZE;
    expect(banks.reduce((sum, bank) => sum + bank.size, 0)).toBe(ram - hole);
    for (const { base, size } of banks) {
      expect(base).toBeGreaterThanOrEqual(PAGE_SIZE);
      expect(base + size <= 640 * KiB || base >= MiB).toBe(true);
      expect(base + size <= MMIO_BASE || base >= MMIO_BASE + MMIO_SIZE).toBe(true);
    }
  });
  fc.assert(property, { seed: 10, numRuns: 200 });
});
