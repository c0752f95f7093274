/**
 * Comparing what several hosts made of the same plan, and counting.
 */
import type { Plan, RunResult } from "./run-one.ts";

/** What one host made of a plan: one result a seed. */
export interface HostResults {
  readonly host: string;
  readonly results: readonly RunResult[];
}

/** Passed and failed checks. */
export class Tally {
  passed: number;
  failed: number;

  constructor() {
    this.passed = 0;
    this.failed = 0;
  }

  check(ok: boolean): boolean {
    if (ok) this.passed++;
    else this.failed++;
    return ok;
  }

  line(): string {
    return `${this.passed} passed, ${this.failed} failed`;
  }
}

/** Why a seed's results are not what they should be, one line each; none: all is well. */
export function complaints(hosts: readonly HostResults[], index: number): string[] {
  const found: string[] = [];
  const first = hosts[0].results[index];
  for (const { host, results } of hosts) {
    const result = results[index];
    if (result === undefined || first === undefined) {
      found.push(`${host}: no result`);
      continue;
    }
    for (const { path, reason } of result.failures) found.push(`${host}: ${path}: ${reason}`);
    if (!result.ok && result.failures.length === 0) found.push(`${host}: not verified`);
    for (const key of ["traceHash", "files", "virtualTime", "deferrals"] as const) {
      if (result[key] === first[key]) continue;
      found.push(`${host}: ${key} ${result[key]}, but ${hosts[0].host} has ${first[key]}`);
    }
  }
  return found;
}

/** A plan in a few words. */
export function planName(plan: Plan): string {
  if (plan.images.length === 0) return plan.profile;
  const bounce = plan.bouncePages > 0 ? `, ${plan.bouncePages} bounce pages` : "";
  return `${plan.images.join("+")} on ${plan.profile}${bounce}`;
}
