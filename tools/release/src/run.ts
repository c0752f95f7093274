/**
 * Other programs: run with their output captured, a few at a time.
 */
import { execFile } from "node:child_process";
import { delimiter } from "node:path";

export interface Done {
  readonly code: number;
  readonly stdout: string;
  /** Both streams, for a message. */
  readonly output: string;
}

interface Where {
  readonly cwd: string;
  /** Folders to put first on PATH. */
  readonly path?: readonly string[];
}

/** Nothing here takes half a minute; what takes two has hung. */
const PATIENCE = 120_000;

/** What an outer `npm run` leaves behind and a stranger's shell does not have. */
const LEFTOVERS =
  /^(NODE_OPTIONS|NODE_PATH|INIT_CWD|npm_(package|lifecycle)_.*|npm_(command|execpath|node_execpath)|npm_config_(local|global)_prefix)$/i;

export function run(program: string, args: readonly string[], where: Where): Promise<Done> {
  const options = {
    cwd: where.cwd,
    env: cleanEnv(where.path ?? []),
    maxBuffer: 2 ** 26,
    timeout: PATIENCE,
  };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ code: 0, stdout, output: stdout + stderr });
      const told = typeof error.code === "number"; // else it could not be started, or was killed
      const output = (told ? "" : `${error.message}\n`) + stdout + stderr;
      resolve({ code: told ? Number(error.code) : 1, stdout, output });
    });
  });
}

/** Like `run`, but a program that fails is an error with its output. */
export async function must(
  program: string,
  args: readonly string[],
  where: Where,
): Promise<string> {
  const done = await run(program, args, where);
  if (done.code === 0) return done.stdout;
  throw new Error(`${program} ${args[0]} exits ${done.code}\n${done.output.trim()}`);
}

/** Calls `body` for each item, at most `width` at a time; results in the order of the items. */
export async function each<T, R>(
  items: readonly T[],
  width: number,
  body: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await body(items[at]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}

function cleanEnv(first: readonly string[]): NodeJS.ProcessEnv {
  const env = Object.entries(process.env).filter(([name]) => !LEFTOVERS.test(name));
  const path = [...first, process.env.PATH ?? ""].join(delimiter);
  return { ...Object.fromEntries(env), PATH: path, NO_COLOR: "1" };
}
