/**
 * Directories: names in blocks of entries.
 *
 * A directory's blocks are read through the buffer cache by their place on the disk, and scanned from
 * the beginning. Follows ufs_lookup.c and ufs_readdir.
 */
import type { Bytes } from "@physio/kern";
import { decodeName, Errno, ErrnoError, encodeName } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { DirBatch, DirEntry, Vnode } from "@physio/vfs";
import { DirentCursor } from "./dirent.ts";
import type { FfsMount } from "./mount.ts";

const blocksOf = (ffs: FfsMount, dvp: Vnode): number => Math.ceil(dvp.size / ffs.sb.blockSize);

/** Say which directory an error of the cursor is about. */
function inDirectory(dvp: Vnode, lbn: number, error: unknown): unknown {
  if (!(error instanceof ErrnoError)) return error;
  const what = `ffs: directory inode ${dvp.ino}, block ${lbn}: ${error.what}`;
  return new ErrnoError(error.errno, what);
}

/** The bytes of block `lbn` of a directory. @throws {ErrnoError} EIO: a hole, or it cannot be read. */
const readDirBlock = (ffs: FfsMount, dvp: Vnode, lbn: number): Sleeps<Uint8Array> =>
  ffs.readFileBlock(dvp, lbn, `block ${lbn} of directory inode ${dvp.ino}`);

/** The inode that `name` is in a directory. @throws {ErrnoError} ENOENT; EIO. @bsd #P[nothing is remembered of where it was] ufs_lookup */
export function* lookupName(ffs: FfsMount, dvp: Vnode, name: string): Sleeps<number> {
  const wanted = encodeName(name);
  const cursor = new DirentCursor(ffs.sb);
  for (let lbn = 0; lbn < blocksOf(ffs, dvp); lbn++) {
    const bytes = yield* readDirBlock(ffs, dvp, lbn);
    try {
      cursor.open(bytes);
      while (cursor.next()) if (cursor.isNamed(wanted)) return cursor.ino;
    } catch (error) {
      throw inDirectory(dvp, lbn, error);
    }
  }
  throw new ErrnoError(Errno.ENOENT, `"${name}" in directory inode ${dvp.ino}`);
}

/** The entries of the block that `cookie` (a byte offset) lies in. @throws {ErrnoError} EIO. @bsd #Y ufs_readdir */
export function* readDirectory(ffs: FfsMount, dvp: Vnode, cookie: Bytes): Sleeps<DirBatch> {
  const { blockSize } = ffs.sb;
  const lbn = Math.floor(cookie / blockSize);
  if (lbn >= blocksOf(ffs, dvp)) return { entries: [], next: -1 };
  const bytes = yield* readDirBlock(ffs, dvp, lbn);
  const entries: DirEntry[] = [];
  const cursor = new DirentCursor(ffs.sb);
  try {
    cursor.open(bytes, cookie % blockSize);
    while (cursor.next()) {
      entries.push({ name: decodeName(bytes, cursor.nameOffset, cursor.nameEnd), ino: cursor.ino });
    }
  } catch (error) {
    throw inDirectory(dvp, lbn, error);
  }
  const next = (lbn + 1) * blockSize;
  return { entries, next: next < dvp.size ? next : -1 };
}
