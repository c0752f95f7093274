export { Arena } from "./arena.ts";
export type { Constraints } from "./constraints.ts";
export { Fit } from "./constraints.ts";
export type { ArenaOptions, ArenaSegment } from "./options.ts";
export { SizeOf } from "./options.ts";
export type { ArenaSource } from "./source.ts";
