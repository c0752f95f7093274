/**
 * Places: where files are copied from and to, an image or the host.
 *
 * A place answers for paths. Its operations may sleep in the machine (those of the host do not) and
 * throw ErrnoError with the path's name as the user knows it.
 */
import type { Bytes, FileOffset } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { VnodeType } from "@physio/vfs";

/** What is known of a file before it is copied. */
export interface FileInfo {
  readonly type: VnodeType;
  /** The low 12 bits of st_mode. */
  readonly mode: number;
  readonly size: Bytes;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, with a fraction. */
  readonly atime: number;
  readonly mtime: number;
  readonly rdev: { readonly major: number; readonly minor: number } | null;
  /** Same file, same text. */
  readonly id: string;
}

/** A regular file that is read. */
export interface Source {
  /** Where data may be from `at` on; the size at the end. */
  skipHole(at: FileOffset): Sleeps<FileOffset>;
  /** Read at `at`. @returns bytes; 0: the file ends here. */
  read(at: FileOffset, into: Uint8Array): Sleeps<Bytes>;
  close(): Sleeps<void>;
}

/** A regular file that is written, empty at first. */
export interface Target {
  /** Bytes that a hole has, and where holes begin. */
  readonly holeUnit: Bytes;
  write(at: FileOffset, from: Uint8Array): Sleeps<void>;
  /** The file has `size` bytes; what was not written is a hole. With `lasting` all of it is on the disk on return. */
  end(size: Bytes, lasting: boolean): Sleeps<void>;
  close(): Sleeps<void>;
}

export interface Place {
  /** The path as the user would write it. */
  nameOf(path: string): string;
  /** The name of a path in its directory; "" or "." for one that ends there. */
  baseName(path: string): string;
  join(directory: string, name: string): string;
  /** null: there is none. */
  stat(path: string, follow: boolean): Sleeps<FileInfo | null>;
  /** Names in a directory, without "." and "..". */
  list(path: string): Sleeps<string[]>;
  readlink(path: string): Sleeps<string>;
  open(path: string): Sleeps<Source>;
  /** Make the file if it is not there, of `info`'s mode; what it had is gone. `info.size` is how long it is going to be. */
  create(path: string, info: FileInfo): Sleeps<Target>;
  makeDirectory(path: string, mode: number): Sleeps<void>;
  makeSymlink(path: string, target: string): Sleeps<void>;
  /** A FIFO, a socket or a device. */
  makeSpecial(path: string, info: FileInfo): Sleeps<void>;
  /** Permission bits alone. */
  setMode(path: string, mode: number): Sleeps<void>;
  /** Owner, mode and times; of a symlink what it can have. */
  preserve(path: string, info: FileInfo): Sleeps<void>;
  /** What was written to files is on its way no more: it is there, or an error is thrown. */
  settle(): Sleeps<void>;
  /** Remove what is no directory. */
  remove(path: string): Sleeps<void>;
  removeDirectory(path: string): Sleeps<void>;
}
