/**
 * Directory blocks: chains of entries, each of 512 bytes.
 *
 * FFS on-disk format, dir(5). An entry is inode (4 bytes), reclen (2), type (1), name length (1),
 * name, NUL; entries fill 512 bytes exactly and never cross into the next. In the old inode format the
 * length has 16 bits and there is no type: the byte that matters is where the byte order puts it. Inode 0
 * marks an unused entry; a whiteout counts as none.
 *
 * A walk ends: each step moves at least 12 bytes on. The bytes are borrowed: nothing found is valid
 * once they change. Called by lookup and readdir.
 */

import { Errno, ErrnoError } from "@physio/kern";
import {
  DIRBLKSIZ,
  DIRENT_HEADER,
  DIRENT_MIN,
  DIRENT_NAME_LEN,
  DIRENT_REC_LEN,
  DIRENT_TYPE,
  DT_WHT,
  NAME_MAX,
  readU16,
  readU32,
  WHITEOUT_INO,
} from "./layout.ts";
import type { Superblock } from "./superblock.ts";

const SLASH = 0x2f;

/** Bytes that an entry needs for a name of that length, its NUL and padding included. @bsd #Y DIRSIZ */
const entryBytes = (nameLen: number): number => DIRENT_HEADER + Math.ceil((nameLen + 1) / 4) * 4;

/**
 * A place in directory blocks.
 *
 *   cursor.open(bytes);
 *   while (cursor.next()) use(cursor.ino, decodeName(bytes, cursor.nameOffset, cursor.nameEnd));
 *
 * The fields describe the entry that the last `next` stopped at.
 */
export class DirentCursor {
  /** Never 0 after `next` said true. */
  ino: number;
  /** Where the name lies in the bytes given to `open`: [`nameOffset`, `nameEnd`). */
  nameOffset: number;
  nameEnd: number;
  /** Bytes from the start to the entry, and to the following one. */
  offset: number;
  nextOffset: number;
  readonly #sb: Superblock;
  #bytes: Uint8Array;

  constructor(sb: Superblock) {
    this.ino = 0;
    this.nameOffset = 0;
    this.nameEnd = 0;
    this.offset = 0;
    this.nextOffset = 0;
    this.#sb = sb;
    this.#bytes = new Uint8Array(0);
  }

  /**
   * Start on `bytes`, at the first entry that begins at byte `startAt` or later.
   *
   * `startAt` may be any number, as a seek makes it: entries before it are walked, not trusted.
   * => `bytes` are whole pieces of 512.
   * @throws {ErrnoError} EIO: an entry before `startAt` is bad.
   */
  open(bytes: Uint8Array, startAt = 0): void {
    this.#bytes = bytes;
    this.nextOffset = 0;
    const piece = Math.floor(startAt / DIRBLKSIZ) * DIRBLKSIZ;
    if (piece > 0) this.nextOffset = Math.min(piece, bytes.length);
    while (this.nextOffset < startAt && this.nextOffset < bytes.length) this.#step();
  }

  /**
   * Move to the next used entry.
   * @returns false at the end of the bytes.
   * @throws {ErrnoError} EIO: an entry, used or not, breaks the rules of the format, or a name holds
   *   '/' or NUL. The cursor is then at the end: `next` gives false.
   */
  next(): boolean {
    while (this.nextOffset < this.#bytes.length) {
      this.#step();
      if (this.ino === 0) continue;
      this.#checkName();
      return true;
    }
    return false;
  }

  /** Whether the entry has that name. */
  isNamed(name: Uint8Array): boolean {
    if (this.nameEnd - this.nameOffset !== name.length) return false;
    for (let i = 0; i < name.length; i++) {
      if (this.#bytes[this.nameOffset + i] !== name[i]) return false;
    }
    return true;
  }

  /** Read and check the entry at `nextOffset`. => it lies in the bytes. */
  #step(): void {
    const { bigEndian, oldInodes, inodesCount } = this.#sb;
    const bytes = this.#bytes;
    const at = this.nextOffset;
    const room = DIRBLKSIZ - (at % DIRBLKSIZ);
    this.offset = at;
    if (room < DIRENT_MIN) this.#refuse(`${room} bytes left`);
    const recLen = readU16(bytes, at + DIRENT_REC_LEN, bigEndian);
    const nameLen = oldInodes
      ? readU16(bytes, at + DIRENT_TYPE, bigEndian)
      : bytes[at + DIRENT_NAME_LEN];
    const ino = readU32(bytes, at, bigEndian);
    if (recLen < DIRENT_MIN || recLen % 4 !== 0 || recLen > room) {
      this.#refuse(`reclen ${recLen}, ${room} bytes left`);
    }
    const hidden = !oldInodes && ino === WHITEOUT_INO && bytes[at + DIRENT_TYPE] === DT_WHT;
    this.ino = hidden ? 0 : ino;
    if (this.ino !== 0) {
      if (nameLen === 0) this.#refuse(`inode ${ino} without a name`);
      if (nameLen > NAME_MAX || entryBytes(nameLen) > recLen)
        this.#refuse(`reclen ${recLen}, name of ${nameLen} bytes`);
      if (ino >= inodesCount) this.#refuse(`inode ${ino} beyond ${inodesCount - 1}`);
    }
    this.nameOffset = at + DIRENT_HEADER;
    this.nameEnd = this.nameOffset + nameLen;
    this.nextOffset = at + recLen;
  }

  #checkName(): void {
    for (let at = this.nameOffset; at < this.nameEnd; at++) {
      const byte = this.#bytes[at];
      if (byte === SLASH || byte === 0) this.#refuse(`byte ${byte} in name`);
    }
  }

  #refuse(why: string): never {
    this.nextOffset = this.#bytes.length;
    throw new ErrnoError(Errno.EIO, `directory entry at offset ${this.offset}: ${why}`);
  }
}
