/** Where riscv boards have their RAM: in one piece, apart from their windows. */
import {
  JH7110_MMIO_BASE,
  JH7110_MMIO_SIZE,
  JH7110_RAM_BASE,
  jh7110Banks,
  riscvBanks,
  VIRT_MMIO_BASE,
  VIRT_MMIO_SIZE,
  VIRT_RAM_BASE,
} from "@physio/arch-riscv";
import { ErrnoError, GiB, MiB, TiB } from "@physio/kern";
import { expect, test } from "vitest";

test("RAM is in one piece, above the windows", () => {
  for (const ram of [2 * MiB, 8 * GiB, TiB, 2 ** 52 - 2 * GiB]) {
    expect(riscvBanks(ram)).toEqual([{ base: 2 * GiB, size: ram }]);
  }
  expect(jh7110Banks(8 * GiB)).toEqual([{ base: GiB, size: 8 * GiB }]);
  expect(VIRT_MMIO_BASE + VIRT_MMIO_SIZE).toBeLessThanOrEqual(VIRT_RAM_BASE);
  expect(JH7110_MMIO_BASE + JH7110_MMIO_SIZE).toBeLessThanOrEqual(JH7110_RAM_BASE);
});

for (const ram of [0, MiB, 2 * MiB + 1, -4 * MiB, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 52]) {
  test(`a board with ${ram} bytes is EINVAL`, () => {
    expect(() => riscvBanks(ram)).toThrow(ErrnoError);
    expect(() => jh7110Banks(ram)).toThrow(ErrnoError);
  });
}
