export type { DmaBackend, DmaMemory } from "./backend.ts";
export { defineBackend } from "./backend.ts";
export { loadDirect } from "./load-direct.ts";
export { addRange } from "./seg-list.ts";
