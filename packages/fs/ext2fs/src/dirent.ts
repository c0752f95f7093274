/**
 * Directory blocks: a chain of entries, walked and searched.
 *
 * ext2 on-disk format, revisions 0 and 1. An entry is inode (4 bytes), rec_len (2), name_len, file
 * type, name; entries fill their block exactly and never cross into the next. With the feature
 * filetype name_len has 8 bits, without it 16 and there is no type. Inode 0 marks an unused entry;
 * the inner blocks of a hash index and checksums at the end of a block look like one.
 *
 * One cursor serves many blocks; no object is made per entry. A walk ends: each step moves at least
 * 12 bytes on. Called by lookup and readdir of the vnode layer. The bytes are borrowed: nothing
 * found is valid once the block's page may change.
 */

import { Errno, ErrnoError, isWhole } from "@physio/kern";
import {
  DIRENT_FILE_TYPE,
  DIRENT_HEADER,
  DIRENT_MIN,
  DIRENT_NAME_LEN,
  DIRENT_REC_LEN,
  DirentType,
  Incompat,
  NAME_MAX,
  readU16,
  readU32,
} from "./layout.ts";
import type { Superblock } from "./superblock.ts";

const SLASH = 0x2f;

/** Whether the numbers of an entry make sense with `room` bytes left in its block. */
function isSound(
  ino: number,
  recLen: number,
  nameLen: number,
  room: number,
  inodesCount: number,
): boolean {
  return (
    recLen >= DIRENT_MIN &&
    (recLen & 3) === 0 &&
    recLen <= room &&
    nameLen + DIRENT_HEADER <= recLen && // rec_len is a multiple of 4: the padding fits too
    nameLen <= NAME_MAX &&
    ino <= inodesCount &&
    (ino === 0 || nameLen > 0)
  );
}

/** What `isSound` objected to. => `at`: bytes into the block. */
function unsound(
  at: number,
  ino: number,
  recLen: number,
  nameLen: number,
  room: number,
  inodesCount: number,
): never {
  let why = `inode ${ino} without a name`;
  if (recLen < DIRENT_MIN) why = "shorter than 12";
  else if ((recLen & 3) !== 0) why = "no multiple of 4";
  else if (recLen > room) why = `${room} bytes left in the block`;
  else if (nameLen + DIRENT_HEADER > recLen) why = `too short for name_len ${nameLen}`;
  else if (nameLen > NAME_MAX) why = `name_len ${nameLen} above ${NAME_MAX}`;
  else if (ino > inodesCount) why = `inode ${ino} beyond ${inodesCount}`;
  throw new ErrnoError(Errno.EIO, `directory entry at offset ${at}: rec_len ${recLen}, ${why}`);
}

function cutShort(at: number, room: number): never {
  throw new ErrnoError(
    Errno.EIO,
    `directory entry at offset ${at}: ${room} bytes left in the block`,
  );
}

function checkBlock(bytes: Uint8Array, from: number, blockSize: number): void {
  if (isWhole(from) && from + blockSize <= bytes.length) return;
  throw new ErrnoError(
    Errno.EIO,
    `directory block of ${blockSize} bytes at byte ${from} of ${bytes.length} bytes`,
  );
}

/**
 * A place in one directory block.
 *
 *   cursor.open(bytes, from);
 *   while (cursor.next()) use(cursor.ino, decodeName(bytes, cursor.nameOffset, cursor.nameEnd));
 *
 * The fields describe the entry that the last `next` stopped at.
 */
export class DirentCursor {
  /** Never 0 after `next` said true. */
  ino: number;
  /** Bytes to the following entry. */
  recLen: number;
  nameLen: number;
  /** One of DirentType; 0 where the file system does not say. */
  fileType: number;
  /** Where the name lies in the bytes given to `open`: [`nameOffset`, `nameEnd`). */
  nameOffset: number;
  nameEnd: number;
  /** Bytes from the start of the block to the entry. */
  offset: number;
  /** Bytes from the start of the block to the following entry: what `open` takes to go on. */
  nextOffset: number;
  readonly #blockSize: number;
  readonly #inodesCount: number;
  readonly #hasType: boolean;
  #bytes: Uint8Array;
  #from: number;

  constructor(sb: Superblock) {
    this.ino = 0;
    this.recLen = 0;
    this.nameLen = 0;
    this.fileType = DirentType.unknown;
    this.nameOffset = 0;
    this.nameEnd = 0;
    this.offset = 0;
    this.nextOffset = sb.blockSize; // nothing to walk before `open`
    this.#blockSize = sb.blockSize;
    this.#inodesCount = sb.inodesCount;
    this.#hasType = (sb.featureIncompat & Incompat.filetype) !== 0;
    this.#bytes = new Uint8Array(0);
    this.#from = 0;
  }

