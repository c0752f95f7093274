/**
 * A package imports strictly lower levels only, through the doors that its target opens.
 *
 * Judged are all ways of naming a module (see imports.ts), in src and in tests, and the dependency
 * tables of package.json. Going up and going sideways are the same breach; each is named.
 */
import { posix } from "node:path";
import type { ModuleRequest } from "../imports.ts";
import { isPath, splitSpecifier } from "../imports.ts";
import type { Placed } from "../layers.ts";
import { SCOPE } from "../layers.ts";
import type { Violation } from "../report.ts";
import type { Package, Unit, Workspace } from "../workspace.ts";
import { houseNames } from "../workspace.ts";

/** Packages that may load a module whose name is only known at run time. */
const LOADERS: ReadonlySet<string> = new Set(["nbd", "cli"]);

const TABLES = ["dependencies", "peerDependencies", "devDependencies"] as const;

export function layer(workspace: Workspace): Violation[] {
  return workspace.packages.flatMap((pkg) => {
    const placed = workspace.layers.find(pkg.folder);
    if (placed === undefined) return []; // the package rule reports it
    return [
      ...manifestViolations(workspace, pkg, placed),
      ...pkg.units.flatMap((unit) =>
        unit.imports.flatMap((request) => {
          const found = judge(workspace, pkg, placed, unit, request);
          return found ? [{ path: unit.file.path, line: request.line, ...found }] : [];
        }),
      ),
    ];
  });
}

/** Whether the layer rule itself forbids `pkg` to use `target`; other rules then keep silent. */
export function isForbidden(workspace: Workspace, pkg: Package, target: string): boolean {
  const placed = workspace.layers.find(pkg.folder);
  return placed === undefined || workspace.layers.forbids(placed, target) !== null;
}

/** Whether package.json `exports` opens `subpath` (`.`, `./impl`); patterns with `*` count. */
function isDoor(exports: unknown, subpath: string): boolean {
  if (exports === null || typeof exports !== "object") return subpath === ".";
  const doors = Object.entries(exports).filter(([key]) => key.startsWith("."));
  if (doors.length === 0) return subpath === ".";
  return doors.some(([key, target]) => {
    if (target === null) return false;
    const [before, after] = key.split("*");
    if (after === undefined) return key === subpath;
    return subpath.startsWith(before) && subpath.endsWith(after);
  });
}

type Finding = Pick<Violation, "rule" | "message"> | null;

function judge(
  workspace: Workspace,
  pkg: Package,
  placed: Placed,
  unit: Unit,
  request: ModuleRequest,
): Finding {
  const { specifier, form } = request;
  const self = workspace.layers.label(pkg.folder);
  if (specifier === null) {
    if (unit.area === "test" || LOADERS.has(pkg.folder)) return null;
    return { rule: "layer", message: `${self} has an ${form} of a computed name` };
  }
  if (isPath(specifier)) return judgePath(workspace, pkg, placed, unit, request);
  const { name, subpath } = splitSpecifier(specifier);
  if (!name.startsWith(SCOPE)) return null;

  const target = name.slice(SCOPE.length);
  if (target === pkg.folder) {
    if (unit.area === "test") return judgeDoor(workspace, self, target, subpath);
    const message = `${self} imports itself by name; use a relative path`;
    return { rule: "layer", message };
  }
  const why = workspace.layers.forbids(placed, target);
  if (why !== null) return { rule: "layer", message: `${self} may not use ${why} (${form})` };
  return judgeDoor(workspace, self, target, subpath);
}

function judgeDoor(workspace: Workspace, self: string, target: string, subpath: string): Finding {
  const found = workspace.find(target);
  if (found === undefined || isDoor(found.manifest.exports, subpath)) return null;
  const label = workspace.layers.label(target);
  const message = `${self} imports ${label} by "${subpath}", which its exports do not list`;
  return { rule: "deep-import", message };
}

function judgePath(
  workspace: Workspace,
  pkg: Package,
  placed: Placed,
  unit: Unit,
  request: ModuleRequest,
): Finding {
  const specifier = request.specifier ?? "";
  const path = posix.join(posix.dirname(unit.file.path), specifier);
  if (specifier.startsWith(".") && path.startsWith(`${pkg.dir}/`)) return null;

  const self = workspace.layers.label(pkg.folder);
  const target = /^packages\/[^/]+\/([^/]+)/.exec(path)?.[1];
  if (!specifier.startsWith(".") || target === undefined) {
    const message = `${self} leaves its folder by "${specifier}" (${request.form})`;
    return { rule: "deep-import", message };
  }
  const why = workspace.layers.forbids(placed, target);
  if (why !== null) {
    const message = `${self} may not reach by path into ${why} (${request.form})`;
    return { rule: "layer", message };
  }
  const label = workspace.layers.label(target);
  const message = `${self} reaches by path into ${label}; import it by its name`;
  return { rule: "deep-import", message };
}

function manifestViolations(workspace: Workspace, pkg: Package, placed: Placed): Violation[] {
  const path = `${pkg.dir}/package.json`;
  return TABLES.flatMap((table) =>
    houseNames(pkg.manifest[table]).flatMap((target) => {
      const why = workspace.layers.forbids(placed, target);
      if (why === null) return [];
      const line = workspace.lineWith(path, `"${SCOPE}${target}"`);
      const message = `${workspace.layers.label(pkg.folder)} may not list ${why} (${table})`;
      return [{ path, line, rule: "layer", message }];
    }),
  );
}
