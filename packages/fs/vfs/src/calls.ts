/**
 * Calls on paths: what a program asks for that changes names.
 *
 * A path is looked up without locks (namei.ts). Then the directory is locked alone and the name is looked up
 * again: what is judged and changed is what is there under the lock. Everything happens in a transaction of the
 * mount and of its journal; a vnode whose last name went is let go of when both have ended, and what the file
 * system has to do for it is done on return. Follows vfs_syscalls.c.
 *
 * Locks, in this order: the mount's rename lock, if a directory is renamed or a name goes to another directory;
 * directories, one above another first, unrelated ones by inode number; files, by inode number. Only
 * rename locks two vnodes of which neither is in the other.
 *
 * => callers have no vnode locked and are in no transaction. All throw ErrnoError, with the path.
 */
import type { Bytes } from "@physio/kern";
import { Errno as E, ErrnoError, encodeName } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_WRITER } from "@physio/sched";
import type { Mount } from "./mount.ts";
import type { NameiOptions, ParentLookup } from "./namei.ts";
import { lookupIn, lookupParent, namei } from "./namei.ts";
import type { AttributeChanges, NewFile, Vnode, VnodeOps } from "./vnode.ts";
import { vnLock, vnUnlock } from "./vnode-io.ts";

/** Whose a new file is, and what may be done with it. */
export interface Ownership {
  /** The low 12 bits of st_mode; default 0644, 0755 for directories, 0777 for symlinks. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface CreateOptions extends Ownership {
  /** The file must be new. @bsd #Y O_EXCL */
  readonly exclusive?: boolean;
  /** One that is there loses its data. @bsd #Y O_TRUNC */
  readonly truncate?: boolean;
}

const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;
const SYMLINK_MODE = 0o777;
const PATH_MAX = 4096;

/** Give a vnode back; what its file system does for the last user is done on return. => not locked, not in a transaction. */
export function* vnRelease(vp: Vnode): Sleeps<void> {
  yield* vp.mount.vnodes.releaseNow(vp);
}

/** The operations that change something. */
type WritingOps = Required<
  Pick<VnodeOps, "make" | "remove" | "rmdir" | "link" | "rename" | "setattr">
>;

/** The operations of a vnode, `name` among them. @throws {ErrnoError} EROFS; EOPNOTSUPP: the file system has none such. */
export function writingOps(vp: Vnode, name: keyof WritingOps, path: string): WritingOps {
  const { mount, ops } = vp;
  if (mount.readOnly) throw new ErrnoError(E.EROFS, path);
  if (name in ops) return ops as WritingOps;
  throw new ErrnoError(E.EOPNOTSUPP, `${path}: ${mount.ops.fsName} has no ${name}`);
}

/** Run `body` in a transaction of the mount and of its journal. @throws {ErrnoError} the journal's error. */
export function* changing<T>(mount: Mount, path: string, body: () => Sleeps<T>): Sleeps<T> {
  yield* mount.trans.start("shared");
  try {
    const error = mount.journal === null ? E.OK : yield* mount.journal.begin();
    if (error !== E.OK) throw new ErrnoError(error, `${path}: journal`);
    try {
      return yield* body();
    } finally {
      mount.journal?.end();
    }
  } finally {
    mount.trans.done();
  }
}

/** @throws {ErrnoError} ENOENT: the directory has been removed. => it is locked. */
export function checkAlive(dvp: Vnode, path: string): void {
  if (dvp.ops.getattr(dvp).links > 0) return;
  throw new ErrnoError(E.ENOENT, `${path}: directory inode ${dvp.ino} has been removed`);
}

/** Lock vnodes alone, in this order, while `body` runs. => they differ. */
export function* locked<T>(vnodes: readonly Vnode[], body: () => Sleeps<T>): Sleeps<T> {
  let held = 0;
  try {
    for (; held < vnodes.length; held++) yield* vnLock(vnodes[held], RW_WRITER);
    return yield* body();
  } finally {
    while (held > 0) vnUnlock(vnodes[--held]);
  }
}

/** Lock the directory of `at`, and run `body` with what the name is now. */
function* inParent<T>(
  at: ParentLookup,
  path: string,
  body: (vp: Vnode | null) => Sleeps<T>,
): Sleeps<T> {
  const { dvp, name } = at;
  return yield* changing(dvp.mount, path, () =>
    locked([dvp], function* () {
      checkAlive(dvp, path);
      const vp = yield* lookupIn(dvp, name);
      try {
        return yield* body(vp);
      } finally {
        if (vp !== null) dvp.mount.vrele(vp); // the last user: in `at`
      }
    }),
  );
}

