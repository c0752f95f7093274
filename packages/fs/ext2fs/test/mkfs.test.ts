/**
 * A new file system: e2fsck calls it clean, mke2fs makes the same, and it can be written to.
 *
 * Few sizes each time, all with PHYSIO_ALL.
 */
import { GiB, KiB, MiB, TiB } from "@physio/kern";
import type { MountFlag } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { Compat, Sb } from "../src/layout.ts";
import type { Piece } from "../src/mkfs.ts";
import { makeExt2 } from "../src/mkfs.ts";
import type { Ext2Feature, MakeExt2Options } from "../src/mkfs-plan.ts";
import { decodeSuperblock } from "../src/superblock.ts";
import { judged, run, Workshop } from "./e2fsprogs.ts";
import { superblockBytes } from "./image.ts";
import { errorOf, Mounted } from "./mounted.ts";

const ALL = process.env.PHYSIO_ALL === "1";
const FIRST_SEED = Number(process.env.PHYSIO_SEED ?? 1);
const TIME = 1_600_000_000;
const UUID = "6b1f0a52-8f0e-4a53-9f59-0c33a1a50021";
const FEATURES: readonly Ext2Feature[] = [
  "filetype",
  "sparse_super",
  "large_file",
  "dir_index",
  "resize_inode",
  "ext_attr",
];
const work = new Workshop();

/** The pieces put together. */
function imageOf(options: MakeExt2Options): Uint8Array<ArrayBuffer> {
  const image = new Uint8Array(options.size);
  for (const { offset, bytes } of makeExt2(options)) image.set(bytes, offset);
  return image;
}

function expectClean(options: MakeExt2Options, note: string): void {
  const path = work.sparse("checked.img", options.size, makeExt2(options));
  const { code, text } = work.fsck(path);
  expect(code, `${note}: ${JSON.stringify(options)}\n${text}`).toBe(0);
}

/** A number that `seed` names, below `limit`; `turn` tells one from the next. */
function draw(seed: number, turn: number, limit: number): number {
  let mixed = Math.imul(seed * 64 + turn + 1, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) % limit;
}

/** Any size from 64 KiB to 64 MiB, near the end of a group now and then. */
function optionsOf(seed: number): MakeExt2Options {
  const blockSize = 2 ** (10 + draw(seed, 0, 3));
  const group = 8 * blockSize * blockSize;
  const log = 16 + draw(seed, 1, 10);
  const any = 2 ** log + draw(seed, 2, 2 ** log);
  const near = group * (1 + draw(seed, 3, 2)) + 512 * draw(seed, 4, 400);
  const size = draw(seed, 5, 3) === 0 && near <= 64 * MiB ? near : any;
  const inodes = 1 + draw(seed, 6, Math.floor(size / (4 * KiB)));
  const chosen = FEATURES.filter((_, i) => draw(seed, 10 + i, 3) > 0);
  const resizable = chosen.includes("sparse_super") && chosen.includes("large_file");
  const features = chosen.filter((name) => resizable || name !== "resize_inode");
  const inodeSize = draw(seed, 7, 3) === 0 ? 256 : 128;
  return { size, blockSize, inodes, inodeSize, features, time: TIME, label: `seed${seed}` };
}

judged("is clean for any size, block size, number of inodes and set of features", () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + (ALL ? 500 : 10); seed++)
    expectClean(optionsOf(seed), `replay with PHYSIO_SEED=${seed}`);
});

const LIMITS: readonly (readonly [string, number, number, number])[] = [
  ["64 KiB in blocks of 1 KiB", 64 * KiB, 1024, 16],
  ["64 KiB in blocks of 2 KiB", 64 * KiB, 2048, 16],
  ["64 KiB in blocks of 4 KiB", 64 * KiB, 4096, 16],
  ["a last group of one block, which is left out", 8193 * KiB + KiB, 1024, 64],
  ["more room for descriptors than one block lists", 80 * MiB, 1024, 640],
  ["16 GiB", 16 * GiB, 4096, 4096],
];
const LARGE: typeof LIMITS = [
  ["1 TiB in blocks of 4 KiB", TiB, 4096, 131_072],
  ["64 GiB in blocks of 2 KiB", 64 * GiB, 2048, 32_768],
  ["64 GiB in blocks of 1 KiB", 64 * GiB, 1024, 131_072],
];

