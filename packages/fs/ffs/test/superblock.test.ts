/** The super block: where it is found, what is refused, and what holds for one that is not. */
import { ErrnoError } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Sb } from "../src/layout.ts";
import type { Superblock } from "../src/superblock.ts";
import { decodeSuperblock } from "../src/superblock.ts";
import type { Kind } from "./build.ts";
import { Builder, KIND } from "./build.ts";
import { FIXTURE_NAMES, fixtureBytes } from "./image.ts";
import { Mounted } from "./mounted.ts";

const RUNS = Number(process.env.PHYSIO_RUNS ?? 300);
const V2: Kind = { ...KIND, version: 2, bigEndian: true, groupFrags: 560 };

function built(kind: Kind): { builder: Builder; image: Uint8Array } {
  const builder = new Builder(kind);
  builder.file("/hello", 5);
  return { builder, image: builder.finish() };
}

/** What mounting says of the image of `kind` after `change`; "" when it mounts. */
function said(kind: Kind, change: (b: Builder) => void): string {
  const { builder, image } = built(kind);
  change(builder);
  try {
    new Mounted(image).finish();
    return "";
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    return error.message;
  }
}

/** [what, field, value, what the error says] in version 1. */
const REFUSALS: readonly (readonly [string, number, number, string])[] = [
  ["no magic", Sb.magic, 0x1234, "no magic in it: EINVAL"],
  ["blocks of 2 KiB", Sb.bsize, 2048, "blocks of 2048 bytes, shift 12: EINVAL"],
  ["blocks of no power of 2", Sb.bsize, 5000, "blocks of 5000 bytes, shift 12: EINVAL"],
  ["no blocks", Sb.bsize, 0, "blocks of 0 bytes, shift 12: EINVAL"],
  ["negative blocks", Sb.bsize, -4096, "blocks of -4096 bytes, shift 12: EINVAL"],
  ["another shift", Sb.bshift, 13, "blocks of 4096 bytes, shift 13: EINVAL"],
  ["no fragments", Sb.fsize, 0, "fragments of 0 bytes, shift 10: EINVAL"],
  ["another number of fragments", Sb.frag, 8, "8 fragments a block, shift 2: there are 4"],
  ["another fragment shift", Sb.fragShift, 3, "4 fragments a block, shift 3: there are 4"],
  ["a shift to sectors", Sb.fsbtodb, 2, "fsbtodb 2: EINVAL"],
  ["a super block of 9 KB", Sb.sbsize, 9000, "super block of 9000 bytes: EINVAL"],
  ["a group header above a block", Sb.cgsize, 4097, "group header of 4097 bytes: EINVAL"],
  ["inodes in a block", Sb.inopb, 16, "16 inodes of 128 bytes in a block of 4096: EINVAL"],
  ["block numbers in a block", Sb.nindir, 512, "512 block numbers in a block of 4096 bytes"],
  ["long symlinks in inodes", Sb.maxSymlinkLen, 61, "symlinks of 61 bytes in the 60 of an inode"],
  ["no groups", Sb.ncg, 0, "0 groups of 64 inodes: EINVAL"],
  ["a group too many", Sb.ncg, 4, "1440 fragments in 4 groups of 480: EINVAL"],
  ["a group too few", Sb.ncg, 2, "1440 fragments in 2 groups of 480: EINVAL"],
  ["endless groups", Sb.ncg, -1, "4294967295 groups of 64 inodes: EINVAL"],
  ["no inodes", Sb.ipg, 0, "0 inodes a group, 32 a block: EINVAL"],
  ["inodes of half a block", Sb.ipg, 48, "48 inodes a group, 32 a block: EINVAL"],
  ["more inodes than room", Sb.ipg, 96, "96 inodes a group need 3 blocks"],
  ["groups of no fragments", Sb.fpg, 0, "groups of 0 fragments"],
  ["groups off blocks", Sb.fpg, 482, "not on blocks of 4 fragments"],
  ["a header before its super block", Sb.cblkno, 4, "a group's parts are out of order"],
  ["data before inodes", Sb.dblkno, 0, "a group's parts are out of order"],
  ["a table off blocks", Sb.iblkno, 25, "not on blocks of 4 fragments"],
  ["data beyond the group", Sb.dblkno, 484, "groups of 480 fragments"],
  ["groups that start earlier", Sb.oldCgOffset, -4, "groups start -4 fragments later each"],
  ["no fragments at all", Sb.oldSize, 0, "0 fragments in 3 groups of 480: EINVAL"],
];

