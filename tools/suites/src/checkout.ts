/**
 * A copy of the checkout in a folder of its own, to try the build cache on.
 *
 * It has the files that git knows or would take, and the same installed packages: the root's
 * node_modules as a link, those of the workspaces as they are, since they hold relative links.
 */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { ROOT } from "./cli.ts";

const SKIPPED: ReadonlySet<string> = new Set([
  "node_modules",
  ".git",
  ".toolchain",
  ".turbo",
  ".tsc-test",
  "dist",
  "coverage",
  "reports",
]);

function walk(folder = ""): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (SKIPPED.has(entry.name)) return [];
    return entry.isDirectory() ? walk(path) : [path];
  });
}

/** The files that belong to the checkout. */
function files(): string[] {
  try {
    const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    const listed = execFileSync("git", args, {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "ignore"],
      maxBuffer: 2 ** 26,
    });
    const paths = listed.toString().split("\0");
    return paths.filter((path) => path !== "" && existsSync(join(ROOT, path)));
  } catch {
    return walk(); // no git here, or no repository
  }
}

/** Copy the checkout into the empty folder `to`. */
export function copyCheckout(to: string): void {
  for (const path of files()) {
    mkdirSync(dirname(join(to, path)), { recursive: true });
    cpSync(join(ROOT, path), join(to, path), { verbatimSymlinks: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(to, "node_modules"));
  const groups = readdirSync(join(ROOT, "packages")).map((group) => join("packages", group));
  const workspaces = [...groups, "tools"].flatMap((group) =>
    readdirSync(join(ROOT, group)).map((name) => join(group, name)),
  );
  for (const workspace of [...workspaces, "examples"]) {
    const modules = join(workspace, "node_modules");
    const [from, into] = [join(ROOT, modules), join(to, modules)];
    if (existsSync(from)) cpSync(from, into, { recursive: true, verbatimSymlinks: true });
  }
}

export interface TurboRun {
  readonly code: number | null;
  /** stdout and stderr together. */
  readonly text: string;
  readonly out: string;
}

/** Run turbo in `cwd` with a cache of its own. */
export function turbo(cwd: string, ...args: string[]): Promise<TurboRun> {
  const env: NodeJS.ProcessEnv = { ...process.env, TURBO_TELEMETRY_DISABLED: "1", NO_COLOR: "1" };
  for (const name of Object.keys(env)) {
    // What an outer turbo, npm or vitest says is not for this one.
    if (/^(TURBO_(?!TELEMETRY)|npm_|VITEST|FORCE_COLOR$)/i.test(name)) delete env[name];
  }
  env.PATH = [join(ROOT, ".toolchain/node_modules/.bin"), env.PATH].join(delimiter);
  const binary = join(ROOT, "node_modules/.bin/turbo");
  const all = ["run", ...args, "--cache-dir", join(cwd, ".cache-of-test")];
  return new Promise((resolve, reject) => {
    const child = spawn(binary, all, {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 60_000,
    });
    let out = "";
    let text = "";
    child.stdout.on("data", (piece: Buffer) => {
      out += piece.toString();
      text += piece.toString();
    });
    child.stderr.on("data", (piece: Buffer) => {
      text += piece.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, text, out }));
  });
}
