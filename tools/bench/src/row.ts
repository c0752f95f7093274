/**
 * Rows: what is measured, what became of it, and what that means for the gate.
 *
 * A row passes only with a value at or below its gate. A row that was not measured never passes: it
 * is skipped when a tool that it needs is absent, and failed otherwise. A row without a gate is
 * published and counts as neither.
 */

export interface Row {
  readonly id: string;
  readonly title: string;
  /** Unit of the value; `x` is a ratio to the native peer. */
  readonly unit: string;
  /** The most that passes; null: there is no gate. */
  readonly gate: number | null;
  readonly goal: number | null;
}

/** What measuring a row gave. */
export type Outcome =
  | { readonly kind: "value"; readonly value: number; readonly note: string }
  /** Not measured; `tool`: what it lacks, null when nothing explains it. */
  | { readonly kind: "skipped"; readonly reason: string; readonly tool: string | null }
  | { readonly kind: "error"; readonly reason: string };

export type Verdict = "passed" | "failed" | "skipped" | "published";

export interface Result extends Row {
  readonly verdict: Verdict;
  readonly value: number | null;
  /** Beside a value: how it came about. Else: why there is none. */
  readonly note: string;
}

export const value = (value: number, note = ""): Outcome => ({ kind: "value", value, note });

export function judge(row: Row, outcome: Outcome | undefined): Result {
  if (outcome === undefined) return failed(row, "not measured");
  switch (outcome.kind) {
    case "error":
      return failed(row, outcome.reason);
    case "skipped":
      if (outcome.tool === null) return failed(row, `skipped: ${outcome.reason}`);
      return { ...row, verdict: "skipped", value: null, note: outcome.reason };
    case "value":
      if (!Number.isFinite(outcome.value)) return failed(row, `measured ${outcome.value}`);
      return { ...row, verdict: verdictOf(row, outcome.value), ...outcome };
  }
}

function failed(row: Row, note: string): Result {
  return { ...row, verdict: "failed", value: null, note };
}

function verdictOf({ gate }: Row, measured: number): Verdict {
  if (gate === null) return "published";
  return measured <= gate ? "passed" : "failed";
}

export function count(results: readonly Result[], verdict: Verdict): number {
  return results.filter((r) => r.verdict === verdict).length;
}

/** Exit code of a run: without `--gate` figures are figures. No row at all is a wrong `--only`. */
export function exitCode(results: readonly Result[], gate: boolean): number {
  if (results.length === 0) return 2;
  return gate && count(results, "failed") > 0 ? 1 : 0;
}
