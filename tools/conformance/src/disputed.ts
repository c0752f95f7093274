/**
 * Scenarios that are known to fail, each with the proof that the recording is wrong.
 *
 * The list is conformance/disputed.json: `[{ "id", "proof" }]`. They fail like any other; only a
 * check that asks for it (`--tolerate-disputed`) takes exactly these failures for success.
 */
import { readFileSync } from "node:fs";
import { VectorError } from "./files.ts";

export interface Disputed {
  readonly id: string;
  readonly proof: string;
}

/** @throws {VectorError} not such a list, or an entry without its proof. */
export function readDisputed(path: string): Disputed[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new VectorError(`${path}: ${(error as Error).message}`);
  }
  if (!Array.isArray(value)) throw new VectorError(`${path}: not a list`);
  return value.map((entry: Partial<Disputed> | null, index) => {
    const { id, proof } = entry ?? {};
    if (typeof id !== "string" || typeof proof !== "string" || id === "" || proof === "")
      throw new VectorError(`${path}: entry ${index} needs an id and a proof`);
    return { id, proof };
  });
}

/**
 * What keeps a run's failures from being exactly the disputed ones.
 * => `replayed` and `failed` are ids; only disputed scenarios that were replayed count.
 */
export function beyondDispute(
  disputed: readonly Disputed[],
  replayed: ReadonlySet<string>,
  failed: ReadonlySet<string>,
): string[] {
  const listed = new Set(disputed.map(({ id }) => id));
  const extra = [...failed].filter((id) => !listed.has(id)).map((id) => `${id} is not disputed`);
  const mended = [...listed]
    .filter((id) => replayed.has(id) && !failed.has(id))
    .map((id) => `${id} is disputed and passes`);
  return [...extra, ...mended];
}