describe("a super block that contradicts itself is refused", () => {
  test.each(REFUSALS)("%s", (_what, field, value, message) => {
    expect(said(KIND, (b) => b.put32(b.place + field, value))).toContain(message);
  });

  test("files of no bytes at most", () => {
    const change = (b: Builder): void => b.put64(b.place + Sb.maxFileSize, 0);
    expect(said(KIND, change)).toContain("files of 0 bytes at most: EINVAL");
    expect(said({ ...KIND, oldInodes: true }, change)).toBe("");
  });

  test("64-bit counts of version 2", () => {
    for (const size of [-1, 2 ** 52, 1120]) {
      const change = (b: Builder): void => b.put64(b.place + Sb.size, size);
      expect(said(V2, change), `${size}`).toContain("fragments in 3 groups of 560: EINVAL");
    }
  });

  test("a truncated image", () => {
    const { image } = built(KIND);
    expect(() => new Mounted(image.subarray(0, -1024))).toThrow(
      "ffs: file system of 1474560 bytes on a device of 1473536 bytes: EIO",
    );
    for (const length of [0, 1, 8192, 16_383]) {
      expect(() => new Mounted(image.subarray(0, length))).toThrow("EINVAL");
    }
  });
});

describe("the super block is found", () => {
  test.each([
    ["version 1", KIND, 8192],
    ["version 2", V2, 65_536],
    ["version 2 where makefs puts it", { ...V2, place: 8192 }, 8192],
    ["on a floppy", { ...KIND, place: 0 }, 0],
    ["far in", { ...V2, place: 262_144, groupFrags: 800 }, 262_144],
  ] as const)("%s", (_what, kind, place) => {
    const m = new Mounted(built(kind).image);
    const { sb } = m.ffs;
    expect([sb.place, sb.version, sb.bigEndian]).toEqual([place, kind.version, kind.bigEndian]);
    expect([sb.volumeName, sb.clean, sb.time]).toEqual(["built", true, 1_000_000]);
    m.finish();
  });

  test("and not a copy of it", () => {
    const { builder, image } = built({ ...V2, place: 8192 });
    // What a file system of version 2 would keep at 65536: a copy that names another place.
    image.copyWithin(65_536, 8192, 16_384);
    const m = new Mounted(image);
    expect(m.ffs.sb.place).toBe(8192);
    m.finish();
    builder.put32(8192 + Sb.magic, 0);
    expect(() => new Mounted(image)).toThrow("a copy at byte 65536 only: EINVAL");
  });

  test("version 1 with large blocks has a copy at 65536", () => {
    const kind: Kind = { ...KIND, blockSize: 65_536, fragSize: 8192, groupFrags: 64 };
    const { image } = built({ ...kind, groupInodes: 512 });
    image.copyWithin(65_536, 8192, 16_384);
    const m = new Mounted(image, 16 * 2 ** 20);
    expect(m.ffs.sb.place).toBe(8192);
    expect(m.inoOf("/hello")).toBeGreaterThan(2);
    m.finish();
  });
});

/** What the head of superblock.ts promises. */
function checkPromises(sb: Superblock, deviceBytes: number): void {
  expect(sb.size * sb.fragSize).toBeLessThanOrEqual(deviceBytes);
  expect([512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536]).toContain(sb.fragSize);
  expect([1, 2, 4, 8]).toContain(sb.frags);
  expect(sb.frags * sb.fragSize).toBe(sb.blockSize);
  expect(sb.dataAt).toBeLessThanOrEqual(sb.fragsPerGroup);
  expect((sb.groupCount - 1) * sb.fragsPerGroup).toBeLessThan(sb.size);
  expect(sb.size).toBeLessThanOrEqual(sb.groupCount * sb.fragsPerGroup);
  const table = Math.ceil(sb.inodesPerGroup / sb.inodesPerBlock) * sb.frags;
  expect(sb.tableAt + table).toBeLessThanOrEqual(sb.dataAt);
}

test("a super block of any bytes is refused by an ErrnoError, or keeps its promises", () => {
  const bases = FIXTURE_NAMES.map((name) => fixtureBytes(name).slice(8192, 16_384));
  const fields = Object.values(Sb);
  const nasty = [0, 1, 7, 8, 255, 256, 4096, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
  const edit = fc.tuple(
    fc.constantFrom(...fields),
    fc.oneof(fc.constantFrom(...nasty), fc.nat({ max: 2 ** 32 - 1 })),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...bases),
      fc.array(edit, { maxLength: 3 }),
      fc.oneof(fc.constant(6 * 2 ** 20), fc.maxSafeNat()),
      fc.nat({ max: 8192 }),
      (base, edits, device, cut) => {
        const bytes = base.slice();
        const view = new DataView(bytes.buffer);
        for (const [at, value] of edits) view.setUint32(at, value, true);
        try {
          const length = cut % 8 === 0 ? cut : 8192;
          checkPromises(decodeSuperblock(bytes.subarray(0, length), 8192, device), device);
        } catch (error) {
          if (!(error instanceof ErrnoError)) throw error;
        }
      },
    ),
    { numRuns: RUNS },
  );
});
