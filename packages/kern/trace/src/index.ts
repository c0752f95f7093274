export type { ChromeEvent, ChromeTrace } from "./chrome.ts";
export { chromeTrace } from "./chrome.ts";
export type { TracePhase } from "./event.ts";
export { Ktr, TraceEvent, traceEvent, traceSpan } from "./event.ts";
export type { SysctlEntry, SysctlValue } from "./sysctl.ts";
export { Counter, SysctlTree } from "./sysctl.ts";
export type { TraceEntry } from "./trace.ts";
export { Trace } from "./trace.ts";
