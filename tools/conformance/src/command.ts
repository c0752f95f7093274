/**
 * The command: which files, what it prints, what it returns.
 *
 * Every failing step is printed with its differences, then `N passed, N failed` scenarios. All files
 * are read before the first scenario runs, so that an unreadable one is all that is said.
 */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Failure } from "./difference.ts";
import { beyondDispute, readDisputed } from "./disputed.ts";
import { replayFileops } from "./fileops/replay.ts";
import { readSequences } from "./fileops/vectors.ts";
import { findVectorFiles, VectorError } from "./files.ts";
import { replayGenfs } from "./genfs/replay.ts";
import { readGenfsVectors } from "./genfs/vectors.ts";
import { replay } from "./replay.ts";
import { readVectors } from "./vectors.ts";

const HOUSE = new URL("../../../conformance/", import.meta.url);
/** The vectors of this checkout. */
export const OUR_VECTORS = fileURLToPath(new URL("busdma", HOUSE));
export const OUR_GENFS_VECTORS = fileURLToPath(new URL("genfs", HOUSE));
export const OUR_FILEOPS = fileURLToPath(new URL("fileops", HOUSE));
/** The scenarios of this checkout that are known to be wrong. */
export const OUR_DISPUTED = fileURLToPath(new URL("disputed.json", HOUSE));
const USAGE = "usage: conformance busdma|genfs|fileops [FILE|DIR]... [--tolerate-disputed]";

/** A scenario that has been read, and how it is performed. */
interface Recorded {
  readonly id: string;
  /** @returns its failing steps; none: it passes. */
  replay(): Failure[];
}

/** What can be replayed: where our vectors are, and how a file is read. */
interface Subject {
  readonly ours: string;
  /** @throws {VectorError} */
  read(path: string): Recorded[];
}

const SUBJECTS: ReadonlyMap<string, Subject> = new Map([
  ["busdma", subject(OUR_VECTORS, readVectors, replay)],
  ["genfs", subject(OUR_GENFS_VECTORS, readGenfsVectors, replayGenfs)],
  ["fileops", subject(OUR_FILEOPS, readSequences, replayFileops)],
]);

function subject<T extends { readonly id: string }>(
  ours: string,
  read: (path: string) => T[],
  perform: (scenario: T) => Failure[],
): Subject {
  return {
    ours,
    read: (path) =>
      read(path).map((scenario) => ({ id: scenario.id, replay: () => perform(scenario) })),
  };
}

/** The command line makes no sense. */
class UsageError extends Error {}

/** Where lines go. */
export interface Printer {
  log(line: string): void;
  error(line: string): void;
}

interface Arguments {
  readonly subject: Subject;
  readonly paths: readonly string[];
  /** Exactly the disputed scenarios may fail. */
  readonly tolerate: boolean;
}

function argumentsOf(argv: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { "tolerate-disputed": { type: "boolean" } },
  });
  const [name, ...paths] = positionals;
  if (name === undefined) throw new UsageError("replay what?");
  const subject = SUBJECTS.get(name);
  if (subject === undefined) throw new UsageError(`there are no vectors of "${name}"`);
  const ours = relative(process.cwd(), subject.ours) || ".";
  return {
    subject,
    paths: paths.length > 0 ? paths : [ours],
    tolerate: values["tolerate-disputed"] === true,
  };
}

/** What a run found. */
interface Tally {
  passed: number;
  failed: number;
  readonly replayed: Set<string>;
  readonly failures: Set<string>;
}

function replayAll(subject: Subject, paths: readonly string[], out: Printer): Tally {
  const tally: Tally = { passed: 0, failed: 0, replayed: new Set(), failures: new Set() };
  const files = findVectorFiles(paths).map((path) => ({ path, scenarios: subject.read(path) }));
  for (const { path, scenarios } of files) {
    for (const scenario of scenarios) {
      const failures = scenario.replay();
      tally.replayed.add(scenario.id);
      if (failures.length === 0) {
        tally.passed++;
        continue;
      }
      tally.failed++;
      tally.failures.add(scenario.id);
      for (const { step, op, lines } of failures) {
        out.log(`${path}: ${scenario.id}, step ${step}, ${op}:`);
        for (const line of lines) out.log(`    ${line}`);
      }
    }
  }
  return tally;
}

function run(args: Arguments, disputedPath: string, out: Printer): number {
  const { subject, paths, tolerate } = args;
  const disputed = tolerate ? readDisputed(disputedPath) : [];
  const { passed, failed, replayed, failures } = replayAll(subject, paths, out);
  const beyond = tolerate ? beyondDispute(disputed, replayed, failures) : [];
  for (const line of beyond) out.log(`not tolerated: ${line}`);
  const tolerated = tolerate && failed > 0 && beyond.length === 0;
  if (tolerated) out.log(`tolerated: exactly the disputed scenarios failed, see ${disputedPath}`);
  out.log(`${passed} passed, ${failed} failed`);
  return (failed === 0 || tolerated) && beyond.length === 0 ? 0 : 1;
}

/** Do what the command line says. @returns 0 all pass; 1 something failed; 2 the command line, or a file that cannot be read. */
export function conformance(
  argv: readonly string[],
  out: Printer,
  disputedPath: string = OUR_DISPUTED,
): number {
  try {
    return run(argumentsOf(argv), disputedPath, out);
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    const usage = error instanceof UsageError || code?.startsWith("ERR_PARSE_ARGS") === true;
    if (!usage && !(error instanceof VectorError)) throw error;
    out.error(`conformance: ${message}${usage ? `; ${USAGE}` : ""}`);
    return 2;
  }
}
