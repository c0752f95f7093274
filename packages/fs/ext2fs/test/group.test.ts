import { expect, test } from "vitest";
import {
  checkGroup,
  decodeGroup,
  groupDescriptorLocation,
  inodeLocation,
  inodeTableBlocks,
} from "../src/group.ts";
import { Incompat, RoCompat } from "../src/layout.ts";
import { decodeSuperblock } from "../src/superblock.ts";
import { fixtureBytes, openImage, superblockBytes } from "./image.ts";

const LIC = fixtureBytes("lic-1k");
const sb = decodeSuperblock(superblockBytes(LIC), LIC.length);

test("decodeGroup: reads six fields, and only with 32 bytes there", () => {
  const bytes = Uint8Array.from({ length: 40 }, (_, i) => i);
  expect(decodeGroup(bytes, 8)).toEqual({
    blockBitmap: 0x0b0a0908,
    inodeBitmap: 0x0f0e0d0c,
    inodeTable: 0x13121110,
    freeBlocks: 0x1514,
    freeInodes: 0x1716,
    usedDirs: 0x1918,
  });
  expect(() => decodeGroup(bytes, 9)).toThrow("group descriptor at byte 9 of 40 bytes: EIO");
  expect(() => decodeGroup(bytes, -1)).toThrow("EIO");
  expect(() => decodeGroup(bytes, Number.NaN)).toThrow("EIO");
});

test("groups: the descriptors of an image add up to its super block", () => {
  const { groups } = openImage(LIC);
  expect(groups.reduce((sum, group) => sum + group.freeBlocks, 0)).toBe(sb.freeBlocks);
  expect(groups.reduce((sum, group) => sum + group.freeInodes, 0)).toBe(sb.freeInodes);
  for (const [number, group] of groups.entries()) checkGroup(sb, number, group);
});

test("checkGroup: refuses an inode table that leaves the file system", () => {
  const group = openImage(LIC).groups[0];
  expect(inodeTableBlocks(sb)).toBe(20);
  expect(() => checkGroup(sb, 0, { ...group, inodeTable: 8172 })).not.toThrow();
  expect(() => checkGroup(sb, 0, { ...group, inodeTable: 8173 })).toThrow(
    "ext2: group 0: inode table of 20 blocks at 8173 of 8192: EIO",
  );
  expect(() => checkGroup(sb, 0, { ...group, inodeTable: 0 })).toThrow("EIO");
});

test("groupDescriptorLocation: one table behind the super block", () => {
  const many = { ...sb, groupCount: 100 };
  expect(groupDescriptorLocation(many, 0)).toEqual({ block: 2, offset: 0 });
  expect(groupDescriptorLocation(many, 31)).toEqual({ block: 2, offset: 992 });
  expect(groupDescriptorLocation(many, 32)).toEqual({ block: 3, offset: 0 });
  expect(() => groupDescriptorLocation(many, 100)).toThrow("ext2: group 100 of 100: EINVAL");
  expect(() => groupDescriptorLocation(many, -1)).toThrow("EINVAL");
});

test("groupDescriptorLocation: with meta_bg in the first group described, behind a copy", () => {
  const base = {
    ...sb,
    groupCount: 200,
    blocksCount: 200 * 2048,
    featureIncompat: Incompat.meta_bg,
  };
  const sparse = { ...base, featureRoCompat: RoCompat.sparse_super, firstMetaBg: 1 };
  expect(groupDescriptorLocation(sparse, 31)).toEqual({ block: 2, offset: 992 });
  // Group 32 is no power: no copy of the super block before the descriptors.
  expect(groupDescriptorLocation(sparse, 33)).toEqual({ block: 1 + 32 * 2048, offset: 32 });
  // Group 49 is one, which does not matter: the descriptors lie in group 32.
  expect(groupDescriptorLocation(sparse, 49)).toEqual({ block: 1 + 32 * 2048, offset: 544 });
  const every = { ...base, featureRoCompat: 0, firstMetaBg: 0 };
  expect(groupDescriptorLocation(every, 0)).toEqual({ block: 2, offset: 0 });
  expect(groupDescriptorLocation(every, 33)).toEqual({ block: 2 + 32 * 2048, offset: 32 });
  expect(() => groupDescriptorLocation({ ...sparse, blocksCount: 9 }, 33)).toThrow(
    "descriptor of group 33 in block 65537 beyond 9: EIO",
  );
});

test("inodeLocation: numbers start at 1, tables at index 0", () => {
  expect(inodeLocation(sb, 1)).toEqual({ group: 0, index: 0, blockInTable: 0, offset: 0 });
  expect(inodeLocation(sb, 12)).toEqual({ group: 0, index: 11, blockInTable: 1, offset: 384 });
  expect(inodeLocation(sb, 160)).toEqual({ group: 0, index: 159, blockInTable: 19, offset: 896 });
  expect(inodeLocation(sb, 161)).toEqual({ group: 1, index: 0, blockInTable: 0, offset: 0 });
  expect(inodeLocation(sb, 640)).toEqual({ group: 3, index: 159, blockInTable: 19, offset: 896 });
});

test("inodeLocation: refuses 0 and what lies beyond the last inode", () => {
  expect(() => inodeLocation(sb, 0)).toThrow("inode 0: no such number: EINVAL");
  expect(() => inodeLocation(sb, 1.5)).toThrow("EINVAL");
  expect(() => inodeLocation(sb, 641)).toThrow("inode 641: number beyond 640: EIO");
});
