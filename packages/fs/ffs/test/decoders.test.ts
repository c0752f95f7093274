/** Groups, inodes and directory entries: tables, a slow model of the layout, and bytes of any kind. */
import { decodeName, ErrnoError } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DirentCursor } from "../src/dirent.ts";
import { checkGroupHeader, groupHeader, inodeLocation, isDataRun } from "../src/group.ts";
import { blocksEnd, decodeInode, fragsOfBlock } from "../src/inode.ts";
import type { Superblock } from "../src/superblock.ts";
import { decodeSuperblock } from "../src/superblock.ts";
import type { Kind } from "./build.ts";
import { Builder, KIND } from "./build.ts";
import { errorOf } from "./mounted.ts";

const RUNS = Number(process.env.PHYSIO_RUNS ?? 300);
const STEPPED: Kind = { ...KIND, groups: 5, step: 8, mask: ~3, shorter: 9 };
const WIDE: Kind = { ...KIND, version: 2, bigEndian: true, groupFrags: 560 };

function opened(kind: Kind): { b: Builder; sb: Superblock } {
  const b = new Builder(kind);
  b.file("/file", 3 * kind.blockSize);
  const image = b.finish();
  const sb = decodeSuperblock(image.subarray(b.place, b.place + 8192), b.place, image.length);
  return { b, sb };
}

/** Run, and let only an ErrnoError pass. */
function survive<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof ErrnoError) return undefined;
    throw error;
  }
}

describe.each([
  ["version 1 with steps", STEPPED],
  ["version 2", WIDE],
] as const)("groups of %s", (_name, kind) => {
  const { b, sb } = opened(kind);

  test("every inode lies where the builder put it", () => {
    for (let ino = 0; ino < sb.inodesCount; ino++) {
      const { frag, offset } = inodeLocation(sb, ino);
      expect(frag * sb.fragSize + offset).toBe(b.inodeByte(ino));
      expect(frag % sb.frags).toBe(0);
    }
    expect(errorOf(() => inodeLocation(sb, sb.inodesCount))).toBe("EIO");
    for (const ino of [-1, 0.5, Number.NaN])
      expect(errorOf(() => inodeLocation(sb, ino))).toBe("EINVAL");
  });

  test("runs are data exactly where nothing else is", () => {
    // One mark a fragment: taken by a group for itself.
    const taken = new Uint8Array(sb.size);
    taken.fill(1, 0, b.dataAt);
    for (let group = 0; group < kind.groups; group++) {
      const start = b.groupStart(group);
      taken.fill(1, start + b.superAt, start + b.dataAt);
    }
    for (let frag = -3; frag < sb.size + 3; frag++) {
      for (let count = 1; count <= sb.frags; count++) {
        const inside = frag >= 0 && frag + count <= sb.size;
        const oneBlock = Math.floor(frag / sb.frags) === Math.floor((frag + count - 1) / sb.frags);
        const free = inside && taken.subarray(frag, frag + count).every((mark) => mark === 0);
        if (isDataRun(sb, frag, count) !== (oneBlock && free)) {
          expect(`${count} at ${frag}`).toBe("judged rightly");
        }
      }
    }
    for (const frag of [0.5, Number.NaN, 2 ** 60, -(2 ** 60)]) {
      expect(isDataRun(sb, frag, sb.frags)).toBe(false);
    }
  });

  test("headers are those of their groups", () => {
    const at = (group: number): Uint8Array =>
      b.bytes.slice(groupHeader(sb, group) * sb.fragSize).subarray(0, sb.blockSize);
    for (let group = 0; group < kind.groups; group++) {
      expect(checkGroupHeader(sb, group, at(group))).toBe(sb.inodesPerGroup);
    }
    expect(() => checkGroupHeader(sb, 1, at(2))).toThrow("that of group 2: EIO");
    const cases = [
      [4, 1, "no magic"],
      [20, 3, "3 fragments"],
    ] as const;
    for (const [offset, value, message] of cases) {
      const bytes = at(1);
      new DataView(bytes.buffer).setUint32(offset, value, !kind.bigEndian);
      expect(() => checkGroupHeader(sb, 1, bytes)).toThrow(message);
    }
    expect(() => checkGroupHeader(sb, 1, at(1).subarray(0, 100))).toThrow("100 bytes: EIO");
  });
});

