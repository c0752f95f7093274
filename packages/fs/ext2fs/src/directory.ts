/**
 * Directories: blocks of entries, and the hash index over them.
 *
 * A directory's blocks are read through the buffer cache by their place on the disk. A lookup uses
 * the index if there is one, and scans all blocks when there is none or when it is damaged, as
 * the original does. Follows ext2_lookup.c and ext2_htree.c.
 */
import type { Bytes } from "@physio/kern";
import { decodeName, Errno, ErrnoError, encodeName } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { DirBatch, DirEntry, Vnode } from "@physio/vfs";
import { BlockMap } from "@physio/vfs";
import { ext2Bmap } from "./bmap.ts";
import { DirentCursor, findDirent } from "./dirent.ts";
import { NameHasher } from "./dirhash.ts";
import { decodeNode, decodeRoot, IndexWalk } from "./dirindex.ts";
import { Compat, INDEX_FL } from "./layout.ts";
import type { Ext2Mount } from "./mount.ts";
import { vtoi } from "./node.ts";

const blocksOf = (ext2: Ext2Mount, dvp: Vnode): number => Math.ceil(dvp.size / ext2.sb.blockSize);

/** Say which directory an error of a decoder is about. */
function inDirectory(dvp: Vnode, lbn: number, error: unknown): unknown {
  if (!(error instanceof ErrnoError)) return error;
  return new ErrnoError(error.errno, `directory inode ${dvp.ino}, block ${lbn}: ${error.what}`);
}

/** A copy of block `lbn` of a directory. @throws {ErrnoError} EIO: a hole, or it cannot be read. */
function* readDirBlock(ext2: Ext2Mount, dvp: Vnode, lbn: number): Sleeps<Uint8Array> {
  const map = new BlockMap();
  const error = yield* ext2Bmap(ext2, dvp, lbn, map);
  if (error !== Errno.OK || map.blkno < 0) {
    const why = error === Errno.OK ? "is a hole" : "leads out of the file system or cannot be read";
    throw new ErrnoError(Errno.EIO, `ext2: block ${lbn} of directory inode ${dvp.ino} ${why}`);
  }
  const block = (map.blkno * 512) / ext2.sb.blockSize;
  return yield* ext2.readBlock(block, `directory inode ${dvp.ino}`);
}

/** Search one block. @returns the inode number, or 0. */
function* searchBlock(ext2: Ext2Mount, dvp: Vnode, lbn: number, name: Uint8Array): Sleeps<number> {
  const bytes = yield* readDirBlock(ext2, dvp, lbn);
  try {
    return findDirent(bytes, 0, ext2.sb, name);
  } catch (error) {
    throw inDirectory(dvp, lbn, error);
  }
}

/** Look `name` up through the hash index. @throws {ErrnoError} EIO: the index is damaged. */
function* searchIndex(ext2: Ext2Mount, dvp: Vnode, name: Uint8Array): Sleeps<number> {
  const { sb } = ext2;
  const blocks = blocksOf(ext2, dvp);
  const root = decodeRoot(yield* readDirBlock(ext2, dvp, 0), 0, sb, blocks);
  const walk = new IndexWalk(root, new NameHasher().hash(root.hashVersion, name, sb.hashSeed));
  do {
    while (!walk.atLeaf) {
      walk.descend(decodeNode(yield* readDirBlock(ext2, dvp, walk.block), 0, sb, blocks));
    }
    const ino = yield* searchBlock(ext2, dvp, walk.block, name);
    if (ino !== 0) return ino;
  } while (walk.nextLeaf());
  return 0;
}

function* searchAll(ext2: Ext2Mount, dvp: Vnode, name: Uint8Array): Sleeps<number> {
  const blocks = blocksOf(ext2, dvp);
  for (let lbn = 0; lbn < blocks; lbn++) {
    const ino = yield* searchBlock(ext2, dvp, lbn, name);
    if (ino !== 0) return ino;
  }
  return 0;
}

const isIndexed = (ext2: Ext2Mount, dvp: Vnode): boolean =>
  (ext2.sb.featureCompat & Compat.dir_index) !== 0 && (vtoi(dvp).flags & INDEX_FL) !== 0;

/** The inode that `name` is in a directory. @throws {ErrnoError} ENOENT; EIO. @bsd #Y ext2_lookup */
export function* lookupName(ext2: Ext2Mount, dvp: Vnode, name: string): Sleeps<number> {
  const bytes = encodeName(name);
  let ino = 0;
  // The index does not know "." and "..", which stand in the first block.
  if (isIndexed(ext2, dvp) && name !== "." && name !== "..") {
    try {
      ino = yield* searchIndex(ext2, dvp, bytes);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      ino = yield* searchAll(ext2, dvp, bytes);
    }
  } else ino = yield* searchAll(ext2, dvp, bytes);
  if (ino === 0) throw new ErrnoError(Errno.ENOENT, `"${name}" in directory inode ${dvp.ino}`);
  return ino;
}

/** The entries of the block that `cookie` (a byte offset) lies in. @throws {ErrnoError} EIO. @bsd #Y ext2_readdir */
export function* readDirectory(ext2: Ext2Mount, dvp: Vnode, cookie: Bytes): Sleeps<DirBatch> {
  const { blockSize } = ext2.sb;
  const lbn = Math.floor(cookie / blockSize);
  if (lbn >= blocksOf(ext2, dvp)) return { entries: [], next: -1 };
  const bytes = yield* readDirBlock(ext2, dvp, lbn);
  const entries: DirEntry[] = [];
  const cursor = new DirentCursor(ext2.sb);
  try {
    cursor.open(bytes, 0, cookie % blockSize);
    while (cursor.next()) {
      entries.push({ name: decodeName(bytes, cursor.nameOffset, cursor.nameEnd), ino: cursor.ino });
    }
  } catch (error) {
    throw inDirectory(dvp, lbn, error);
  }
  const next = (lbn + 1) * blockSize;
  return { entries, next: next < dvp.size ? next : -1 };
}
