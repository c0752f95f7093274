/**
 * Changing directories: names are entered, taken out, and given to other inodes.
 *
 * Entries fill their block: a new one takes the room behind another or an unused one, one that goes is
 * joined to the entry before, or stays as an unused one at the start of its block. A directory grows by
 * whole blocks and never shrinks. A hash index does not know of new names, so the first one makes the directory an
 * unindexed one, as Linux's ext2 does; taking names out leaves the index right. Blocks are changed in the buffer cache,
 * as the vnode's own. Follows ext2_lookup.c (ext2_direnter, ext2_dirremove, ext2_dirrewrite, ext2_dirempty).
 *
 * => the directory is locked alone.
 */
import { decodeName, Errno as E, ErrnoError, encodeName } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { readDirBlock } from "./directory.ts";
import { DirentCursor } from "./dirent.ts";
import {
  DIRENT_FILE_TYPE,
  DIRENT_HEADER,
  DIRENT_MIN,
  DIRENT_NAME_LEN,
  DIRENT_REC_LEN,
  DirentType,
  INDEX_FL,
  Incompat,
  writeU16,
  writeU32,
} from "./layout.ts";
import { ext2Alloc, ext2Release } from "./map-write.ts";
import type { Ext2Mount } from "./mount.ts";
import { entryBytes, NameIndex } from "./name-index.ts";
import { touch, vtoi } from "./node.ts";

/** What a directory entry says of an inode's type. */
export const FILE_TYPES = Object.freeze({
  regular: DirentType.regular,
  directory: DirentType.directory,
  symlink: DirentType.symlink,
  "character special": DirentType.character,
  "block special": DirentType.block,
  FIFO: DirentType.FIFO,
  socket: DirentType.socket,
});

/** Bytes of the entry under a cursor that its name does not need. */
const spare = (cursor: DirentCursor): number =>
  cursor.ino === 0 ? cursor.recLen : cursor.recLen - entryBytes(cursor.nameLen);

/** The largest entry that a block takes. @throws {ErrnoError} EIO: the block is damaged. */
function roomIn(cursor: DirentCursor, bytes: Uint8Array): number {
  let room = 0;
  cursor.open(bytes, 0);
  while (cursor.nextAny()) room = Math.max(room, spare(cursor));
  return room;
}

/** What is known of a directory, read if it has to be. @throws {ErrnoError} EIO. */
function* namesOf(ext2: Ext2Mount, dvp: Vnode): Sleeps<NameIndex> {
  const known = ext2.directories.use(dvp);
  if (known !== null) return known;
  const names = new NameIndex();
  const cursor = new DirentCursor(ext2.sb);
  for (let lbn = 0; lbn * ext2.sb.blockSize < dvp.size; lbn++) {
    const bytes = yield* readDirBlock(ext2, dvp, lbn);
    try {
      cursor.open(bytes, 0);
      while (cursor.next()) {
        names.blocks.set(decodeName(bytes, cursor.nameOffset, cursor.nameEnd), lbn);
      }
      names.setRoom(lbn, roomIn(cursor, bytes));
    } catch (error) {
      throw ext2.inDirectory(dvp, lbn, error);
    }
  }
  ext2.directories.keep(dvp, names);
  return names;
}

/**
 * Change block `lbn` of a directory. `change` gets its bytes; what it throws leaves the block as it is.
 * @returns what `change` returns. @throws {ErrnoError} EIO; ENOMEM.
 */
function* changeBlock<T>(
  ext2: Ext2Mount,
  dvp: Vnode,
  lbn: number,
  change: (bytes: Uint8Array, cursor: DirentCursor) => T,
): Sleeps<T> {
  const { cache } = ext2.context;
  const block = yield* ext2.blockOf(dvp, lbn);
  if (block === 0) throw ext2.corrupt(`block ${lbn} of directory inode ${dvp.ino} is a hole`);
  const buf = yield* ext2.bread(block, dvp);
  const { error } = buf;
  if (error !== E.OK) {
    cache.brelse(buf);
    throw new ErrnoError(error, `ext2: block ${lbn} of directory inode ${dvp.ino}`);
  }
  const bytes = cache.copy(buf, new Uint8Array(ext2.sb.blockSize));
  try {
    const result = change(bytes, new DirentCursor(ext2.sb));
    cache.store(buf, bytes);
    cache.bdwrite(buf);
    return result;
  } catch (failure) {
    cache.brelse(buf);
    throw ext2.inDirectory(dvp, lbn, failure);
  }
}

