/**
 * Mutants: damaged copies of the fixtures, each named by one number.
 *
 * The place of every structure comes from the manifests (debugfs) and from the group descriptors of
 * the undamaged image. Half of the edits know the field that they hit and write a value that is
 * likely to hurt; the others flip, clear or set bytes anywhere in the metadata, or cut the image
 * off. The same seed always makes the same mutant.
 */
import { KiB } from "@physio/kern";
import type { Fixture } from "./fixtures.ts";
import { FIXTURE_NAMES, fixture, groupTable, inodeOffset } from "./fixtures.ts";

/** Whole numbers from a seed (mulberry32). */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0;
  }

  /** 0 … `n` − 1. */
  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

export interface Mutant {
  readonly of: Fixture;
  readonly bytes: Uint8Array;
  /** What was done, for a failing test's message. */
  readonly note: string;
}

/** [offset, bytes] of a field. */
type Field = readonly [number, number];

const SUPER: readonly Field[] = [
  [0, 4], // s_inodes_count
  [4, 4], // s_blocks_count
  [20, 4], // s_first_data_block
  [24, 4], // s_log_block_size
  [32, 4], // s_blocks_per_group
  [40, 4], // s_inodes_per_group
  [56, 2], // s_magic
  [76, 4], // s_rev_level
  [84, 4], // s_first_ino
  [88, 2], // s_inode_size
  [92, 4], // s_feature_compat
  [96, 4], // s_feature_incompat
  [100, 4], // s_feature_ro_compat
  [252, 1], // s_def_hash_version
  [260, 4], // s_first_meta_bg
];
const GROUP: readonly Field[] = [0, 4, 8].map((at): Field => [at, 4]);
const SLOTS: readonly Field[] = Array.from({ length: 15 }, (_, i): Field => [40 + 4 * i, 4]);
const INODE: readonly Field[] = [
  [0, 2], // i_mode
  [4, 4], // i_size
  [20, 4], // i_dtime
  [26, 2], // i_links_count
  [28, 4], // i_blocks
  [32, 4], // i_flags
  [104, 4], // i_file_acl
  [108, 4], // i_size_high
  ...SLOTS,
];
const DIRENT: readonly Field[] = [
  [0, 4], // inode
  [4, 2], // rec_len
  [6, 1], // name_len
  [7, 1], // file_type, or the high half of name_len
  [8, 1], // name
];

/** One image under change. */
class Patient {
  readonly of: Fixture;
  readonly random: Random;
  readonly notes: string[];
  bytes: Uint8Array;
  readonly #view: DataView;

  constructor(of: Fixture, random: Random) {
    this.of = of;
    this.random = random;
    this.notes = [];
    this.bytes = of.bytes.slice();
    this.#view = new DataView(this.bytes.buffer);
  }

  /** A value that may hurt a field. */
  value(): number {
    const { random, of } = this;
    const blocks = of.bytes.length / of.blockSize;
    const nasty = [0, 1, 2, 3, 4, 7, 8, 11, 12, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000];
    const huge = [0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x40000000, 0x80000, 0x10000000];
    const near = [
      blocks - 1,
      blocks,
      blocks + 1,
      of.blockSize,
      of.blockSize - 4,
      random.below(blocks),
    ];
    return random.pick(
      [nasty, huge, near, [random.below(2 ** 31)]].map((list) => random.pick(list)),
    );
  }

  /** Change one of `fields` of the structure at `base`. */
  edit(what: string, base: number, fields: readonly Field[]): void {
    const [offset, width] = this.random.pick(fields);
    const at = base + offset;
    const value = this.value();
    if (width === 4) this.#view.setUint32(at, value, true);
    else if (width === 2) this.#view.setUint16(at, value & 0xffff, true);
    else this.#view.setUint8(at, value & 0xff);
    this.notes.push(`${what}+${offset} := ${value}`);
  }

  /** Physical blocks of directories. */
  directoryBlocks(): number[] {
    return this.of.entries
      .filter((entry) => entry.type === "directory")
      .flatMap((entry) => entry.runs ?? [])
      .flatMap(([, from, count]) => Array.from({ length: count }, (_, i) => from + i));
  }

  indirectBlocks(): number[] {
    return this.of.entries.flatMap((entry) => entry.indirect ?? []).map(([, block]) => block);
  }

