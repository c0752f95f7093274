/**
 * What is known of a directory that is changed: which block each name is in, and which blocks have room.
 *
 * Built by one pass over the directory when a name is first made or removed in it, and kept right from then on,
 * so that many changes cost what they change. Lookups use it as long as it is there. Room is counted as
 * the largest new entry that a block takes; blocks are listed by it, in steps of 4 bytes as entries are.
 *
 * A mount keeps some such directories (`NameIndexes`); the one that was used longest ago is forgotten, which
 * costs another pass if it is changed again. One goes with its vnode.
 */
import type { Bytes } from "@physio/kern";
import type { Vnode } from "@physio/vfs";
import { DIRENT_HEADER, NAME_MAX } from "./layout.ts";
import { vtoe } from "./node.ts";

/** Entries begin at multiples of this. */
const STEP = 4;
/** The largest entry that a name can need. */
const LARGEST = DIRENT_HEADER + Math.ceil(NAME_MAX / STEP) * STEP;
/** Directories and names that a mount keeps. The directory in use is kept, whatever its size. */
const DIRECTORIES = 64;
const NAMES = 100_000;

/** Bytes of an entry for a name of `length` bytes. */
export function entryBytes(length: Bytes): Bytes {
  return DIRENT_HEADER + Math.ceil(length / STEP) * STEP;
}

/** One directory. */
export class NameIndex {
  /** The logical block of each name, "." and ".." included. */
  readonly blocks: Map<string, number>;
  /** Of each block: the largest entry that it takes. */
  readonly #rooms: number[];
  /** Blocks by room. */
  readonly #byRoom: readonly Set<number>[];

  constructor() {
    this.blocks = new Map();
    this.#rooms = [];
    this.#byRoom = Array.from({ length: LARGEST / STEP + 1 }, () => new Set<number>());
  }

  /** Block `lbn` takes an entry of `room` bytes, and none larger. => blocks are told in order, first. */
  setRoom(lbn: number, room: Bytes): void {
    const before = this.#rooms[lbn];
    const now = Math.min(room, LARGEST) / STEP;
    if (before === now) return;
    if (before !== undefined) this.#byRoom[before].delete(lbn);
    this.#byRoom[now].add(lbn);
    this.#rooms[lbn] = now;
  }

  /** A block with room for an entry of `bytes`, the one with the least; −1: there is none. */
  findRoom(bytes: Bytes): number {
    for (let room = bytes / STEP; room < this.#byRoom.length; room++) {
      for (const lbn of this.#byRoom[room]) return lbn;
    }
    return -1;
  }
}

/** The directories of a mount whose names are known, the longest unused first. */
export class NameIndexes {
  readonly #directories: Set<Vnode>;

  constructor() {
    this.#directories = new Set();
  }

  /** A directory that is changed. @returns null: it has to be read first. */
  use(dvp: Vnode): NameIndex | null {
    const { names } = vtoe(dvp);
    if (names === null) return null;
    this.#directories.delete(dvp);
    this.#directories.add(dvp);
    return names;
  }

  /** The names of a directory are known now. */
  keep(dvp: Vnode, names: NameIndex): void {
    vtoe(dvp).names = names;
    this.use(dvp);
    let total = 0;
    for (const other of this.#directories) total += vtoe(other).names!.blocks.size;
    for (const oldest of this.#directories) {
      if (oldest === dvp || (total <= NAMES && this.#directories.size <= DIRECTORIES)) return;
      total -= vtoe(oldest).names!.blocks.size;
      this.forget(oldest);
    }
  }

  /** The directory ends, or cannot be trusted. */
  forget(dvp: Vnode): void {
    vtoe(dvp).names = null;
    this.#directories.delete(dvp);
  }
}