judged.each(ALL ? [...LIMITS, ...LARGE] : LIMITS)(
  "is clean: %s",
  (what, size, blockSize, inodes) => {
    expectClean({ size, blockSize, inodes, time: TIME }, what);
  },
);

// ---- mke2fs

/** Bytes that need not agree: what mke2fs adds, and neither of us reads. */
function withoutExtras(image: Uint8Array, blockSize: number): Uint8Array {
  const { groupCount, blocksPerGroup, firstDataBlock } = decodeSuperblock(
    superblockBytes(image),
    image.length,
  );
  const view = new DataView(image.buffer);
  for (let group = 0; group < groupCount; group++) {
    const block = (firstDataBlock + group * blocksPerGroup) * blockSize;
    const sb = group === 0 ? 1024 : block;
    if (view.getUint16(sb + Sb.magic, true) !== 0xef53) continue;
    view.setUint32(sb + 256, 0, true); // default mount options
    view.setUint32(sb + 584, 0, true); // overhead
    const descriptors = block + blockSize;
    for (let i = 0; i < groupCount; i++) view.setUint16(descriptors + 32 * i + 18, 0, true);
  }
  const first = (firstDataBlock + 1) * blockSize;
  const table = view.getUint32(first + 8, true) * blockSize;
  for (const at of [8, 12, 16]) view.setUint32(table + at, 0, true); // times of inode 1
  return image;
}

const TWINS: readonly (readonly [number, number, number, number, readonly Ext2Feature[]])[] = [
  [8 * MiB, 1024, 128, 2048, FEATURES],
  [40 * MiB, 1024, 256, 4080, FEATURES],
  [16 * MiB, 2048, 128, 1000, FEATURES],
  [160 * MiB, 4096, 128, 1024, FEATURES],
  [16 * MiB, 1024, 128, 1000, ["filetype", "sparse_super"]],
  [33 * MiB, 1024, 128, 1000, ["ext_attr"]],
];

judged.each(ALL ? TWINS : TWINS.slice(0, 2))(
  "%i bytes, blocks of %i, inodes of %i: mke2fs makes the same bytes",
  (size, blockSize, inodeSize, inodes, features) => {
    const mine = imageOf({
      size,
      blockSize,
      inodeSize,
      inodes,
      features,
      time: TIME,
      label: "LAB",
      uuid: UUID,
    });
    const { hashSeed } = decodeSuperblock(superblockBytes(mine), size);
    const seed = Buffer.from(hashSeed.buffer)
      .toString("hex")
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    const path = work.path("twin.img");
    const args = [
      "-q",
      "-F",
      "-b",
      `${blockSize}`,
      "-I",
      `${inodeSize}`,
      "-N",
      `${inodes}`,
      "-m",
      "0",
    ];
    const more = ["-L", "LAB", "-U", UUID, "-O", `none,${features.join()}`];
    const extended = ["-E", `hash_seed=${seed},root_owner=0:0,lazy_itable_init=0`];
    const { code } = run("mke2fs", [...args, ...more, ...extended, path, `${size / KiB}K`], TIME);
    expect(code).toBe(0);
    const [a, b] = [mine, work.read(path)].map((image) => withoutExtras(image, blockSize));
    let differs = -1;
    if (Buffer.compare(a, b) !== 0) differs = a.findIndex((byte, i) => byte !== b[i]);
    expect(differs, "first byte that differs").toBe(-1);
  },
);

// ---- use

