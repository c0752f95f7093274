/**
 * The command line: arguments in, lines and an exit code out.
 *
 * Every job ends with `N passed, N failed`; 0 when nothing failed, 1 otherwise, 2 on bad usage.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { check } from "./check.ts";
import { dryRun } from "./dry-run.ts";
import { sizes } from "./sizes.ts";
import { Tally } from "./tally.ts";
import { repositoryRoot } from "./workspace.ts";

const USAGE = [
  "usage: release check [--only NAME] [--exact-floor] [--keep]",
  "       release sizes [--only NAME]",
  "       release release --dry-run",
  "every job takes --root DIR",
];

interface Options {
  readonly root: string;
  readonly only: string | undefined;
  readonly exactFloor: boolean;
  readonly keep: boolean;
  readonly dryRun: boolean;
}

const REFUSAL = "release: publishing is done by people; --dry-run prints what would be published";

export async function command(
  args: readonly string[],
  print: (line: string) => void,
): Promise<number> {
  const parsed = parse(args);
  if (typeof parsed === "string") {
    for (const line of [`release: ${parsed}`, ...USAGE]) print(line);
    return 2;
  }
  const { job, options } = parsed;
  if (job === "release" && !options.dryRun) {
    print(REFUSAL);
    return 2;
  }
  const tally = new Tally(print);
  try {
    await JOBS[job](options, tally);
  } catch (error) {
    tally.fail(`${job}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return tally.close();
}

const JOBS = { check, sizes, release: dryRun };

type Job = keyof typeof JOBS;

function isJob(word: string): word is Job {
  return Object.hasOwn(JOBS, word);
}

/** The job and its options, or what is wrong with them. */
function parse(args: readonly string[]): { job: Job; options: Options } | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        root: { type: "string" },
        only: { type: "string" },
        "exact-floor": { type: "boolean", default: false },
        keep: { type: "boolean", default: false },
        "dry-run": { type: "boolean", default: false },
      },
    });
    const [job, ...more] = positionals;
    if (job === undefined || !isJob(job)) return `no job ${job ?? "given"}`;
    if (more.length > 0) return `unexpected ${more.join(" ")}`;
    const options = {
      root: resolve(values.root ?? repositoryRoot()),
      only: values.only,
      exactFloor: values["exact-floor"],
      keep: values.keep,
      dryRun: values["dry-run"],
    };
    return { job, options };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
