/**
 * Images on the host: raw files are read where they are, gzip files are unpacked into memory.
 */
import { closeSync, constants, createReadStream, fstatSync, openSync, readSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { Errno, ErrnoError, KiB } from "@physio/kern";
import type { Media } from "@physio/machine";

/** An error of the host's file system as one of ours. */
export function hostError(error: unknown, what: string): ErrnoError {
  const { code } = error as { code?: string };
  const known = code !== undefined && Object.hasOwn(Errno, code) ? code : "EIO";
  return new ErrnoError(Errno[known as keyof typeof Errno], what);
}

/** A medium over an open file. Read-only: writes fail. */
class FileMedia implements Media {
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

const CHUNK = 64 * KiB;

/** A medium that keeps only the parts of an image that are not zeros. Read-only. */
class SparseMedia implements Media {
  size: number;
  readonly #chunks: (Uint8Array | null)[];

  constructor() {
    this.size = 0;
    this.#chunks = [];
  }

  /** More bytes at the end. */
  append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = this.size % CHUNK;
      if (at === 0) this.#chunks.push(null);
      const part = bytes.subarray(done, done + CHUNK - at);
      const last = this.#chunks.length - 1;
      if (part.some((byte) => byte !== 0)) {
        const chunk = this.#chunks[last] ?? new Uint8Array(CHUNK);
        chunk.set(part, at);
        this.#chunks[last] = chunk;
      }
      this.size += part.length;
      done += part.length;
    }
  }

  /** What lies past the end of the image reads as zeros. */
  read(offset: number, to: Uint8Array, at: number, length: number): Errno {
    for (let done = 0; done < length; ) {
      const from = (offset + done) % CHUNK;
      const run = Math.min(length - done, CHUNK - from);
      const chunk = this.#chunks[Math.floor((offset + done) / CHUNK)] ?? null;
      const held = chunk === null ? 0 : Math.max(0, Math.min(run, chunk.length - from));
      if (chunk !== null && held > 0) to.set(chunk.subarray(from, from + held), at + done);
      to.fill(0, at + done + held, at + done + run);
      done += run;
    }
    return Errno.OK;
  }

  write(): Errno {
    return Errno.EROFS;
  }

  flush(): Errno {
    return Errno.OK;
  }
}

const GZIP_MAGIC = [0x1f, 0x8b];

/** Unpack a gzip file piece by piece, so that zeros never take memory. */
async function unpack(path: string): Promise<SparseMedia> {
  const media = new SparseMedia();
  const gunzip = createGunzip({ chunkSize: CHUNK });
  try {
    await pipeline(createReadStream(path), gunzip, async (pieces: AsyncIterable<Uint8Array>) => {
      for await (const piece of pieces) media.append(piece);
    });
    return media;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const errno = code === "Z_BUF_ERROR" ? Errno.EIO : Errno.EINVAL;
    throw new ErrnoError(errno, `gzip: ${message}`);
  }
}

/** Open an image, raw or gzip. @throws {ErrnoError} the host's error (ENOENT, EACCES, EISDIR, …); EINVAL, EIO: a damaged gzip file; EIO: empty. */
export async function openImage(path: string): Promise<Media> {
  let fd = -1;
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)); // a FIFO must not block
  } catch (error) {
    throw hostError(error, "cannot open");
  }
  const stat = fstatSync(fd);
  const { size } = stat;
  if (!stat.isFile()) {
    closeSync(fd);
    if (stat.isDirectory()) throw new ErrnoError(Errno.EISDIR, "cannot open");
    throw new ErrnoError(Errno.EINVAL, "cannot open: not a regular file");
  }
  const head = new Uint8Array(2);
  readSync(fd, head, 0, 2, 0);
  if (head[0] === GZIP_MAGIC[0] && head[1] === GZIP_MAGIC[1]) {
    closeSync(fd);
    const media = await unpack(path);
    if (media.size > 0) return media;
    throw new ErrnoError(Errno.EIO, "the image is empty");
  }
  if (size > 0) return new FileMedia(fd, size);
  closeSync(fd);
  throw new ErrnoError(Errno.EIO, "the image is empty");
}

/** Give an image's host resources back. */
export function closeImage(media: Media): void {
  if (media instanceof FileMedia) media.close();
}
