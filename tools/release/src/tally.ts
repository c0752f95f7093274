/**
 * Counts what passed and failed, and says so in the last line.
 */
import { stripVTControlCharacters } from "node:util";

/** One judgement: `problem` is null when it passed. */
export interface Verdict {
  readonly check: string;
  readonly problem: string | null;
}

const MOST_LINES = 12;

export class Tally {
  readonly print: (line: string) => void;
  passed = 0;
  failed = 0;

  constructor(print: (line: string) => void) {
    this.print = print;
  }

  pass(): void {
    this.passed++;
  }

  /** Counts a failure and prints it; a long text is cut, its beginning tells most. */
  fail(problem: string): void {
    this.failed++;
    const lines = stripVTControlCharacters(problem).trimEnd().split("\n");
    this.print(`FAILED ${lines[0]}`);
    for (const line of lines.slice(1, MOST_LINES)) this.print(`    ${line}`);
    if (lines.length > MOST_LINES) this.print(`    … ${lines.length - MOST_LINES} more lines`);
  }

  /** Counts the verdicts on one subject: one line for what passed, one for each failure. */
  record(subject: string, verdicts: readonly Verdict[]): void {
    const good = verdicts.filter((v) => v.problem === null).map((v) => v.check);
    this.passed += good.length;
    this.print(`${subject}: ${good.length === 0 ? "nothing passed" : good.join(", ")}`);
    for (const { check, problem } of verdicts) {
      if (problem !== null) this.fail(`${subject}: ${check}: ${problem}`);
    }
  }

  /** Prints the last line. @returns the exit code */
  close(): number {
    this.print(`${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 ? 0 : 1;
  }
}

/** Runs one check; what it throws is its problem. */
export async function judge(
  check: string,
  body: () => Promise<string | null> | string | null,
): Promise<Verdict> {
  try {
    return { check, problem: await body() };
  } catch (error) {
    return { check, problem: error instanceof Error ? error.message : String(error) };
  }
}
