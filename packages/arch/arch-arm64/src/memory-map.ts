/**
 * Where arm64 machines have their RAM and devices.
 *
 * The "virt" board of QEMU (its hw/arm/virt.c) has RAM in one piece from 1 GiB on:
 *
 *   0x0000_0000   flash, interrupt controller, UART
 *   0x1000_0000   device windows of PCIe
 *   0x4000_0000   RAM
 *
 * The Raspberry Pi 4 (BCM2711; /proc/iomem and the device tree of its Linux) has it round the
 * windows, and some devices reach the first GiB only (FreeBSD's bcm2835_vcbus.c says why):
 *
 *   0x0000_0000   RAM; the firmware's share is 0x3b40_0000 … 1 GiB; page 0 is never used here
 *   0x4000_0000   RAM of boards with more than 1 GiB
 *   0xfc00_0000   peripherals
 *   1_0000_0000   the rest of RAM
 *   6_0000_0000   device windows of PCIe
 */
import type { BusAddr, Bytes, PhysAddr } from "@physio/kern";
import { Errno, ErrnoError, GiB, isWhole, MAXADDR, MiB, PAGE_SIZE, pageOffset } from "@physio/kern";
import type { SparseBank } from "@physio/physmem";

/** Where RAM of the virt board begins, and its window of physical addresses for devices' registers. */
export const VIRT_RAM_BASE: PhysAddr = GiB;
export const VIRT_MMIO_BASE: PhysAddr = 0x1000_0000;
export const VIRT_MMIO_SIZE: Bytes = 0x2eff_0000;
/** Highest address that the Pi's legacy devices reach. */
export const PI4_DMA_REACH: BusAddr = GiB - 1;
/** The Pi's window of physical addresses for devices' registers. */
export const PI4_MMIO_BASE: PhysAddr = 24 * GiB;
export const PI4_MMIO_SIZE: Bytes = 64 * MiB;
const PI4_FIRMWARE: PhysAddr = 0x3b40_0000;
const PI4_PERIPHERALS: PhysAddr = 0xfc00_0000;
const PI4_MOST: Bytes = 8 * GiB;

/** @throws {ErrnoError} EINVAL: not whole pages, under 2 MiB, or above `most`. */
function checkRam(board: string, ram: Bytes, most: Bytes): void {
  if (!isWhole(ram) || pageOffset(ram) !== 0 || ram < 2 * MiB || ram > most) {
    throw new ErrnoError(Errno.EINVAL, `${board}: ${ram} bytes of RAM`);
  }
}

/** RAM banks of QEMU's virt board with `ram` bytes. @throws {ErrnoError} EINVAL: not whole pages, under 2 MiB, or past the last address. */
export function arm64Banks(ram: Bytes): SparseBank[] {
  checkRam("arm64", ram, MAXADDR + 1 - VIRT_RAM_BASE);
  return [{ base: VIRT_RAM_BASE, size: ram }];
}

/** RAM banks of a Raspberry Pi 4 with `ram` bytes, less page 0, the firmware's share and what lies under the peripherals. @throws {ErrnoError} EINVAL: not whole pages, under 2 MiB, over 8 GiB. */
export function raspberryPi4Banks(ram: Bytes): SparseBank[] {
  checkRam("raspberry pi 4", ram, PI4_MOST);
  const banks = [{ base: PAGE_SIZE, size: Math.min(ram, PI4_FIRMWARE) - PAGE_SIZE }];
  if (ram > GiB) banks.push({ base: GiB, size: Math.min(ram, PI4_PERIPHERALS) - GiB });
  if (ram > 4 * GiB) banks.push({ base: 4 * GiB, size: ram - 4 * GiB });
  return banks;
}
