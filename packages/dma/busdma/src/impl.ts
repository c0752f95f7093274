export type { DmaBackend } from "./backend.ts";
export { defineBackend } from "./backend.ts";
export { kmemAllocator } from "./kmem-allocator.ts";
export { loadDirect } from "./load-direct.ts";
export type {
  DmaAllocator,
  DmaAllocatorKind,
  DmaMemory,
  DmaMemRequest,
} from "./memory.ts";
export { addRange } from "./seg-list.ts";
