/**
 * Where a PC has its RAM and its devices.
 *
 *   0x0000_1000   conventional memory (page 0 is never used)
 *   0x000a_0000   video memory and ROMs: no RAM
 *   0x0010_0000   RAM up to 3 GiB
 *   0xc000_0000   device windows
 *   1_0000_0000   the rest of RAM
 */
import type { Bytes, PhysAddr } from "@physio/kern";
import { Errno, ErrnoError, GiB, isWhole, KiB, MiB, PAGE_SIZE, pageOffset } from "@physio/kern";
import type { SparseBank } from "@physio/physmem";

export const LOW_RAM_END: PhysAddr = 3 * GiB;
/** The window of physical addresses for devices' registers. */
export const MMIO_BASE: PhysAddr = 3 * GiB;
export const MMIO_SIZE: Bytes = GiB;

/** RAM banks of a PC with `ram` bytes. @throws {ErrnoError} EINVAL: not whole pages, or under 2 MiB. */
export function pcBanks(ram: Bytes): SparseBank[] {
  if (!isWhole(ram) || pageOffset(ram) !== 0 || ram < 2 * MiB) {
    throw new ErrnoError(Errno.EINVAL, `pc: ${ram} bytes of RAM`);
  }
  const low = Math.min(ram, LOW_RAM_END);
  const banks = [
    { base: PAGE_SIZE, size: 640 * KiB - PAGE_SIZE },
    { base: MiB, size: low - MiB },
  ];
  if (ram > low) banks.push({ base: 4 * GiB, size: ram - low });
  return banks;
}
