/**
 * tsconfig references follow package.json.
 *
 * A package references exactly its @physio dependencies; the root's tsconfig.json and
 * tsconfig.test.json reference every package. The order of references is free. `expectations`
 * says what should stand where, the rule compares, the fix writes.
 */
import { writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import type { Violation } from "../report.ts";
import type { Package, Workspace } from "../workspace.ts";
import { houseNames } from "../workspace.ts";

const ROOT_CONFIGS = ["tsconfig.json", "tsconfig.test.json"];

interface Expectation {
  readonly path: string;
  /** Folders, relative to the root, in the order of the levels. */
  readonly wanted: readonly string[];
  /** Whether another reference may stand there too. */
  readonly mayAlso: (to: string) => boolean;
}

export function references(workspace: Workspace): Violation[] {
  return expectations(workspace).flatMap((e) => compare(workspace, e));
}

/** Rewrites the references that the rule would report. @returns the paths written */
export function fixReferences(workspace: Workspace): string[] {
  const written: string[] = [];
  for (const expected of expectations(workspace)) {
    const config = workspace.json(expected.path);
    if (config === undefined || compare(workspace, expected).length === 0) continue;
    const base = posix.dirname(expected.path);
    const all = new Set([...expected.wanted, ...present(config, base).filter(expected.mayAlso)]);
    config.references = [...all].map((to) => ({ path: posix.relative(base, to) }));
    const text = `${JSON.stringify(config, null, 2)}\n`;
    writeFileSync(join(workspace.root, expected.path), text);
    written.push(expected.path);
  }
  return written;
}

function expectations(workspace: Workspace): Expectation[] {
  const levelOf = (p: Package) => workspace.layers.all.findIndex((l) => l.name === p.folder);
  const onALevel = workspace.packages.filter((p) => levelOf(p) >= 0); // others: the package rule
  const ordered = onALevel.sort((a, b) => levelOf(a) - levelOf(b));
  const own = ordered.map((pkg) => {
    const names = new Set(houseNames(pkg.manifest.dependencies));
    const wanted = ordered.filter((p) => names.has(p.folder)).map((p) => p.dir);
    return { path: `${pkg.dir}/tsconfig.json`, wanted, mayAlso: () => false };
  });
  const dirs = new Set(workspace.packages.map((p) => p.dir));
  const wanted = ordered.map((p) => p.dir);
  const mayAlso = (to: string) => !to.startsWith("packages/") || dirs.has(to);
  return [...own, ...ROOT_CONFIGS.map((path) => ({ path, wanted, mayAlso }))];
}

function compare(workspace: Workspace, expected: Expectation): Violation[] {
  const { path, wanted } = expected;
  const config = workspace.json(path);
  if (config === undefined) {
    return [{ path, line: 1, rule: "references", message: "missing, or not plain JSON" }];
  }
  const found = present(config, posix.dirname(path));
  const violations: Violation[] = [];
  const report = (to: string, message: string) => {
    const line = workspace.lineWith(path, `"${posix.relative(posix.dirname(path), to)}"`);
    violations.push({ path, line, rule: "references", message });
  };
  for (const to of wanted) if (!found.includes(to)) report(to, `does not reference ${to}`);
  for (const [i, to] of found.entries()) {
    if (found.indexOf(to) !== i) report(to, `references ${to} twice`);
    else if (!wanted.includes(to) && !expected.mayAlso(to)) {
      const what = ROOT_CONFIGS.includes(path) ? "package" : "dependency";
      report(to, `references ${to}, which is no ${what}`);
    }
  }
  return violations;
}

/** The references of a tsconfig, as paths relative to the root. */
function present(config: Record<string, unknown>, base: string): string[] {
  const list = Array.isArray(config.references) ? config.references : [];
  return list.map((reference: { path?: unknown }) => {
    const to = posix.join(base, String(reference.path));
    return to.replace(/\/(tsconfig\.json)?$/, "");
  });
}
