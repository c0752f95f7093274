export type { Constraints } from "./arena.ts";
export { Arena } from "./arena.ts";
