/**
 * Images on the host: raw files are read and written where they are, gzip files are unpacked into memory.
 *
 * An open raw image is locked (lock.ts) until it is closed.
 */
import {
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { Errno, ErrnoError, KiB } from "@physio/kern";
import type { Media } from "@physio/machine";
import { hostError } from "./host-error.ts";
import { ImageLock } from "./lock.ts";

/** A medium over an open file. */
class FileMedia implements Media {
  readonly size: number;
  readonly #fd: number;
  readonly #writable: boolean;
  readonly #lock: ImageLock;

  constructor(fd: number, size: number, writable: boolean, lock: ImageLock) {
    this.#fd = fd;
    this.size = size;
    this.#writable = writable;
    this.#lock = lock;
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

  /** What lies past the end of the file is dropped. */
  write(offset: number, from: Uint8Array, at: number, length: number): Errno {
    if (!this.#writable) return Errno.EROFS;
    const end = Math.min(length, this.size - offset);
    try {
      for (let done = 0; done < end; )
        done += writeSync(this.#fd, from, at + done, end - done, offset + done);
      return Errno.OK;
    } catch {
      return Errno.EIO;
    }
  }

  flush(): Errno {
    if (!this.#writable) return Errno.OK;
    try {
      fsyncSync(this.#fd);
      return Errno.OK;
    } catch {
      return Errno.EIO;
    }
  }

  close(): void {
    closeSync(this.#fd);
    this.#lock.release();
  }
}

const CHUNK = 64 * KiB;
// scratch: only ever compared with
const ZEROS = Buffer.alloc(CHUNK);

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
      if (ZEROS.compare(part, 0, part.length, 0, part.length) !== 0) {
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

/** Open the file. @throws {ErrnoError} the host's; EISDIR; EINVAL: no regular file. */
function openFile(path: string, writable: boolean): { fd: number; size: number } {
  const { O_RDONLY, O_RDWR, O_NONBLOCK } = constants;
  let fd = -1;
  try {
    fd = openSync(path, (writable ? O_RDWR : O_RDONLY) | O_NONBLOCK); // a FIFO must not block
  } catch (error) {
    throw hostError(error, writable ? "cannot open for writing" : "cannot open");
  }
  const stat = fstatSync(fd);
  if (stat.isFile()) return { fd, size: stat.size };
  closeSync(fd);
  if (stat.isDirectory()) throw new ErrnoError(Errno.EISDIR, "cannot open");
  throw new ErrnoError(Errno.EINVAL, "cannot open: not a regular file");
}

function isGzip(fd: number): boolean {
  const head = new Uint8Array(2);
  readSync(fd, head, 0, 2, 0);
  return head[0] === GZIP_MAGIC[0] && head[1] === GZIP_MAGIC[1];
}

/**
 * Open an image, raw or gzip, and lock it.
 * @throws {ErrnoError} the host's error (ENOENT, EACCES, EISDIR, …); EBUSY: another process uses it; EROFS: a gzip file that is to
 *   be written; EINVAL, EIO: a damaged gzip file; EIO: empty.
 */
export async function openImage(path: string, writable = false): Promise<Media> {
  const { fd, size } = openFile(path, writable);
  try {
    if (isGzip(fd)) {
      if (writable) throw new ErrnoError(Errno.EROFS, "a gzip file is not written to");
      closeSync(fd);
      const media = await unpack(path);
      if (media.size > 0) return media;
      throw new ErrnoError(Errno.EIO, "the image is empty");
    }
    if (size === 0) throw new ErrnoError(Errno.EIO, "the image is empty");
    const lock = writable ? ImageLock.write(path) : ImageLock.read(path);
    return new FileMedia(fd, size, writable, lock);
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // it is closed
  }
}

/** Give an image's host resources back. */
export function closeImage(media: Media): void {
  if (media instanceof FileMedia) media.close();
}
