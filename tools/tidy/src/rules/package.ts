/**
 * Every folder under packages/ is a package that layers.json knows, in its group and under its
 * name; below the machine level a package has no runtime dependency outside the house.
 */
import { posix } from "node:path";
import { MACHINE_LEVEL, SCOPE } from "../layers.ts";
import type { Violation } from "../report.ts";
import type { Manifest, Package, Workspace } from "../workspace.ts";
import { houseNames } from "../workspace.ts";

const RUNTIME = ["dependencies", "peerDependencies", "optionalDependencies"] as const;

export function packages(workspace: Workspace): Violation[] {
  return [...strayFiles(workspace), ...workspace.packages.flatMap((p) => judge(workspace, p))];
}

function strayFiles(workspace: Workspace): Violation[] {
  return workspace.files
    .filter((path) => path.startsWith("packages/") && path.split("/").length < 4)
    .map((path) => violation(path, 1, "lies in no package; packages are packages/GROUP/NAME"));
}

function judge(workspace: Workspace, pkg: Package): Violation[] {
  const path = `${pkg.dir}/package.json`;
  const placed = workspace.layers.find(pkg.folder);
  if (placed === undefined) {
    return [violation(path, 1, `${pkg.folder} is not in tools/tidy/layers.json: give it a level`)];
  }
  const found: Violation[] = [];
  if (placed.group !== pkg.group) {
    const home = posix.join("packages", placed.group, pkg.folder);
    found.push(violation(path, 1, `${workspace.layers.label(pkg.folder)} belongs in ${home}`));
  }
  if (workspace.json(path) === undefined) {
    return [...found, violation(path, 1, "missing, or not plain JSON")];
  }
  if (pkg.manifest.name !== SCOPE + pkg.folder) {
    const line = workspace.lineWith(path, '"name"');
    const message = `is named ${pkg.manifest.name}, must be ${SCOPE}${pkg.folder}`;
    found.push(violation(path, line, message));
  }
  found.push(...absentees(workspace, pkg));
  if (placed.level >= MACHINE_LEVEL) return found;
  for (const name of foreign(pkg.manifest)) {
    const self = workspace.layers.label(pkg.folder);
    const message = `${self} depends on ${name}; runtime dependencies outside ${SCOPE} only from level ${MACHINE_LEVEL} up`;
    found.push(violation(path, workspace.lineWith(path, `"${name}"`), message));
  }
  return found;
}

/** Dependencies on packages that have a level but no folder yet. */
function absentees(workspace: Workspace, pkg: Package): Violation[] {
  const { dependencies, peerDependencies, devDependencies } = pkg.manifest;
  const path = `${pkg.dir}/package.json`;
  return [dependencies, peerDependencies, devDependencies].flatMap((table) =>
    houseNames(table)
      .filter((name) => workspace.layers.find(name) && !workspace.find(name))
      .map((name) => {
        const line = workspace.lineWith(path, `"${SCOPE}${name}"`);
        return violation(path, line, `depends on ${SCOPE}${name}, which does not exist yet`);
      }),
  );
}

function foreign(manifest: Manifest): string[] {
  return RUNTIME.flatMap((t) => Object.keys(manifest[t] ?? {})).filter(
    (name) => !name.startsWith(SCOPE),
  );
}

function violation(path: string, line: number, message: string): Violation {
  return { path, line, rule: "package", message };
}
