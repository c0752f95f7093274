export type { Media } from "@physio/dev-nvme";
export { MemoryMedia } from "@physio/dev-nvme";
export type { ChunkSink, TreeVisitor } from "./files.ts";
export { FileReader, listDirectory, walkTree } from "./files.ts";
export { Machine, machine } from "./machine.ts";
export type { MachineConfig, ProfileOptions } from "./profiles.ts";
export { PROFILE_NAMES, pc, pc32BitDma, profileNamed } from "./profiles.ts";
export type { IoStatistics } from "./statistics.ts";
export { ioStatistics } from "./statistics.ts";
