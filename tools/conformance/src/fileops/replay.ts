/**
 * Replaying a sequence: each operation on a fresh ext2, its answer compared with the recorded one.
 *
 * Sectors are compared after fsync on a file system with blocks of a page: which smaller blocks a store through a
 * mapping gets depends on when a page is written.
 */
import { createHash } from "node:crypto";
import { ErrnoError, PAGE_SIZE } from "@physio/kern";
import type { Failure } from "../difference.ts";
import { differences } from "../difference.ts";
import type { Outcome } from "./calls.ts";
import { Calls } from "./calls.ts";
import type { FileOp, Sequence } from "./vectors.ts";

/** Steps that are reported; what differs once mostly goes on differing. */
const REPORTED = 20;

/** What of a line is an answer. */
const ANSWERS = ["ret", "errno", "crc", "size", "tailzero", "sectors"] as const;

/** The steps that differ; none: the sequence passes. After too many it is given up. @throws {Panic} */
export function replayFileops(sequence: Sequence): Failure[] {
  const { ops, final, blockSize } = sequence;
  const calls = new Calls(blockSize);
  const failures: Failure[] = [];
  for (const [step, op] of ops.entries()) {
    const lines = attempt(calls, step, op);
    if (lines.length > 0) failures.push({ step, op: op.op, lines });
    if (failures.length < REPORTED) continue;
    const lost = `${failures.length} steps differ: the other ${ops.length - step - 1} are left out`;
    return [...failures, { step, op: op.op, lines: [lost] }];
  }
  for (const { file, size, sha256 } of final) {
    const bytes = calls.contents(file);
    const got = { size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
    const lines = differences({ size, sha256 }, got, `file ${file}`);
    if (lines.length > 0) failures.push({ step: ops.length, op: "end", lines });
  }
  calls.finish();
  return failures;
}

function attempt(calls: Calls, step: number, op: FileOp): string[] {
  try {
    const got = calls.perform(step, op);
    const sectors = op.op === "fsync" && calls.blockSize === PAGE_SIZE;
    return differences(comparable(op, sectors), comparable(got, sectors));
  } catch (error) {
    if (error instanceof ErrnoError) return [`failed with ${error.code}: ${error.message}`];
    throw error;
  }
}

/** What is compared of an outcome. */
function comparable(outcome: Outcome | FileOp, sectors: boolean): Outcome {
  const result: Outcome = {};
  for (const name of ANSWERS) {
    if (name === "sectors" && !sectors) continue;
    const value = (outcome as Outcome)[name];
    if (value !== undefined) result[name] = value;
  }
  return result;
}
