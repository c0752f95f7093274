/**
 * Vector files: which there are, and the scenarios in them.
 *
 * A file holds one scenario a line, as JSON, gzipped or not. What a scenario must have is the
 * subject's to say (vectors.ts, genfs/vectors.ts); what cannot be used is named with file and line.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

/** A file, a folder or a line that cannot be used; `message` names it. */
export class VectorError extends Error {}

const ENDING = /\.jsonl(\.gz)?$/;

/** The vector files among `paths`: files as they are, of folders those that end in .jsonl or .jsonl.gz. @throws {VectorError} */
export function findVectorFiles(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (!attempt(path, () => statSync(path)).isDirectory()) return [path];
    const names = attempt(path, () => readdirSync(path)).filter((name) => ENDING.test(name));
    if (names.length === 0) throw new VectorError(`${path}: no .jsonl or .jsonl.gz file in it`);
    return names.toSorted().map((name) => join(path, name));
  });
}

/** The scenarios of one file. `fault` says what is wrong with one, or null. @throws {VectorError} */
export function readScenarios<T>(path: string, fault: (value: unknown) => string | null): T[] {
  const bytes = attempt(path, () => readFileSync(path));
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const text = attempt(path, () => (gzipped ? gunzipSync(bytes) : bytes).toString("utf8"));
  const scenarios = text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    const where = `${path}:${index + 1}`;
    const value: unknown = attempt(where, () => JSON.parse(line));
    const wrong = fault(value);
    if (wrong !== null) throw new VectorError(`${where}: ${wrong}`);
    return [value as T];
  });
  if (scenarios.length === 0) throw new VectorError(`${path}: no scenario in it`);
  return scenarios;
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new VectorError(`${path}: ${(error as Error).message}`);
  }
}

// ---- what faults are looked for with

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A list of `length` whole numbers. */
export const isNumbers = (length: number) => (value: unknown) =>
  Array.isArray(value) && value.length === length && value.every(Number.isSafeInteger);

export const isListOf = (value: unknown, good: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(good);
