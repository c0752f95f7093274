/**
 * Where findings go: counted, kept, told and, if so wanted, fatal.
 *
 * Only the first finding is kept unless `all` is set, since what follows a wrong call is often its
 * consequence. `only` and a severity of "ignore" drop findings before they count.
 */
import type { Bytes, Nanoseconds } from "@physio/kern";
import { panic } from "@physio/kern";
import type { Trace } from "@physio/trace";
import { Ktr, traceEvent } from "@physio/trace";
import type { CheckedMap } from "./checked-map.ts";
import type { Deed, Finding, Risk } from "./finding.ts";
import { formatFinding } from "./finding.ts";
import type { RuleId } from "./rules.ts";
import { RULES } from "./rules.ts";

/** ignore: no finding; note: kept and told; panic: that too, and a Panic with the finding's text. */
export type Severity = "ignore" | "note" | "panic";

export interface RecorderOptions {
  readonly trace?: Trace;
  /** For all rules, or for some; default note. */
  readonly severity?: Severity | Partial<Readonly<Record<RuleId, Severity>>>;
  /** Told of each finding that is kept. */
  readonly onReport?: (finding: Finding) => void;
  /** Keep every finding (up to 1000), not the first alone. */
  readonly all?: boolean;
  /** Drivers whose findings count; default all. */
  readonly only?: readonly string[];
}

const KEPT = 1000;
const FOUND = traceEvent(Ktr.BUSDMA, "dmacheck", "rule", "map", "address", "length");

export class Recorder {
  readonly findings: Finding[];
  /** Findings that were not ignored, kept or not. */
  count: number;
  readonly #options: RecorderOptions;
  readonly #now: () => Nanoseconds;

  constructor(options: RecorderOptions, now: () => Nanoseconds) {
    this.findings = [];
    this.count = 0;
    this.#options = options;
    this.#now = now;
  }

  /** A call of `map` (or of nobody's, by `port`) breaks a rule, now. */
  record(
    id: RuleId,
    what: string,
    against: Deed | null,
    risk: Risk | null,
    map: CheckedMap | null,
    port: string | null = null,
  ): void {
    const owner = map === null ? port : map.owner;
    this.recordFor(owner, id, what, against, risk, map);
  }

  recordFor(
    owner: string | null,
    id: RuleId,
    what: string,
    against: Deed | null,
    risk: Risk | null,
    map: CheckedMap | null,
  ): void {
    const { only, trace, onReport, all } = this.#options;
    const severity = this.#severityOf(id);
    if (severity === "ignore") return;
    if (only !== undefined && (owner === null || !only.includes(owner))) return;
    this.count++;
    trace?.record(
      FOUND,
      RULES[id].number,
      map === null ? -1 : map.id,
      risk === null ? -1 : risk.address,
      risk === null ? 0 : risk.length,
    );
    if (this.findings.length < (all === true ? KEPT : 1)) {
      const call: Deed = { what, time: this.#now() };
      const creator = map === null ? null : map.creator;
      const finding: Finding = { rule: RULES[id], call, against, risk, owner, creator };
      this.findings.push(finding);
      onReport?.(finding);
      if (severity === "panic") panic(formatFinding(finding));
    }
  }

  #severityOf(id: RuleId): Severity {
    const { severity = "note" } = this.#options;
    return typeof severity === "string" ? severity : (severity[id] ?? "note");
  }
}

/** The whole mapping, as the device says it; null: there is none. */
export function wholeOf(map: CheckedMap): Risk | null {
  if (map.liveAt < 0 || map.segCount === 0) return null;
  return { space: "bus", address: map.busOf(0), length: map.states.total };
}

/** `length` bytes of the mapping from byte `n` on, up to the end of their segment. */
export function partOf(map: CheckedMap, n: Bytes, length: Bytes): Risk {
  return { space: "bus", address: map.busOf(n), length };
}

/** The load that the mapping is from. */
export const loadOf = (map: CheckedMap): Deed => ({
  what: `load of map ${map.id}, ${map.states.total} bytes`,
  time: map.loadedAt,
});
