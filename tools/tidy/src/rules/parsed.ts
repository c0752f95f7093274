/**
 * A file that does not parse cannot be judged, so it is a violation itself.
 */
import type { Violation } from "../report.ts";
import type { Workspace } from "../workspace.ts";

export function parsed(workspace: Workspace): Violation[] {
  const inPackages = workspace.packages.flatMap((p) => p.units.map((u) => u.file));
  return [...inPackages, ...workspace.toolFiles].flatMap((file) =>
    file.failures.map(({ line, message }) => ({ path: file.path, line, rule: "parse", message })),
  );
}
