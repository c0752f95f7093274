/**
 * All rules over one tree.
 */
import type { Layers } from "./layers.ts";
import type { Violation } from "./report.ts";
import { sorted } from "./report.ts";
import { bitops } from "./rules/bitops.ts";
import { construct } from "./rules/construct.ts";
import { dependency } from "./rules/dependency.ts";
import { door } from "./rules/door.ts";
import { layer } from "./rules/layer.ts";
import { machinePath } from "./rules/machine-path.ts";
import { packages } from "./rules/package.ts";
import { parsed } from "./rules/parsed.ts";
import { fixReadme, readme } from "./rules/readme.ts";
import { fixReferences, references } from "./rules/references.ts";
import { sandbox } from "./rules/sandbox.ts";
import { size } from "./rules/size.ts";
import { state } from "./rules/state.ts";
import { Workspace } from "./workspace.ts";

const RULES: readonly ((workspace: Workspace) => Violation[])[] = [
  packages,
  layer,
  dependency,
  references,
  sandbox,
  bitops,
  size,
  door,
  construct,
  state,
  machinePath,
  readme,
  parsed,
];

export interface Verdict {
  readonly violations: readonly Violation[];
  readonly packages: number;
  readonly files: number;
}

export function tidy(root: string, layers: Layers): Verdict {
  const workspace = new Workspace(root, layers);
  const found = RULES.flatMap((rule) => rule(workspace));
  return {
    violations: sorted(found.map((violation) => withLevels(violation, layers))),
    packages: workspace.packages.length,
    files: workspace.toolFiles.length + workspace.packages.reduce((n, p) => n + p.units.length, 0),
  };
}

/** Say which package a violation is in, on which level, and what it may import. */
function withLevels(violation: Violation, layers: Layers): Violation {
  const [, name] = /^packages\/[^/]+\/([^/]+)\//.exec(violation.path) ?? [];
  const placed = name === undefined ? undefined : layers.find(name);
  if (placed === undefined) return violation;
  const where = `${layers.label(placed.name)}, may import ${layers.allowed(placed)}`;
  return { ...violation, message: `${violation.message} | ${where}` };
}

/** Rewrites what can be derived: tsconfig references and the README's picture. */
export function fix(root: string, layers: Layers): string[] {
  const workspace = new Workspace(root, layers);
  return [...fixReferences(workspace), ...fixReadme(workspace)];
}
