/** Where arm64 boards have their RAM: never over the holes, and as much as asked for, less them. */
import {
  arm64Banks,
  PI4_DMA_REACH,
  PI4_MMIO_BASE,
  raspberryPi4Banks,
  VIRT_MMIO_BASE,
  VIRT_MMIO_SIZE,
} from "@physio/arch-arm64";
import { ErrnoError, GiB, MiB, PAGE_SIZE, TiB } from "@physio/kern";
import { expect, test } from "vitest";

const firmware = 0x3b40_0000;

test("the virt board has all RAM from 1 GiB on, above its windows", () => {
  for (const ram of [2 * MiB, 8 * GiB, 4 * TiB, 2 ** 52 - GiB]) {
    expect(arm64Banks(ram)).toEqual([{ base: GiB, size: ram }]);
  }
  expect(VIRT_MMIO_BASE + VIRT_MMIO_SIZE).toBeLessThanOrEqual(GiB);
});

const boards = [
  { ram: 256 * MiB, ends: [256 * MiB] },
  { ram: GiB, ends: [firmware] },
  { ram: 2 * GiB, ends: [firmware, 2 * GiB] },
  { ram: 4 * GiB, ends: [firmware, 0xfc00_0000] },
  { ram: 8 * GiB, ends: [firmware, 0xfc00_0000, 8 * GiB] },
];

for (const { ram, ends } of boards) {
  test(`a Raspberry Pi 4 of ${ram / MiB} MiB has RAM up to the holes`, () => {
    const banks = raspberryPi4Banks(ram);
    expect(banks.map(({ base, size }) => base + size)).toEqual(ends);
    expect(banks.map(({ base }) => base)).toEqual([PAGE_SIZE, GiB, 4 * GiB].slice(0, ends.length));
    expect(PI4_DMA_REACH).toBe(GiB - 1);
    expect(PI4_MMIO_BASE).toBeGreaterThan(8 * GiB);
  });
}

for (const ram of [0, MiB, 2 * MiB + 1, -4 * MiB, Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`a board with ${ram} bytes is EINVAL`, () => {
    expect(() => arm64Banks(ram)).toThrow(ErrnoError);
    expect(() => raspberryPi4Banks(ram)).toThrow(ErrnoError);
  });
}

test("more RAM than a board can have is EINVAL", () => {
  expect(() => arm64Banks(2 ** 52)).toThrow(ErrnoError);
  expect(() => raspberryPi4Banks(16 * GiB)).toThrow(ErrnoError);
});
