/**
 * Damaged images, each named by one number: a fixture or a built image, changed in its metadata.
 *
 * Half of the changes know the field that they hit and write a value that is likely to hurt; the
 * others flip, wipe or swap bytes of metadata, or cut the image off. Where metadata is, is found by
 * the offsets of `build.ts` or, in the fixtures, by reading them with the package before the change.
 */
import type { Kind } from "./build.ts";
import { KIND, mixedTree } from "./build.ts";
import { FIXTURE_NAMES, fixtureBytes } from "./image.ts";

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

/** [first byte, bytes] */
type Stretch = readonly [number, number];

/** An undamaged image, and where what of it is. */
interface Healthy {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly wide: boolean;
  readonly little: boolean;
  readonly superAt: number;
  readonly fragSize: number;
  readonly blockSize: number;
  readonly headers: readonly number[];
  /** Bytes of inodes in use, all of them and those of directories. */
  readonly inodes: readonly number[];
  readonly directories: readonly Stretch[];
  readonly indirect: readonly Stretch[];
}

const KINDS: readonly Kind[] = [
  { ...KIND, bigEndian: true, fragSize: 512, step: 8, mask: ~3, shorter: 3 },
  { ...KIND, oldInodes: true },
  { ...KIND, version: 2, bigEndian: true, groupFrags: 560 },
];

/** Look at every inode of an image and at its blocks. */
function survey(name: string, bytes: Uint8Array, superAt: number, little: boolean): Healthy {
  const view = new DataView(bytes.buffer);
  const i32 = (at: number): number => view.getInt32(at, little);
  const sb = (offset: number): number => i32(superAt + offset);
  const wide = sb(1372) === 0x19540119;
  const [blockSize, fragSize] = [sb(48), sb(52)];
  const pointer = (at: number): number => (wide ? Number(view.getBigInt64(at, little)) : i32(at));
  const each = wide ? 8 : 4;
  const inodes: number[] = [];
  const headers: number[] = [];
  const directories: Stretch[] = [];
  const indirect: Stretch[] = [];
  for (let group = 0; group < sb(44); group++) {
    const start = group * sb(188) + (wide ? 0 : sb(24) * (group & ~sb(28)));
    headers.push((start + sb(12)) * fragSize);
    for (let index = 0; index < sb(184); index++) {
      const at = (start + sb(16)) * fragSize + index * (wide ? 256 : 128);
      const mode = view.getUint16(at, little);
      if (mode === 0) continue;
      inodes.push(at);
      const slots = at + (wide ? 112 : 40);
      const size = Number(view.getBigInt64(at + (wide ? 16 : 8), little));
      const type = mode & 0xf000;
      if (type === 0x4000) {
        for (let lbn = 0; lbn < Math.min(12, size / blockSize); lbn++) {
          const length = Math.min(blockSize, size - lbn * blockSize);
          directories.push([pointer(slots + lbn * each) * fragSize, length]);
        }
      }
      if (type !== 0x8000) continue;
      for (let level = 0; level < 3; level++) {
        const place = pointer(slots + (12 + level) * each);
        if (place > 0) indirect.push([place * fragSize, blockSize]);
      }
    }
  }
  const places = { headers, inodes, directories, indirect };
  return { name, bytes, wide, little, superAt, fragSize, blockSize, ...places };
}

const healthy: (Healthy | null)[] = [];

/** The undamaged image of that number, made once. */
function patient(n: number): Healthy {
  const kind = KINDS[n - FIXTURE_NAMES.length];
  if (kind === undefined) {
    const name = FIXTURE_NAMES[n];
    healthy[n] ??= survey(name, fixtureBytes(name), 8192, true);
  } else {
    const built = mixedTree(kind);
    healthy[n] ??= survey(`built ${n}`, built.finish(), built.place, !kind.bigEndian);
  }
  return healthy[n];
}

export interface Mutant {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** What was done, for a failing test's message. */
  readonly note: string;
}

const SUPER = [8, 12, 16, 20, 24, 28, 36, 44, 48, 52, 56, 80, 84, 96, 100, 104, 116, 120, 160, 184];
const SUPER_TOO = [188, 1000, 1004, 1080, 1084, 1320, 1324, 1328, 1332, 1356, 1372];
const HEADER = [4, 12, 20, 116, 120];
const ENTRY = [0, 4, 6, 7, 8];

class Damage {
  readonly of: Healthy;
  readonly random: Random;
  readonly notes: string[];
  bytes: Uint8Array;
  readonly #view: DataView;

  constructor(of: Healthy, random: Random) {
    this.of = of;
    this.random = random;
    this.notes = [];
    this.bytes = of.bytes.slice();
    this.#view = new DataView(this.bytes.buffer);
  }

