export type { Identity } from "./controller.ts";
export type { NvmeDriverConfig } from "./driver.ts";
export { NvmeDriver } from "./driver.ts";
export { NvmeHardware } from "./hw.ts";
export type { NvmeConfig } from "./hw-config.ts";
export type { Media } from "./media.ts";
export { MemoryMedia } from "./media.ts";
