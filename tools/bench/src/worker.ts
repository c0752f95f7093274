/**
 * Workers: processes of plain Node that measure, and give their figures as one line of JSON.
 *
 * Each is started with a clean environment, so that nothing makes it import sources: a worker
 * refuses to measure anything but built code, and runs without types: see strip.ts.
 */
import { spawnSync } from "node:child_process";
import { scratch } from "./scratch.ts";
import { stripTo } from "./strip.ts";

const SECONDS = 120;

export interface WorkerOptions {
  readonly nodeFlags?: readonly string[];
  /** Where it runs: a folder with node_modules of its own. Default: with this tool's. */
  readonly folder?: string;
}

/** Run a worker. @returns what it reported. @throws when it failed, with its last words. */
export function runWorker<T>(name: string, input: unknown, options: WorkerOptions = {}): T {
  const { nodeFlags = [], folder } = options;
  const run = (where: string) =>
    runNode<T>([...nodeFlags, stripTo(where), "--worker", name, JSON.stringify(input)]);
  return folder === undefined ? scratch(run) : run(folder);
}

/** Run Node. @returns the JSON on the last line of its output. */
function runNode<T>(args: readonly string[]): T {
  const env: NodeJS.ProcessEnv = { ...process.env };
  delete env.NODE_OPTIONS;
  const done = spawnSync(process.execPath, args, {
    encoding: "utf8",
    env,
    timeout: SECONDS * 1000,
    maxBuffer: 1 << 26,
  });
  if (done.status !== 0) {
    throw new Error(done.error?.message ?? (done.stderr.trim() || `signal ${done.signal}`));
  }
  return JSON.parse(done.stdout.trim().split("\n").at(-1) ?? "") as T;
}
