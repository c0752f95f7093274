export type { RiscvOptions } from "./backend.ts";
export { riscvBackend } from "./backend.ts";
export type { RiscvDecisions } from "./decisions.ts";
export { RISCV_FIXED, RISCV_SEED } from "./decisions.ts";
export {
  JH7110_MMIO_BASE,
  JH7110_MMIO_SIZE,
  JH7110_RAM_BASE,
  jh7110Banks,
  riscvBanks,
  VIRT_MMIO_BASE,
  VIRT_MMIO_SIZE,
  VIRT_RAM_BASE,
} from "./memory-map.ts";
export { MAX_BPAGES } from "./tags.ts";
