/**
 * The numbers of the ext3 journal, and its blocks taken apart.
 *
 * On-disk format of JBD, versions 1 and 2; every integer is big-endian. A block of the journal that is not
 * a copy of a file system block begins with a magic number, its kind and the number of its transaction. A copy
 * that would begin with the magic number has 0 there and is marked as escaped. Pure.
 */
import type { Bits } from "@physio/kern";
import { bitset, Errno, ErrnoError, hex } from "@physio/kern";

const JOURNAL_MAGIC = 0xc03b3998;

/** What a block of the journal is. */
export const JournalKind = Object.freeze({
  descriptor: 1,
  commit: 2,
  superblock1: 3,
  superblock2: 4,
  revoke: 5,
} as const);

/** Byte offsets of the header of a block, and of what follows it in a super block or a revoke block. */
const Jb = Object.freeze({
  magic: 0,
  kind: 4,
  sequence: 8,
  blockSize: 12,
  maxLength: 16,
  first: 20,
  startSequence: 24,
  start: 28,
  featureIncompat: 40,
  revokeBytes: 12,
});

/** Bytes of the header, and of that of a revoke block. */
const HEADER = 12;
const REVOKE_HEADER = 16;
/** A tag of a descriptor: block, checksum, flags; behind it a UUID, unless it is the same as before. */
const TAG_BYTES = 8;
const TAG_UUID_BYTES = 16;
const Tag = Object.freeze({ block: 0, flags: 6 });

/** What a tag says of the copy. */
type TagFlags = Bits<"JournalTag">;
const TagFlag = bitset<"JournalTag">()({
  ESCAPED: 0x1,
  SAME_UUID: 0x2,
  LAST: 0x8,
});

/** Features without which a journal cannot be read. */
type JournalFeatures = Bits<"JournalIncompat">;
const JournalIncompat = bitset<"JournalIncompat">()({
  revoke: 0x1,
  "64bit": 0x2,
  async_commit: 0x4,
  csum_v2: 0x8,
  csum_v3: 0x10,
  fast_commit: 0x20,
});
const UNDERSTOOD: JournalFeatures = JournalIncompat.revoke;

/** The journal's super block, checked: `first` <= `start` < `end`, or `start` is 0. */
export interface JournalSuperblock {
  /** First block of the log, and the one behind its last. */
  readonly first: number;
  readonly end: number;
  /** Where the oldest transaction begins; 0: nothing has to be replayed. */
  readonly start: number;
  /** Number of that transaction. */
  readonly sequence: number;
}

/** A block of the file system and which block of the journal is its copy. */
export interface JournalTag {
  readonly block: number;
  /** Blocks of the journal from the descriptor to the copy. */
  readonly distance: number;
  readonly escaped: boolean;
}

/** 32 bits at `at`: 0 … 2^32 − 1. => in the array. */
function readBe32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

/** The magic number to the start of a block. */
export function writeMagic(bytes: Uint8Array): void {
  for (let i = 0; i < 4; i++) bytes[i] = JOURNAL_MAGIC >>> (24 - 8 * i);
}

/** The kind of a block of transaction `sequence`; 0: it is none. */
export function kindOf(bytes: Uint8Array, sequence: number): number {
  const own = readBe32(bytes, Jb.magic) === JOURNAL_MAGIC;
  return own && readBe32(bytes, Jb.sequence) === sequence ? readBe32(bytes, Jb.kind) : 0;
}

function unknownFeatures(features: JournalFeatures): string {
  let rest = features & ~UNDERSTOOD;
  const names: string[] = [];
  for (const [name, bit] of Object.entries(JournalIncompat)) {
    if ((rest & bit) === 0) continue;
    names.push(name);
    rest &= ~bit;
  }
  if (rest !== 0) names.push(hex(rest >>> 0));
  return names.join(" ");
}

/**
 * The super block of a journal in a file of `fileBlocks` blocks of `bytes.length` bytes.
 * @throws {ErrnoError} EINVAL: none, or places that it does not have; EOPNOTSUPP: features, by name.
 */
export function decodeJournalSuperblock(bytes: Uint8Array, fileBlocks: number): JournalSuperblock {
  const invalid = (what: string): never => {
    throw new ErrnoError(Errno.EINVAL, `ext2: journal: ${what}`);
  };
  const magic = readBe32(bytes, Jb.magic);
  const kind = readBe32(bytes, Jb.kind);
  if (magic !== JOURNAL_MAGIC) invalid(`magic ${hex(magic)}, wanted ${hex(JOURNAL_MAGIC)}`);
  if (kind !== JournalKind.superblock1 && kind !== JournalKind.superblock2)
    invalid(`kind ${kind} of its super block`);
  if (kind === JournalKind.superblock2) {
    const unknown = unknownFeatures(readBe32(bytes, Jb.featureIncompat));
    if (unknown !== "")
      throw new ErrnoError(Errno.EOPNOTSUPP, `ext2: journal: features ${unknown}`);
  }
  const blockSize = readBe32(bytes, Jb.blockSize);
  const end = readBe32(bytes, Jb.maxLength);
  const first = readBe32(bytes, Jb.first);
  const start = readBe32(bytes, Jb.start);
  if (blockSize !== bytes.length)
    invalid(`blocks of ${blockSize} bytes, those of the file system have ${bytes.length}`);
  if (end > fileBlocks) invalid(`${end} blocks in a file of ${fileBlocks}`);
  if (!(first > 0 && first < end)) invalid(`first block ${first} of ${end}`);
  if (start !== 0 && !(start >= first && start < end))
    invalid(`start at block ${start}, outside of ${first} to ${end - 1}`);
  return { first, end, start, sequence: readBe32(bytes, Jb.startSequence) };
}

/** The tags of a descriptor block, as far as they are in it. */
export function decodeTags(bytes: Uint8Array): JournalTag[] {
  const tags: JournalTag[] = [];
  for (let at = HEADER; at + TAG_BYTES <= bytes.length; ) {
    const flags: TagFlags = bytes[at + Tag.flags + 1];
    const escaped = (flags & TagFlag.ESCAPED) !== 0;
    tags.push({ block: readBe32(bytes, at + Tag.block), distance: tags.length + 1, escaped });
    if ((flags & TagFlag.LAST) !== 0) break;
    at += TAG_BYTES + ((flags & TagFlag.SAME_UUID) === 0 ? TAG_UUID_BYTES : 0);
  }
  return tags;
}

/** The blocks that a revoke block names; null: it says that it is longer than a block. */
export function decodeRevokes(bytes: Uint8Array): number[] | null {
  const end = readBe32(bytes, Jb.revokeBytes);
  if (end > bytes.length) return null;
  const blocks: number[] = [];
  for (let at = REVOKE_HEADER; at + 4 <= end; at += 4) blocks.push(readBe32(bytes, at));
  return blocks;
}

/** Whether transaction `a` is older than `b`: their numbers wrap round at 2^32. */
export function isOlder(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}
