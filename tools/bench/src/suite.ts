/**
 * Suites: rows that one run measures together, and the curves that come with them.
 */
import type { Chart } from "./chart.ts";
import type { Outcome, Result, Row } from "./row.ts";
import { judge } from "./row.ts";

export interface Measured {
  /** By row id. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly charts: readonly Chart[];
}

export interface Suite {
  readonly rows: readonly Row[];
  readonly measure: () => Measured;
}

/** The same outcome for all rows of a suite. */
export function forAll(rows: readonly Row[], outcome: Outcome): Measured {
  return { outcomes: new Map(rows.map((row) => [row.id, outcome])), charts: [] };
}

export interface Report {
  readonly results: readonly Result[];
  readonly charts: readonly Chart[];
}

/** Measure the suites that have a row whose id begins with `prefix`, and judge those rows. */
export function runSuites(
  suites: readonly Suite[],
  prefix: string,
  say: (text: string) => void,
): Report {
  const results: Result[] = [];
  const charts: Chart[] = [];
  for (const suite of suites) {
    const wanted = suite.rows.filter((row) => row.id.startsWith(prefix));
    if (wanted.length === 0) continue;
    say(`measuring ${wanted.map((row) => row.id).join(", ")}`);
    const { outcomes, charts: drawn } = measured(suite);
    results.push(...wanted.map((row) => judge(row, outcomes.get(row.id))));
    charts.push(...drawn);
  }
  return { results, charts };
}

/** A suite that throws has failed, not the run. */
function measured(suite: Suite): Measured {
  try {
    return suite.measure();
  } catch (error) {
    return forAll(suite.rows, { kind: "error", reason: String(error) });
  }
}
