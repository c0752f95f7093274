/**
 * A mounted image as a place: files are moved by FileIo, names changed by the calls of vfs.
 */
import type { Bytes, FileOffset } from "@physio/kern";
import { Errno, ErrnoError } from "@physio/kern";
import type { FileIo } from "@physio/machine";
import { listDirectory, setFileSize, skipHole } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import type { AttributeChanges, Vnode } from "@physio/vfs";
import {
  createFile,
  makeDirectory,
  makeSpecial,
  makeSymlink,
  namei,
  removeDirectory,
  setAttributes,
  unlinkPath,
  vnRelease,
  WriteErrors,
} from "@physio/vfs";
import { processOwner } from "./owner.ts";
import type { FileInfo, Place, Source, Target } from "./place.ts";

const ABSENT: ReadonlySet<Errno> = new Set([Errno.ENOENT]);

/** What is written at a time before it goes to the disk and out of memory. */
const KEPT_BYTES: Bytes = 8 * 2 ** 20;

function infoOf(vp: Vnode, image: string): FileInfo {
  const { type, mode, size, uid, gid, atime, mtime, rdev, ino } = vp.ops.getattr(vp);
  return { type, mode, size, uid, gid, atime, mtime, rdev, id: `${image} ${ino}` };
}

/** Run `body`; an error says in which image, and of which file. */
function* named<T>(name: string, body: Sleeps<T>): Sleeps<T> {
  try {
    return yield* body;
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    const path = name.slice(name.lastIndexOf(":/") + 1);
    const rest = error.what.startsWith(path) ? error.what.slice(path.length) : `: ${error.what}`;
    throw new ErrnoError(error.errno, name + rest);
  }
}

class ImageSource implements Source {
  readonly #name: string;
  readonly #vp: Vnode;
  readonly #io: FileIo;

  constructor(name: string, vp: Vnode, io: FileIo) {
    this.#name = name;
    this.#vp = vp;
    this.#io = io;
  }

