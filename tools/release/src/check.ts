/**
 * Packs every public package, and judges each as a stranger meets it: its files, the outside
 * linters, and an empty project that installs, imports, type-checks and bundles it.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { checkCommands } from "./commands.ts";
import type { Mode } from "./consumer.ts";
import { importDoors, typeCheck } from "./consumer.ts";
import { attwProblem, publintProblem } from "./lint.ts";
import type { NodeBinary } from "./nodes.ts";
import { bothNodes } from "./nodes.ts";
import type { Tarball } from "./pack.ts";
import { contents, manifestProblem, mapsProblem, packAll } from "./pack.ts";
import { install, installed } from "./project.ts";
import { each } from "./run.ts";
import { constantOf, shakeProblem, unusedProblem } from "./shake.ts";
import type { Tally, Verdict } from "./tally.ts";
import { judge } from "./tally.ts";
import type { Package } from "./workspace.ts";
import { build, chosen, closure, doors, publicPackages, readManifest } from "./workspace.ts";

interface Options {
  readonly root: string;
  readonly only: string | undefined;
  readonly exactFloor: boolean;
  readonly keep: boolean;
}

/** What every package's checks need. */
interface Bench {
  readonly root: string;
  readonly home: string;
  readonly packages: readonly Package[];
  readonly tarballs: readonly Tarball[];
  readonly nodes: readonly NodeBinary[];
}

const MODES: readonly Mode[] = ["nodenext", "bundler"];

export async function check(options: Options, tally: Tally): Promise<void> {
  const { root } = options;
  const packages = publicPackages(root);
  const subjects = chosen(packages, options.only);
  await build(root, packages);
  const home = mkdtempSync(join(tmpdir(), "physio-release-"));
  try {
    const into = join(home, "tarballs");
    mkdirSync(into);
    const nodes = await bothNodes(options.exactFloor);
    const bench = { root, home, packages, tarballs: await packAll(packages, into), nodes };
    tally.print(`${subjects.length} packages on Node ${nodes.map((n) => n.version).join(", ")}`);
    await each(subjects, Math.min(4, availableParallelism()), async (pkg) => {
      tally.record(pkg.name, await judgePackage(bench, pkg));
    });
  } finally {
    if (options.keep) tally.print(`kept ${home}`);
    else rmSync(home, { recursive: true, force: true });
  }
}

async function judgePackage(bench: Bench, pkg: Package): Promise<Verdict[]> {
  const needed = new Set(closure(pkg, bench.packages));
  const tarballs = bench.tarballs.filter((t) => needed.has(t.pkg));
  const [tarball] = tarballs.filter((t) => t.pkg === pkg);
  const dir = join(bench.home, basename(pkg.dir));
  const verdicts = [
    await judge(`${tarball.files.length} files`, () => contents(tarball.files)),
    await judge("publint", () => publintProblem(tarball)),
    await judge("attw", () => attwProblem(tarball)),
    await judge(`install of ${tarballs.length}`, async () => {
      await install(dir, pkg, tarballs, "pnpm");
      return null;
    }),
  ];
  if (verdicts.at(-1)?.problem !== null) return verdicts;
  verdicts.push(...(await judgeInstalled(bench, pkg, dir, tarball.files)));
  if (pkg.manifest.bin !== undefined) {
    const apart = join(bench.home, `${basename(pkg.dir)}-npm`);
    verdicts.push(...(await checkCommands(pkg, apart, tarballs, bench.nodes, bench.root)));
  }
  return verdicts;
}

async function judgeInstalled(
  bench: Bench,
  pkg: Package,
  dir: string,
  files: readonly string[],
): Promise<Verdict[]> {
  const place = installed(dir, pkg);
  const verdicts = [
    await judge("manifest", () => manifestProblem(readManifest(place))),
    await judge("maps", () => mapsProblem(place, files)),
  ];
  let values = {};
  for (const node of bench.nodes) {
    const imports = async () => {
      values = await importDoors(dir, doors(pkg.manifest), node);
      return null;
    };
    verdicts.push(await judge(`import on ${node.version}`, imports));
    if (verdicts.at(-1)?.problem !== null) return verdicts; // what follows uses the values
  }
  const tsc = join(bench.root, "node_modules/.bin/tsc");
  for (const mode of MODES) {
    verdicts.push(await judge(mode, () => typeCheck(dir, values, mode, tsc)));
  }
  const onNode = pkg.manifest.bin !== undefined;
  const unused = () => unusedProblem(dir, Object.keys(values), onNode);
  verdicts.push(await judge("unused is nothing", unused));
  const constant = constantOf(pkg.name, values);
  if (constant !== null) {
    verdicts.push(await judge(`${constant} alone`, () => shaken(dir, pkg.name, constant, values)));
  }
  return verdicts;
}

function shaken(
  dir: string,
  name: string,
  constant: string,
  values: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): Promise<string | null> {
  return shakeProblem(dir, name, constant, values[name]?.[constant]);
}
