import { decodeName, encodeName } from "@physio/kern";
import { expect, test } from "vitest";
import { DirentCursor, findDirent } from "../src/dirent.ts";
import { NameHasher } from "../src/dirhash.ts";
import type { IndexRoot } from "../src/dirindex.ts";
import { decodeNode, decodeRoot, IndexTable, IndexWalk } from "../src/dirindex.ts";
import type { Inode } from "../src/inode.ts";
import { INDEX_FL, RoCompat } from "../src/layout.ts";
import type { Superblock } from "../src/superblock.ts";
import type { Image } from "./image.ts";
import { blockBytes, blockOf, htreeBytes, openImage, readInode } from "./image.ts";

const image = openImage(htreeBytes());
const { sb } = image;
const cursor = new DirentCursor(sb);
const hasher = new NameHasher();

function inodeOf(name: string): Inode {
  const root = readInode(image, 2);
  for (const at of blockBytes(image, root)) {
    const ino = findDirent(image.bytes, at, sb, encodeName(name));
    if (ino !== 0) return readInode(image, ino);
  }
  throw new Error(`no ${name}`);
}

/** A table in memory: pairs of hash and block; the first hash is not stored. */
function table(pairs: readonly (readonly [number, number])[], blocks = 1000): IndexTable {
  const bytes = new Uint8Array(8 * pairs.length);
  const view = new DataView(bytes.buffer);
  for (const [i, [hash, block]] of pairs.entries()) {
    view.setUint32(8 * i, hash, true);
    view.setUint32(8 * i + 4, block, true);
  }
  return new IndexTable(bytes, 0, pairs.length, blocks);
}

const rootOf = (entries: IndexTable, indirectLevels: number): IndexRoot => ({
  hashVersion: 1,
  indirectLevels,
  entries,
});

/** The blocks that a walk visits, nodes with a bracket: "[1 10 11 [2 20". */
function visits(
  root: IndexRoot,
  hash: number,
  nodes: Readonly<Record<number, IndexTable>>,
): string {
  const walk = new IndexWalk(root, hash);
  const seen: string[] = [];
  do {
    while (!walk.atLeaf) {
      seen.push(`[${walk.block}`);
      walk.descend(nodes[walk.block]);
    }
    seen.push(`${walk.block}`);
  } while (walk.nextLeaf());
  return seen.join(" ");
}

test("IndexTable: finds the last entry whose hash is not above", () => {
  const t = table([
    [77, 1],
    [100, 2],
    [200, 3],
    [300, 4],
  ]);
  expect([0, 99, 100, 101, 200, 299, 300, 0xfffffffc].map((hash) => t.find(hash))).toEqual([
    0, 0, 1, 1, 2, 2, 3, 3,
  ]);
  expect(table([[0, 5]]).find(0xfffffffc)).toBe(0);
});

test("IndexTable: a block number has 28 bits and lies in the directory, behind the root", () => {
  expect(table([[0, 0xf0000005]]).blockAt(0)).toBe(5);
  expect(() => table([[0, 0]]).blockAt(0)).toThrow(
    "directory index: entry 0 of 1 names block 0 of 1000: EIO",
  );
  expect(() => table([[0, 1000]]).blockAt(0)).toThrow("names block 1000 of 1000: EIO");
});

test("IndexWalk: one level, on while the next entry continues the hash", () => {
  const root = rootOf(
    table([
      [0, 1],
      [100, 2],
      [101, 3],
      [101, 4],
      [200, 5],
      [300, 6],
    ]),
    0,
  );
  expect(visits(root, 98, {})).toBe("1");
  expect(visits(root, 100, {})).toBe("2 3 4");
  expect(visits(root, 200, {})).toBe("5");
  expect(visits(root, 300, {})).toBe("6");
});

test("IndexWalk: two levels, a hash that goes on in the next node", () => {
  const root = rootOf(
    table([
      [0, 1],
      [101, 2],
      [500, 3],
    ]),
    1,
  );
  const nodes = {
    1: table([
      [0, 10],
      [100, 11],
      [101, 12],
    ]),
    2: table([
      [0, 20],
      [101, 21],
      [200, 22],
    ]),
    3: table([[0, 30]]),
  };
  expect(visits(root, 98, nodes)).toBe("[1 10");
  expect(visits(root, 100, nodes)).toBe("[1 11 12 [2 20 21");
  expect(visits(root, 200, nodes)).toBe("[2 22");
  expect(visits(root, 600, nodes)).toBe("[3 30");
  // A node whose hashes do not fit the root's: the next node follows its last leaf only.
  const wrong = {
    ...nodes,
    1: table([
      [0, 10],
      [100, 11],
      [150, 12],
    ]),
  };
  expect(visits(root, 100, wrong)).toBe("[1 11");
});

function readRoot(of: Image, inode: Inode): IndexRoot {
  const blocks = inode.size / of.sb.blockSize;
  return decodeRoot(of.bytes, blockOf(of, inode, 0) * of.sb.blockSize, of.sb, blocks);
}

