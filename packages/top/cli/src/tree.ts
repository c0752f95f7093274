/**
 * `physio tree`: all that is below a directory.
 */
import { ErrnoError } from "@physio/kern";
import type { TreeVisitor } from "@physio/machine";
import { walkTree } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import type { Vnode, VnodeType } from "@physio/vfs";
import { printable } from "./output.ts";

/** A file, and what is in it if it is a directory. */
export interface Branch {
  readonly name: string;
  readonly type: VnodeType;
  readonly size: number;
  readonly target?: string;
  readonly entries?: Branch[];
}

/** The tree below `vp`. What cannot be entered goes to `broken`. */
export function* branchOf(vp: Vnode, path: string, broken: ErrnoError[]): Sleeps<Branch> {
  if (vp.type !== "directory") return yield* oneBranch(vp, path, broken);
  const prefix = path.replace(/\/+$/, "");
  const byPath: Map<string, Branch> = new Map();
  const visitor: TreeVisitor = {
    *found(below, child) {
      const isTop = below === "/";
      const name = isTop ? path : below.slice(below.lastIndexOf("/") + 1);
      const branch = yield* oneBranch(child, name, broken);
      child.mount.vrele(child);
      if (branch.entries !== undefined) byPath.set(isTop ? "" : below, branch);
      if (!isTop) byPath.get(below.slice(0, below.lastIndexOf("/")))?.entries?.push(branch);
    },
    broken(below, error) {
      const what = error.what.startsWith(below) ? error.what : `${below}: ${error.what}`;
      broken.push(new ErrnoError(error.errno, prefix + what));
    },
  };
  yield* walkTree(vp, visitor);
  return byPath.get("")!;
}

function* oneBranch(vp: Vnode, name: string, broken: ErrnoError[]): Sleeps<Branch> {
  const { type } = vp;
  const size: number = vp.size;
  if (type === "directory") return { name, type, size, entries: [] };
  if (type !== "symlink") return { name, type, size };
  try {
    return { name, type, size, target: yield* vp.ops.readlink(vp) };
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    broken.push(new ErrnoError(error.errno, `/${name}: ${error.what}`));
    return { name, type, size };
  }
}

/** The tree as lines, each entry behind the lines of its directory. */
export function treeLines(tree: Branch): string[] {
  const lines: string[] = [];
  const add = (branch: Branch, first: string, rest: string): void => {
    const target = branch.target === undefined ? "" : ` -> ${branch.target}`;
    lines.push(first + printable(branch.name + target));
    const entries = branch.entries ?? [];
    for (const [i, entry] of entries.entries()) {
      const last = i === entries.length - 1;
      add(entry, `${rest}${last ? "└── " : "├── "}`, `${rest}${last ? "    " : "│   "}`);
    }
  };
  add(tree, "", "");
  return lines;
}

/** Directories and others below the top. */
export function countTree(tree: Branch): { directories: number; files: number } {
  let directories = 0;
  let files = 0;
  const stack = [...(tree.entries ?? [])];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    if (top.entries === undefined) files++;
    else directories++;
    stack.push(...(top.entries ?? []));
  }
  return { directories, files };
}
