/**
 * Patterns in the paths of images: `*`, `?`, `[a-z]`, `[!a-z]`, `\` before a character that is meant.
 *
 * A pattern matches within one component. A dot at the beginning of a name must be written. A path that
 * exists as it is written is no pattern. After glob(7).
 */
import { Errno, ErrnoError } from "@physio/kern";
import { listDirectory } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { namei } from "@physio/vfs";

const MAGIC = /[*?[\\]/;

const escaped = (c: string): string => c.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

/** Where the bracket expression that begins at `at` ends, or −1: the bracket is a character. */
function bracketEnd(pattern: string, at: number): number {
  const first = /[!^]/.test(pattern[at + 1] ?? "") ? at + 2 : at + 1;
  for (let i = first; i < pattern.length; i++) {
    if (pattern[i] === "\\") i++;
    else if (pattern[i] === "]" && i > first) return i; // one that comes first is a member
  }
  return -1;
}

/** A bracket expression as a regular expression has it; a range that runs backwards matches nothing. */
function bracket(text: string): string {
  const negated = /^[!^]/.test(text);
  // a member is a character, or an escaped one; "-" between two makes a range
  const members = (negated ? text.slice(1) : text).match(/\\.|./gsu) ?? [];
  let classes = "";
  for (let i = 0; i < members.length; i++) {
    const from = members[i].replace(/^\\(?=.)/su, "");
    const isRange = members[i + 1] === "-" && i + 2 < members.length;
    const to = isRange ? members[i + 2].replace(/^\\(?=.)/su, "") : from;
    if (isRange) i += 2;
    if (from <= to) classes += `${escaped(from)}-${escaped(to)}`;
  }
  if (classes === "") return negated ? "." : "(?!)";
  return `[${negated ? "^" : ""}${classes}]`;
}

/** One component of a pattern as a test of names. */
export function componentMatcher(pattern: string): (name: string) => boolean {
  let source = "";
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    const end = c === "[" ? bracketEnd(pattern, i) : -1;
    if (c === "*") source += ".*";
    else if (c === "?") source += ".";
    else if (end > 0) {
      source += bracket(pattern.slice(i + 1, end));
      i = end;
    } else if (c === "\\" && i + 1 < pattern.length) source += escaped(pattern[++i]);
    else source += escaped(c);
  }
  const expression = new RegExp(`^${source}$`, "su");
  const dot = /^(\.|\\\.)/.test(pattern);
  return (name) => (dot || !name.startsWith(".")) && expression.test(name);
}

/** The vnode of a path, or null. => the caller gives it back. */
function* find(root: Vnode, path: string, follow: boolean): Sleeps<Vnode | null> {
  try {
    return yield* namei(root, path, { follow });
  } catch (error) {
    if (error instanceof ErrnoError && NOT_THERE.has(error.errno)) return null;
    throw error;
  }
}

const NOT_THERE: ReadonlySet<Errno> = new Set([Errno.ENOENT, Errno.ENOTDIR, Errno.ENAMETOOLONG]);

function* exists(root: Vnode, path: string): Sleeps<boolean> {
  const vp = yield* find(root, path, false);
  if (vp === null) return false;
  vp.mount.vrele(vp);
  return true;
}

/** Names in the directory `path` that match, sorted; none where there is no directory. */
function* matching(root: Vnode, path: string, pattern: string): Sleeps<string[]> {
  const dvp = yield* find(root, path, true);
  if (dvp === null) return [];
  try {
    if (dvp.type !== "directory") return [];
    const matches = componentMatcher(pattern);
    const names = (yield* listDirectory(dvp)).map((entry) => entry.name);
    return names.filter((name) => name !== "." && name !== ".." && matches(name)).sort();
  } finally {
    dvp.mount.vrele(dvp);
  }
}

/**
 * The paths that `path` stands for: itself where it is no pattern or exists as it is written, else all that it
 * matches, sorted. @throws {ErrnoError} ENOENT: a pattern that matches nothing; as namei.
 */
export function* expandPath(root: Vnode, path: string): Sleeps<string[]> {
  if (!MAGIC.test(path) || (yield* exists(root, path))) return [path];
  const parts = path.split("/").filter((part) => part !== "");
  let found = [""];
  for (const part of parts) {
    const next: string[] = [];
    for (const before of found) {
      if (!MAGIC.test(part)) next.push(`${before}/${part}`);
      else {
        const names = yield* matching(root, `${before}/`, part);
        for (const name of names) next.push(`${before}/${name}`);
      }
    }
    found = next;
  }
  const there: string[] = [];
  const slash = path.endsWith("/") ? "/" : "";
  for (const match of found) if (yield* exists(root, match + slash)) there.push(match + slash);
  if (there.length === 0) throw new ErrnoError(Errno.ENOENT, `${path}: nothing matches`);
  return there;
}
