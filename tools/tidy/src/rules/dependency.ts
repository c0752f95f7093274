/**
 * What a package imports is what its package.json declares, and the other way round.
 *
 * src uses `dependencies` only. Tests may also use devDependencies, their own package, vitest,
 * fast-check and Node. Imports that the layer rule forbids are left to it: declaring them would
 * not help.
 */
import { isBuiltin } from "node:module";
import type { ModuleRequest } from "../imports.ts";
import { isPath, splitSpecifier } from "../imports.ts";
import { SCOPE } from "../layers.ts";
import type { Violation } from "../report.ts";
import type { Package, Unit, Workspace } from "../workspace.ts";
import { houseNames } from "../workspace.ts";
import { isForbidden } from "./layer.ts";

const TEST_TOOLS: ReadonlySet<string> = new Set(["vitest", "fast-check"]);

export function dependency(workspace: Workspace): Violation[] {
  return workspace.packages.flatMap((pkg) => [
    ...pkg.units.flatMap((unit) => undeclared(workspace, pkg, unit)),
    ...unused(workspace, pkg),
  ]);
}

function undeclared(workspace: Workspace, pkg: Package, unit: Unit): Violation[] {
  const tables = [pkg.manifest.dependencies];
  if (unit.area === "test") tables.push(pkg.manifest.devDependencies);
  const declared = new Set(tables.flatMap((t) => Object.keys(t ?? {})));

  return unit.imports.flatMap((request) => {
    const name = missing(workspace, pkg, unit, request, declared);
    if (name === null) return [];
    const where = unit.area === "src" ? "dependencies" : "dependencies or devDependencies";
    const self = workspace.layers.label(pkg.folder);
    const message = `${self} imports ${name}, which is not in its ${where}`;
    return [{ path: unit.file.path, line: request.line, rule: "undeclared", message }];
  });
}

/** The package that a request needs and nobody declares, or null. */
function missing(
  workspace: Workspace,
  pkg: Package,
  unit: Unit,
  request: ModuleRequest,
  declared: ReadonlySet<string>,
): string | null {
  const { specifier } = request;
  if (specifier === null || isPath(specifier)) return null;
  const { name } = splitSpecifier(specifier);
  if (declared.has(name)) return null;
  if (name.startsWith(SCOPE)) {
    const target = name.slice(SCOPE.length);
    return target === pkg.folder || isForbidden(workspace, pkg, target) ? null : name;
  }
  if (unit.area === "test") {
    return specifier.startsWith("node:") || TEST_TOOLS.has(name) ? null : name;
  }
  return isBuiltin(specifier) ? null : name; // the sandbox rule judges Node's modules
}

function unused(workspace: Workspace, pkg: Package): Violation[] {
  const used = new Set<string>();
  for (const unit of pkg.units) {
    if (unit.area !== "src") continue;
    for (const { specifier } of unit.imports) {
      if (specifier !== null) used.add(splitSpecifier(specifier).name);
    }
  }
  const path = `${pkg.dir}/package.json`;
  return houseNames(pkg.manifest.dependencies)
    .filter((target) => !used.has(SCOPE + target) && !isForbidden(workspace, pkg, target))
    .map((target) => {
      const name = SCOPE + target;
      const self = workspace.layers.label(pkg.folder);
      const message = `${self} declares ${name}, which no file in its src imports`;
      return {
        path,
        line: workspace.lineWith(path, `"${name}"`),
        rule: "unused-dependency",
        message,
      };
    });
}
