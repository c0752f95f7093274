/**
 * Paths of one workplace do not belong in a repository that others clone.
 *
 * Recorded data (fixtures, conformance vectors) and the lockfile may hold any text, and this
 * tool's own tests plant such paths.
 */

import { join } from "node:path";
import type { Violation } from "../report.ts";
import type { Workspace } from "../workspace.ts";
import { readOrNull } from "../workspace.ts";

// Put together from parts, so that this file does not hold what it looks for.
const PLACES = [
  ["", "work", ""].join("/"),
  ["", "tmp", "bash_jobs"].join("/"),
  ["", "root", ""].join("/"),
];
const EXCLUDED = /(^|\/)fixtures\/|^conformance\/|^tools\/tidy\/test\/|(^|\/)pnpm-lock\.yaml$/;

export function machinePath(workspace: Workspace): Violation[] {
  return workspace.files
    .filter((path) => !EXCLUDED.test(path))
    .flatMap((path) => {
      const bytes = readOrNull(join(workspace.root, path));
      return bytes === null ? [] : inBytes(path, bytes);
    });
}

function inBytes(path: string, bytes: Buffer): Violation[] {
  if (!PLACES.some((place) => bytes.includes(place))) return [];
  if (bytes.subarray(0, 8192).includes(0)) return []; // no text
  return bytes
    .toString("utf8")
    .split("\n")
    .flatMap((text, index) => {
      const place = PLACES.find((p) => startsAPath(text, p));
      if (place === undefined) return [];
      const message = `${place} is a path of one machine: make it relative`;
      return [{ path, line: index + 1, rule: "machine-path", message }];
    });
}

/** Whether `place` occurs as the start of a path, not inside a longer one (`docs` + place). */
function startsAPath(text: string, place: string): boolean {
  for (let at = text.indexOf(place); at >= 0; at = text.indexOf(place, at + 1)) {
    if (at === 0 || !/[\w.~\-})*@]/.test(text[at - 1])) return true;
  }
  return false;
}
