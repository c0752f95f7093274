/**
 * The hashes by which a directory index orders names.
 *
 * Three of them: "legacy" (a multiplying rolling hash), "half MD4" (three rounds of eight steps
 * over 32 bytes) and "TEA" (the block cipher as compression function over 16 bytes), each in a form
 * that takes a byte ≥ 0x80 as negative and one that does not, as the `char` of the machine that
 * made the directory was. MD4: RFC 1320; TEA: Wheeler and Needham 1994; values checked against
 * debugfs's dx_hash. All arithmetic is modulo 2^32.
 *
 * The index uses the major hash with bit 0 cleared: that bit marks, in an index entry, a leaf that
 * continues the hash before it. The highest such value means "end of directory" to readers and is
 * moved one step down.
 *
 * Called with a name to look up in an index. Scratch is in the caller's NameHasher: none is shared.
 */

import { Errno, ErrnoError } from "@physio/kern";
import {
  HASH_HALF_MD4,
  HASH_LEGACY,
  HASH_TEA,
  HASH_TEA_UNSIGNED,
  HASH_UNSIGNED_STEP,
} from "./layout.ts";

/** The hash value that stands for the end of a directory; no name has it. */
export const HASH_END = 0xfffffffe;

const MD4_ROUND_2 = 0x5a827999; // 2^30 times the square root of 2
const MD4_ROUND_3 = 0x6ed9eba1; // 2^30 times the square root of 3
const TEA_DELTA = 0x9e3779b9;
const TEA_ROUNDS = 16;
const INITIAL = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476] as const;

