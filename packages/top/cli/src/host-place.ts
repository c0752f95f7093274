/**
 * The host's files as a place.
 *
 * Names are bytes on both sides: what is no UTF-8 comes and goes as it is. Nothing here sleeps.
 */
import * as fs from "node:fs";
import type { Bytes, FileOffset } from "@physio/kern";
import { decodeName, Errno, ErrnoError, encodeName } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { VnodeType } from "@physio/vfs";
import { hostError } from "./host-error.ts";
import type { FileInfo, Place, Source, Target } from "./place.ts";

const HOLE_UNIT = 4096;
const MODE = 0o7777;
const SET_ID = 0o6000;

const bytesOf = (path: string): Buffer => Buffer.from(encodeName(path));

/** Do something with a host file. @throws {ErrnoError} the host's error, with the path. */
// biome-ignore lint/correctness/useYield: the host answers at once
function* host<T>(path: string, what: string, body: (bytes: Buffer) => T): Sleeps<T> {
  try {
    return body(bytesOf(path));
  } catch (error) {
    throw error instanceof ErrnoError ? error : hostError(error, `${path}: ${what}`);
  }
}

function typeOf(stat: fs.Stats): VnodeType {
  if (stat.isFile()) return "regular";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isCharacterDevice()) return "character special";
  if (stat.isBlockDevice()) return "block special";
  return stat.isFIFO() ? "FIFO" : "socket";
}

/** The two numbers of a device, as Linux packs them. */
function deviceOf(rdev: number): { major: number; minor: number } {
  const low = rdev % 2 ** 32;
  const high = Math.floor(rdev / 2 ** 32);
  const upper = Math.floor(high / 2 ** 12) * 2 ** 12;
  const majorLow = Math.floor(low / 2 ** 8) % 2 ** 12;
  return { major: upper + majorLow, minor: (low % 2 ** 8) + Math.floor(low / 2 ** 20) * 2 ** 8 };
}

function infoOf(stat: fs.Stats): FileInfo {
  const type = typeOf(stat);
  const isDevice = type === "character special" || type === "block special";
  return {
    type,
    mode: stat.mode & MODE,
    size: stat.size,
    uid: stat.uid,
    gid: stat.gid,
    atime: stat.atimeMs / 1000,
    mtime: stat.mtimeMs / 1000,
    rdev: isDevice ? deviceOf(stat.rdev) : null,
    id: `host ${stat.dev} ${stat.ino}`,
  };
}

class HostSource implements Source {
  readonly #path: string;
  readonly #fd: number;
  /** A file without blocks is a hole. */
  readonly #hole: Bytes;

  constructor(path: string, fd: number) {
    const { blocks, size } = fs.fstatSync(fd);
    this.#path = path;
    this.#fd = fd;
    this.#hole = blocks === 0 && size > HOLE_UNIT ? size : 0;
  }

  skipHole(at: FileOffset): Sleeps<FileOffset> {
    return host(this.#path, "read", () => Math.max(at, this.#hole));
  }

  read(at: FileOffset, into: Uint8Array): Sleeps<Bytes> {
    return host(this.#path, "read", () => fs.readSync(this.#fd, into, 0, into.length, at));
  }

  close(): Sleeps<void> {
    return host(this.#path, "close", () => fs.closeSync(this.#fd));
  }
}

class HostTarget implements Target {
  readonly holeUnit = HOLE_UNIT;
  readonly #path: string;
  readonly #fd: number;

  constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  write(at: FileOffset, from: Uint8Array): Sleeps<void> {
    return host(this.#path, "write", () => {
      for (let done = 0; done < from.length; )
        done += fs.writeSync(this.#fd, from, done, from.length - done, at + done);
    });
  }

  end(size: Bytes, lasting: boolean): Sleeps<void> {
    return host(this.#path, "write", () => {
      if (fs.fstatSync(this.#fd).size < size) fs.ftruncateSync(this.#fd, size);
      if (lasting) fs.fsyncSync(this.#fd);
    });
  }

  close(): Sleeps<void> {
    return host(this.#path, "close", () => fs.closeSync(this.#fd));
  }
}

export class HostPlace implements Place {
  nameOf(path: string): string {
    return path;
  }

  baseName(path: string): string {
    const name = path.replace(/\/+$/, "");
    return name.slice(name.lastIndexOf("/") + 1);
  }

  join(directory: string, name: string): string {
    if (name === "" || directory === "") return directory + name;
    return directory.endsWith("/") ? directory + name : `${directory}/${name}`;
  }

  stat(path: string, follow: boolean): Sleeps<FileInfo | null> {
    return host(path, "cannot look at it", (bytes) => {
      const options = { throwIfNoEntry: false } as const;
      const stat = follow ? fs.statSync(bytes, options) : fs.lstatSync(bytes, options);
      return stat === undefined ? null : infoOf(stat);
    });
  }

  list(path: string): Sleeps<string[]> {
    return host(path, "cannot list it", (bytes) =>
      fs
        .readdirSync(bytes, { encoding: "buffer" })
        .sort((a, b) => a.compare(b))
        .map((name) => decodeName(name)),
    );
  }

  readlink(path: string): Sleeps<string> {
    return host(path, "cannot read it", (bytes) =>
      decodeName(fs.readlinkSync(bytes, { encoding: "buffer" })),
    );
  }

  open(path: string): Sleeps<Source> {
    const flags = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0); // a FIFO must not block
    return host(path, "cannot open", (bytes) => new HostSource(path, fs.openSync(bytes, flags)));
  }

  create(path: string, info: FileInfo): Sleeps<Target> {
    return host(path, "cannot create", (bytes) => {
      return new HostTarget(path, fs.openSync(bytes, "w", info.mode & ~SET_ID));
    });
  }

  makeDirectory(path: string, mode: number): Sleeps<void> {
    return host(path, "cannot make", (bytes) => fs.mkdirSync(bytes, mode));
  }

  makeSymlink(path: string, target: string): Sleeps<void> {
    return host(path, "cannot make", (bytes) => fs.symlinkSync(bytesOf(target), bytes));
  }

  makeSpecial(path: string, info: FileInfo): Sleeps<void> {
    return host(path, "cannot make", () => {
      throw new ErrnoError(Errno.EOPNOTSUPP, `${path}: a ${info.type} cannot be made on the host`);
    });
  }

  setMode(path: string, mode: number): Sleeps<void> {
    return host(path, "cannot change its mode", (bytes) => fs.chmodSync(bytes, mode));
  }

  preserve(path: string, info: FileInfo): Sleeps<void> {
    const { uid, gid, atime, mtime } = info;
    return host(path, "cannot keep its attributes", (bytes) => {
      const owned = tryOwner(bytes, uid, gid);
      if (info.type === "symlink") {
        fs.lutimesSync(bytes, atime, mtime);
        return;
      }
      fs.chmodSync(bytes, owned ? info.mode : info.mode & ~SET_ID);
      fs.utimesSync(bytes, atime, mtime);
    });
  }

  settle(): Sleeps<void> {
    return host("", "settle", () => undefined);
  }

  remove(path: string): Sleeps<void> {
    return host(path, "cannot remove", (bytes) => fs.unlinkSync(bytes));
  }

  removeDirectory(path: string): Sleeps<void> {
    return host(path, "cannot remove", (bytes) => fs.rmdirSync(bytes));
  }
}

/** Give a file to its owner. @returns false: that is not for us to do. */
function tryOwner(bytes: Buffer, uid: number, gid: number): boolean {
  try {
    fs.lchownSync(bytes, uid, gid);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "EPERM") return false;
    throw error;
  }
}
