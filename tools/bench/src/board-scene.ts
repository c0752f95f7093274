/**
 * Boards beside the PCs: machines whose backends are arm64's and riscv's, with devices that do not
 * see the CPU's caches. They load what the PCs load, so a process with them has three backends.
 */
import {
  VIRT_MMIO_BASE as ARM64_MMIO_BASE,
  VIRT_MMIO_SIZE as ARM64_MMIO_SIZE,
  arm64Backend,
  arm64Banks,
} from "@physio/arch-arm64";
import {
  VIRT_MMIO_BASE as RISCV_MMIO_BASE,
  VIRT_MMIO_SIZE as RISCV_MMIO_SIZE,
  riscvBackend,
  riscvBanks,
} from "@physio/arch-riscv";
import { GiB } from "@physio/kern";
import type { MachineConfig } from "@physio/machine";
import { pc } from "@physio/machine";

const RAM = 8 * GiB;
const LINE = { coherent: false, cacheLine: 64 } as const;

const board = (parts: Partial<MachineConfig>): MachineConfig => ({ ...pc({}), ...parts });

export function boards(): MachineConfig[] {
  return [
    board({
      profile: "arm64",
      banks: arm64Banks(RAM),
      mmioBase: ARM64_MMIO_BASE as number,
      mmioSize: ARM64_MMIO_SIZE,
      dmaBackend: (pool, kmem) => arm64Backend({ pool, kmem, ...LINE }),
    }),
    board({
      profile: "riscv",
      banks: riscvBanks(RAM),
      mmioBase: RISCV_MMIO_BASE as number,
      mmioSize: RISCV_MMIO_SIZE,
      dmaBackend: (pool, kmem) => riscvBackend({ pool, kmem, ...LINE }),
    }),
  ];
}
