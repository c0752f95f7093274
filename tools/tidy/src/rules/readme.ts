/**
 * The picture of the levels in README.md is the one that layers.json gives.
 *
 * A README without the markers has no picture to go stale.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { BEGIN, existingPackages, levelsPicture, withPicture } from "../picture.ts";
import type { Violation } from "../report.ts";
import type { Workspace } from "../workspace.ts";

const README = "README.md";

export function readme(workspace: Workspace): Violation[] {
  if (redrawn(workspace) === null) return [];
  const line = workspace.lineWith(README, BEGIN);
  const message = "the picture of the levels is stale: run tidy with --fix";
  return [{ path: README, line, rule: "picture", message }];
}

/** @returns the paths written */
export function fixReadme(workspace: Workspace): string[] {
  const text = redrawn(workspace);
  if (text === null) return [];
  writeFileSync(join(workspace.root, README), text);
  return [README];
}

/** README.md with a fresh picture, or null when it has none or a fresh one. */
function redrawn(workspace: Workspace): string | null {
  const text = workspace.text(README);
  if (text === null) return null;
  const picture = levelsPicture(workspace.layers, existingPackages(workspace.files));
  const wanted = withPicture(text, picture);
  return wanted === text ? null : wanted;
}