test("the last block has as many fragments as its bytes need, if it is direct", () => {
  const { sb } = opened(KIND); // blocks of 4096, fragments of 1024
  const cases = [
    [1, 0, 1, 1024],
    [1024, 0, 1, 1024],
    [1025, 0, 2, 2048],
    [4096, 0, 4, 4096],
    [4097, 0, 4, 5120],
    [4097, 1, 1, 5120],
    [12 * 4096 - 1025, 11, 3, 12 * 4096 - 1024],
    [12 * 4096, 11, 4, 12 * 4096],
    [12 * 4096 + 1, 12, 4, 13 * 4096],
    [0, 0, 1, 0],
  ] as const;
  for (const [size, lbn, frags, end] of cases) {
    expect([size, fragsOfBlock(sb, size, lbn), blocksEnd(sb, size)]).toEqual([size, frags, end]);
  }
});

describe("inodes", () => {
  const { b, sb } = opened(KIND);
  const ino = b.inos.get("/file")!;
  const at = b.inodeByte(ino);
  const decoded = (change: (b: Builder) => void): string => {
    const copy = opened(KIND).b;
    change(copy);
    return errorOf(() => decodeInode(copy.bytes, at, sb, ino));
  };

  test("that make no sense are refused", () => {
    expect(decoded(() => {})).toBe("OK");
    expect(decoded((c) => c.put16(at, 0))).toBe("EIO"); // not in use
    expect(decoded((c) => c.put16(at, 0xe1a4))).toBe("EIO"); // no known type
    expect(decoded((c) => c.put64(at + 8, -1))).toBe("EIO");
    expect(decoded((c) => c.put64(at + 8, sb.maxFileSize + 1))).toBe("EIO");
    expect(decoded((c) => c.put64(at + 8, sb.maxFileSize))).toBe("OK");
    expect(decoded((c) => c.put16(at, 0x41ed))).toBe("OK"); // a directory of 3 blocks
    const directory = (size: number, sectors: number): string =>
      decoded((c) => {
        c.put16(at, 0x41ed);
        c.put64(at + 8, size);
        c.put32(at + 104, sectors);
      });
    expect(directory(513, 100)).toBe("EIO"); // no whole pieces
    expect(directory(1024, 1)).toBe("EIO"); // more than its sectors
    expect(directory(512 * 2 ** 20, 2 ** 30)).toBe("EIO"); // more than the file system
    expect(errorOf(() => decodeInode(b.bytes.subarray(0, at + 127), at, sb, ino))).toBe("EIO");
    expect(errorOf(() => decodeInode(b.bytes, 0.5, sb, ino))).toBe("EIO");
  });

  test("of any bytes decode, or an ErrnoError says why not", () => {
    const wide = opened(WIDE).sb;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 100, maxLength: 300 }), fc.boolean(), (bytes, big) => {
        const inode = survive(() => decodeInode(bytes, 0, big ? wide : sb, 9));
        if (inode === undefined) return;
        expect(Number.isSafeInteger(inode.size)).toBe(true);
        for (const frag of inode.block) isDataRun(sb, frag, 1);
      }),
      { numRuns: RUNS },
    );
  });
});

