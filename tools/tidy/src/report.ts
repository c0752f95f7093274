/**
 * What a rule returns: one violation per line of output.
 *
 * `path` is relative to the root with forward slashes, `line` counts from 1, `rule` is the short
 * name in brackets that a reader can look up in this folder.
 */

export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

/** Sorted by path, then line, then rule, so that two runs print the same text. */
export function sorted(violations: readonly Violation[]): Violation[] {
  return [...violations].sort(
    (a, b) =>
      compare(a.path, b.path) ||
      a.line - b.line ||
      compare(a.rule, b.rule) ||
      compare(a.message, b.message),
  );
}

/** `path:line: [rule] message`. */
export function format(violation: Violation): string {
  const { path, line, rule, message } = violation;
  return `${path}:${line}: [${rule}] ${message}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
