/**
 * The command line as a child process, from source.
 *
 * A run that does not end in time is killed and told apart by its exit code of null, so a hang is a
 * failure and never a stuck suite. Output is kept as bytes: `cat` prints any.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

export const ROOT: string = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
const MAIN = join(ROOT, "packages/top/cli/src/main.ts");
const LIMIT_MS = 30_000;
/** Halves the time that a child takes to start; node checks it against the sources. */
const COMPILED = join(ROOT, "node_modules/.cache/physio-suites");

/** The arguments of `node` that run a script from the sources. */
export const FROM_SOURCE = "--conditions=@physio/source";
/** Path of the command's entry. */
export const PHYSIO: readonly string[] = Object.freeze([FROM_SOURCE, MAIN]);

export interface Run {
  /** null: killed, because it took too long or the pipe's other end asked for it. */
  readonly code: number | null;
  readonly out: Buffer;
  readonly text: string;
  readonly err: string;
}

/** Run `node` with `args` and collect what it prints. */
export function node(args: readonly string[], cwd: string = ROOT): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", NODE_COMPILE_CACHE: COMPILED },
      timeout: LIMIT_MS,
      killSignal: "SIGKILL",
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (piece: Buffer) => out.push(piece));
    child.stderr.on("data", (piece: Buffer) => err.push(piece));
    child.on("error", reject);
    child.on("close", (code) => {
      const bytes = Buffer.concat(out);
      resolve({ code, out: bytes, text: bytes.toString(), err: Buffer.concat(err).toString() });
    });
  });
}

/** Run `physio` with `args`. */
export function physio(...args: string[]): Promise<Run> {
  return node([...PHYSIO, ...args]);
}

/** One line with the errno at its end, nothing on stdout, no stack. => `about`: what it must name. */
export function expectComplaint(run: Run, errno: string, ...about: readonly string[]): void {
  expect(run.err.split("\n"), "stderr is one line").toEqual([expect.any(String), ""]);
  expect(run.err).toMatch(new RegExp(`^physio: .*: ${errno}\n$`));
  for (const text of about) expect(run.err).toContain(text);
  expect(run.err).not.toContain("    at ");
  expect(run.text).toBe("");
  expect(run.code).toBe(1);
}

/** A folder of its own that is gone afterwards. */
export function scratchFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "physio-suite-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
