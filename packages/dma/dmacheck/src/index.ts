export type { Dmacheck, DmacheckOptions, LiveMap } from "./dmacheck.ts";
export { dmacheck } from "./dmacheck.ts";
export type { Creator, Deed, Finding, Risk } from "./finding.ts";
export { formatFinding } from "./finding.ts";
export type { RecorderOptions, Severity } from "./recorder.ts";
export type { Rule, RuleId } from "./rules.ts";
export { RULES } from "./rules.ts";
