/**
 * Renaming: the one call that changes two directories.
 *
 * Who renames a directory, or moves a name to another directory, holds the mount's rename lock: then no
 * directory changes its place in the tree, and what was found about who is above whom stays true until
 * the directories are locked. The names are looked up again under the locks; if they are something else by
 * then, everything begins anew. Follows do_sys_rename of vfs_syscalls.c and genfs_rename.c in what they do.
 *
 * Invariant: directories are locked before files, a directory before those below it.
 */
import type { Errno } from "@physio/kern";
import { Errno as E, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_READER, RW_WRITER } from "@physio/sched";
import { changing, checkAlive, locked, vnRelease, withParent, writingOps } from "./calls.ts";
import type { ParentLookup } from "./namei.ts";
import { lookupIn } from "./namei.ts";
import type { Vnode } from "./vnode.ts";
import { vnLock, vnUnlock } from "./vnode-io.ts";

/** One rename under way: where the names are, and what they were when they were looked at last; both referenced. */
class Rename {
  readonly from: ParentLookup;
  readonly to: ParentLookup;
  /** For messages. */
  readonly paths: string;
  source: Vnode | null;
  target: Vnode | null;

  constructor(from: ParentLookup, to: ParentLookup, paths: string) {
    this.from = from;
    this.to = to;
    this.paths = paths;
    this.source = null;
    this.target = null;
  }

  fail(errno: Errno, why: string): ErrnoError {
    return new ErrnoError(errno, `${this.paths}: ${why}`);
  }
}

/**
 * The name `from` becomes `to`, in place of the file or empty directory there. Symlinks are taken themselves. Two
 * names of one file stay as they are.
 * @throws {ErrnoError} ENOENT; EEXIST is never; EINVAL: "." or "..", or a directory into itself; EBUSY: the root;
 *   ENOTDIR, EISDIR: a directory and something else; ENOTEMPTY; EXDEV; EMLINK; EROFS; ENOSPC; EIO; …
 * @bsd #Y rename(2)
 */
export function* renamePath(root: Vnode, from: string, to: string, toRoot = root): Sleeps<void> {
  yield* withParent(root, from, {}, function* (source) {
    yield* withParent(toRoot, to, {}, function* (target) {
      const rename = new Rename(source, target, `${from} to ${to}`);
      checkNames(rename, root, toRoot);
      yield* renameAt(rename);
    });
  });
}

function checkNames(rename: Rename, root: Vnode, toRoot: Vnode): void {
  const { from, to } = rename;
  if (from.vp === null) throw rename.fail(E.ENOENT, "there is no such name");
  if (from.vp === root || to.vp === toRoot) throw rename.fail(E.EBUSY, "the root");
  for (const { name } of [from, to]) {
    if (name === "." || name === "..") throw rename.fail(E.EINVAL, `"${name}"`);
  }
  if (from.dvp.mount !== to.dvp.mount) throw rename.fail(E.EXDEV, "another file system");
}

/** Try until nobody comes between. */
function* renameAt(rename: Rename): Sleeps<void> {
  const { from, to } = rename;
  const { mount } = from.dvp;
  rename.source = reference(from.vp);
  rename.target = reference(to.vp);
  try {
    while (!(yield* changing(mount, rename.paths, () => attempt(rename))));
  } finally {
    if (rename.source !== null) yield* vnRelease(rename.source);
    if (rename.target !== null) yield* vnRelease(rename.target);
  }
}

function reference(vp: Vnode | null): Vnode | null {
  if (vp !== null) vp.mount.vref(vp);
  return vp;
}

/** @returns false: the names have become something else; what they are now is noted. */
function* attempt(rename: Rename): Sleeps<boolean> {
  const { from, to, source } = rename;
  const { renames } = from.dvp.mount;
  const tree = from.dvp !== to.dvp || source?.type === "directory";
  if (!tree) return yield* locked([from.dvp], () => changeNames(rename, tree));
  yield* renames.enter(RW_WRITER);
  try {
    const directories = yield* orderDirectories(rename);
    return yield* locked(directories, () => changeNames(rename, tree));
  } finally {
    renames.exit();
  }
}

