/**
 * Replaying an ext3 journal: what the disk would hold if its last transactions had been written back.
 *
 * The log is a ring of blocks. From where its super block says, transactions follow each other: descriptor
 * blocks, each with the copies that it lists, revoke blocks, and a commit block. The first block that does not
 * carry the number of the transaction under way ends the log; what has no commit block then never happened. A
 * revoked block must not be replayed from that transaction or an older one. Follows jbd's recovery, which goes
 * over the log three times; here one pass collects, and of each block only the last copy is read.
 *
 * Nothing is written. A walk is never longer than the ring, so no journal makes it endless.
 */
import { Errno, ErrnoError } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import type { JournalSuperblock } from "./journal-format.ts";
import {
  decodeJournalSuperblock,
  decodeRevokes,
  decodeTags,
  isOlder,
  JournalKind,
  kindOf,
  writeMagic,
} from "./journal-format.ts";
import type { Ext2Mount } from "./mount.ts";

/** A copy: of which block, where in the journal, of which transaction. */
interface Copy {
  readonly block: number;
  readonly at: number;
  readonly sequence: number;
  readonly escaped: boolean;
}

/** What a transaction has so far. */
interface Transaction {
  readonly copies: Copy[];
  readonly revokes: number[];
  /** Why it cannot be replayed. It may never have been committed. */
  damage: string | null;
}

/** The blocks that a journal has copies of, by their numbers in the file system. */
export type ReplayedBlocks = ReadonlyMap<number, Uint8Array>;

/** One journal while it is read. */
class JournalReader {
  readonly #ext2: Ext2Mount;
  readonly #vp: Vnode;
  readonly #log: JournalSuperblock;
  readonly #block: Uint8Array;
  /** By block: its last copy, and the last transaction that revokes it. */
  readonly #copies: Map<number, Copy>;
  readonly #revoked: Map<number, number>;

  constructor(ext2: Ext2Mount, vp: Vnode, log: JournalSuperblock) {
    this.#ext2 = ext2;
    this.#vp = vp;
    this.#log = log;
    this.#block = new Uint8Array(ext2.sb.blockSize);
    this.#copies = new Map();
    this.#revoked = new Map();
  }

