/**
 * Copying files and trees between places, as cp(1) does.
 *
 * What fails is told and counted, and the rest goes on. Where a file has zeros in whole units the copy gets
 * holes. With `recursive` symlinks are copied as symlinks, and special files as special files. `point`
 * is called between two pieces and between two files: there a copy may be stopped.
 */
import type { Bytes } from "@physio/kern";
import { Errno, ErrnoError } from "@physio/kern";
import { IO_BYTES } from "@physio/machine";
import type { Sleeps } from "@physio/sched";
import { processMask } from "./owner.ts";
import type { FileInfo, Place, Source, Target } from "./place.ts";

export interface CopyOptions {
  readonly recursive: boolean;
  /** Keep mode, owner and times. */
  readonly preserve: boolean;
  /** Every file is on the disk before the next one begins. */
  readonly lasting: boolean;
}

/** Who follows a copy. */
export interface CopyWatch {
  /** A safe point. @throws to stop. */
  point(): void;
  copied(from: string, to: string): void;
  moved(bytes: Bytes, name: string): void;
  failed(error: ErrnoError): void;
}

/** What was copied. */
export interface CopyCounts {
  files: number;
  directories: number;
  symlinks: number;
  others: number;
  bytes: Bytes;
  failures: number;
}

/** A file in a place. */
export interface Located {
  readonly place: Place;
  readonly path: string;
}

const OWNER_ALL = 0o700;

const nameOf = ({ place, path }: Located): string => place.nameOf(path);
const inside = ({ place, path }: Located, name: string): Located => ({
  place,
  path: place.join(path, name),
});

function refuse(errno: Errno, at: Located, why: string): ErrnoError {
  return new ErrnoError(errno, `${nameOf(at)}: ${why}`);
}

export class Copier {
  readonly counts: CopyCounts;
  readonly #options: CopyOptions;
  readonly #watch: CopyWatch;
  readonly #buffer: Uint8Array;
  readonly #zeros: Buffer;
  /** Permission bits that copies get. */
  readonly #allowed: number;
  /** Directories that this copy has made: they are not copied themselves. */
  readonly #made: Set<string>;

  constructor(options: CopyOptions, watch: CopyWatch) {
    this.counts = { files: 0, directories: 0, symlinks: 0, others: 0, bytes: 0, failures: 0 };
    this.#options = options;
    this.#watch = watch;
    this.#buffer = new Uint8Array(IO_BYTES);
    this.#zeros = Buffer.alloc(64 * 1024);
    this.#allowed = 0o1777 & ~processMask();
    this.#made = new Set();
  }

  /** Copy `from` to `to`, or into `to` if that is a directory. => several of them: `intoDirectory`. */
  *copy(from: Located, to: Located, intoDirectory: boolean): Sleeps<void> {
    yield* this.#attempt(() => this.#operand(from, to, intoDirectory));
    yield* this.#attempt(() => to.place.settle());
  }