/** Look the parent of `path` up, run `body`, and give everything back. */
export function* withParent<T>(
  root: Vnode,
  path: string,
  options: NameiOptions,
  body: (at: ParentLookup) => Sleeps<T>,
): Sleeps<T> {
  const at = yield* lookupParent(root, path, options);
  try {
    return yield* body(at);
  } finally {
    if (at.vp !== null) yield* vnRelease(at.vp);
    yield* vnRelease(at.dvp);
  }
}

/** Make what is not there. @throws {ErrnoError} EEXIST. */
function* makeNew(root: Vnode, path: string, file: NewFile): Sleeps<Vnode> {
  return yield* withParent(root, path, {}, function* (at) {
    if (at.vp !== null) throw new ErrnoError(E.EEXIST, path);
    if (at.trailingSlash && file.type !== "directory") throw new ErrnoError(E.ENOENT, path);
    return yield* inParent(at, path, function* (vp) {
      if (vp !== null) throw new ErrnoError(E.EEXIST, path);
      return yield* makeAt(at, path, file);
    });
  });
}

/** => the directory is locked and has no such name. */
function* makeAt({ dvp, name }: ParentLookup, path: string, file: NewFile): Sleeps<Vnode> {
  const made = yield* writingOps(dvp, "make", path).make(dvp, name, file);
  dvp.mount.names.enter(dvp, name, made);
  return made;
}

function owned(type: NewFile["type"], mode: number, options: Ownership): NewFile {
  return {
    type,
    mode: options.mode ?? mode,
    uid: options.uid ?? 0,
    gid: options.gid ?? 0,
  };
}

/**
 * The file `path`, made if it is not there. A symlink in the last component is followed, unless it must be new.
 * @returns its vnode, referenced.
 * @throws {ErrnoError} EEXIST: it must be new; EISDIR; EROFS; ENOSPC; and what `namei` throws.   @bsd #P[no file, no credentials] open(2) O_CREAT
 */
export function* createFile(root: Vnode, path: string, options: CreateOptions = {}): Sleeps<Vnode> {
  const exclusive = options.exclusive === true;
  const vp = yield* withParent(root, path, { follow: !exclusive }, function* (at) {
    if (at.trailingSlash) throw new ErrnoError(E.EISDIR, path);
    if (at.vp !== null) return existing(at.vp, path, exclusive);
    return yield* inParent(at, path, function* (found) {
      if (found !== null) return existing(found, path, exclusive);
      return yield* makeAt(at, path, owned("regular", FILE_MODE, options));
    });
  });
  if (options.truncate !== true || vp.size === 0 || vp.type !== "regular") return vp;
  try {
    yield* change(vp, path, { size: 0 });
    return vp;
  } catch (error) {
    yield* vnRelease(vp);
    throw error;
  }
}

/** One more reference to a file that is there. @throws {ErrnoError} EEXIST; EISDIR; ELOOP: a symlink that somebody has just made. */
function existing(vp: Vnode, path: string, exclusive: boolean): Vnode {
  if (exclusive) throw new ErrnoError(E.EEXIST, path);
  if (vp.type === "directory") throw new ErrnoError(E.EISDIR, path);
  if (vp.type === "symlink") throw new ErrnoError(E.ELOOP, path);
  vp.mount.vref(vp);
  return vp;
}

/** @throws {ErrnoError} EEXIST; EROFS; EMLINK; ENOSPC; and what `namei` throws. @bsd #Y mkdir(2) */
export function* makeDirectory(root: Vnode, path: string, options: Ownership = {}): Sleeps<void> {
  yield* vnRelease(yield* makeNew(root, path, owned("directory", DIRECTORY_MODE, options)));
}

/** A symlink to `target`. @throws {ErrnoError} EEXIST; ENOENT: an empty target; EINVAL: a NUL; ENAMETOOLONG; EROFS; ENOSPC; … @bsd #Y symlink(2) */
export function* makeSymlink(
  root: Vnode,
  path: string,
  target: string,
  options: Ownership = {},
): Sleeps<void> {
  if (target === "") throw new ErrnoError(E.ENOENT, `${path}: an empty target`);
  if (target.includes("\0")) throw new ErrnoError(E.EINVAL, `${path}: NUL in its target`);
  if (encodeName(target).length >= PATH_MAX)
    throw new ErrnoError(E.ENAMETOOLONG, `${path}: its target`);
  const file = { ...owned("symlink", SYMLINK_MODE, options), target };
  yield* vnRelease(yield* makeNew(root, path, file));
}

/** A FIFO, a socket or a special file. @throws {ErrnoError} EEXIST; EINVAL: a device number; EROFS; ENOSPC; … @bsd #Y mknod(2) */
export function* makeSpecial(root: Vnode, path: string, file: NewFile): Sleeps<void> {
  yield* vnRelease(yield* makeNew(root, path, file));
}

