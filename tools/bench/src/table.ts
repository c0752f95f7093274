/**
 * Results for people: a table, then what was skipped and why, then the count.
 */
import type { Result, Verdict } from "./row.ts";
import { count } from "./row.ts";

const COLOURS: Readonly<Record<Verdict, number>> = Object.freeze({
  passed: 32,
  failed: 31,
  skipped: 33,
  published: 36,
});

/** `1.23 x`, `93 MiB`. */
function show(n: number | null, unit: string): string {
  if (n === null) return "";
  return `${n.toFixed(Math.abs(n) < 10 ? 2 : 0)} ${unit}`;
}

const bound = (n: number | null): string => (n === null ? "" : `<= ${n}`);

/** Cells of a row: id, what, value, gate, goal, verdict, note. */
export function cells(r: Result): string[] {
  return [r.id, r.title, show(r.value, r.unit), bound(r.gate), bound(r.goal), r.verdict, r.note];
}

export const HEAD: readonly string[] = Object.freeze([
  "id",
  "what",
  "measured",
  "gate",
  "goal",
  "verdict",
  "how",
]);

export function countLine(results: readonly Result[]): string {
  return `${count(results, "passed")} passed, ${count(results, "failed")} failed`;
}

/** @param colours whether the reader is a terminal that shows them */
export function table(results: readonly Result[], colours: boolean): string {
  const rows = [[...HEAD], ...results.map(cells)];
  const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const lines = rows.map((row, n) => {
    const padded = row.map((cell, i) => cell.padEnd(widths[i]));
    const verdict = n === 0 ? null : results[n - 1].verdict;
    if (colours && verdict !== null) padded[5] = `\x1b[${COLOURS[verdict]}m${padded[5]}\x1b[0m`;
    return padded.join("  ").trimEnd();
  });
  const skipped = results.filter((r) => r.verdict === "skipped");
  const why = skipped.map((r) => `skipped, not passed: ${r.id}: ${r.note}`);
  return [...lines, "", ...why, countLine(results), ""].join("\n");
}