function rotl(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

/** The legacy hash, not yet cut to an index key. */
function legacy(name: Uint8Array, unsigned: boolean): number {
  let older = 0x37abe8f9;
  let newer = 0x12a3fe2d;
  for (let i = 0; i < name.length; i++) {
    const byte = unsigned ? name[i] : (name[i] << 24) >> 24;
    let hash = (older + (newer ^ Math.imul(byte, 7152373))) >>> 0;
    if (hash >= 0x80000000) hash -= 0x7fffffff;
    older = newer;
    newer = hash;
  }
  return (newer << 1) >>> 0;
}

/**
 * Fill `words` with the name from `from` on: four bytes to a word, first byte highest. What the
 * name does not fill holds, in every byte, how much of it was left at `from`.
 * => bytes are added, not joined: a negative one borrows from the bytes before it.
 */
function packWords(words: Uint32Array, name: Uint8Array, from: number, unsigned: boolean): void {
  const left = name.length - from;
  const padding = Math.imul(left | (left << 8), 0x10001);
  const end = Math.min(name.length, from + 4 * words.length);
  let at = from;
  for (let w = 0; w < words.length; w++) {
    let word = padding;
    for (let i = 0; i < 4 && at < end; i++, at++) {
      const byte = unsigned ? name[at] : (name[at] << 24) >> 24;
      word = ((word << 8) + byte) | 0;
    }
    words[w] = word;
  }
}

/** Mix eight words into the state: MD4 with half the steps in each round. */
function halfMd4(state: Uint32Array, x: Uint32Array): void {
  let a = state[0] | 0;
  let b = state[1] | 0;
  let c = state[2] | 0;
  let d = state[3] | 0;
  for (let i = 0; i < 8; i += 4) {
    a = rotl((a + (d ^ (b & (c ^ d))) + x[i]) | 0, 3);
    d = rotl((d + (c ^ (a & (b ^ c))) + x[i + 1]) | 0, 7);
    c = rotl((c + (b ^ (d & (a ^ b))) + x[i + 2]) | 0, 11);
    b = rotl((b + (a ^ (c & (d ^ a))) + x[i + 3]) | 0, 19);
  }
  // Second round: words 1 3 5 7, then 0 2 4 6; the function is the majority of three bits.
  for (let i = 1; i >= 0; i--) {
    a = rotl((a + ((b & c) | (d & (b ^ c))) + x[i] + MD4_ROUND_2) | 0, 3);
    d = rotl((d + ((a & b) | (c & (a ^ b))) + x[i + 2] + MD4_ROUND_2) | 0, 5);
    c = rotl((c + ((d & a) | (b & (d ^ a))) + x[i + 4] + MD4_ROUND_2) | 0, 9);
    b = rotl((b + ((c & d) | (a & (c ^ d))) + x[i + 6] + MD4_ROUND_2) | 0, 13);
  }
  // Third round: words 3 7 2 6, then 1 5 0 4.
  for (let i = 3; i >= 1; i -= 2) {
    a = rotl((a + (b ^ c ^ d) + x[i] + MD4_ROUND_3) | 0, 3);
    d = rotl((d + (a ^ b ^ c) + x[i + 4] + MD4_ROUND_3) | 0, 9);
    c = rotl((c + (d ^ a ^ b) + x[i - 1] + MD4_ROUND_3) | 0, 11);
    b = rotl((b + (c ^ d ^ a) + x[i + 3] + MD4_ROUND_3) | 0, 15);
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}

/** Mix four words into the first two of the state: TEA enciphers them with the words as key. */
function tea(state: Uint32Array, key: Uint32Array): void {
  let y = state[0] | 0;
  let z = state[1] | 0;
  let sum = 0;
  for (let round = 0; round < TEA_ROUNDS; round++) {
    sum = (sum + TEA_DELTA) | 0;
    y = (y + (((z << 4) + key[0]) ^ (z + sum) ^ ((z >>> 5) + key[1]))) | 0;
    z = (z + (((y << 4) + key[2]) ^ (y + sum) ^ ((y >>> 5) + key[3]))) | 0;
  }
  state[0] += y;
  state[1] += z;
}

/** The version a directory's hashes were made with. => `stored`: 0, 1 or 2, of an index root. */
export function effectiveHashVersion(stored: number, unsigned: boolean): number {
  return unsigned && stored <= HASH_TEA ? stored + HASH_UNSIGNED_STEP : stored;
}

/** Hashes names; holds the scratch for it and the last result. */
export class NameHasher {
  /** The index key of the last name: bit 0 clear, never HASH_END. */
  major: number;
  /** Orders names of one major hash; 0 with the legacy hash. */
  minor: number;
  readonly #state: Uint32Array;
  readonly #eight: Uint32Array;
  readonly #four: Uint32Array;

  constructor() {
    this.major = 0;
    this.minor = 0;
    this.#state = new Uint32Array(4);
    this.#eight = new Uint32Array(8);
    this.#four = new Uint32Array(4);
  }

  /**
   * Hash `name` into `major` and `minor`.
   * => `version`: 0 to 5, as `effectiveHashVersion` gives it. `seed`: four words; if all are 0, or
   *    it is shorter, MD4's initial state is taken.
   * @returns `major`.
   * @throws {ErrnoError} EIO: no such version.
   */
  hash(version: number, name: Uint8Array, seed: Uint32Array): number {
    if (!(version >= HASH_LEGACY && version <= HASH_TEA_UNSIGNED)) {
      throw new ErrnoError(Errno.EIO, `directory hash version ${version}, 0 to 5 known`);
    }
    const unsigned = version >= HASH_UNSIGNED_STEP;
    const kind = unsigned ? version - HASH_UNSIGNED_STEP : version;
    let major: number;
    let minor = 0;
    if (kind === HASH_LEGACY) {
      major = legacy(name, unsigned);
    } else {
      this.#start(seed);
      this.#mix(kind, name, unsigned);
      const first = kind === HASH_HALF_MD4 ? 1 : 0; // half MD4 gives its middle words
      major = this.#state[first];
      minor = this.#state[first + 1];
    }
    major -= major & 1;
    this.major = major === HASH_END ? HASH_END - 2 : major;
    this.minor = minor;
    return this.major;
  }

  #start(seed: Uint32Array): void {
    const given = seed.length >= 4 && (seed[0] | seed[1] | seed[2] | seed[3]) !== 0;
    for (let i = 0; i < 4; i++) this.#state[i] = given ? seed[i] : INITIAL[i];
  }

  #mix(kind: number, name: Uint8Array, unsigned: boolean): void {
    const words = kind === HASH_HALF_MD4 ? this.#eight : this.#four;
    for (let from = 0; from < name.length; from += 4 * words.length) {
      packWords(words, name, from, unsigned);
      if (kind === HASH_HALF_MD4) halfMd4(this.#state, words);
      else tea(this.#state, words);
    }
  }
}

/** A name's hash, in a fresh object; `NameHasher` is the form for repeated use. */
export function nameHash(
  version: number,
  name: Uint8Array,
  seed: Uint32Array,
): { readonly major: number; readonly minor: number } {
  const hasher = new NameHasher();
  hasher.hash(version, name, seed);
  return { major: hasher.major, minor: hasher.minor };
}
