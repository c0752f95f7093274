/**
 * Sizes after minifying and gzip, held against budgets.json.
 *
 * A package's budget is for its own code behind its main door: its dependencies stay outside, so
 * one that grows does not fail the packages above it. A row of `together` is what a browser loads:
 * all doors of the packages with everything they need, but for `./testing`, which no page loads.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "./bundle.ts";
import type { Tally } from "./tally.ts";
import type { Package } from "./workspace.ts";
import { build, chosen, publicPackages } from "./workspace.ts";

/** Bytes. */
interface Budgets {
  readonly packages: Readonly<Record<string, number>>;
  readonly together: Readonly<Record<string, number>>;
}

export interface Row {
  readonly name: string;
  readonly gzip: number;
  readonly budget: number | undefined;
  /** With its dependencies, for information. */
  readonly whole: number;
}

const BUDGETS = new URL("../budgets.json", import.meta.url);

export async function sizes(
  options: { readonly root: string; readonly only: string | undefined },
  tally: Tally,
): Promise<void> {
  const packages = publicPackages(options.root);
  const subjects = chosen(packages, options.only);
  await build(options.root, packages);
  const budgets: Budgets = JSON.parse(readFileSync(BUDGETS, "utf8"));
  tally.print(line("bytes after gzip", "size", "budget", "with all"));
  for (const pkg of subjects) {
    await attempt(pkg.name, tally, () => measure(pkg, budgets.packages[pkg.name]));
  }
  if (options.only !== undefined) return;

  for (const [name, budget] of Object.entries(budgets.together)) {
    await attempt(name, tally, async () => {
      const members = name.split(" + ").flatMap((one) => chosen(packages, one));
      const gzip = await together(members);
      return { name, gzip, budget, whole: gzip };
    });
  }
  const known = new Set(packages.map((p) => p.name));
  for (const name of Object.keys(budgets.packages)) {
    if (!known.has(name)) tally.fail(`${name} has a budget and is no public package`);
  }
}

/** Weighs what `body` measures; that it cannot be measured is a failure of this row alone. */
async function attempt(name: string, tally: Tally, body: () => Promise<Row>): Promise<void> {
  try {
    weigh(await body(), tally);
  } catch (error) {
    tally.fail(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Prints and counts one row. */
export function weigh(row: Row, tally: Tally): void {
  const { name, gzip, budget, whole } = row;
  tally.print(line(name, String(gzip), String(budget ?? "none"), String(whole)));
  if (budget === undefined) {
    tally.fail(`${name} has no budget in tools/release/budgets.json; it is ${gzip} bytes`);
  } else if (gzip > budget) {
    tally.fail(`${name} is ${gzip} bytes, ${gzip - budget} over its budget of ${budget}`);
  } else tally.pass();
}

/** The size of the package's main door, without and with what it depends on. */
export async function measure(pkg: Package, budget: number | undefined): Promise<Row> {
  const entry = join(pkg.dir, "dist/index.js");
  const onNode = pkg.manifest.bin !== undefined; // a command is never loaded by a browser
  const external = Object.keys(pkg.manifest.dependencies ?? {});
  const own = await bundle(entry, { external, onNode });
  const whole = await bundle(entry, { onNode });
  return { name: pkg.name, gzip: own.gzip, budget, whole: whole.gzip };
}

/** The size of all doors of several packages in one bundle with all dependencies. */
async function together(members: readonly Package[]): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), "physio-sizes-"));
  try {
    const entry = join(dir, "entry.js");
    const files = members.flatMap((pkg) => doorFiles(pkg));
    const lines = files.map((file, at) => `export * as door${at} from ${JSON.stringify(file)};\n`);
    writeFileSync(entry, lines.join(""));
    return (await bundle(entry)).gzip;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The modules behind the package's doors, except the one for tests. */
function doorFiles(pkg: Package): string[] {
  return Object.entries(pkg.manifest.exports ?? {}).flatMap(([door, target]) => {
    if (door === "./testing") return [];
    if (target === null || typeof target !== "object" || !("default" in target)) return [];
    return [join(pkg.dir, String(target.default))];
  });
}

function line(name: string, size: string, budget: string, whole: string): string {
  return `${name.padEnd(24)}${size.padStart(8)}${budget.padStart(10)}${whole.padStart(10)}`;
}