/** Look a name up through the index; also how many leaves that took. */
function lookup(inode: Inode, root: IndexRoot, name: Uint8Array): [ino: number, leaves: number] {
  const blocks = inode.size / sb.blockSize;
  const byteOf = (logical: number) => blockOf(image, inode, logical) * sb.blockSize;
  const walk = new IndexWalk(root, hasher.hash(root.hashVersion, name, sb.hashSeed));
  let leaves = 0;
  for (;;) {
    while (!walk.atLeaf) {
      walk.descend(decodeNode(image.bytes, byteOf(walk.block), sb, blocks));
    }
    leaves++;
    const ino = findDirent(image.bytes, byteOf(walk.block), sb, name);
    if (ino !== 0 || !walk.nextLeaf()) return [ino, leaves];
  }
}

for (const [name, levels, count] of [
  ["flat", 0, 60],
  ["wide", 1, 561],
] as const) {
  test(`index of ${levels + 1} levels made by e2fsck: every name of /${name} is found`, () => {
    const inode = inodeOf(name);
    expect(inode.flags & INDEX_FL).toBe(INDEX_FL);
    const root = readRoot(image, inode);
    expect([root.hashVersion, root.indirectLevels]).toEqual([1, levels]);
    let seen = 0;
    let continued = 0;
    for (const at of blockBytes(image, inode)) {
      cursor.open(image.bytes, at);
      while (cursor.next()) {
        const text = decodeName(image.bytes, cursor.nameOffset, cursor.nameEnd);
        if (text === "." || text === "..") continue;
        const [ino, leaves] = lookup(inode, root, encodeName(text));
        expect(ino, text).toBe(cursor.ino);
        seen++;
        if (leaves > 1) continued++;
      }
    }
    expect(seen).toBe(count);
    if (levels === 1) expect(continued).toBeGreaterThan(3);
    expect(lookup(inode, root, encodeName("not there"))[0]).toBe(0);
  });
}

test("decodeRoot: a file system with unsigned hashes has the unsigned version", () => {
  const unsigned = { ...image, sb: { ...sb, hashUnsigned: true } };
  expect(readRoot(unsigned, inodeOf("wide")).hashVersion).toBe(4);
});

/** Block 0 of /wide with some bytes changed. */
function rootBlock(changes: Readonly<Record<number, number>>): Uint8Array {
  const at = blockOf(image, inodeOf("wide"), 0) * sb.blockSize;
  const bytes = image.bytes.slice(at, at + sb.blockSize);
  for (const [offset, value] of Object.entries(changes)) bytes[Number(offset)] = value;
  return bytes;
}

const bad: readonly { name: string; changes: Readonly<Record<number, number>>; what: string }[] = [
  { name: "another entry than '.'", changes: { 4: 16 }, what: "root entries of 16 and 1012 bytes" },
  {
    name: "another entry than '..'",
    changes: { 16: 12 },
    what: "root entries of 12 and 780 bytes",
  },
  {
    name: "a reserved word",
    changes: { 24: 1 },
    what: "reserved word 1, 8 bytes of root information",
  },
  {
    name: "information of another length",
    changes: { 29: 12 },
    what: "reserved word 0, 12 bytes of root information",
  },
  { name: "an unknown hash", changes: { 28: 3 }, what: "hash version 3, 0 to 2 known" },
  { name: "too many levels", changes: { 30: 2 }, what: "2 levels, 1 at most" },
  { name: "a flag", changes: { 31: 1 }, what: "root flags 1" },
  { name: "another limit", changes: { 32: 125 }, what: "limit 125, 124 entries fit" },
  { name: "no entries", changes: { 34: 0 }, what: "count 0, limit 124" },
  { name: "more entries than fit", changes: { 34: 125 }, what: "count 125, limit 124" },
];

for (const c of bad) {
  test(`decodeRoot: ${c.name} is EIO`, () => {
    expect(() => decodeRoot(rootBlock(c.changes), 0, sb, 143)).toThrow(
      `directory index: ${c.what}: EIO`,
    );
  });
}

test("decodeRoot: with metadata_csum one entry fewer fits", () => {
  const csum: Superblock = { ...sb, featureRoCompat: RoCompat.metadata_csum };
  expect(() => decodeRoot(rootBlock({}), 0, csum, 143)).toThrow("limit 124, 123 entries fit");
  expect(decodeRoot(rootBlock({ 32: 123 }), 0, csum, 143).entries.count).toBe(2);
});

test("decodeNode: a block that is no node is EIO", () => {
  expect(() => decodeNode(rootBlock({}), 0, sb, 143)).toThrow(
    "directory index: node begins with inode",
  );
  expect(() => decodeNode(new Uint8Array(1024), 1, sb, 143)).toThrow(
    "1024 bytes at byte 1 of 1024 bytes",
  );
});
