import { ErrnoError } from "@physio/kern";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DirentCursor, findDirent } from "../src/dirent.ts";
import { nameHash } from "../src/dirhash.ts";
import type { IndexRoot } from "../src/dirindex.ts";
import { decodeNode, decodeRoot, IndexWalk } from "../src/dirindex.ts";
import { checkGroup, decodeGroup, groupDescriptorLocation, inodeLocation } from "../src/group.ts";
import { decodeInode, fastSymlinkTarget, isFastSymlink, isUnused } from "../src/inode.ts";
import type { Superblock } from "../src/superblock.ts";
import { decodeSuperblock } from "../src/superblock.ts";
import {
  blockOf,
  fixtureBytes,
  htreeBytes,
  openImage,
  readInode,
  superblockBytes,
} from "./image.ts";

const RUNS = Number(process.env.PHYSIO_RUNS ?? 300);
const image = openImage(htreeBytes());
const REV0 = openImage(fixtureBytes("man-2k-rev0"));
const WIDE = readInode(image, 14);

/** Run, and let only an ErrnoError pass. */
function survive<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof ErrnoError) return undefined;
    throw error;
  }
}

/** `base` with some bytes replaced, or random bytes of any length around its own. */
function mutated(base: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.tuple(
    fc.nat({ max: base.length - 1 }),
    fc.constantFrom(0, 1, 4, 12, 127, 128, 255),
    fc.nat({ max: 255 }),
  );
  const edits = fc.array(edit, { maxLength: 12 }).map((list) => {
    const bytes = base.slice();
    for (const [at, special, any] of list) bytes[at] = any % 2 === 0 ? special : any;
    return bytes;
  });
  const noise = fc.uint8Array({ maxLength: base.length + 8 });
  const cut = fc.nat({ max: base.length }).map((length) => base.slice(0, length));
  return fc.oneof({ weight: 6, arbitrary: edits }, noise, cut);
}

/** The fields of a super block that are numbers, changed one by one. */
const superblocks = mutated(superblockBytes(image.bytes).slice(0, 400)).map((head) => {
  const bytes = superblockBytes(image.bytes);
  bytes.set(head);
  return bytes;
});

function checkSuperblock(sb: Superblock, deviceBytes: number): void {
  expect(sb.blocksCount * sb.blockSize).toBeLessThanOrEqual(deviceBytes);
  expect(sb.groupCount).toBeGreaterThan(0);
  for (const group of [0, 1, sb.groupCount - 1, sb.groupCount]) {
    const place = survive(() => groupDescriptorLocation(sb, group));
    if (place === undefined) continue;
    expect(place.block).toBeLessThan(sb.blocksCount);
    expect(place.offset + 32).toBeLessThanOrEqual(sb.blockSize);
  }
  for (const ino of [0, 1, 2, sb.inodesCount, sb.inodesCount + 1]) {
    const place = survive(() => inodeLocation(sb, ino));
    if (place === undefined) continue;
    expect(place.group).toBeLessThan(sb.groupCount);
    expect(place.offset + 128).toBeLessThanOrEqual(sb.blockSize);
  }
}

test("a super block of any bytes is refused by an ErrnoError, or keeps its promises", () => {
  const devices = fc.oneof(fc.constant(409600), fc.maxSafeNat());
  fc.assert(
    fc.property(
      fc.oneof(superblocks, fc.uint8Array({ maxLength: 1030 })),
      devices,
      (bytes, device) => {
        const sb = survive(() => decodeSuperblock(bytes, device));
        if (sb !== undefined) checkSuperblock(sb, device);
      },
    ),
    { numRuns: RUNS * 10 },
  );
});

test("descriptors and inodes of any bytes are refused by an ErrnoError, or decode", () => {
  const at = fc.oneof(fc.nat({ max: 140 }), fc.double());
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 280 }), at, fc.boolean(), (bytes, offset, old) => {
      const { sb } = old ? REV0 : image;
      survive(() => checkGroup(sb, 0, decodeGroup(bytes, offset)));
      const inode = survive(() => decodeInode(bytes, offset, sb, 12));
      if (inode === undefined) return;
      expect(Number.isSafeInteger(inode.size) || isUnused(inode)).toBe(true);
      if (isFastSymlink(inode, sb.blockSize)) {
        expect(fastSymlinkTarget(inode)).toHaveLength(inode.size);
      }
    }),
    { numRuns: RUNS * 10 },
  );
});

function walkBlock(sb: Superblock, bytes: Uint8Array, from: number, startAt: number): void {
  const cursor = new DirentCursor(sb);
  survive(() => {
    cursor.open(bytes, from, startAt);
    let steps = 0;
    while (cursor.next()) {
      expect(++steps).toBeLessThanOrEqual(sb.blockSize / 12);
      expect(cursor.nameEnd).toBeLessThanOrEqual(from + sb.blockSize);
      expect(cursor.offset).toBeGreaterThanOrEqual(startAt);
    }
  });
  expect(cursor.next()).toBe(false); // at the end, also after an error
}

for (const [name, from] of [
  ["revision 1", image],
  ["revision 0", REV0],
] as const) {
  test(`a directory block of any bytes ends the walk or an ErrnoError does (${name})`, () => {
    const { sb } = from;
    const at = blockOf(from, readInode(from, 2), 0) * sb.blockSize;
    const blocks = mutated(from.bytes.slice(at, at + sb.blockSize));
    const names = fc.uint8Array({ maxLength: 260 });
    const starts = fc.nat({ max: sb.blockSize + 8 });
    fc.assert(
      fc.property(blocks, names, starts, (bytes, wanted, startAt) => {
        walkBlock(sb, bytes, 0, startAt);
        survive(() => findDirent(bytes, 0, sb, wanted));
      }),
      { numRuns: RUNS * 3 },
    );
  });
}

/** Follow a hash through bytes that may be anything; each block is one of two. */
function walkIndex(root: IndexRoot, node: Uint8Array, hash: number, blocks: number): number {
  const walk = new IndexWalk(root, hash);
  let leaves = 0;
  do {
    while (!walk.atLeaf) walk.descend(decodeNode(node, 0, image.sb, blocks));
    expect(walk.block).toBeLessThan(blocks);
    leaves++;
  } while (walk.nextLeaf());
  return leaves;
}

test("an index of any bytes is refused by an ErrnoError, or its walk ends", () => {
  const { sb } = image;
  const blocks = WIDE.size / sb.blockSize;
  const blockAt = (logical: number) => {
    const at = blockOf(image, WIDE, logical) * sb.blockSize;
    return image.bytes.slice(at, at + sb.blockSize);
  };
  const hashes = fc.nat({ max: 0x7fffffff }).map((half) => 2 * half);
  fc.assert(
    fc.property(mutated(blockAt(0)), mutated(blockAt(141)), hashes, (rootBytes, node, hash) => {
      const root = survive(() => decodeRoot(rootBytes, 0, sb, blocks));
      if (root === undefined) return;
      survive(() => expect(walkIndex(root, node, hash, blocks)).toBeLessThanOrEqual(124 * 127));
    }),
    { numRuns: RUNS * 3 },
  );
});

test("a name of any bytes has a hash under any version, or an ErrnoError", () => {
  const seeds = fc.uint32Array({ maxLength: 5 });
  fc.assert(
    fc.property(
      fc.integer({ min: -1, max: 7 }),
      fc.uint8Array({ maxLength: 300 }),
      seeds,
      (version, name, seed) => {
        const hash = survive(() => nameHash(version, name, seed));
        if (hash !== undefined) expect(hash.major % 2).toBe(0);
      },
    ),
    { numRuns: RUNS },
  );
});
