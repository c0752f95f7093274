/**
 * Images on the host: raw files are read where they are, gzip files are unpacked into memory.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { Errno, ErrnoError } from "@physio/kern";
import type { Media } from "@physio/machine";
import { MemoryMedia } from "@physio/machine";

/** An error of the host's file system as one of ours. */
export function hostError(error: unknown, what: string): ErrnoError {
  const { code } = error as { code?: string };
  const known = code !== undefined && Object.hasOwn(Errno, code) ? code : "EIO";
  return new ErrnoError(Errno[known as keyof typeof Errno], what);
}

/** A medium over an open file. Read-only: writes fail. */
export class FileMedia implements Media {
  readonly size: number;
  readonly #fd: number;

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.size = size;
  }

  /** What lies past the end of the file reads as zeros. */
  read(offset: number, to: Uint8Array, at: number, length: number): Errno {
    try {
      let done = 0;
      while (done < length) {
        const got = readSync(this.#fd, to, at + done, length - done, offset + done);
        if (got === 0) break;
        done += got;
      }
      to.fill(0, at + done, at + length);
      return Errno.OK;
    } catch {
      return Errno.EIO;
    }
  }

  write(): Errno {
    return Errno.EROFS;
  }

  flush(): Errno {
    return Errno.OK;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const GZIP_MAGIC = [0x1f, 0x8b];

function unpack(path: string): MemoryMedia {
  const packed = readFileSync(path);
  try {
    return new MemoryMedia(gunzipSync(packed));
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const errno = code === "Z_BUF_ERROR" ? Errno.EIO : Errno.EINVAL;
    throw new ErrnoError(errno, `gzip: ${message}`);
  }
}

/** Open an image, raw or gzip. @throws {ErrnoError} the host's error (ENOENT, EACCES, EISDIR, …); EINVAL, EIO: a damaged gzip file; EIO: empty. */
export function openImage(path: string): Media {
  let fd = -1;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw hostError(error, "cannot open");
  }
  const { size } = fstatSync(fd);
  if (fstatSync(fd).isDirectory()) {
    closeSync(fd);
    throw new ErrnoError(Errno.EISDIR, "cannot open");
  }
  const head = new Uint8Array(2);
  readSync(fd, head, 0, 2, 0);
  if (head[0] === GZIP_MAGIC[0] && head[1] === GZIP_MAGIC[1]) {
    closeSync(fd);
    return unpack(path);
  }
  if (size > 0) return new FileMedia(fd, size);
  closeSync(fd);
  throw new ErrnoError(Errno.EIO, "the image is empty");
}

/** Give an image's host resources back. */
export function closeImage(media: Media): void {
  if (media instanceof FileMedia) media.close();
}
