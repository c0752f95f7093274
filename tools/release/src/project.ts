/**
 * An empty project of a stranger, with one packed package and its closure installed.
 *
 * The packages are not in a registry yet, so overrides send each name of the house to its tarball;
 * everything else comes from the registry, the local cache first. pnpm links only what a manifest
 * declares, so an undeclared import fails; npm is what most strangers use, hence for commands.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Tarball } from "./pack.ts";
import { must } from "./run.ts";
import type { Package } from "./workspace.ts";

export type Installer = "pnpm" | "npm";

const ARGUMENTS = {
  pnpm: ["install", "--prefer-offline", "--ignore-scripts", "--reporter=append-only"],
  npm: "install --prefer-offline --ignore-scripts --no-audit --no-fund --loglevel=error".split(" "),
};

/** Writes the project into `dir` and installs it. */
export async function install(
  dir: string,
  pkg: Package,
  tarballs: readonly Tarball[],
  installer: Installer,
): Promise<void> {
  mkdirSync(dir, { recursive: true });
  const files = Object.fromEntries(tarballs.map((t) => [t.pkg.name, `file:${t.path}`]));
  const manifest = {
    name: "empty-project",
    private: true,
    type: "module",
    dependencies: { [pkg.name]: files[pkg.name] },
    ...(installer === "npm" ? { overrides: files } : {}),
  };
  writeJson(join(dir, "package.json"), manifest);
  if (installer === "pnpm") {
    writeJson(join(dir, "pnpm-workspace.yaml"), { overrides: files, pmOnFail: "ignore" });
  }
  await must(installer, ARGUMENTS[installer], { cwd: dir });
}

/** Where the package lies in a project. */
export function installed(dir: string, pkg: Package): string {
  return join(dir, "node_modules", pkg.name);
}

/** JSON is YAML too. */
export function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}