  *#operand(from: Located, to: Located, intoDirectory: boolean): Sleeps<void> {
    const { recursive } = this.#options;
    const info = yield* from.place.stat(from.path, !recursive || from.path.endsWith("/"));
    if (info === null) throw refuse(Errno.ENOENT, from, "no such file");
    const there = yield* to.place.stat(to.path, true);
    if (there?.type === "directory") {
      const target = inside(to, from.place.baseName(from.path));
      yield* this.#one(from, info, target, false);
      return;
    }
    if (intoDirectory) {
      const errno = there === null ? Errno.ENOENT : Errno.ENOTDIR;
      throw refuse(errno, to, "is to be a directory");
    }
    if (to.path.endsWith("/") && info.type !== "directory") {
      throw refuse(Errno.ENOTDIR, to, "no such directory");
    }
    const isFree = there === null && (yield* to.place.stat(to.path, false)) === null;
    yield* this.#one(from, info, to, isFree);
  }

  *#attempt(body: () => Sleeps<void>): Sleeps<void> {
    try {
      yield* body();
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      this.counts.failures++;
      this.#watch.failed(error);
    }
  }

  /** `isFree`: nothing has the target's name. */
  *#one(from: Located, info: FileInfo, to: Located, isFree: boolean): Sleeps<void> {
    this.#watch.point();
    const { recursive } = this.#options;
    if (info.type === "directory") {
      if (!recursive) throw refuse(Errno.EISDIR, from, "is a directory, and not copied without -r");
      yield* this.#directory(from, info, to, isFree);
    } else if (info.type === "regular") yield* this.#file(from, info, to, isFree);
    else {
      if (!isFree) yield* this.#makeWay(info, to);
      if (info.type === "symlink") yield* this.#symlink(from, info, to);
      else yield* this.#special(from, info, to);
    }
    if (info.type !== "directory") this.#watch.copied(nameOf(from), nameOf(to));
  }

  // ---- directories

  *#directory(from: Located, info: FileInfo, to: Located, isFree: boolean): Sleeps<void> {
    if (this.#made.has(info.id)) throw refuse(Errno.EINVAL, from, "a directory into itself");
    const mode = info.mode & this.#allowed;
    const isNew = isFree || (yield* this.#isMissing(from, info, to));
    if (isNew) yield* this.#make(to, mode | OWNER_ALL);
    for (const name of yield* from.place.list(from.path)) {
      yield* this.#attempt(() => this.#child(inside(from, name), inside(to, name), isNew));
    }
    if (this.#options.preserve) yield* to.place.preserve(to.path, info);
    else if (isNew && (mode & OWNER_ALL) !== OWNER_ALL) yield* to.place.setMode(to.path, mode);
    this.counts.directories++;
    this.#watch.copied(nameOf(from), nameOf(to));
  }

  *#child(from: Located, to: Located, isFree: boolean): Sleeps<void> {
    const info = yield* from.place.stat(from.path, false);
    if (info === null) throw refuse(Errno.ENOENT, from, "has gone");
    yield* this.#one(from, info, to, isFree);
  }

  /** Whether the directory `to` must be made. @throws {ErrnoError} ENOTDIR: something else is there; EINVAL. */
  *#isMissing(from: Located, info: FileInfo, to: Located): Sleeps<boolean> {
    const there = yield* to.place.stat(to.path, true);
    if (there === null) return true;
    if (there.type !== "directory") throw refuse(Errno.ENOTDIR, to, `is a ${there.type}`);
    if (there.id === info.id) throw refuse(Errno.EINVAL, from, "a directory into itself");
    return false;
  }

  *#make(to: Located, mode: number): Sleeps<void> {
    yield* to.place.makeDirectory(to.path, mode);
    const made = yield* to.place.stat(to.path, true);
    if (made !== null) this.#made.add(made.id);
  }

  // ---- files

  *#file(from: Located, info: FileInfo, to: Located, isFree: boolean): Sleeps<void> {
    if (!isFree) {
      const there = yield* to.place.stat(to.path, true);
      if (there?.id === info.id) throw refuse(Errno.EINVAL, to, "the same file");
      if (there?.type === "directory") throw refuse(Errno.EISDIR, to, "is a directory");
    }
    const mode = info.mode & this.#allowed;
    const source = yield* from.place.open(from.path);
    try {
      const target = yield* to.place.create(to.path, { ...info, mode });
      try {
        const size = yield* this.#data(source, target, info.size, nameOf(from));
        yield* target.end(size, this.#options.lasting);
      } finally {
        yield* target.close();
      }
    } finally {
      yield* source.close();
    }
    if (this.#options.preserve) yield* to.place.preserve(to.path, info);
    this.counts.files++;
  }

  /** Copy what is not zeros. @returns the size of the file. */
  *#data(source: Source, target: Target, size: Bytes, name: string): Sleeps<Bytes> {
    let at = 0;
    for (;;) {
      const data: number = yield* source.skipHole(at);
      if (data > at) this.#progress(data - at, name);
      at = data;
      const got: number = yield* source.read(at, this.#buffer);
      if (got === 0) return at;
      yield* this.#withoutZeros(target, at, this.#buffer.subarray(0, got));
      this.#progress(got, name);
      at += got;
      if (got < this.#buffer.length && at === size) return at;
      this.#watch.point();
    }
  }

  /** Write the runs of `bytes` that are not whole units of zeros. */
  *#withoutZeros(target: Target, at: number, bytes: Uint8Array): Sleeps<void> {
    const unit = target.holeUnit;
    let begin = -1;
    for (let from = 0; from < bytes.length; from += unit) {
      const end = Math.min(from + unit, bytes.length);
      if (!this.#isZero(bytes, from, end)) {
        if (begin < 0) begin = from;
      } else if (begin >= 0) {
        yield* target.write(at + begin, bytes.subarray(begin, from));
        begin = -1;
      }
    }
    if (begin >= 0) yield* target.write(at + begin, bytes.subarray(begin));
  }

  #isZero(bytes: Uint8Array, from: number, to: number): boolean {
    if (bytes[from] !== 0 || bytes[to - 1] !== 0) return false;
    for (let at = from; at < to; at += this.#zeros.length) {
      const length = Math.min(this.#zeros.length, to - at);
      if (this.#zeros.compare(bytes, at, at + length, 0, length) !== 0) return false;
    }
    return true;
  }

  #progress(bytes: Bytes, name: string): void {
    this.counts.bytes += bytes;
    this.#watch.moved(bytes, name);
  }

  // ---- others

  *#symlink(from: Located, info: FileInfo, to: Located): Sleeps<void> {
    const target = yield* from.place.readlink(from.path);
    yield* to.place.makeSymlink(to.path, target);
    if (this.#options.preserve) yield* to.place.preserve(to.path, info);
    this.counts.symlinks++;
  }

  *#special(from: Located, info: FileInfo, to: Located): Sleeps<void> {
    if (!this.#options.recursive) {
      throw refuse(Errno.EINVAL, from, `is a ${info.type}, and not copied without -r`);
    }
    const mode = info.mode & this.#allowed;
    yield* to.place.makeSpecial(to.path, { ...info, mode });
    if (this.#options.preserve) yield* to.place.preserve(to.path, info);
    this.counts.others++;
  }

  /** Something is to be made in place of what is there. */
  *#makeWay(info: FileInfo, to: Located): Sleeps<void> {
    const there = yield* to.place.stat(to.path, false);
    if (there === null) return;
    if (there.id === info.id) throw refuse(Errno.EINVAL, to, "the same file");
    if (there.type === "directory") throw refuse(Errno.EISDIR, to, "is a directory");
    yield* to.place.remove(to.path);
  }
}
