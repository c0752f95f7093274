/**
 * The hash index of a directory: a tree of one or two levels over its blocks.
 *
 * As Linux and e2fsprogs write it (feature dir_index, inode flag INDEX_FL). Block 0 is the root:
 * the entries "." and "..", then 8 bytes of information, then the table. A node is one unused
 * directory entry that spans the block, with the table behind its 8 bytes. A table:
 *
 *   +0 limit (16)  +2 count (16)  +4 block (32)      entry 0: every hash below entry 1's
 *   +8 hash (32)   +12 block (32)                    entry 1, and so on to count − 1
 *
 * Hashes ascend. One whose bit 0 is set says that the block goes on with names of the same hash as
 * the block before. Blocks are logical blocks of the directory, in the low 28 bits.
 *
 * Entries are read where they lie: the bytes are borrowed for as long as the object is used. Each
 * objection is EIO; the caller then reads the directory from end to end, which needs no index.
 */

import { Errno, ErrnoError, isWhole } from "@physio/kern";
import { effectiveHashVersion } from "./dirhash.ts";
import {
  DIRENT_HEADER,
  DIRENT_MIN,
  DIRENT_REC_LEN,
  HASH_TEA,
  RoCompat,
  readU16,
  readU32,
} from "./layout.ts";
import type { Superblock } from "./superblock.ts";

const ENTRY_BYTES = 8;
const INFO_OFFSET = 24; // behind "." and "..", 12 bytes each
const INFO_BYTES = 8;
const ROOT_TABLE = INFO_OFFSET + INFO_BYTES;
const NODE_TABLE = DIRENT_HEADER;
const CHECKSUM_BYTES = 8;
const BLOCK_MASK = 0x0fffffff;
/** Node levels below the root; the feature large_dir would add one. */
const LEVELS_MAX = 1;

function corrupt(what: string): never {
  throw new ErrnoError(Errno.EIO, `directory index: ${what}`);
}

/** A table of the index, in place. Entry 0 holds for every hash below entry 1's. */
export class IndexTable {
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #at: number;
  readonly #blocks: number;

  /** => `at`: where the table begins. `count` is checked; `blocks`: how many the directory has. */
  constructor(bytes: Uint8Array, at: number, count: number, blocks: number) {
    this.count = count;
    this.#bytes = bytes;
    this.#at = at;
    this.#blocks = blocks;
  }

