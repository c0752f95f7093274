export type { Arm64Options } from "./backend.ts";
export { arm64Backend } from "./backend.ts";
export type { Arm64Decisions } from "./decisions.ts";
export { ARM64_FIXED, ARM64_SEED } from "./decisions.ts";
export {
  arm64Banks,
  PI4_DMA_REACH,
  PI4_MMIO_BASE,
  PI4_MMIO_SIZE,
  raspberryPi4Banks,
  VIRT_MMIO_BASE,
  VIRT_MMIO_SIZE,
  VIRT_RAM_BASE,
} from "./memory-map.ts";
export { MAX_BPAGES } from "./tags.ts";