describe.each([1024, 2048, 4096])("with blocks of %i bytes", (blockSize) => {
  const options = { size: 2 * MiB, blockSize, time: TIME };

  test("it mounts for writing, has lost+found, and unmounts clean", () => {
    const bytes = imageOf(options);
    const m = new Mounted(bytes, 8 * MiB, 0 as MountFlag);
    expect(m.ext2.mount.readOnly).toBe(false);
    expect(m.inoOf("/lost+found")).toBe(11);
    expect(m.sync("/", (vp) => vp.ops.getattr(vp))).toMatchObject({
      type: "directory",
      mode: 0o755,
      links: 3,
      size: blockSize,
      mtime: TIME,
    });
    m.finish();
    expect(decodeSuperblock(superblockBytes(bytes), bytes.length).state).toBe(1);
    work.file("used.img", bytes);
  });

  judged("e2fsck and debugfs find it as it was after that", () => {
    const path = work.path("used.img");
    expect(work.fsck(path)).toMatchObject({ code: 0 });
    const listing = run("debugfs", ["-R", "ls -p /", path]).text.trim().split("\n");
    expect(listing).toEqual([
      "/2/040755/0/0/.//",
      "/2/040755/0/0/..//",
      "/11/040700/0/0/lost+found//",
    ]);
  });
});

test("pieces follow each other on the disk, and hold all that is not zero", () => {
  const size = 40 * MiB;
  let end = 0;
  let written = 0;
  for (const { offset, bytes } of makeExt2({ size, time: TIME })) {
    expect(offset).toBeGreaterThanOrEqual(end);
    end = offset + bytes.length;
    written += bytes.length;
  }
  expect(end).toBeLessThanOrEqual(size);
  expect(written).toBeLessThan(size / 100);
});

test("without room for more descriptors it has no feature resize_inode", () => {
  const featuresOf = (size: number): number =>
    decodeSuperblock(superblockBytes(imageOf({ size, time: TIME })), size).featureCompat;
  expect(featuresOf(64 * KiB)).toBe(Compat.dir_index | Compat.ext_attr);
  expect(featuresOf(MiB)).toBe(Compat.dir_index | Compat.ext_attr | Compat.resize_inode);
});

test("the same options give the same bytes, others another UUID", () => {
  const pieces = (options: MakeExt2Options): Piece[] => [...makeExt2(options)];
  const options = { size: MiB, time: TIME };
  expect(pieces(options)).toEqual(pieces(options));
  const uuids = [options, { ...options, time: 1 }, { ...options, label: "a" }].map(
    (o) => decodeSuperblock(superblockBytes(imageOf(o)), MiB).uuid,
  );
  expect(new Set(uuids).size).toBe(3);
  for (const uuid of uuids) expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab]/);
});

const BAD: readonly (readonly [Partial<MakeExt2Options>, RegExp])[] = [
  [{ size: 64 * KiB - 1 }, /size 65535/],
  [{ size: TiB + 1 }, /size 1099511627777/],
  [{ size: 1.5 * MiB + 0.5 }, /size 1572864.5/],
  [{ size: Number.NaN }, /size NaN/],
  [{ blockSize: 512 }, /block size 512/],
  [{ blockSize: 8192 }, /block size 8192/],
  [{ inodeSize: 512 }, /inode size 512/],
  [{ inodes: 0 }, /0 inodes/],
  [{ inodes: 8193 }, /8193 inodes, 8192 at most/],
  [{ inodes: 8192 }, /blocks of metadata in a group of 1023 blocks/],
  [{ time: -1 }, /time -1/],
  [{ label: "seventeen letters" }, /17 bytes/],
  [{ label: "ä".repeat(9) }, /18 bytes/],
  [{ uuid: "6b1f0a52" }, /uuid "6b1f0a52"/],
  [{ uuid: "00000000-0000-0000-0000-000000000000" }, /uuid/],
  [{ features: ["extent" as Ext2Feature] }, /feature extent/],
  [{ features: ["resize_inode"], size: 8 * MiB }, /resize_inode without sparse_super/],
  [
    { features: ["resize_inode", "sparse_super"], size: 160 * MiB, blockSize: 4096 },
    /resize_inode without large_file/,
  ],
];

test.each(BAD)("%j is EINVAL, with the value", (wrong, message) => {
  const make = (): unknown => makeExt2({ size: MiB, time: TIME, ...wrong });
  expect(errorOf(make)).toBe("EINVAL");
  expect(make).toThrow(message);
});