/** Write one entry. => `name`: 1 to 255 bytes; they fit. */
function putEntry(
  ext2: Ext2Mount,
  bytes: Uint8Array,
  at: number,
  recLen: number,
  name: Uint8Array,
  vp: Vnode,
): void {
  writeU32(bytes, at, vp.ino);
  writeU16(bytes, at + DIRENT_REC_LEN, recLen);
  writeU16(bytes, at + DIRENT_NAME_LEN, name.length);
  putType(ext2, bytes, at, vp);
  bytes.set(name, at + DIRENT_HEADER);
}

function putType(ext2: Ext2Mount, bytes: Uint8Array, at: number, vp: Vnode): void {
  if ((ext2.sb.featureIncompat & Incompat.filetype) === 0) return;
  bytes[at + DIRENT_FILE_TYPE] = FILE_TYPES[vp.type];
}

/** The entry of `name`, which the cursor then stands at. @returns the entry before it in the block, or −1. */
function seek(bytes: Uint8Array, cursor: DirentCursor, name: Uint8Array): number {
  let before = -1;
  cursor.open(bytes, 0);
  while (cursor.nextAny()) {
    const { ino, nameLen, nameOffset } = cursor;
    if (ino !== 0 && nameLen === name.length && name.every((b, i) => bytes[nameOffset + i] === b)) {
      return before;
    }
    before = cursor.offset;
  }
  throw new ErrnoError(E.EIO, `"${decodeName(name)}" is not there any more`);
}

/** Enter `name` for `vp`. => there is no such name. @throws {ErrnoError} ENOSPC; EIO; ENOMEM: nothing has changed. @bsd #Y ext2_direnter */
export function* enterName(ext2: Ext2Mount, dvp: Vnode, name: string, vp: Vnode): Sleeps<void> {
  const names = yield* namesOf(ext2, dvp);
  const bytes = encodeName(name);
  const key = decodeName(bytes); // one spelling of the same bytes
  if (names.blocks.has(key)) throw new ErrnoError(E.EEXIST, `"${name}" in inode ${dvp.ino}`);
  const need = entryBytes(bytes.length);
  const lbn = names.findRoom(need);
  const inode = vtoi(dvp);
  if (lbn < 0) {
    const last = dvp.size / ext2.sb.blockSize;
    yield* appendBlock(ext2, dvp, last, (block) => {
      putEntry(ext2, block, 0, block.length, bytes, vp);
    });
    names.blocks.set(key, last);
    names.setRoom(last, ext2.sb.blockSize - need);
  } else {
    const room = yield* changeBlock(ext2, dvp, lbn, (block, cursor) => {
      insert(ext2, block, cursor, bytes, vp);
      return roomIn(cursor, block);
    });
    names.blocks.set(key, lbn);
    names.setRoom(lbn, room);
  }
  inode.flags &= ~INDEX_FL;
  touch(ext2, dvp);
}

function insert(
  ext2: Ext2Mount,
  block: Uint8Array,
  cursor: DirentCursor,
  name: Uint8Array,
  vp: Vnode,
): void {
  const need = entryBytes(name.length);
  cursor.open(block, 0);
  while (cursor.nextAny()) {
    const room = spare(cursor);
    if (room < need) continue;
    const used = cursor.recLen - room;
    if (used > 0) writeU16(block, cursor.offset + DIRENT_REC_LEN, used);
    putEntry(ext2, block, cursor.offset + used, room, name, vp);
    return;
  }
  throw new ErrnoError(E.EIO, `no room for ${need} bytes any more`);
}

/**
 * Block `lbn`, one more, of a directory or a symlink; `fill` fills it. A directory grows by it.
 * @throws {ErrnoError} ENOSPC; EIO; ENOMEM: the file is as it was.
 */
