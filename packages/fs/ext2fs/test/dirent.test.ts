import { decodeName, encodeName } from "@physio/kern";
import { expect, test } from "vitest";
import { DirentCursor, findDirent } from "../src/dirent.ts";
import { decodeSuperblock } from "../src/superblock.ts";
import { fixtureBytes, superblockBytes } from "./image.ts";

const LIC = fixtureBytes("lic-1k");
const sb = decodeSuperblock(superblockBytes(LIC), LIC.length);
const untyped = { ...sb, featureIncompat: 0 };

type Entry = readonly [ino: number, name: string, recLen: number, type?: number];

/** A block of 1 KiB with the entries one after the other. */
function block(entries: readonly Entry[], offset = 0): Uint8Array {
  const bytes = new Uint8Array(1024 + offset);
  const view = new DataView(bytes.buffer);
  let at = offset;
  for (const [ino, name, recLen, type = 0] of entries) {
    const raw = encodeName(name);
    view.setUint32(at, ino, true);
    view.setUint16(at + 4, recLen, true);
    view.setUint16(at + 6, raw.length + type * 256, true);
    bytes.set(raw, at + 8);
    at += recLen;
  }
  return bytes;
}

/** "2:. 2:.. 12:name" */
function list(bytes: Uint8Array, from = 0, startAt = 0, of = sb): string {
  const cursor = new DirentCursor(of);
  cursor.open(bytes, from, startAt);
  const seen: string[] = [];
  while (cursor.next()) {
    seen.push(`${cursor.ino}:${decodeName(bytes, cursor.nameOffset, cursor.nameEnd)}`);
  }
  return seen.join(" ");
}

const GOOD: readonly Entry[] = [
  [2, ".", 12, 2],
  [2, "..", 12, 2],
  [0, "gone", 16, 1],
  [12, "naïve-名前", 24, 1],
  [13, "\udcff\udc80", 12, 7],
  [0, "", 12],
  [14, "last", 936, 1],
];

test("DirentCursor: gives the used entries in order", () => {
  expect(list(block(GOOD))).toBe("2:. 2:.. 12:naïve-名前 13:\udcff\udc80 14:last");
});

test("DirentCursor: a block may lie anywhere in the bytes", () => {
  expect(list(block(GOOD, 52), 52)).toBe(list(block(GOOD)));
});

test("DirentCursor: tells where each entry is and what it is", () => {
  const cursor = new DirentCursor(sb);
  expect(cursor.next()).toBe(false);
  cursor.open(block(GOOD, 8), 8, 13);
  expect(cursor.next()).toBe(true);
  expect(cursor).toMatchObject({
    ino: 12,
    recLen: 24,
    nameLen: 13,
    fileType: 1,
    nameOffset: 56,
    nameEnd: 69,
    offset: 40,
    nextOffset: 64,
  });
});

test("DirentCursor: goes on from any offset, at an entry", () => {
  const bytes = block(GOOD);
  expect(list(bytes, 0, 12)).toBe("2:.. 12:naïve-名前 13:\udcff\udc80 14:last");
  expect(list(bytes, 0, 13)).toBe("12:naïve-名前 13:\udcff\udc80 14:last");
  expect(list(bytes, 0, 88)).toBe("14:last");
  expect(list(bytes, 0, 89)).toBe("");
  expect(list(bytes, 0, 99999)).toBe("");
});

test("DirentCursor: without filetype the name length has 16 bits and there is no type", () => {
  const cursor = new DirentCursor(untyped);
  cursor.open(block([[12, "n".repeat(255), 1024]]), 0);
  expect(cursor.next()).toBe(true);
  expect([cursor.nameLen, cursor.fileType]).toEqual([255, 0]);
  expect(() => list(block([[12, "name", 1024, 1]]), 0, 0, untyped)).toThrow(
    "directory entry at offset 0: rec_len 1024, name_len 260 above 255: EIO",
  );
});

const bad: readonly { name: string; entries: readonly Entry[]; what: string }[] = [
  {
    name: "an unused entry below 12",
    entries: [[0, "", 8]],
    what: "at offset 0: rec_len 8, shorter than 12",
  },
  {
    name: "no length",
    entries: [
      [2, ".", 12],
      [3, "a", 0],
    ],
    what: "at offset 12: rec_len 0, shorter than 12",
  },
  {
    name: "a length below 12",
    entries: [[3, "", 8]],
    what: "at offset 0: rec_len 8, shorter than 12",
  },
  {
    name: "a length that is no multiple of 4",
    entries: [[3, "a", 14]],
    what: "at offset 0: rec_len 14, no multiple of 4",
  },
  {
    name: "a length past the block",
    entries: [
      [2, ".", 12],
      [3, "a", 1016],
    ],
    what: "at offset 12: rec_len 1016, 1012 bytes left in the block",
  },
  {
    name: "a remainder too small for an entry",
    entries: [[2, ".", 1016]],
    what: "at offset 1016: 8 bytes left in the block",
  },
  {
    name: "a name longer than its entry",
    entries: [[3, "12345", 12]],
    what: "at offset 0: rec_len 12, too short for name_len 5",
  },
  {
    name: "an unused entry whose name is too long",
    entries: [[0, "12345", 12]],
    what: "at offset 0: rec_len 12, too short for name_len 5",
  },
  {
    name: "an inode without a name",
    entries: [[3, "", 1024]],
    what: "at offset 0: rec_len 1024, inode 3 without a name",
  },
  {
    name: "an inode that is not there",
    entries: [[641, "a", 1024]],
    what: "at offset 0: rec_len 1024, inode 641 beyond 640",
  },
];

for (const c of bad) {
  test(`directory blocks: ${c.name} is EIO`, () => {
    const message = `directory entry ${c.what}: EIO`;
    expect(() => list(block(c.entries))).toThrow(message);
    expect(() => findDirent(block(c.entries), 0, sb, encodeName("zz"))).toThrow(message);
  });
}

test("DirentCursor: '/' and NUL in a name are EIO, and the walk is over", () => {
  for (const [name, byte] of [
    ["a/b", 47],
    ["a\0", 0],
  ] as const) {
    const cursor = new DirentCursor(sb);
    cursor.open(
      block([
        [3, name, 12],
        [4, "b", 1012],
      ]),
      0,
    );
    expect(() => cursor.next()).toThrow(
      `directory entry at offset 0: rec_len 12, byte ${byte} in name: EIO`,
    );
    expect(cursor.next()).toBe(false);
  }
});

test("directory blocks: bytes that are not there are EIO", () => {
  const cursor = new DirentCursor(sb);
  for (const from of [1, -1, Number.NaN, 0.5]) {
    expect(() => cursor.open(new Uint8Array(1024), from)).toThrow(
      "directory block of 1024 bytes at byte",
    );
    expect(() => findDirent(new Uint8Array(1024), from, sb, encodeName("a"))).toThrow("EIO");
  }
});

test("findDirent: finds whole names of used entries only", () => {
  const bytes = block(GOOD, 12);
  const find = (name: string) => findDirent(bytes, 12, sb, encodeName(name));
  expect([find("."), find(".."), find("last"), find("naïve-名前")]).toEqual([2, 2, 14, 12]);
  expect(find("\udcff\udc80")).toBe(13);
  expect([find("gone"), find("las"), find("last "), find("Last"), find("")]).toEqual([
    0, 0, 0, 0, 0,
  ]);
});
