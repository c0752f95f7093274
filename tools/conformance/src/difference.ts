/**
 * How two outcomes differ, place by place.
 *
 * Outcomes are what JSON can hold. The list is empty exactly when they are equal: a field that is
 * absent differs from one that is null, and the order of fields does not count.
 */

/** A step whose outcome is not the recorded one. */
export interface Failure {
  /** Counts from 0, as the vectors' readers do. */
  readonly step: number;
  readonly op: string;
  readonly lines: readonly string[];
}

/** Numbers from here on are addresses or lengths that a reader wants in hexadecimal too. */
const HEX_FROM = 4096;

/** A value in one line; `undefined` is what is not there. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "number") {
    return value >= HEX_FROM ? `${value} (0x${value.toString(16)})` : String(value);
  }
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).map(([key, item]) => `${key} ${show(item)}`);
    return `{${fields.join(", ")}}`;
  }
  return JSON.stringify(value) ?? "nothing";
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** One line for each place where `got` is not what was `expected`. */
export function differences(expected: unknown, got: unknown, place = ""): string[] {
  if (Array.isArray(expected) && Array.isArray(got)) {
    const length = Math.max(expected.length, got.length);
    return Array.from({ length }, (_, i) => i).flatMap((i) =>
      differences(expected[i], got[i], `${place}[${i}]`),
    );
  }
  if (isPlain(expected) && isPlain(got)) {
    const keys = new Set([...Object.keys(expected), ...Object.keys(got)]);
    return [...keys].flatMap((key) =>
      differences(expected[key], got[key], place === "" ? key : `${place}.${key}`),
    );
  }
  if (expected === got) return [];
  const where = place === "" ? "" : `${place}: `;
  return [`${where}expected ${show(expected)}, got ${show(got)}`];
}
