export { Ktr, TraceEvent, traceEvent } from "./event.ts";
export type { SysctlEntry, SysctlValue } from "./sysctl.ts";
export { Counter, SysctlTree } from "./sysctl.ts";
export type { TraceEntry } from "./trace.ts";
export { Trace } from "./trace.ts";