  /** Walk the log to its end and take what is committed. @throws {ErrnoError} EIO. */
  *scan(): Sleeps<void> {
    const { start, sequence: oldest } = this.#log;
    let sequence = oldest;
    let at = start;
    let walked = 0;
    let open: Transaction = { copies: [], revokes: [], damage: null };
    for (;;) {
      if (walked > this.#length) this.#damaged(at, `no end of transaction ${sequence}`);
      const bytes = yield* readJournal(this.#ext2, this.#vp, at, this.#block);
      let used = 1;
      switch (kindOf(bytes, sequence)) {
        case JournalKind.descriptor:
          used += this.#collectTags(bytes, at, sequence, open);
          break;
        case JournalKind.revoke:
          this.#collectRevokes(bytes, at, open);
          break;
        case JournalKind.commit:
          this.#commit(open, at, sequence);
          open = { copies: [], revokes: [], damage: null };
          sequence = (sequence + 1) % 2 ** 32;
          break;
        default:
          return;
      }
      walked += used;
      at = this.#after(at, used);
    }
  }

  /** Read the last copy of each block that has one. @throws {ErrnoError} EIO. */
  *read(): Sleeps<ReplayedBlocks> {
    const blocks = new Map<number, Uint8Array>();
    for (const { block, at, escaped } of this.#copies.values()) {
      const bytes = yield* readJournal(this.#ext2, this.#vp, at);
      if (escaped) writeMagic(bytes);
      blocks.set(block, bytes);
    }
    return blocks;
  }

  /** Blocks of the ring. */
  get #length(): number {
    return this.#log.end - this.#log.first;
  }

  /** The block of the ring `count` blocks behind `at`. */
  #after(at: number, count: number): number {
    const { first } = this.#log;
    return first + ((at - first + count) % this.#length);
  }

  /** @returns how many copies follow. */
  #collectTags(bytes: Uint8Array, at: number, sequence: number, open: Transaction): number {
    const tags = decodeTags(bytes);
    for (const { block, distance, escaped } of tags)
      open.copies.push({ block, at: this.#after(at, distance), sequence, escaped });
    return tags.length;
  }

  #collectRevokes(bytes: Uint8Array, at: number, open: Transaction): void {
    const blocks = decodeRevokes(bytes);
    if (blocks === null) open.damage = `revoke block at ${at} is longer than a block`;
    else for (const block of blocks) open.revokes.push(block);
  }

  /** Transactions come in order: what is taken later is newer. */
  #commit(done: Transaction, at: number, sequence: number): void {
    if (done.damage !== null) this.#damaged(at, done.damage);
    for (const copy of done.copies) this.#copies.set(copy.block, copy);
    for (const block of done.revokes) this.#revoked.set(block, sequence);
  }

  /** Leave out what was revoked. @throws {ErrnoError} EIO: a copy of a block that does not exist. */
  settle(): void {
    for (const [block, copy] of this.#copies) {
      const revoked = this.#revoked.get(block);
      if (revoked !== undefined && !isOlder(revoked, copy.sequence)) this.#copies.delete(block);
      else if (!(block < this.#ext2.sb.blocksCount))
        this.#damaged(copy.at, `copy of block ${block} of ${this.#ext2.sb.blocksCount}`);
    }
  }

  #damaged(at: number, what: string): never {
    throw new ErrnoError(Errno.EIO, `ext2: journal: block ${at}: ${what}`);
  }
}

/** A block of the journal's file. @throws {ErrnoError} EIO: the file has none there, or the disk. */
function* readJournal(
  ext2: Ext2Mount,
  vp: Vnode,
  at: number,
  into: Uint8Array = new Uint8Array(ext2.sb.blockSize),
): Sleeps<Uint8Array> {
  const block = yield* ext2.blockOf(vp, at);
  if (block === 0) throw new ErrnoError(Errno.EIO, `ext2: journal: block ${at} is a hole`);
  const buf = yield* ext2.bread(block);
  const { error } = buf;
  if (error === Errno.OK) ext2.context.cache.copy(buf, into);
  ext2.context.cache.forget(buf); // it is not needed again
  if (error !== Errno.OK)
    throw new ErrnoError(error, `ext2: journal: block ${at}: block ${block} of the disk`);
  return into;
}

/**
 * The blocks that the journal of `ext2` holds and that are not written back. => `ext2` is mounted for reading, of the disk as it is.
 * @throws {ErrnoError} EIO: the disk; a hole or a bad pointer in the journal's file; a log without an end; a copy of a
 *   block that does not exist. EINVAL: the journal's file or its super block is none. EOPNOTSUPP: a journal on another
 *   device, or features that are not known.
 */
export function* replayJournal(ext2: Ext2Mount): Sleeps<ReplayedBlocks> {
  const { sb, mount } = ext2;
  if (sb.journalInode === 0)
    throw new ErrnoError(Errno.EOPNOTSUPP, "ext2: the journal lies on another device");
  const vp = yield* mount.vget(sb.journalInode);
  try {
    if (vp.type !== "regular")
      throw new ErrnoError(Errno.EINVAL, `ext2: journal: inode ${vp.ino} is a ${vp.type}`);
    const bytes = yield* readJournal(ext2, vp, 0);
    const blocks = Math.min(Math.floor(vp.size / sb.blockSize), sb.blocksCount);
    const log = decodeJournalSuperblock(bytes, blocks);
    if (log.start === 0) return new Map();
    const reader = new JournalReader(ext2, vp, log);
    yield* reader.scan();
    reader.settle();
    return yield* reader.read();
  } finally {
    mount.vrele(vp);
  }
}
