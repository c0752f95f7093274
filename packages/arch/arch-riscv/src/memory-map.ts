/**
 * Where riscv machines have their RAM and devices.
 *
 * The "virt" board of QEMU (its hw/riscv/virt.c), whose devices snoop:
 *
 *   0x0000_0000   boot ROM, timers, interrupt controller, UART, flash
 *   0x4000_0000   device windows of PCIe
 *   0x8000_0000   RAM
 *
 * The StarFive JH7110 (its memory map in the technical reference manual), a board of whose kind has
 * devices that do not snoop:
 *
 *   0x0000_0000   peripherals; device windows of PCIe at 0x3000_0000
 *   0x4000_0000   RAM, up to 16 GiB
 */
import type { Bytes, PhysAddr } from "@physio/kern";
import { Errno, ErrnoError, GiB, isWhole, MAXADDR, MiB, pageOffset } from "@physio/kern";
import type { SparseBank } from "@physio/physmem";

export const VIRT_RAM_BASE: PhysAddr = 2 * GiB;
/** The virt board's window of physical addresses for devices' registers. */
export const VIRT_MMIO_BASE: PhysAddr = GiB;
export const VIRT_MMIO_SIZE: Bytes = GiB;
export const JH7110_RAM_BASE: PhysAddr = GiB;
/** The JH7110's window of physical addresses for devices' registers. */
export const JH7110_MMIO_BASE: PhysAddr = 0x3000_0000;
export const JH7110_MMIO_SIZE: Bytes = 0x0800_0000;
const JH7110_MOST: Bytes = 16 * GiB;

function bankAt(board: string, base: PhysAddr, ram: Bytes, most: Bytes): SparseBank[] {
  if (!isWhole(ram) || pageOffset(ram) !== 0 || ram < 2 * MiB || ram > most) {
    throw new ErrnoError(Errno.EINVAL, `${board}: ${ram} bytes of RAM`);
  }
  return [{ base, size: ram }];
}

/** RAM banks of QEMU's virt board with `ram` bytes. @throws {ErrnoError} EINVAL: not whole pages, under 2 MiB, or past the last address. */
export function riscvBanks(ram: Bytes): SparseBank[] {
  return bankAt("riscv", VIRT_RAM_BASE, ram, MAXADDR + 1 - VIRT_RAM_BASE);
}

/** RAM banks of a JH7110 board with `ram` bytes. @throws {ErrnoError} EINVAL: not whole pages, under 2 MiB, or over 16 GiB. */
export function jh7110Banks(ram: Bytes): SparseBank[] {
  return bankAt("jh7110", JH7110_RAM_BASE, ram, JH7110_MOST);
}
