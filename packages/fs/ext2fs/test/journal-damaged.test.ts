/** Damaged journals: an error that names the block, no hang, nothing written. */
import { MiB } from "@physio/kern";
import { MountFlag } from "@physio/vfs";
import { expect, test } from "vitest";
import { fixtureBytes } from "./image.ts";
import {
  BLOCK,
  chance,
  diskOf,
  drawLog,
  END,
  FIRST,
  filled,
  firstDifference,
  JournalImage,
} from "./journal-image.ts";
import { expectReplayed } from "./journal-replayed.ts";
import { errorOf, Mounted } from "./mounted.ts";

const ALL = process.env.PHYSIO_ALL === "1";
const FIRST_SEED = Number(process.env.PHYSIO_SEED ?? 1);
const A = filled(0xaa);

/** 32 bits of the journal's super block. */
const field =
  (at: number, value: number) =>
  (image: JournalImage): void =>
    image.view.setUint32(image.byteOf(0) + at, value);

/** The slot of the journal's inode for its block `lbn`. */
const pointer =
  (lbn: number, block: number) =>
  (image: JournalImage): void => {
    const table = image.view.getUint32(2 * BLOCK + 8, true) * BLOCK;
    image.view.setUint32(table + 7 * 128 + 40 + 4 * lbn, block, true);
  };

const inFileSystem =
  (at: number, value: number) =>
  (image: JournalImage): void =>
    image.view.setUint32(1024 + at, value, true);

const BAD: readonly (readonly [string, (image: JournalImage) => void, string, RegExp])[] = [
  ["no magic", field(0, 0x12345678), "EINVAL", /journal: magic 0x12345678/],
  ["another kind of block", field(4, 2), "EINVAL", /kind 2/],
  ["blocks of another size", field(12, 4096), "EINVAL", /blocks of 4096 bytes/],
  ["more blocks than its file", field(16, 1025), "EINVAL", /1025 blocks in a file of 1024/],
  ["no first block", field(20, 0), "EINVAL", /first block 0/],
  ["a first block behind its end", field(20, 1024), "EINVAL", /first block 1024/],
  [
    "a start before its first block",
    (i) => {
      field(20, 9)(i);
      field(28, 8)(i);
    },
    "EINVAL",
    /start at block 8/,
  ],
  ["a start behind its end", field(28, 1024), "EINVAL", /start at block 1024/],
  ["64-bit tags", field(40, 3), "EOPNOTSUPP", /features 64bit/],
  ["checksums and more", field(40, 0x1000_0011), "EOPNOTSUPP", /csum_v3 0x10000000/],
  ["no block for its super block", pointer(0, 0), "EIO", /block 0 is a hole/],
  ["a hole where the log begins", pointer(1, 0), "EIO", /block 1 is a hole/],
  ["a block outside of the file system", pointer(1, 4096), "EIO", /inode 8: block 1/],
  ["no inode that is used", inFileSystem(224, 9), "EIO", /inode 9/],
  ["an inode that does not exist", inFileSystem(224, 257), "EIO", /inode 257/],
  ["the root for its inode", inFileSystem(224, 2), "EINVAL", /inode 2 is a directory/],
  ["another device", inFileSystem(224, 0), "EOPNOTSUPP", /another device/],
  [
    "a copy of no block",
    (i) => i.append({ copies: [[4096, A]] }),
    "EIO",
    /block 2: copy of block 4096 of 4096/,
  ],
  [
    "a revoke block longer than itself",
    (i) => {
      i.append({ revokes: [3000] });
      i.view.setUint32(i.byteOf(FIRST) + 12, 1025);
    },
    "EIO",
    /revoke block at 1 is longer/,
  ],
  [
    "a copy that is the file system's super block, of none",
    (i) => i.append({ copies: [[1, A]] }),
    "EINVAL",
    /magic 0xaaaa/,
  ],
];

test.each(BAD)("a journal with %s is refused", (_what, damage, code, message) => {
  const image = new JournalImage();
  damage(image);
  const before = image.bytes.slice();
  const mount = (): Mounted => new Mounted(image.bytes);
  expect(errorOf(mount)).toBe(code);
  expect(mount).toThrow(message);
  expect(firstDifference(image.bytes, before)).toBe(-1);
});

test("damage in a transaction that was not committed is nobody's", () => {
  const log = [{ copies: [[4096, A]] as const, revokes: [1], commit: false }];
  const image = new JournalImage().append(log[0]);
  image.view.setUint32(image.byteOf(FIRST) + 12, 1025);
  expectReplayed(image, log);
});

test("a block of the disk that cannot be read", () => {
  const image = new JournalImage().append({ copies: [[3000, A]] });
  const mount = (block: number): Mounted =>
    new Mounted(image.bytes, 8 * MiB, MountFlag.RDONLY, block * BLOCK);
  for (const at of [0, FIRST, FIRST + 1, FIRST + 2])
    expect(() => mount(image.byteOf(at) / BLOCK)).toThrow(`journal: block ${at}: `);
  const covered = mount(3000); // what lies over it is read
  expect(diskOf(covered, 3000, 3001)[3000 * BLOCK]).toBe(0xaa);
  covered.finish();
  const beside = mount(3001);
  expect(errorOf(() => diskOf(beside, 2999, 3003))).toBe("EIO");
  beside.finish();
});

test("needs_recovery without a journal is refused by name", () => {
  const image = new JournalImage();
  inFileSystem(92, 0)(image);
  expect(() => new Mounted(image.bytes)).toThrow(/features needs_recovery/);
});

test.each([1, 5])(
  "a log that is nothing but blocks of kind %i has no end: EIO, and no hang",
  (kind) => {
    const image = new JournalImage();
    for (let at = FIRST; at < END; at++) {
      const byte = image.byteOf(at);
      image.view.setUint32(byte, 0xc03b3998);
      image.view.setUint32(byte + 4, kind);
      image.view.setUint32(byte + 8, 1);
    }
    expect(errorOf(() => new Mounted(image.bytes))).toBe("EIO");
    expect(() => new Mounted(image.bytes)).toThrow(/no end of transaction 1/);
  },
);

test("any damage: an error or a mount, and nothing is written or left behind", () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + (ALL ? 500 : 10); seed++) {
    const below = chance(seed);
    const image = below(2) === 0 ? new JournalImage(1 + below(1000)) : drawLog(seed).image;
    if (below(3) === 0) image.bytes.set(fixtureBytes("ext3-crash-1k"));
    for (let i = 1 + below(20); i > 0; i--) {
      const place = below(3) === 0 ? 0 : below(END);
      const at = image.byteOf(place) + (below(2) === 0 ? below(BLOCK) : below(48));
      image.bytes[at] = below(2) === 0 ? below(256) : image.bytes[at] ^ (1 << below(8));
    }
    const before = image.bytes.slice();
    const outcome = errorOf(() => new Mounted(image.bytes).finish());
    expect(["OK", "EIO", "EINVAL", "EOPNOTSUPP"], `replay with PHYSIO_SEED=${seed}`).toContain(
      outcome,
    );
    expect(firstDifference(image.bytes, before)).toBe(-1);
  }
});
