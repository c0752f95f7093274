/** Address filters by the rules that the vectors name. */
import type { BusAddr } from "@physio/kern";
import { pageOf } from "@physio/kern";
import type { FilterRule } from "./vectors.ts";

/** Whether the rule rejects `address`: a filter function returns non-zero then. */
export function rejects(rule: FilterRule, address: BusAddr): boolean {
  switch (rule.rule) {
    case "frame-mod":
      return pageOf(address) % rule.modulus === rule.remainder;
    case "range":
      return address >= rule.from && address <= rule.to;
    case "accept-all":
      return false;
    case "reject-all":
      return true;
    default:
      throw new Error(`no filter rule ${JSON.stringify(rule)}`);
  }
}
