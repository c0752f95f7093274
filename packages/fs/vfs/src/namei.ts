/**
 * Name lookup: from a path to a vnode.
 *
 * Walks component by component, follows symlinks (at most 32 in one lookup), and stays below the
 * root: `..` of the root is the root, an absolute symlink begins there. Follows vfs_lookup.c.
 */
import { Errno, ErrnoError, encodeName } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "./vnode.ts";

/** @bsd #Y sys/sys/param.h MAXSYMLINKS */
export const MAXSYMLINKS = 32;
const NAME_MAX = 255;
const PATH_MAX = 4096;

export interface NameiOptions {
  /** Follow a symlink in the last component (default true). @bsd #Y FOLLOW, NOFOLLOW */
  readonly follow?: boolean;
}

/** Components of a path, and whether it must name a directory because it ends in a slash. */
function split(path: string, whole: string): { parts: string[]; directory: boolean } {
  if (path === "") throw new ErrnoError(Errno.ENOENT, `"${whole}": empty path`);
  if (path.includes("\0"))
    throw new ErrnoError(Errno.EINVAL, `${JSON.stringify(whole)}: NUL in a path`);
  if (encodeName(path).length > PATH_MAX) throw new ErrnoError(Errno.ENAMETOOLONG, whole);
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return { parts, directory: /\/\.?$/.test(path) || path === "." };
}

/** One walk: what is left of the path, and where it stands. */
class Walk {
  readonly root: Vnode;
  readonly path: string;
  readonly follow: boolean;
  at: Vnode;
  left: string[];
  directory: boolean;
  links: number;

  constructor(root: Vnode, path: string, follow: boolean) {
    const { parts, directory } = split(path, path);
    this.root = root;
    this.path = path;
    this.follow = follow;
    this.at = root;
    this.left = parts;
    this.directory = directory;
    this.links = 0;
    root.mount.vref(root);
  }

  fail(errno: Errno, why: string): ErrnoError {
    return new ErrnoError(errno, `${this.path}: ${why}`);
  }

  moveTo(vp: Vnode): void {
    this.at.mount.vrele(this.at);
    this.at = vp;
  }

  /** Go on with a symlink's target in place of its name. */
  splice(target: string): void {
    this.links++;
    if (this.links > MAXSYMLINKS) throw this.fail(Errno.ELOOP, `more than ${MAXSYMLINKS} symlinks`);
    const { parts, directory } = split(target, this.path);
    if (this.left.length === 0) this.directory ||= directory;
    this.left.unshift(...parts);
    if (!target.startsWith("/")) return;
    this.root.mount.vref(this.root);
    this.moveTo(this.root);
  }
}

/** Look `name` up where the walk stands; an error says in which path. */
function* lookup(walk: Walk, name: string): Sleeps<Vnode> {
  try {
    return yield* walk.at.ops.lookup(walk.at, name);
  } catch (error) {
    throw error instanceof ErrnoError ? walk.fail(error.errno, error.what) : error;
  }
}

/** Take one component. */
function* step(walk: Walk, name: string): Sleeps<void> {
  const { at } = walk;
  if (at.type !== "directory")
    throw walk.fail(Errno.ENOTDIR, `"${name}" is looked up in a ${at.type}`);
  if (encodeName(name).length > NAME_MAX)
    throw walk.fail(Errno.ENAMETOOLONG, "a name over 255 bytes");
  if (name === ".." && at === walk.root) return;
  const vp = yield* lookup(walk, name);
  const followed = walk.left.length > 0 || walk.follow || walk.directory;
  if (vp.type !== "symlink" || !followed) {
    walk.moveTo(vp);
    return;
  }
  try {
    walk.splice(yield* vp.ops.readlink(vp));
  } finally {
    vp.mount.vrele(vp);
  }
}

/**
 * The vnode that `path` names, from `root` on, referenced.
 * @throws {ErrnoError} ENOENT; ENOTDIR; ELOOP: too many symlinks; ENAMETOOLONG; EINVAL: a NUL; EIO.
 * @bsd #P[one mount, no credentials] namei(9)
 */
export function* namei(root: Vnode, path: string, options: NameiOptions = {}): Sleeps<Vnode> {
  const walk = new Walk(root, path, options.follow ?? true);
  try {
    for (let name = walk.left.shift(); name !== undefined; name = walk.left.shift()) {
      yield* step(walk, name);
    }
    if (walk.directory && walk.at.type !== "directory") {
      throw walk.fail(Errno.ENOTDIR, `is a ${walk.at.type}`);
    }
    return walk.at;
  } catch (error) {
    walk.at.mount.vrele(walk.at);
    throw error;
  }
}