/** One more name for the file `from`; a symlink there is taken itself. @throws {ErrnoError} EEXIST; EPERM: a directory; EXDEV; EMLINK; EROFS; ENOSPC; … @bsd #Y link(2) */
export function* makeLink(root: Vnode, from: string, path: string, toRoot = root): Sleeps<void> {
  const vp = yield* namei(root, from, { follow: false });
  try {
    yield* withParent(toRoot, path, {}, function* (at) {
      if (at.vp !== null) throw new ErrnoError(E.EEXIST, path);
      if (at.trailingSlash) throw new ErrnoError(E.ENOENT, path);
      if (at.dvp.mount !== vp.mount) throw new ErrnoError(E.EXDEV, path);
      if (vp.type === "directory") throw new ErrnoError(E.EPERM, `${from} is a directory`);
      yield* inParent(at, path, (found) => linkAt(at, path, vp, found));
    });
  } finally {
    yield* vnRelease(vp);
  }
}

function* linkAt(at: ParentLookup, path: string, vp: Vnode, found: Vnode | null): Sleeps<void> {
  const { dvp, name } = at;
  if (found !== null) throw new ErrnoError(E.EEXIST, path);
  const ops = writingOps(dvp, "link", path);
  yield* locked([vp], function* () {
    if (vp.ops.getattr(vp).links === 0) throw new ErrnoError(E.ENOENT, path);
    yield* ops.link(dvp, name, vp);
  });
  dvp.mount.names.enter(dvp, name, vp);
}

/** Take the name of a file away. @throws {ErrnoError} ENOENT; EISDIR; ENOTDIR: a slash behind a file; EROFS; EIO; … @bsd #Y unlink(2) */
export function* unlinkPath(root: Vnode, path: string): Sleeps<void> {
  yield* withParent(root, path, {}, function* (at) {
    yield* inParent(at, path, function* (vp) {
      const { dvp, name } = at;
      if (vp === null) throw new ErrnoError(E.ENOENT, path);
      if (vp.type === "directory") throw new ErrnoError(E.EISDIR, path);
      if (at.trailingSlash) throw new ErrnoError(E.ENOTDIR, path);
      const ops = writingOps(dvp, "remove", path);
      yield* locked([vp], () => ops.remove(dvp, name, vp));
      dvp.mount.names.enter(dvp, name, null);
    });
  });
}

/** @throws {ErrnoError} ENOENT; ENOTDIR; ENOTEMPTY; EINVAL: "."; EBUSY: the root; EROFS; EIO; … @bsd #Y rmdir(2) */
export function* removeDirectory(root: Vnode, path: string): Sleeps<void> {
  yield* withParent(root, path, {}, function* (at) {
    const { dvp, name } = at;
    if (at.vp === root) throw new ErrnoError(E.EBUSY, `${path}: the root`);
    if (name === ".") throw new ErrnoError(E.EINVAL, path);
    if (name === "..") throw new ErrnoError(E.ENOTEMPTY, path);
    yield* inParent(at, path, function* (vp) {
      if (vp === null) throw new ErrnoError(E.ENOENT, path);
      if (vp.type !== "directory") throw new ErrnoError(E.ENOTDIR, path);
      if (vp === dvp) throw new ErrnoError(E.EIO, `${path}: the directory is in itself`);
      const ops = writingOps(dvp, "rmdir", path);
      yield* locked([vp], () => ops.rmdir(dvp, name, vp));
      dvp.mount.names.purgeVnode(vp);
      dvp.mount.names.enter(dvp, name, null);
    });
  });
}

/** The file ends at `size`; what it gains reads as zeros. @throws {ErrnoError} EISDIR; EINVAL: no regular file; EFBIG; EROFS; EIO; … @bsd #Y truncate(2) */
export function* truncatePath(root: Vnode, path: string, size: Bytes): Sleeps<void> {
  yield* setAttributes(root, path, { size });
}

/** Change attributes of what `path` names. @throws {ErrnoError} as `truncatePath`. @bsd #Y chmod(2), chown(2), utimes(2) */
export function* setAttributes(
  root: Vnode,
  path: string,
  changes: AttributeChanges,
  options: NameiOptions = {},
): Sleeps<void> {
  const vp = yield* namei(root, path, options);
  try {
    yield* change(vp, path, changes);
  } finally {
    yield* vnRelease(vp);
  }
}

function* change(vp: Vnode, path: string, changes: AttributeChanges): Sleeps<void> {
  const { size } = changes;
  if (size !== undefined) {
    if (vp.type === "directory") throw new ErrnoError(E.EISDIR, path);
    if (vp.type !== "regular" || !(size >= 0)) {
      throw new ErrnoError(E.EINVAL, `${path}: ${vp.type}, size ${size}`);
    }
  }
  const ops = writingOps(vp, "setattr", path);
  yield* changing(vp.mount, path, () => locked([vp], () => ops.setattr(vp, changes)));
}
