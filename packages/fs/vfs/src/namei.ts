/**
 * Name lookup: from a path to a vnode, or to the directory in which a name is to be made or removed.
 *
 * Walks component by component, follows symlinks (at most 32 in one lookup), and stays below the
 * root: `..` of the root is the root, an absolute symlink begins there. A directory is locked, shared,
 * while a name is looked up in it, and what is found goes into the mount's name cache. Follows
 * vfs_lookup.c.
 */
import { Errno, ErrnoError, encodeName } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_READER } from "@physio/sched";
import type { Vnode } from "./vnode.ts";
import { vnLock, vnUnlock } from "./vnode-io.ts";

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

/**
 * The vnode `name` of a directory, referenced, or null: there is no such name. The mount's name cache is
 * asked first, and told.
 * => `dvp` is locked, to share or alone. @throws {ErrnoError} EIO.   @bsd #Y cache_lookup, VOP_LOOKUP
 */
export function* lookupIn(dvp: Vnode, name: string): Sleeps<Vnode | null> {
  const { names } = dvp.mount;
  const known = names.lookup(dvp, name);
  if (known === null) return null;
  if (known?.state === "loaded") {
    known.mount.vref(known);
    return known;
  }
  const { ops } = dvp;
  const vp = yield* ops.find === undefined ? lookedUp(dvp, name) : ops.find(dvp, name);
  names.enter(dvp, name, vp);
  return vp;
}

/** `lookup` as `find`. */
function* lookedUp(dvp: Vnode, name: string): Sleeps<Vnode | null> {
  try {
    return yield* dvp.ops.lookup(dvp, name);
  } catch (error) {
    if (error instanceof ErrnoError && error.errno === Errno.ENOENT) return null;
    throw error;
  }
}

/** Look `name` up where the walk stands. @returns null: there is none. An error says in which path. */
function* lookup(walk: Walk, name: string): Sleeps<Vnode | null> {
  const { at } = walk;
  if (at.type !== "directory")
    throw walk.fail(Errno.ENOTDIR, `"${name}" is looked up in a ${at.type}`);
  if (encodeName(name).length > NAME_MAX)
    throw walk.fail(Errno.ENAMETOOLONG, "a name over 255 bytes");
  if (name === ".." && at === walk.root) {
    at.mount.vref(at);
    return at;
  }
  yield* vnLock(at, RW_READER);
  try {
    return yield* lookupIn(at, name);
  } catch (error) {
    throw error instanceof ErrnoError ? walk.fail(error.errno, error.what) : error;
  } finally {
    vnUnlock(at);
  }
}

/** Go on with the target of a symlink, which is given back. */
function* follow(walk: Walk, link: Vnode): Sleeps<void> {
  try {
    yield* vnLock(link, RW_READER);
    let target = "";
    try {
      target = yield* link.ops.readlink(link);
    } finally {
      vnUnlock(link);
    }
    walk.splice(target);
  } finally {
    link.mount.vrele(link);
  }
}

/** Take one component. */
function* step(walk: Walk, name: string): Sleeps<void> {
  const vp = yield* lookup(walk, name);
  if (vp === null) throw walk.fail(Errno.ENOENT, `no "${name}" in directory inode ${walk.at.ino}`);
  const followed = walk.left.length > 0 || walk.follow || walk.directory;
  if (vp.type === "symlink" && followed) yield* follow(walk, vp);
  else walk.moveTo(vp);
}

/**
 * The vnode that `path` names, from `root` on, referenced.
 * => the caller has no vnode locked.
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

/** Where a name is to be made, removed or given. */
export interface ParentLookup {
  /** The directory, referenced, not locked. */
  readonly dvp: Vnode;
  /** The last component: a name of at most 255 bytes, or "." or ".."; "." for the root itself. */
  readonly name: string;
  /** What it is now, referenced; null: there is none. */
  readonly vp: Vnode | null;
  /** The path ends in a slash: only a directory may be meant. */
  readonly trailingSlash: boolean;
}

/**
 * The directory of the last component of `path`, and what is there now. Whether "." or a slash at the end
 * is wrong depends on what the caller is about to do, so they are told, not judged. With `follow` a
 * symlink there is followed, to where its target is or would be.
 * => the caller has no vnode locked; he gives `dvp` and `vp` back. Before he changes the directory he
 * locks it alone and asks `lookupIn` again: others were free to change it.
 * @throws {ErrnoError} ENOENT, ENOTDIR: not a directory on the way; ELOOP; ENAMETOOLONG; EINVAL: a NUL; EIO.
 * @bsd #P[not locked] namei(9) CREATE, DELETE, RENAME with LOCKPARENT
 */
export function* lookupParent(
  root: Vnode,
  path: string,
  options: NameiOptions = {},
): Sleeps<ParentLookup> {
  const walk = new Walk(root, path, true);
  try {
    const endsInDot = /(^|\/)\.\/*$/.test(path);
    for (;;) {
      const name = endsInDot ? undefined : walk.left.at(-1);
      while (walk.left.length > (name === undefined ? 0 : 1)) yield* step(walk, walk.left.shift()!);
      if (name === undefined) return parentItself(walk);
      walk.left.length = 0;
      const vp = yield* lookup(walk, name);
      if (vp?.type !== "symlink" || options.follow !== true) {
        return { dvp: walk.at, name, vp, trailingSlash: walk.directory };
      }
      yield* follow(walk, vp);
    }
  } catch (error) {
    walk.at.mount.vrele(walk.at);
    throw error;
  }
}

/** The path names the directory where the walk stands. */
function parentItself(walk: Walk): ParentLookup {
  const { at } = walk;
  if (at.type !== "directory") throw walk.fail(Errno.ENOTDIR, `is a ${at.type}`);
  at.mount.vref(at);
  return { dvp: at, name: ".", vp: at, trailingSlash: walk.directory };
}