  /** Some stretch of metadata: [first byte, bytes]. */
  stretch(): readonly [number, number] {
    const { of, random } = this;
    const blockOf = (block: number) => [block * of.blockSize, of.blockSize] as const;
    return random.pick([
      () => [1024, 0x160] as const,
      () => [groupTable(this.of), 32 * of.groups] as const,
      () => [inodeOffset(of, random.pick(of.entries).ino!), 128] as const,
      () => [inodeOffset(of, random.pick([2, 2, 1, 7, 8, 11])), 128] as const,
      () => blockOf(random.pick(this.directoryBlocks())),
      () => blockOf(random.pick(this.indirectBlocks())),
    ])();
  }
}

type Harm = (p: Patient) => void;

function flip(p: Patient): void {
  const [base, length] = p.stretch();
  for (let n = 1 + p.random.below(4); n > 0; n--) {
    const at = base + p.random.below(length);
    const bit = 1 << p.random.below(8);
    p.bytes[at] ^= bit;
    p.notes.push(`byte ${at} ^= ${bit}`);
  }
}

function wipe(p: Patient): void {
  const [base, length] = p.stretch();
  const from = base + p.random.below(length);
  const to = Math.min(base + length, from + 1 + p.random.below(64));
  const value = p.random.pick([0, 0xff]);
  p.bytes.fill(value, from, to);
  p.notes.push(`bytes ${from}…${to} := ${value}`);
}

function swap(p: Patient): void {
  const [a, length] = p.stretch();
  const [b, other] = p.stretch();
  const count = Math.min(length, other);
  const kept = p.bytes.slice(a, a + count);
  p.bytes.copyWithin(a, b, b + count);
  p.bytes.set(kept, b);
  p.notes.push(`${count} bytes at ${a} and ${b} swapped`);
}

/** One entry of a directory block, found by walking the undamaged chain. */
function direntAt(p: Patient): number {
  const { of, random } = p;
  const base = random.pick(p.directoryBlocks()) * of.blockSize;
  const starts: number[] = [];
  for (let at = 0; at < of.blockSize; ) {
    starts.push(base + at);
    at += Math.max(12, of.bytes[base + at + 4] | (of.bytes[base + at + 5] << 8));
  }
  return random.pick(starts);
}

const HARMS: readonly Harm[] = [
  flip,
  flip,
  wipe,
  swap,
  (p) => p.edit("super block", 1024, SUPER),
  (p) => {
    const group = p.random.below(p.of.groups);
    p.edit(`group ${group}`, groupTable(p.of) + 32 * group, GROUP);
  },
  (p) => {
    const entry = p.random.pick(p.of.entries);
    p.edit(`inode ${entry.ino}`, inodeOffset(p.of, entry.ino!), INODE);
  },
  (p) => {
    const big = p.of.entries.filter((e) => e.indirect !== undefined || e.type !== "regular");
    const entry = p.random.pick(big);
    p.edit(`inode ${entry.ino}`, inodeOffset(p.of, entry.ino!), p.random.pick([INODE, SLOTS]));
  },
  (p) => {
    const block = p.random.pick(p.indirectBlocks());
    const slot = p.random.pick([0, 1, 2, p.random.below(p.of.blockSize / 4)]);
    p.edit(`indirect block ${block}`, block * p.of.blockSize, [[slot * 4, 4]]);
  },
  (p) => p.edit("directory entry", direntAt(p), DIRENT),
];

function cut(p: Patient): void {
  const { random, of } = p;
  const whole = of.bytes.length;
  const length = random.pick([
    random.below(4096),
    random.below(64 * KiB),
    random.below(whole),
    whole - 1 - random.below(4096),
    random.below(whole / of.blockSize) * of.blockSize,
  ]);
  p.bytes = p.bytes.subarray(0, length);
  p.notes.push(`cut to ${length} bytes`);
}

/** The mutant of that number. */
export function mutant(seed: number): Mutant {
  const random = new Random(seed);
  const p = new Patient(fixture(random.pick(FIXTURE_NAMES)), random);
  for (let n = random.pick([1, 1, 1, 2, 3]); n > 0; n--) random.pick(HARMS)(p);
  if (random.below(8) === 0) cut(p);
  return { of: p.of, bytes: p.bytes, note: `${p.of.name}: ${p.notes.join(", ")}` };
}
