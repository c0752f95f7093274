/**
 * `physio mkfs`: an image with an empty ext2.
 *
 * What the image was before is gone, as with other programs of that name. What the file system leaves out is a hole.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { makeExt2 } from "@physio/ext2fs";
import type { Bytes } from "@physio/kern";
import { Errno, ErrnoError } from "@physio/kern";
import { hostError } from "./host-error.ts";
import { ImageLock } from "./lock.ts";
import { print } from "./output.ts";
import { hostClock } from "./owner.ts";
import { about } from "./session.ts";

export interface MkfsOptions {
  /** Default: what the image has. */
  readonly size?: Bytes;
  readonly blockSize?: Bytes;
  readonly inodes?: number;
  readonly inodeSize?: Bytes;
  readonly label?: string;
  readonly uuid?: string;
  readonly json?: boolean;
  readonly debug?: boolean;
}

/** Open the image, made if it is not there. @throws {ErrnoError} the host's; EINVAL: no regular file. */
function openForMaking(path: string): { fd: number; isNew: boolean } {
  const { O_RDWR, O_CREAT, O_NONBLOCK } = constants;
  const isNew = !existsSync(path);
  let fd = -1;
  try {
    fd = openSync(path, O_RDWR | O_CREAT | O_NONBLOCK); // what is there stays until it is locked
  } catch (error) {
    throw hostError(error, "cannot make");
  }
  if (fstatSync(fd).isFile()) return { fd, isNew };
  closeSync(fd);
  throw new ErrnoError(Errno.EINVAL, "cannot make: not a regular file");
}

/** Write a file system to an open image. @returns its size. */
function fill(fd: number, options: MkfsOptions & { time: number }): Bytes {
  const { blockSize, inodes, inodeSize, label, uuid } = options;
  const size = options.size ?? fstatSync(fd).size;
  const chosen = Object.entries({ blockSize, inodes, inodeSize, label, uuid });
  const given = Object.fromEntries(chosen.filter(([, value]) => value !== undefined));
  const pieces = makeExt2({ size, time: options.time, ...given })[Symbol.iterator]();
  let piece = pieces.next(); // complains before anything is lost
  try {
    ftruncateSync(fd, 0);
    ftruncateSync(fd, size);
    for (; piece.done !== true; piece = pieces.next())
      writeAt(fd, piece.value.bytes, piece.value.offset as number);
    fsyncSync(fd);
  } catch (error) {
    throw error instanceof ErrnoError ? error : hostError(error, "cannot write");
  }
  return size;
}

function writeAt(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}

/** Make a file system. @returns its size. @throws {ErrnoError} the host's; EINVAL: sizes; EBUSY: the image is in use. */
export function makeImage(image: string, options: MkfsOptions & { time: number }): Bytes {
  const { fd, isNew } = openForMaking(image);
  try {
    const lock = ImageLock.write(image);
    try {
      return fill(fd, options);
    } finally {
      lock.release();
    }
  } catch (error) {
    if (isNew) unlinkSync(image);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** @returns the exit code. @throws {ErrnoError} as makeImage, with the image in front. */
export function mkfsCommand(image: string, options: MkfsOptions): number {
  try {
    const size = makeImage(image, { ...options, time: hostClock()() });
    if (options.json === true) print(JSON.stringify({ image, size }, null, 2));
    return 0;
  } catch (error) {
    throw about(image, error);
  }
}
