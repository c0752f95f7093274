import { expect, test } from "vitest";
import { Compat, Incompat, RoCompat } from "../src/layout.ts";
import { decodeSuperblock } from "../src/superblock.ts";
import { FIXTURE_NAMES, fixtureBytes, htreeBytes, manifest, superblockBytes } from "./image.ts";

/** "filetype sparse_super": the names in the order in which dumpe2fs prints them. */
function featureNames(sb: ReturnType<typeof decodeSuperblock>): string {
  const names: string[] = [];
  const families = [
    [Compat, sb.featureCompat],
    [Incompat, sb.featureIncompat],
    [RoCompat, sb.featureRoCompat],
  ] as const;
  for (const [family, value] of families) {
    for (const [name, bit] of Object.entries(family)) if ((value & bit) !== 0) names.push(name);
  }
  return names.length === 0 ? "(none)" : names.join(" ");
}

for (const name of FIXTURE_NAMES) {
  test(`decodeSuperblock: agrees with debugfs about ${name}`, () => {
    const { superblock, rawBytes } = manifest(name);
    const sb = decodeSuperblock(superblockBytes(fixtureBytes(name)), rawBytes);
    expect({
      "Filesystem revision #": sb.revision === 0 ? "0 (original)" : "1 (dynamic)",
      "Filesystem features": featureNames(sb),
      "Filesystem state": sb.state === 1 ? "clean" : "not clean",
      "Inode count": sb.inodesCount,
      "Block count": sb.blocksCount,
      "Free blocks": sb.freeBlocks,
      "Free inodes": sb.freeInodes,
      "First block": sb.firstDataBlock,
      "Block size": sb.blockSize,
      "Blocks per group": sb.blocksPerGroup,
      "Inodes per group": sb.inodesPerGroup,
      "Inode blocks per group": (sb.inodesPerGroup * sb.inodeSize) / sb.blockSize,
      "Filesystem UUID": sb.uuid,
      "Default directory hash": ["legacy", "half_md4", "tea"][sb.defHashVersion],
      "Directory Hash Seed": seedText(sb.hashSeed),
      ...(sb.revision === 0 ? {} : { "First inode": sb.firstInode, "Inode size": sb.inodeSize }),
    }).toEqual(superblockWithout(superblock));
  });
}

test("decodeSuperblock: reads the label", () => {
  expect(decodeSuperblock(superblockBytes(fixtureBytes("lic-1k")), 8388608).volumeName).toBe(
    "LIC1K",
  );
  expect(decodeSuperblock(superblockBytes(htreeBytes()), 409600).volumeName).toBe("HTREE");
});

function superblockWithout(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const {
    "Reserved block count": _1,
    "Fragment size": _2,
    "Fragments per group": _3,
    ...rest
  } = fields;
  return rest;
}

function seedText(seed: Uint32Array): string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4; i++) view.setUint32(4 * i, seed[i], true);
  const text = Buffer.from(bytes).toString("hex");
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