  /** A value that may hurt a field. */
  value(): number {
    const { random, of } = this;
    const frags = of.bytes.length / of.fragSize;
    const nasty = [0, 1, 2, 3, 4, 7, 8, 12, 255, 256, 512, 0x7fff, 0x8000, 0xffff, 0x10000];
    const huge = [0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x40000000, 0x80000];
    const near = [frags - 1, frags, frags - 8, of.blockSize, of.fragSize, random.below(frags)];
    return random.pick(random.pick([nasty, huge, near, [random.below(2 ** 31)]]));
  }

  put(what: string, at: number, width: 1 | 2 | 4): void {
    const { little } = this.of;
    const value = this.value();
    if (width === 4) this.#view.setUint32(at, value, little);
    else if (width === 2) this.#view.setUint16(at, value % 0x10000, little);
    else this.#view.setUint8(at, value % 0x100);
    this.notes.push(`${what} at byte ${at} := ${value}`);
  }

  /** Some metadata. */
  stretch(): Stretch {
    const { of, random } = this;
    const inode = of.wide ? 256 : 128;
    return random.pick([
      () => [of.superAt, 1376] as const,
      () => [random.pick(of.headers), 168] as const,
      () => [random.pick(of.inodes), inode] as const,
      () => random.pick(of.directories),
      () => random.pick(of.indirect),
    ])();
  }

  inode(): void {
    const { of, random } = this;
    const at = random.pick(of.inodes);
    const fields = of.wide ? [0, 16, 20, 24, 28] : [0, 8, 12, 104];
    const slots = of.wide ? 112 : 40;
    const each = of.wide ? 8 : 4;
    const slot = slots + each * random.below(15);
    const field = random.pick([...fields, slot, slot, slot + (of.wide ? 4 : 0)]);
    this.put("inode", at + field, field === 0 ? 2 : 4);
  }

  entry(): void {
    const { of, random } = this;
    const [from, length] = random.pick(of.directories);
    const starts: number[] = [];
    const view = new DataView(of.bytes.buffer);
    for (let at = from; at < from + length; ) {
      starts.push(at);
      at += Math.max(12, view.getUint16(at + 4, of.little));
    }
    const field = random.pick(ENTRY);
    this.put("entry", random.pick(starts) + field, field === 0 ? 4 : field === 4 ? 2 : 1);
  }

  pointer(): void {
    const [from, length] = this.random.pick(this.of.indirect);
    const slot = this.random.pick([0, 1, 2, this.random.below(length / 8)]);
    this.put("indirect block", from + slot * 4, 4);
  }

  flip(): void {
    const [from, length] = this.stretch();
    for (let n = 1 + this.random.below(4); n > 0; n--) {
      const at = from + this.random.below(length);
      const bit = 2 ** this.random.below(8);
      this.bytes[at] ^= bit;
      this.notes.push(`byte ${at} ^= ${bit}`);
    }
  }

  wipe(): void {
    const [from, length] = this.stretch();
    const at = from + this.random.below(length);
    const to = Math.min(from + length, at + 1 + this.random.below(64));
    const value = this.random.pick([0, 0xff]);
    this.bytes.fill(value, at, to);
    this.notes.push(`bytes ${at} to ${to} := ${value}`);
  }

  swap(): void {
    const [a, length] = this.stretch();
    const [b, other] = this.stretch();
    const count = Math.min(length, other);
    const kept = this.bytes.slice(a, a + count);
    this.bytes.copyWithin(a, b, b + count);
    this.bytes.set(kept, b);
    this.notes.push(`${count} bytes at ${a} and ${b} swapped`);
  }

  cut(): void {
    const { random, bytes } = this;
    const whole = bytes.length;
    const length = random.pick([random.below(20_000), random.below(whole), whole - 512]);
    this.bytes = bytes.subarray(0, length);
    this.notes.push(`cut to ${length} bytes`);
  }

  some(): void {
    const { of, random } = this;
    random.pick([
      () => this.flip(),
      () => this.wipe(),
      () => this.swap(),
      () => this.put("super block", of.superAt + random.pick([...SUPER, ...SUPER_TOO]), 4),
      () => this.put("header", random.pick(of.headers) + random.pick(HEADER), 4),
      () => this.inode(),
      () => this.inode(),
      () => this.entry(),
      () => this.pointer(),
    ])();
  }
}

/** The mutant of that number. The same number always makes the same one. */
export function mutant(seed: number): Mutant {
  const random = new Random(seed);
  const damage = new Damage(patient(random.below(FIXTURE_NAMES.length + KINDS.length)), random);
  for (let n = random.pick([1, 1, 1, 2, 3]); n > 0; n--) damage.some();
  if (random.below(10) === 0) damage.cut();
  const { name } = damage.of;
  return { name, bytes: damage.bytes, note: `${name}: ${damage.notes.join(", ")}` };
}