describe("directory entries", () => {
  const { sb } = opened(KIND);
  /** A piece of 512 bytes of entries: [inode, reclen, type, name length, name]. */
  const piece = (...entries: (readonly [number, number, number, number, string])[]): Uint8Array => {
    const bytes = new Uint8Array(512);
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (const [ino, recLen, type, nameLen, name] of entries) {
      view.setUint32(at, ino, true);
      view.setUint16(at + 4, recLen, true);
      bytes[at + 6] = type;
      bytes[at + 7] = nameLen;
      bytes.set(new TextEncoder().encode(name), at + 8);
      at += recLen;
    }
    return bytes;
  };
  const namesOf = (bytes: Uint8Array, startAt = 0): string => {
    const cursor = new DirentCursor(sb);
    const names: string[] = [];
    try {
      cursor.open(bytes, startAt);
      while (cursor.next()) names.push(decodeName(bytes, cursor.nameOffset, cursor.nameEnd));
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      names.push(error.message);
    }
    expect(cursor.next()).toBe(false);
    return names.join(" ");
  };
  const dot = [2, 12, 4, 1, "."] as const;

  test.each([
    ["a whole piece", piece(dot, [3, 500, 8, 3, "abc"]), ". abc"],
    ["an unused entry", piece(dot, [0, 488, 8, 3, "abc"], [4, 12, 8, 1, "z"]), ". z"],
    ["a whiteout", piece(dot, [1, 500, 14, 3, "abc"]), "."],
    ["nothing", piece([0, 512, 0, 0, ""]), ""],
    [
      "no length",
      piece(dot, [3, 0, 8, 3, "abc"]),
      ". directory entry at offset 12: reclen 0, 500 bytes left: EIO",
    ],
    [
      "a length of 10",
      piece(dot, [3, 10, 8, 1, "a"]),
      ". directory entry at offset 12: reclen 10, 500 bytes left: EIO",
    ],
    [
      "an odd length",
      piece(dot, [3, 18, 8, 3, "abc"]),
      ". directory entry at offset 12: reclen 18, 500 bytes left: EIO",
    ],
    [
      "a length beyond",
      piece(dot, [3, 504, 8, 3, "abc"]),
      ". directory entry at offset 12: reclen 504, 500 bytes left: EIO",
    ],
    [
      "8 bytes at the end",
      piece([2, 504, 4, 1, "."]),
      ". directory entry at offset 504: 8 bytes left: EIO",
    ],
    [
      "a name beyond its entry",
      piece(dot, [3, 12, 8, 4, "abcd"]),
      ". directory entry at offset 12: reclen 12, name of 4 bytes: EIO",
    ],
    [
      "no name",
      piece(dot, [3, 500, 8, 0, ""]),
      ". directory entry at offset 12: inode 3 without a name: EIO",
    ],
    [
      "an inode beyond",
      piece(dot, [192, 500, 8, 1, "a"]),
      ". directory entry at offset 12: inode 192 beyond 191: EIO",
    ],
    [
      "a slash",
      piece(dot, [3, 500, 8, 3, "a/b"]),
      ". directory entry at offset 12: byte 47 in name: EIO",
    ],
    [
      "a NUL",
      piece(dot, [3, 500, 8, 3, "a\0b"]),
      ". directory entry at offset 12: byte 0 in name: EIO",
    ],
  ])("%s", (_what, bytes, wanted) => {
    expect(namesOf(bytes)).toBe(wanted);
  });

  test("a walk can begin anywhere, on the next entry", () => {
    const bytes = new Uint8Array(1024);
    bytes.set(piece(dot, [3, 500, 8, 3, "abc"]));
    bytes.set(piece([4, 512, 8, 3, "def"]), 512);
    const starts = [0, 1, 12, 13, 511, 512, 513, 1024, 5000] as const;
    const wanted = [". abc def", "abc def", "abc def", "def", "def", "def", "", "", ""];
    expect(starts.map((at) => namesOf(bytes, at))).toEqual(wanted);
  });

  test("bytes of any kind end the walk, or an ErrnoError does", () => {
    const good = piece(dot, [2, 12, 4, 2, ".."], [3, 24, 8, 9, "some-name"], [4, 464, 8, 1, "x"]);
    const edits = fc.array(fc.tuple(fc.nat({ max: 60 }), fc.nat({ max: 255 })), { maxLength: 6 });
    const noise = fc.uint8Array({ minLength: 512, maxLength: 512 });
    const bytes = fc.oneof(
      noise,
      edits.map((list) => {
        const copy = good.slice();
        for (const [at, value] of list) copy[at] = value;
        return copy;
      }),
    );
    const old = { ...sb, oldInodes: true };
    fc.assert(
      fc.property(bytes, fc.nat({ max: 600 }), fc.boolean(), (block, startAt, isOld) => {
        const cursor = new DirentCursor(isOld ? old : sb);
        let steps = 0;
        survive(() => {
          cursor.open(block, startAt);
          while (cursor.next()) {
            expect(++steps).toBeLessThan(512 / 12);
            expect(cursor.offset).toBeGreaterThanOrEqual(startAt);
            expect(cursor.nameEnd).toBeLessThanOrEqual(512);
          }
        });
        expect(cursor.next()).toBe(false);
      }),
      { numRuns: RUNS },
    );
  });
});
