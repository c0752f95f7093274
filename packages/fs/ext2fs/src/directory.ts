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
import { DirentCursor, seekDirent } from "./dirent.ts";
import { NameHasher } from "./dirhash.ts";
import { decodeNode, decodeRoot, IndexWalk } from "./dirindex.ts";
import { Compat, DIRENT_FILE_TYPE, DirentType, INDEX_FL, Incompat, readU32 } from "./layout.ts";
import type { Ext2Mount } from "./mount.ts";
import { vtoe, vtoi } from "./node.ts";

/** What a name stands for: an inode, and what the directory says of its type. */
export interface Found {
  readonly ino: number;
  /** One of DirentType; `unknown` where the file system does not say. */
  readonly fileType: number;
}

const blocksOf = (ext2: Ext2Mount, dvp: Vnode): number => Math.ceil(dvp.size / ext2.sb.blockSize);

/** A copy of block `lbn` of a directory. @throws {ErrnoError} EIO: a hole, or it cannot be read. */
export function* readDirBlock(ext2: Ext2Mount, dvp: Vnode, lbn: number): Sleeps<Uint8Array> {
  const map = new BlockMap();
  const error = yield* ext2Bmap(ext2, dvp, lbn, map);
  if (error !== Errno.OK || map.blkno < 0) {
    const why = error === Errno.OK ? "is a hole" : "leads out of the file system or cannot be read";
    throw new ErrnoError(Errno.EIO, `ext2: block ${lbn} of directory inode ${dvp.ino} ${why}`);
  }
  const block = (map.blkno * 512) / ext2.sb.blockSize;
  return yield* ext2.readBlock(block, `directory inode ${dvp.ino}`);
}

/** Search one block. @returns null: the name is not in it. */
function* searchBlock(
  ext2: Ext2Mount,
  dvp: Vnode,
  lbn: number,
  name: Uint8Array,
): Sleeps<Found | null> {
  const bytes = yield* readDirBlock(ext2, dvp, lbn);
  try {
    const at = seekDirent(bytes, 0, ext2.sb, name);
    if (at < 0) return null;
    const typed = (ext2.sb.featureIncompat & Incompat.filetype) !== 0;
    const fileType = typed ? bytes[at + DIRENT_FILE_TYPE] : DirentType.unknown;
    return { ino: readU32(bytes, at), fileType };
  } catch (error) {
    throw ext2.inDirectory(dvp, lbn, error);
  }
}

/** Look `name` up through the hash index. @throws {ErrnoError} EIO: the index is damaged. */
function* searchIndex(ext2: Ext2Mount, dvp: Vnode, name: Uint8Array): Sleeps<Found | null> {
  const { sb } = ext2;
  const blocks = blocksOf(ext2, dvp);
  const root = decodeRoot(yield* readDirBlock(ext2, dvp, 0), 0, sb, blocks);
  const walk = new IndexWalk(root, new NameHasher().hash(root.hashVersion, name, sb.hashSeed));
  do {
    while (!walk.atLeaf) {
      walk.descend(decodeNode(yield* readDirBlock(ext2, dvp, walk.block), 0, sb, blocks));
    }
    const found = yield* searchBlock(ext2, dvp, walk.block, name);
    if (found !== null) return found;
  } while (walk.nextLeaf());
  return null;
}

function* searchAll(ext2: Ext2Mount, dvp: Vnode, name: Uint8Array): Sleeps<Found | null> {
  const blocks = blocksOf(ext2, dvp);
  for (let lbn = 0; lbn < blocks; lbn++) {
    const found = yield* searchBlock(ext2, dvp, lbn, name);
    if (found !== null) return found;
  }
  return null;
}

const isIndexed = (ext2: Ext2Mount, dvp: Vnode): boolean =>
  (ext2.sb.featureCompat & Compat.dir_index) !== 0 && (vtoi(dvp).flags & INDEX_FL) !== 0;

/** What `name` is in a directory, or null. @throws {ErrnoError} EIO. @bsd #Y ext2_lookup */
export function* findName(ext2: Ext2Mount, dvp: Vnode, name: string): Sleeps<Found | null> {
  const bytes = encodeName(name);
  const { names } = vtoe(dvp);
  if (names !== null) {
    const lbn = names.blocks.get(decodeName(bytes)); // one spelling of the same bytes
    return lbn === undefined ? null : yield* searchBlock(ext2, dvp, lbn, bytes);
  }
  // The index does not know "." and "..", which stand in the first block.
  if (isIndexed(ext2, dvp) && name !== "." && name !== "..") {
    try {
      return yield* searchIndex(ext2, dvp, bytes);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
    }
  }
  return yield* searchAll(ext2, dvp, bytes);
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
    throw ext2.inDirectory(dvp, lbn, error);
  }
  const next = (lbn + 1) * blockSize;
  return { entries, next: next < dvp.size ? next : -1 };
}