  /**
   * Start on the block at byte `from` of `bytes`, at the first entry that begins `startAt` bytes
   * into the block or later.
   *
   * `startAt` may be any number, as a seek makes it: the entries before it are walked, not trusted.
   * @throws {ErrnoError} EIO: `bytes` does not hold the block, or an entry before `startAt` is bad.
   */
  open(bytes: Uint8Array, from: number, startAt = 0): void {
    checkBlock(bytes, from, this.#blockSize);
    this.#bytes = bytes;
    this.#from = from;
    this.nextOffset = 0;
    while (this.nextOffset < startAt && this.nextOffset < this.#blockSize) this.#step();
  }

  /**
   * Move to the next used entry.
   * @returns false at the end of the block.
   * @throws {ErrnoError} EIO: an entry, used or not, breaks the rules of the format, or a name
   *   holds '/' or NUL. The cursor is then at the end: `next` gives false.
   */
  next(): boolean {
    while (this.nextAny()) if (this.ino !== 0) return true;
    return false;
  }

  /** Move to the next entry, used or not: `ino` is 0 then. @returns, @throws as `next`. */
  nextAny(): boolean {
    if (this.nextOffset >= this.#blockSize) return false;
    this.#step();
    if (this.ino !== 0) this.#checkName();
    return true;
  }

  /** Read and check the entry at `nextOffset`. => there is room for one byte at least. */
  #step(): void {
    const offset = this.nextOffset;
    const room = this.#blockSize - offset;
    const bytes = this.#bytes;
    const at = this.#from + offset;
    this.nextOffset = this.#blockSize; // should anything be wrong
    if (room < DIRENT_MIN) cutShort(offset, room);
    const ino = readU32(bytes, at);
    const recLen = readU16(bytes, at + DIRENT_REC_LEN);
    const nameLen = this.#hasType
      ? bytes[at + DIRENT_NAME_LEN]
      : readU16(bytes, at + DIRENT_NAME_LEN);
    if (!isSound(ino, recLen, nameLen, room, this.#inodesCount)) {
      unsound(offset, ino, recLen, nameLen, room, this.#inodesCount);
    }
    this.ino = ino;
    this.recLen = recLen;
    this.nameLen = nameLen;
    this.fileType = this.#hasType ? bytes[at + DIRENT_FILE_TYPE] : DirentType.unknown;
    this.nameOffset = at + DIRENT_HEADER;
    this.nameEnd = this.nameOffset + nameLen;
    this.offset = offset;
    this.nextOffset = offset + recLen;
  }

  #checkName(): void {
    const bytes = this.#bytes;
    for (let at = this.nameOffset; at < this.nameEnd; at++) {
      if (bytes[at] !== SLASH && bytes[at] !== 0) continue;
      this.nextOffset = this.#blockSize;
      throw new ErrnoError(
        Errno.EIO,
        `directory entry at offset ${this.offset}: rec_len ${this.recLen}, ` +
          `byte ${bytes[at]} in name`,
      );
    }
  }
}

function sameBytes(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return false;
  return true;
}

/**
 * The inode that `name` has in the directory block at byte `from` of `bytes`.
 *
 * Entries are checked as by DirentCursor up to the one found, but for '/' and NUL in other names:
 * => `name`: 1 to 255 bytes, without '/' and NUL. One that is not so is not found.
 *
 * @returns the inode; 0: not in this block.
 * @throws {ErrnoError} EIO: the bytes do not hold the block, or an entry breaks the format.
 */
export function findDirent(
  bytes: Uint8Array,
  from: number,
  sb: Superblock,
  name: Uint8Array,
): number {
  const at = seekDirent(bytes, from, sb, name);
  return at < 0 ? 0 : readU32(bytes, at);
}

/** The same. @returns where in `bytes` the entry begins; −1: not in this block. */
export function seekDirent(
  bytes: Uint8Array,
  from: number,
  sb: Superblock,
  name: Uint8Array,
): number {
  const { blockSize, inodesCount } = sb;
  const hasType = (sb.featureIncompat & Incompat.filetype) !== 0;
  checkBlock(bytes, from, blockSize);
  for (let offset = 0; offset < blockSize; ) {
    const at = from + offset;
    const room = blockSize - offset;
    if (room < DIRENT_MIN) cutShort(offset, room);
    const ino = readU32(bytes, at);
    const recLen = readU16(bytes, at + DIRENT_REC_LEN);
    const nameLen = hasType ? bytes[at + DIRENT_NAME_LEN] : readU16(bytes, at + DIRENT_NAME_LEN);
    if (!isSound(ino, recLen, nameLen, room, inodesCount)) {
      unsound(offset, ino, recLen, nameLen, room, inodesCount);
    }
    if (nameLen === name.length && ino !== 0 && sameBytes(bytes, at + DIRENT_HEADER, name)) {
      return at;
    }
    offset += recLen;
  }
  return -1;
}
