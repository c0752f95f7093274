/**
 * The native peer: compiled once a run when gcc is there.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("../native/busdma.c", import.meta.url));

/** Whether a program of that name can be started at all. */
export function haveTool(name: string): boolean {
  return spawnSync(name, ["--version"], { env: toolEnv(), stdio: "ignore" }).error === undefined;
}

/** The environment for tools that some systems keep out of a user's path. */
export function toolEnv(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" };
}

/** Compile the peer into `folder`. @returns its path. @throws with the compiler's words. */
export function compileNative(folder: string): string {
  const binary = join(folder, "busdma");
  const flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"];
  const done = spawnSync("gcc", [...flags, "-o", binary, SOURCE], { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`gcc: ${done.error ?? done.stderr}`);
  return binary;
}

/** First line of `gcc --version`, or null without gcc. */
export function compilerVersion(): string | null {
  const done = spawnSync("gcc", ["--version"], { encoding: "utf8" });
  return done.status === 0 ? done.stdout.split("\n")[0] : null;
}

/** One round of the peer: nanoseconds per load and unload, by case. */
export function nativeRound(binary: string, iterations: number): Record<string, number> {
  const done = spawnSync(binary, [String(iterations)], { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`native peer: ${done.error ?? done.stderr}`);
  const lines = done.stdout.trim().split("\n");
  return Object.fromEntries(
    lines.map((line) => {
      const { case: name, ns } = JSON.parse(line) as { case: string; ns: number };
      return [name, ns];
    }),
  );
}
