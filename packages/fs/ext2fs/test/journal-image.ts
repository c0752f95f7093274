/**
 * Journals as tests want them: a file system with a log written block by block.
 *
 * The place is the fixture of a crash, whose own log is wiped. `model` is the obvious replay, three times over
 * the log, on a copy of the bytes.
 */
import { DEV_BSIZE } from "@physio/blkio";
import { Errno, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Image } from "./image.ts";
import { blockOf, fixtureBytes, openImage, readInode } from "./image.ts";
import type { Mounted } from "./mounted.ts";

export const BLOCK = 1024;
const MAGIC = 0xc03b3998;
const JOURNAL_INO = 8;
/** The ring of the fixture. */
export const FIRST = 1;
export const END = 1024;

const CRASH = fixtureBytes("ext3-crash-1k");

/** Where each block of its journal lies, in bytes. */
const PLACES: readonly number[] = placesIn(openImage(CRASH));

/** The same with nothing in the log. */
const WIPED = CRASH.slice();
for (let at = FIRST; at < END; at++) WIPED.fill(0, PLACES[at], PLACES[at] + BLOCK);

function placesIn(image: Image): number[] {
  const inode = readInode(image, JOURNAL_INO);
  return Array.from({ length: END }, (_, at) => blockOf(image, inode, at) * BLOCK);
}

/** A transaction: blocks of the file system with what they hold, and blocks revoked. */
export interface Transaction {
  readonly copies?: readonly (readonly [block: number, fill: Uint8Array])[];
  readonly revokes?: readonly number[];
  readonly commit?: boolean;
}

/** A block of bytes that a number names; 0xc0 gives one that begins with the magic number. */
export function filled(value: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK).fill(value);
  if (value === 0xc0) new DataView(bytes.buffer).setUint32(0, MAGIC);
  return bytes;
}

/** An image whose log can be written. */
export class JournalImage {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  #at: number;
  #sequence: number;

  /** An empty log that begins at `start` with transaction `sequence`. */
  constructor(start = FIRST, sequence = 1, features = 1) {
    this.bytes = WIPED.slice();
    this.view = new DataView(this.bytes.buffer);
    const sb = this.byteOf(0);
    this.view.setUint32(sb + 4, 4); // version 2
    this.view.setUint32(sb + 24, sequence);
    this.view.setUint32(sb + 28, start);
    this.view.setUint32(sb + 40, features);
    this.#at = start;
    this.#sequence = sequence;
  }

  /** Where a block of the journal lies in the image. */
  byteOf(at: number): number {
    return PLACES[at];
  }

