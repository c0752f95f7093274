export { MAX_BPAGES, x86Backend } from "./dma.ts";
export { LOW_RAM_END, MMIO_BASE, MMIO_SIZE, pcBanks } from "./memory-map.ts";