  /** The hash from which entry `i` holds; 0 for entry 0. => `i`: 0 to `count` − 1. */
  hashAt(i: number): number {
    return i === 0 ? 0 : readU32(this.#bytes, this.#at + i * ENTRY_BYTES);
  }

  /** The logical block of entry `i`. @throws {ErrnoError} EIO: the root, or past the last block. */
  blockAt(i: number): number {
    const block = readU32(this.#bytes, this.#at + i * ENTRY_BYTES + 4) & BLOCK_MASK;
    if (block > 0 && block < this.#blocks) return block;
    corrupt(`entry ${i} of ${this.count} names block ${block} of ${this.#blocks}`);
  }

  /** The entry that holds `hash`: the last whose hash is not above it. */
  find(hash: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.hashAt(middle) <= hash) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Whether the entry after `i` goes on with names of hash `hash`. => `hash`: bit 0 clear. */
  continues(i: number, hash: number): boolean {
    return i + 1 < this.count && this.hashAt(i + 1) === hash + 1;
  }
}

/** What the root of an index says. */
export interface IndexRoot {
  /** 0 to 5: what NameHasher takes. */
  readonly hashVersion: number;
  /** Levels of nodes between the root and the leaves: 0 or 1. */
  readonly indirectLevels: number;
  readonly entries: IndexTable;
}

/** The table at `table` bytes into the block; its limit must be what fits. */
function decodeTable(
  bytes: Uint8Array,
  from: number,
  table: number,
  sb: Superblock,
  blocks: number,
): IndexTable {
  const tail = (sb.featureRoCompat & RoCompat.metadata_csum) === 0 ? 0 : CHECKSUM_BYTES;
  const fits = (sb.blockSize - table - tail) / ENTRY_BYTES;
  const limit = readU16(bytes, from + table);
  const count = readU16(bytes, from + table + 2);
  if (limit !== fits) corrupt(`limit ${limit}, ${fits} entries fit`);
  if (count === 0 || count > limit) corrupt(`count ${count}, limit ${limit}`);
  return new IndexTable(bytes, from + table, count, blocks);
}

function checkBlock(bytes: Uint8Array, from: number, blockSize: number): void {
  if (isWhole(from) && from + blockSize <= bytes.length) return;
  corrupt(`block of ${blockSize} bytes at byte ${from} of ${bytes.length} bytes`);
}

/**
 * The root of an index: the directory's block 0, at byte `from` of `bytes`.
 * => `blocks`: how many blocks the directory has.
 * @throws {ErrnoError} EIO: not an index, or one that this reader does not know.
 */
export function decodeRoot(
  bytes: Uint8Array,
  from: number,
  sb: Superblock,
  blocks: number,
): IndexRoot {
  checkBlock(bytes, from, sb.blockSize);
  const dot = readU16(bytes, from + DIRENT_REC_LEN);
  const dotDot = readU16(bytes, from + DIRENT_MIN + DIRENT_REC_LEN);
  if (dot !== DIRENT_MIN || dotDot !== sb.blockSize - DIRENT_MIN) {
    corrupt(`root entries of ${dot} and ${dotDot} bytes`);
  }
  const info = from + INFO_OFFSET;
  const reserved = readU32(bytes, info);
  const stored = bytes[info + 4];
  const infoBytes = bytes[info + 5];
  const indirectLevels = bytes[info + 6];
  const flags = bytes[info + 7];
  if (reserved !== 0 || infoBytes !== INFO_BYTES) {
    corrupt(`reserved word ${reserved}, ${infoBytes} bytes of root information`);
  }
  if (stored > HASH_TEA) corrupt(`hash version ${stored}, 0 to ${HASH_TEA} known`);
  if (indirectLevels > LEVELS_MAX) corrupt(`${indirectLevels} levels, ${LEVELS_MAX} at most`);
  if ((flags & 1) !== 0) corrupt(`root flags ${flags}`);
  const hashVersion = effectiveHashVersion(stored, sb.hashUnsigned);
  return { hashVersion, indirectLevels, entries: decodeTable(bytes, from, ROOT_TABLE, sb, blocks) };
}

/**
 * The table of the node block at byte `from` of `bytes`.
 * => `blocks`: as for `decodeRoot`.
 * @throws {ErrnoError} EIO: not a node.
 */
export function decodeNode(
  bytes: Uint8Array,
  from: number,
  sb: Superblock,
  blocks: number,
): IndexTable {
  checkBlock(bytes, from, sb.blockSize);
  const ino = readU32(bytes, from);
  const recLen = readU16(bytes, from + DIRENT_REC_LEN);
  if (ino !== 0 || recLen !== sb.blockSize)
    corrupt(`node begins with inode ${ino}, ${recLen} bytes`);
  return decodeTable(bytes, from, NODE_TABLE, sb, blocks);
}

/**
 * The way of one hash from the root to its leaves. The caller reads the blocks:
 *
 *   const walk = new IndexWalk(root, hash);
 *   do {
 *     while (!walk.atLeaf) walk.descend(decodeNode(bytesOf(walk.block), 0, sb, blocks));
 *     ino = findDirent(bytesOf(walk.block), 0, sb, name);
 *   } while (ino === 0 && walk.nextLeaf());
 *
 * It ends: `nextLeaf` only moves forward in the root and, within one entry of it, in one node.
 * => the tables' bytes stay as they are while the walk goes on: who may sleep copies them.
 */
export class IndexWalk {
  /** The logical block to read next: a leaf if `atLeaf`, else a node to `descend` into. */
  block: number;
  atLeaf: boolean;
  readonly #hash: number;
  readonly #root: IndexRoot;
  #rootEntry: number;
  #node: IndexTable | null;
  #nodeEntry: number;

  /** => `hash`: as NameHasher gives it. @throws {ErrnoError} EIO: the root names a bad block. */
  constructor(root: IndexRoot, hash: number) {
    const entry = root.entries.find(hash);
    this.block = root.entries.blockAt(entry);
    this.atLeaf = root.indirectLevels === 0;
    this.#hash = hash;
    this.#root = root;
    this.#rootEntry = entry;
    this.#node = null;
    this.#nodeEntry = 0;
  }

  /** Go on in the node of `block`. => not `atLeaf`. @throws {ErrnoError} EIO: a bad number. */
  descend(node: IndexTable): void {
    const entry = node.find(this.#hash);
    this.block = node.blockAt(entry);
    this.atLeaf = true;
    this.#node = node;
    this.#nodeEntry = entry;
  }

  /**
   * After a leaf without the name: move to the block that goes on with the same hash.
   * @returns false: there is none, the name is not in the directory.
   * @throws {ErrnoError} EIO: the entry names a bad block.
   */
  nextLeaf(): boolean {
    if (this.#node?.continues(this.#nodeEntry, this.#hash)) {
      this.block = this.#node.blockAt(++this.#nodeEntry);
      return true;
    }
    // Only the last leaf of a node is followed by the first of the next one.
    if (this.#node !== null && this.#nodeEntry + 1 < this.#node.count) return false;
    if (!this.#root.entries.continues(this.#rootEntry, this.#hash)) return false;
    this.block = this.#root.entries.blockAt(++this.#rootEntry);
    this.atLeaf = this.#node === null;
    this.#node = null;
    return true;
  }
}
