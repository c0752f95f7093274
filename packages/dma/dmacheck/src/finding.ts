/**
 * Findings: one wrong call each, with everything that is needed to see why it is wrong.
 *
 * A finding is plain data; `formatFinding` is how people read it.
 */
import type { BusAddr, Bytes, Nanoseconds, PhysAddr } from "@physio/kern";
import { hex } from "@physio/kern";
import type { Rule } from "./rules.ts";

/** Something that a driver or a device did. */
export interface Deed {
  /** "sync of map 3 with POSTREAD". */
  readonly what: string;
  /** Virtual time. */
  readonly time: Nanoseconds;
}

/** Who made a map: its number, the virtual time and the thread. */
export interface Creator extends Deed {
  readonly thread: string;
}

export interface Risk {
  /** bus: as the device says it; phys: as the CPU does. */
  readonly space: "bus" | "phys";
  readonly address: BusAddr | PhysAddr;
  readonly length: Bytes;
}

export interface Finding {
  readonly rule: Rule;
  /** The first wrong call. */
  readonly call: Deed;
  /** The earlier call that it contradicts; null: there was none. */
  readonly against: Deed | null;
  /** What may be lost or stale; null: nothing but the order of calls is wrong. */
  readonly risk: Risk | null;
  /** The driver: the name given to its tag or of its tag's lock; for an access that is nobody's, the port. */
  readonly owner: string | null;
  /** The map's; null for an access that belongs to none. */
  readonly creator: Creator | null;
}

const deed = ({ what, time }: Deed): string => `${what}, at ${time} ns`;

/** Some lines of text, the first with the rule and the owner. */
export function formatFinding(finding: Finding): string {
  const { rule, call, against, risk, owner, creator } = finding;
  const lines = [
    `dmacheck: ${owner ?? "a driver"} breaks rule ${rule.number} (${rule.id})`,
    `  call:     ${deed(call)}`,
  ];
  if (against !== null) lines.push(`  against:  ${deed(against)}`);
  if (risk !== null) {
    lines.push(`  at risk:  ${risk.length} bytes at ${risk.space} ${hex(risk.address)}`);
  }
  if (creator !== null) lines.push(`  map:      ${deed(creator)}, by ${creator.thread}`);
  lines.push(`  rule:     ${rule.text}`, `  see:      ${rule.page}`);
  return lines.join("\n");
}
