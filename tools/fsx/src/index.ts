export { Process, truncate } from "./process.ts";
export type { TestbedOptions } from "./testbed.ts";
export { Testbed } from "./testbed.ts";
