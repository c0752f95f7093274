/**
 * Several commands in one process, and images that they leave.
 *
 * A process takes longer to start than most commands; one script runs them in turn, and what each
 * printed is told apart by marks that no command prints.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect } from "vitest";
import { FROM_SOURCE, node, ROOT } from "./cli.ts";

const MARK = "\u0001--\u0001";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Run commands one after another. @returns what each said. */
export async function physioAll(commands: readonly (readonly string[])[]): Promise<Outcome[]> {
  const script = `
    import { writeSync } from "node:fs";
    import { runCli } from "@physio/cli";
    for (const args of ${JSON.stringify(commands)}) {
      const code = await runCli(args);
      writeSync(1, ${JSON.stringify(MARK)} + code + ${JSON.stringify(MARK)});
      writeSync(2, ${JSON.stringify(MARK)});
    }`;
  const args = [FROM_SOURCE, "--input-type=module", "--eval", script];
  const run = await node(args, join(ROOT, "tools/suites"));
  const out = run.text.split(MARK);
  const err = run.err.split(MARK);
  expect(run.code, run.err).toBe(0);
  return commands.map((_, i) => ({ code: Number(out[2 * i + 1]), out: out[2 * i], err: err[i] }));
}

/** The same; all must go well and be silent on stderr. @returns what each printed. */
export async function physioWell(...commands: readonly (readonly string[])[]): Promise<string[]> {
  const outcomes = await physioAll(commands);
  for (const [i, { code, err }] of outcomes.entries()) {
    expect({ command: commands[i], code, err }).toEqual({ command: commands[i], code: 0, err: "" });
  }
  return outcomes.map((outcome) => outcome.out);
}

// of the host
const E2FSCK = "e2fsck";
const DEBUGFS = "debugfs";
const ENV = { PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: "C" };

/** e2fsck finds nothing to object to. */
export function expectClean(image: string): void {
  const run = spawnSync(E2FSCK, ["-fn", image], { env: ENV, encoding: "utf8" });
  expect(run.status, `${run.stdout}${run.stderr}`).toBe(0);
}

/** Let e2fsck repair an image. */
export function repair(image: string): void {
  const run = spawnSync(E2FSCK, ["-fy", image], { env: ENV, encoding: "utf8" });
  expect([0, 1], `${run.stdout}${run.stderr}`).toContain(run.status);
}

/** A file of an image as debugfs reads it. */
export function debugfsCat(image: string, path: string): Buffer {
  const run = spawnSync(DEBUGFS, ["-R", `cat ${path}`, image], { env: ENV, maxBuffer: 2 ** 26 });
  return run.stdout;
}
