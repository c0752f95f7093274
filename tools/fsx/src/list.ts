/**
 * Lists of operations with all that a run follows from, and the files that they are kept in.
 *
 * The first line of a file is the head, then each line is an operation, as JSON. The file is what `--replay`
 * takes.
 */
import { isWhole } from "@physio/kern";
import type { FsxOp } from "./ops.ts";
import { FLAG_SETS, KINDS } from "./ops.ts";

export interface OpList {
  readonly profile: string;
  readonly blockSize: number;
  /** Names the interleaving. */
  readonly seed: number;
  /** Operations at the same time, at most. */
  readonly threads: number;
  /** Name of the flag set: sizes that the model goes by. */
  readonly set: string;
  readonly ops: readonly FsxOp[];
}

export function encodeList({ ops, ...head }: OpList): string {
  return [head, ...ops].map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** @throws {Error} what is no list; the line is named. */
export function decodeList(text: string): OpList {
  const [head, ...lines] = text.split("\n").filter((line) => line.trim() !== "");
  const { profile, blockSize, seed, threads, set } = JSON.parse(head ?? "null") as OpList;
  const whole = [blockSize, seed, threads].every((n) => isWhole(n));
  if (typeof profile !== "string" || !whole || !Object.hasOwn(FLAG_SETS, set)) {
    throw new Error("line 1 is no head of a list");
  }
  const ops = lines.map((line, i) => {
    const op = JSON.parse(line) as FsxOp;
    const good = [op.id, op.off, op.len].every((n) => isWhole(n)) && KINDS.includes(op.op);
    if (!good) throw new Error(`line ${i + 2} is no operation`);
    return op;
  });
  return { profile, blockSize, seed, threads, set, ops };
}