export function* appendBlock(
  ext2: Ext2Mount,
  vp: Vnode,
  lbn: number,
  fill: (bytes: Uint8Array) => void,
): Sleeps<void> {
  const { blockSize } = ext2.sb;
  const end = lbn * blockSize;
  const error = yield* ext2Alloc(ext2, vp, end, blockSize);
  try {
    if (error !== E.OK) throw new ErrnoError(error, `ext2: block ${lbn} of inode ${vp.ino}`);
    const bytes = new Uint8Array(blockSize);
    fill(bytes);
    yield* ext2.replaceBlock(yield* ext2.blockOf(vp, lbn), bytes, vp);
  } catch (failure) {
    yield* ext2Release(ext2, vp, end); // indirect blocks too
    throw failure;
  }
  if (vp.type !== "directory") return;
  vp.size = end + blockSize;
  vp.writeSize = vp.size;
  touch(ext2, vp);
}

/** The first block of a new directory. @throws {ErrnoError} as `appendBlock`. */
export function* startDirectory(ext2: Ext2Mount, vp: Vnode, dvp: Vnode): Sleeps<void> {
  yield* appendBlock(ext2, vp, 0, (bytes) => {
    putEntry(ext2, bytes, 0, DIRENT_MIN, encodeName("."), vp);
    putEntry(ext2, bytes, DIRENT_MIN, bytes.length - DIRENT_MIN, encodeName(".."), dvp);
  });
}

/** Take `name` out. => it is there. @throws {ErrnoError} EIO; ENOMEM: nothing has changed. @bsd #Y ext2_dirremove */
export function* removeName(ext2: Ext2Mount, dvp: Vnode, name: string): Sleeps<void> {
  const names = yield* namesOf(ext2, dvp);
  const lbn = blockOfName(ext2, dvp, names, name);
  const room = yield* changeBlock(ext2, dvp, lbn, (bytes, cursor) => {
    const before = seek(bytes, cursor, encodeName(name));
    const { offset, nextOffset } = cursor;
    if (before < 0) writeU32(bytes, offset, 0);
    else writeU16(bytes, before + DIRENT_REC_LEN, nextOffset - before);
    return roomIn(cursor, bytes);
  });
  names.blocks.delete(decodeName(encodeName(name)));
  names.setRoom(lbn, room);
}

/** `name` is `vp` from now on; also "..". => it is there. @throws {ErrnoError} EIO; ENOMEM: nothing has changed. @bsd #Y ext2_dirrewrite */
export function* replaceName(ext2: Ext2Mount, dvp: Vnode, name: string, vp: Vnode): Sleeps<void> {
  const lbn = name === ".." ? 0 : blockOfName(ext2, dvp, yield* namesOf(ext2, dvp), name);
  yield* changeBlock(ext2, dvp, lbn, (bytes, cursor) => {
    seek(bytes, cursor, encodeName(name));
    writeU32(bytes, cursor.offset, vp.ino);
    putType(ext2, bytes, cursor.offset, vp);
  });
}

/** Bring what a change of `name` will read to the buffer cache. @throws {ErrnoError} EIO: then the change would fail. */
export function* prepareName(ext2: Ext2Mount, dvp: Vnode, name: string): Sleeps<void> {
  const names = yield* namesOf(ext2, dvp);
  yield* readDirBlock(ext2, dvp, blockOfName(ext2, dvp, names, name));
}

function blockOfName(ext2: Ext2Mount, dvp: Vnode, names: NameIndex, name: string): number {
  const lbn = names.blocks.get(decodeName(encodeName(name)));
  if (lbn !== undefined) return lbn;
  throw ext2.corrupt(`directory inode ${dvp.ino}: "${name}" is only in its hash index`);
}

/** @throws {ErrnoError} ENOTEMPTY: it has other names than "." and ".."; EIO. @bsd #Y ext2_dirempty */
export function* checkEmpty(ext2: Ext2Mount, vp: Vnode): Sleeps<void> {
  const cursor = new DirentCursor(ext2.sb);
  for (let lbn = 0; lbn * ext2.sb.blockSize < vp.size; lbn++) {
    const bytes = yield* readDirBlock(ext2, vp, lbn);
    try {
      cursor.open(bytes, 0);
      while (cursor.next()) {
        const name = decodeName(bytes, cursor.nameOffset, cursor.nameEnd);
        if (name === "." || name === "..") continue;
        throw new ErrnoError(E.ENOTEMPTY, `directory inode ${vp.ino} has "${name}"`);
      }
    } catch (error) {
      throw ext2.inDirectory(vp, lbn, error);
    }
  }
}
