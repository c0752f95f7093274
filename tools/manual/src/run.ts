/**
 * Running examples, all of them in one child process; a new one goes on where one died.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Task, TaskList } from "./child.ts";
import type { Example } from "./examples.ts";
import { compareOutput, padded } from "./examples.ts";
import type { Finding } from "./finding.ts";
import { HOUSE, IMPORTER } from "./house.ts";

const RECORD = "\u001e";
const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));
/** Milliseconds that the examples of one child may take together. */
const LIMIT = 30_000;

/** What became of one example. */
export interface Outcome {
  readonly output: string;
  /** The stack of what it threw, or why it did not end; null: it ended. */
  readonly error: string | null;
}

/** Run `tasks` until they are through or the child dies. @returns outcomes of those that began. */
function runChild(list: TaskList, limit: number): Map<number, Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "manual-"));
  try {
    const [tasks, out, err] = ["tasks", "out", "err"].map((name) => join(folder, name));
    writeFileSync(tasks, JSON.stringify(list));
    const fds = [openSync(out, "w"), openSync(err, "w")];
    const args = ["--conditions=@physio/source", "--disable-warning=ExperimentalWarning"];
    const done = spawnSync(process.execPath, [...args, CHILD, tasks], {
      cwd: HOUSE,
      stdio: ["ignore", fds[0], fds[1]],
      timeout: limit,
      env: { ...process.env, NO_COLOR: "1", NODE_OPTIONS: "" },
    });
    for (const fd of fds) closeSync(fd);
    const why = done.error === undefined ? `exit code ${done.status}` : done.error.message;
    const last = readFileSync(err, "utf8").trim();
    return parseRecords(readFileSync(out, "utf8"), last === "" ? why : `${why}\n${last}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function parseRecords(text: string, why: string): Map<number, Outcome> {
  const outcomes = new Map<number, Outcome>();
  let running = -1;
  for (const part of text.split(RECORD).slice(1)) {
    const end = part.indexOf("\n");
    const record: { begin?: number; end?: number; error?: string | null } = JSON.parse(
      part.slice(0, end),
    );
    if (record.begin !== undefined) {
      running = record.begin;
      outcomes.set(running, { output: part.slice(end + 1), error: `did not end: ${why}` });
    } else {
      outcomes.set(running, { output: outcomes.get(running)!.output, error: record.error ?? null });
    }
  }
  if (outcomes.size === 0) throw new Error(`the examples did not start: ${why}`);
  return outcomes;
}

/** Run all examples of the tree at `root`, with the packages and the working directory of the checkout. */
export function runExamples(root: string, examples: readonly Example[], limit = LIMIT): Outcome[] {
  const outcomes = new Map<number, Outcome>();
  const tasks: Task[] = examples.map((example, id) => ({
    id,
    file: join(root, example.page),
    source: padded(example),
  }));
  while (outcomes.size < tasks.length) {
    const left = tasks.filter((task) => !outcomes.has(task.id));
    for (const [id, outcome] of runChild({ importer: IMPORTER, tasks: left }, limit))
      outcomes.set(id, outcome);
  }
  return tasks.map((task) => outcomes.get(task.id)!);
}

/** The line of the page that a stack names first; the example's own first line where it names none. */
function lineOf(root: string, example: Example, stack: string): number {
  const page = join(root, example.page).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const named = new RegExp(`${page}(?:\\?example=\\d+)?:(\\d+)`).exec(stack);
  return named === null ? example.line : Number(named[1]);
}

/** What is wrong with an example that was run, or null. */
export function judgeExample(root: string, example: Example, outcome: Outcome): Finding | null {
  const { output, error } = outcome;
  if (error === null) return compareOutput(example, output);
  const message = error.split("\n").find((line) => /^(\w*Error|Panic|did not end)/.test(line));
  return {
    page: example.page,
    line: lineOf(root, example, error),
    what: `example "${example.name}" throws ${message ?? error.split("\n")[0]}`,
  };
}