  *skipHole(at: FileOffset): Sleeps<FileOffset> {
    return yield* named(this.#name, skipHole(this.#vp, at));
  }

  *read(at: FileOffset, into: Uint8Array): Sleeps<Bytes> {
    return yield* named(this.#name, this.#io.read(this.#vp, at, into));
  }

  *close(): Sleeps<void> {
    yield* vnRelease(this.#vp);
  }
}

class ImageTarget implements Target {
  readonly holeUnit: Bytes;
  readonly #name: string;
  readonly #vp: Vnode;
  readonly #io: FileIo;
  readonly #errors: WriteErrors;
  #kept: Bytes;

  constructor(name: string, vp: Vnode, io: FileIo) {
    this.#name = name;
    this.holeUnit = 2 ** vp.mount.fsBshift;
    this.#vp = vp;
    this.#io = io;
    this.#errors = new WriteErrors(vp);
    this.#kept = 0;
  }

  *write(at: FileOffset, from: Uint8Array): Sleeps<void> {
    yield* named(this.#name, this.#io.write(this.#vp, at, from));
    this.#kept += from.length;
    if (this.#kept < KEPT_BYTES) return;
    yield* named(this.#name, this.#io.settle(this.#vp));
    this.#kept = 0;
  }

  *end(size: Bytes, lasting: boolean): Sleeps<void> {
    yield* named(this.#name, setFileSize(this.#vp, size));
    if (lasting) yield* named(this.#name, this.#io.fsync(this.#vp));
    else yield* this.#io.writeBehind(this.#vp, this.#name, this.#errors);
  }

  *close(): Sleeps<void> {
    yield* vnRelease(this.#vp);
  }
}

export class ImagePlace implements Place {
  readonly image: string;
  readonly root: Vnode;
  readonly #io: FileIo;
  /** Whose new files are. */
  readonly #owner: { readonly uid: number; readonly gid: number };

  /** => `root` is referenced for as long as the place is used. */
  constructor(image: string, root: Vnode, io: FileIo) {
    this.image = image;
    this.root = root;
    this.#io = io;
    this.#owner = processOwner();
  }

  nameOf(path: string): string {
    return `${this.image}:${path}`;
  }

  baseName(path: string): string {
    const name = path.replace(/\/+$/, "");
    return name.slice(name.lastIndexOf("/") + 1);
  }

  join(directory: string, name: string): string {
    if (name === "") return directory;
    return directory.endsWith("/") ? directory + name : `${directory}/${name}`;
  }

  *stat(path: string, follow: boolean): Sleeps<FileInfo | null> {
    try {
      const vp = yield* named(this.nameOf(path), namei(this.root, path, { follow }));
      const info = infoOf(vp, this.image);
      yield* vnRelease(vp);
      return info;
    } catch (error) {
      if (error instanceof ErrnoError && ABSENT.has(error.errno)) return null;
      throw error;
    }
  }

  *list(path: string): Sleeps<string[]> {
    const dvp = yield* named(this.nameOf(path), namei(this.root, path));
    try {
      const entries = yield* named(this.nameOf(path), listDirectory(dvp));
      return entries.map((entry) => entry.name).filter((name) => name !== "." && name !== "..");
    } finally {
      yield* vnRelease(dvp);
    }
  }

  *readlink(path: string): Sleeps<string> {
    const vp = yield* named(this.nameOf(path), namei(this.root, path, { follow: false }));
    try {
      return yield* named(this.nameOf(path), vp.ops.readlink(vp));
    } finally {
      yield* vnRelease(vp);
    }
  }

  *open(path: string): Sleeps<Source> {
    return new ImageSource(
      this.nameOf(path),
      yield* named(this.nameOf(path), namei(this.root, path)),
      this.#io,
    );
  }

  *create(path: string, info: FileInfo): Sleeps<Target> {
    const options = { mode: info.mode, truncate: true, ...this.#owner };
    const vp = yield* named(this.nameOf(path), createFile(this.root, path, options));
    try {
      if (vp.type !== "regular") {
        throw new ErrnoError(Errno.EINVAL, `${this.nameOf(path)}: is a ${vp.type}`);
      }
      yield* named(this.nameOf(path), this.#io.begin(vp, info.size));
    } catch (error) {
      yield* vnRelease(vp);
      throw error;
    }
    return new ImageTarget(this.nameOf(path), vp, this.#io);
  }

  *makeDirectory(path: string, mode: number): Sleeps<void> {
    yield* named(this.nameOf(path), makeDirectory(this.root, path, { mode, ...this.#owner }));
  }

  *makeSymlink(path: string, target: string): Sleeps<void> {
    yield* named(this.nameOf(path), makeSymlink(this.root, path, target, this.#owner));
  }

  *makeSpecial(path: string, info: FileInfo): Sleeps<void> {
    const { type, mode, rdev } = info;
    const file = { type, mode, ...this.#owner, ...(rdev === null ? {} : { rdev }) };
    yield* named(this.nameOf(path), makeSpecial(this.root, path, file));
  }

  *setMode(path: string, mode: number): Sleeps<void> {
    yield* named(this.nameOf(path), setAttributes(this.root, path, { mode }));
  }

  *preserve(path: string, info: FileInfo): Sleeps<void> {
    const { uid, gid, mode } = info;
    const times = { atime: Math.floor(info.atime), mtime: Math.floor(info.mtime) };
    const link = info.type === "symlink";
    const changes: AttributeChanges = { uid, gid, ...times, ...(link ? {} : { mode }) };
    yield* named(this.nameOf(path), setAttributes(this.root, path, changes, { follow: !link }));
  }

  *settle(): Sleeps<void> {
    yield* this.#io.drain();
  }

  *remove(path: string): Sleeps<void> {
    yield* named(this.nameOf(path), unlinkPath(this.root, path));
  }

  *removeDirectory(path: string): Sleeps<void> {
    yield* named(this.nameOf(path), removeDirectory(this.root, path));
  }
}
