/**
 * Prints what a release would publish, and changes nothing.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contents, packAll } from "./pack.ts";
import type { Bump } from "./plan.ts";
import { releasePlan } from "./plan.ts";
import type { Tally } from "./tally.ts";
import { build, publicPackages } from "./workspace.ts";

/** What a tarball weighs, by package. */
type Weights = ReadonlyMap<string, { readonly files: number; readonly size: number }>;

export async function dryRun(options: { readonly root: string }, tally: Tally): Promise<void> {
  const packages = publicPackages(options.root);
  const bumps = await releasePlan(options.root);
  if (bumps.length === 0) return tally.print("nothing to publish: no changesets in .changeset");

  await build(options.root, packages);
  const into = mkdtempSync(join(tmpdir(), "physio-dry-run-"));
  try {
    const moving = new Set(bumps.map((b) => b.name));
    const tarballs = await packAll(
      packages.filter((p) => moving.has(p.name)),
      into,
    );
    const weights = new Map(
      tarballs.map((t) => [t.pkg.name, { files: t.files.length, size: t.size }]),
    );
    for (const row of table(bumps, weights)) tally.print(row);
    const staying = packages.filter((p) => !moving.has(p.name)).map((p) => p.name);
    if (staying.length > 0) tally.print(`not published: ${staying.join(", ")}`);
    for (const { pkg, files } of tarballs) {
      const problem = contents(files);
      if (problem === null) tally.pass();
      else tally.fail(`${pkg.name}: ${problem}`);
    }
  } finally {
    rmSync(into, { recursive: true, force: true });
  }
}

/** One row for each package, in columns. */
export function table(bumps: readonly Bump[], weights: Weights): string[] {
  const rows = bumps.map((bump) => {
    const weight = weights.get(bump.name);
    return [
      bump.name,
      `${bump.oldVersion} -> ${bump.newVersion}`,
      weight === undefined ? "" : `${weight.files} files`,
      weight === undefined ? "" : `${(weight.size / 1000).toFixed(1)} kB`,
      why(bump),
    ];
  });
  const all = [["package", "version", "tarball", "", "why"], ...rows];
  const widths = all[0].map((_, at) => Math.max(...all.map((row) => row[at].length)));
  return all.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]))
      .join("  ")
      .trimEnd(),
  );
}

function why(bump: Bump): string {
  const followed = bump.follows.join(", ");
  if (bump.changesets.length > 0) return `${bump.type}: changeset ${bump.changesets.join(", ")}`;
  return `${bump.type}: its dependency ${followed} moves`;
}