/** Both directories, in the order in which they are locked. @throws {ErrnoError} EINVAL, ENOTEMPTY: one of the files is above the other's directory. */
function* orderDirectories(rename: Rename): Sleeps<readonly Vnode[]> {
  const { from, to, source, target } = rename;
  const aboveFrom = yield* directoriesAbove(rename, from.dvp);
  if (source?.type === "directory" || from.dvp !== to.dvp) {
    const aboveTo = from.dvp === to.dvp ? aboveFrom : yield* directoriesAbove(rename, to.dvp);
    if (source !== null && aboveTo.has(source.ino)) {
      throw rename.fail(E.EINVAL, "a directory into itself");
    }
    if (target !== null && aboveFrom.has(target.ino)) {
      throw rename.fail(source?.type === "directory" ? E.ENOTEMPTY : E.EISDIR, "it is above");
    }
    if (from.dvp === to.dvp) return [from.dvp];
    if (aboveTo.has(from.dvp.ino)) return [from.dvp, to.dvp];
    if (aboveFrom.has(to.dvp.ino)) return [to.dvp, from.dvp];
  }
  return [from.dvp, to.dvp].toSorted((a, b) => a.ino - b.ino);
}

/** The inodes of a directory and of all above it. => the rename lock is held. @throws {ErrnoError} EIO: they go round in a circle. */
function* directoriesAbove(rename: Rename, dvp: Vnode): Sleeps<Set<number>> {
  const { mount } = dvp;
  const above = new Set<number>();
  mount.vref(dvp);
  for (let at = dvp; ; ) {
    if (above.has(at.ino)) {
      mount.vrele(at);
      throw rename.fail(E.EIO, `directory inode ${at.ino} is below itself`);
    }
    above.add(at.ino);
    if (at.ino === mount.ops.rootIno) {
      mount.vrele(at);
      return above;
    }
    const next = yield* parentOf(at);
    if (next === null) throw rename.fail(E.EIO, `directory inode ${[...above].at(-1)} has no ".."`);
    at = next;
  }
}

/** The directory above one, which is given back. */
function* parentOf(dvp: Vnode): Sleeps<Vnode | null> {
  yield* vnLock(dvp, RW_READER);
  try {
    return yield* lookupIn(dvp, "..");
  } finally {
    vnUnlock(dvp);
    dvp.mount.vrele(dvp);
  }
}

/** => the directories are locked; `tree`: and so is the tree. @returns false: the names are not what they were. */
function* changeNames(rename: Rename, tree: boolean): Sleeps<boolean> {
  const { from, to } = rename;
  checkAlive(from.dvp, rename.paths);
  checkAlive(to.dvp, rename.paths);
  if (!(yield* isAsBefore(rename))) return false;
  const { source, target } = rename;
  if (source === null) throw rename.fail(E.ENOENT, "there is no such name");
  if (!tree && source.type === "directory") return false;
  if (source === target) return true;
  checkTypes(rename, source, target);
  const ops = writingOps(from.dvp, "rename", rename.paths);
  const files = target === null ? [source] : [source, target].toSorted((a, b) => a.ino - b.ino);
  if (files.some((vp) => vp === from.dvp || vp === to.dvp)) {
    throw rename.fail(E.EIO, "a directory is in itself");
  }
  yield* locked(files, () =>
    ops.rename(
      { dvp: from.dvp, name: from.name, vp: source },
      { dvp: to.dvp, name: to.name, vp: target },
    ),
  );
  const { names } = from.dvp.mount;
  if (target?.type === "directory") names.purgeVnode(target);
  names.enter(from.dvp, from.name, null);
  names.enter(to.dvp, to.name, source);
  return true;
}

/** Look both names up again. @returns whether they are what was looked at. */
function* isAsBefore(rename: Rename): Sleeps<boolean> {
  const { from, to, source, target } = rename;
  const { mount } = from.dvp;
  const sourceNow = yield* lookupIn(from.dvp, from.name);
  let targetNow: Vnode | null = null;
  try {
    targetNow = yield* lookupIn(to.dvp, to.name);
  } catch (error) {
    if (sourceNow !== null) mount.vrele(sourceNow);
    throw error;
  }
  rename.source = sourceNow;
  rename.target = targetNow;
  if (source !== null) mount.vrele(source);
  if (target !== null) mount.vrele(target);
  return source === sourceNow && target === targetNow;
}

/** @throws {ErrnoError} ENOTDIR; EISDIR. */
function checkTypes(rename: Rename, source: Vnode, target: Vnode | null): void {
  const { from, to } = rename;
  if (source.type === "directory") {
    if (target !== null && target.type !== "directory") {
      throw rename.fail(E.ENOTDIR, "a directory over something else");
    }
    return;
  }
  if (target?.type === "directory") throw rename.fail(E.EISDIR, "something else over a directory");
  if (from.trailingSlash || to.trailingSlash) throw rename.fail(E.ENOTDIR, "no directory");
}