  put(at: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, this.byteOf(at));
  }

  /** Next block of the ring. */
  #next(): number {
    const at = this.#at;
    this.#at = at + 1 === END ? FIRST : at + 1;
    return at;
  }

  #header(kind: number): [Uint8Array, DataView] {
    const bytes = new Uint8Array(BLOCK);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, MAGIC);
    view.setUint32(4, kind);
    view.setUint32(8, this.#sequence);
    return [bytes, view];
  }

  /** Append a transaction; one without commit keeps its number for the next. */
  append({ copies = [], revokes = [], commit = true }: Transaction): this {
    if (revokes.length > 0) {
      const [bytes, view] = this.#header(5);
      view.setUint32(12, 16 + 4 * revokes.length);
      for (const [i, block] of revokes.entries()) view.setUint32(16 + 4 * i, block);
      this.put(this.#next(), bytes);
    }
    const most = Math.floor((BLOCK - 12 - 16) / 8);
    for (let i = 0; i < copies.length; i += most) this.#describe(copies.slice(i, i + most));
    if (!commit) return this;
    this.put(this.#next(), this.#header(2)[0]);
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this;
  }

  #describe(copies: readonly (readonly [number, Uint8Array])[]): void {
    const [bytes, view] = this.#header(1);
    const place = this.#next();
    let at = 12;
    copies.forEach(([block, fill], i) => {
      const escaped = new DataView(fill.buffer, fill.byteOffset).getUint32(0) === MAGIC;
      const flags = (escaped ? 1 : 0) | (i > 0 ? 2 : 0) | (i === copies.length - 1 ? 8 : 0);
      view.setUint32(at, block);
      view.setUint16(at + 6, flags);
      at += i > 0 ? 8 : 24; // the first one has a UUID
      const copy = fill.slice();
      if (escaped) copy.fill(0, 0, 4);
      this.put(this.#next(), copy);
    });
    this.put(place, bytes);
  }
}

/** The blocks of a file system after a replay of `log`, which starts with transaction 1. */
export function model(before: Uint8Array, log: readonly Transaction[]): Uint8Array {
  const after = before.slice();
  const end = log.findIndex(({ commit = true }) => !commit);
  const committed = log.slice(0, end < 0 ? log.length : end);
  const revokedIn = new Map<number, number>();
  committed.forEach(({ revokes = [] }, i) => {
    for (const block of revokes) revokedIn.set(block, i);
  });
  committed.forEach(({ copies = [] }, i) => {
    for (const [block, bytes] of copies)
      if ((revokedIn.get(block) ?? -1) < i) after.set(bytes, block * BLOCK);
  });
  return after;
}

/** Whole numbers below a limit that a seed names. */
export function chance(seed: number): (limit: number) => number {
  let state = Math.imul(seed, 0x27d4eb2f);
  return (limit) => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) % limit;
  };
}

/** A log of up to 12 transactions over few blocks that nobody uses, so that they meet. */
export function drawLog(seed: number): { image: JournalImage; log: Transaction[] } {
  const below = chance(seed);
  const image = new JournalImage(FIRST + below(END - FIRST), below(4) === 0 ? 2 ** 32 - 4 : 9);
  const block = (): number => 3300 + below(40);
  const log = Array.from({ length: below(12) }, (_, i): Transaction => {
    const copies = Array.from(
      { length: below(20) },
      () => [block(), filled(below(16) * 16)] as const,
    );
    const revokes = below(2) === 0 ? Array.from({ length: below(6) }, block) : [];
    return { copies, revokes, commit: i < 11 };
  });
  for (const transaction of log) image.append(transaction);
  return { image, log };
}

// ---- what a mount makes of it

/** Where the logs of these tests have their copies: nobody uses these blocks. */
export const COPIES = [2992, 3344] as const;
/** Blocks that are read at once, in turn: alone, and with others. */
const AT_ONCE = [1, 16, 4, 32];

/** Blocks [`from`, `to`) as the mounted device has them, in place; the rest is 0. */
export function diskOf(m: Mounted, from: number, to: number): Uint8Array {
  const all = new Uint8Array(to * BLOCK);
  const body = function* (): Sleeps<void> {
    for (let at = from, turn = 0; at < to; turn++) {
      const blocks = Math.min(AT_ONCE[turn % AT_ONCE.length], to - at);
      const buf = yield* m.cache.bread(m.ext2.disk, (at * BLOCK) / DEV_BSIZE, blocks * BLOCK);
      const { error } = buf;
      m.cache.copy(buf, all.subarray(at * BLOCK, (at + blocks) * BLOCK));
      m.cache.forget(buf);
      if (error !== Errno.OK) throw new ErrnoError(error, `block ${at}`);
      at += blocks;
    }
  };
  m.sched.runSync(body());
  return all;
}

/** The first block from `from` on in which `a` differs from `b`; −1: none. */
export function firstDifference(
  a: Uint8Array,
  b: Uint8Array,
  from = 0,
  except: readonly number[] = [],
): number {
  if (from === 0 && Buffer.compare(a, b) === 0) return -1;
  for (let block = from; block * BLOCK < a.length; block++) {
    const range = [block * BLOCK, (block + 1) * BLOCK] as const;
    const same = Buffer.compare(a.subarray(...range), b.subarray(...range)) === 0;
    if (!same && !except.includes(block)) return block;
  }
  return -1;
}
