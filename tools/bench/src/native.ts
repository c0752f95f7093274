/**
 * The native peers: compiled once a run when gcc is there.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL("../native/", import.meta.url));

/** The environment for tools that some systems keep out of a user's path. */
function toolEnv(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" };
}

/** Whether a program of that name can be started at all. */
export function haveTool(name: string): boolean {
  return spawnSync(name, ["--version"], { env: toolEnv(), stdio: "ignore" }).error === undefined;
}

/** Run a tool. @returns its output. @throws with its own words when it fails. */
export function runTool(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input = "",
): string {
  const options = { env: { ...toolEnv(), ...env }, encoding: "utf8", input } as const;
  const done = spawnSync(name, args, options);
  if (done.status !== 0) throw new Error(`${name}: ${done.error ?? done.stderr}`);
  return done.stdout;
}

/** Compile a peer into `folder`. @returns its path. @throws with the compiler's words. */
export function compileNative(folder: string, name: "busdma" | "scan" = "busdma"): string {
  const binary = join(folder, name);
  const source = join(SOURCES, `${name}.c`);
  runTool("gcc", ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", binary, source]);
  return binary;
}

/** First line of `gcc --version`, or null without gcc. */
export function compilerVersion(): string | null {
  return haveTool("gcc") ? runTool("gcc", ["--version"]).split("\n")[0] : null;
}

/** One round of a peer: nanoseconds an operation, by case. */
export function nativeRound(
  binary: string,
  iterations: number,
  input = "",
): Record<string, number> {
  const lines = runTool(binary, [String(iterations)], {}, input)
    .trim()
    .split("\n");
  return Object.fromEntries(
    lines.map((line) => {
      const { case: name, ns } = JSON.parse(line) as { case: string; ns: number };
      return [name, ns];
    }),
  );
}
