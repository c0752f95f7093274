/** Mounted images that are damaged: what is an error, what is found all the same, and that nothing leaks. */
import { Uio, UioRw } from "@physio/carriers";
import { Errno, ErrnoError } from "@physio/kern";
import { BlockMap, vnWrite } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import type { Kind } from "./build.ts";
import { Builder, KIND } from "./build.ts";
import { errorOf, Mounted } from "./mounted.ts";
import { list, readBytes } from "./reading.ts";
import type { Outcome } from "./survive.ts";
import { meet } from "./survive.ts";

const WIDE: Kind = { ...KIND, version: 2, bigEndian: true, groupFrags: 560 };
const KINDS = [
  ["version 1", KIND],
  ["version 2", WIDE],
] as const;

/** A file of 14 blocks and 5 bytes, a directory of two blocks and a long symlink. */
function built(kind: Kind): Builder {
  const b = new Builder(kind);
  b.file("/file", 14 * kind.blockSize + 5);
  b.directory("/dir");
  for (let i = 0; i < 26; i++) b.file(`/dir/${"name".repeat(55)}${i}`, 0);
  b.file("/after", 100);
  b.symlink("/slow", "x".repeat(200));
  b.finish();
  return b;
}

/** The errno of reading all of the file at `path`. */
function readAll(m: Mounted, path: string): string {
  const errors: Errno[] = [];
  m.with(path, (vp) => readBytes(m, vp, 0, vp.size, errors));
  return errorOf(() => {
    if (errors.length > 0) throw new ErrnoError(errors[0], "read");
  });
}

const mapped = (m: Mounted, lbn: number): Errno =>
  m.with("/file", (vp) => vp.ops.bmap(vp, lbn, new BlockMap()));

/** What an ErrnoError of `run` says. */
function saying(run: () => unknown): string {
  try {
    run();
    return "OK";
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    return error.message;
  }
}

describe.each(KINDS)("a block number that leads to no data, %s", (_name, kind) => {
  const bad = (b: Builder): number[] => [
    -b.frags,
    1,
    b.dataAt - b.frags, // inodes
    b.groupStart(1) + b.headerAt,
    b.groupStart(1) + b.dataAt + 1, // not on a block
    b.size - b.frags + 1,
    b.size,
    ...(kind.version === 2 ? [2 ** 53, -(2 ** 62)] : [2 ** 31 - 1]),
  ];

  test("is EIO for bmap and for a read", () => {
    for (const frag of bad(built(kind))) {
      const b = built(kind);
      b.putPointer(b.slots(b.inos.get("/file")!), frag);
      const m = new Mounted(b.bytes);
      expect([frag, mapped(m, 0)]).toEqual([frag, Errno.EIO]);
      expect(readAll(m, "/file")).toBe("EIO");
      expect(readAll(m, "/after")).toBe("OK");
      m.finish();
    }
  });

  test("in an indirect block, or for one, is EIO from there on", () => {
    for (const frag of bad(built(kind))) {
      for (const where of ["slot", "block"]) {
        const b = built(kind);
        const ino = b.inos.get("/file")!;
        const each = kind.version === 1 ? 4 : 8;
        const at = b.pointerByte(ino, 12, { count: 0 });
        b.putPointer(where === "slot" ? b.slots(ino) + 12 * each : at, frag);
        const m = new Mounted(b.bytes);
        expect(mapped(m, 11)).toBe(Errno.OK);
        expect(mapped(m, 12)).toBe(Errno.EIO);
        expect(mapped(m, 13)).toBe(where === "slot" ? Errno.EIO : Errno.OK);
        expect(readAll(m, "/file")).toBe("EIO");
        m.finish();
      }
    }
  });

  test("past what the slots reach is EIO", () => {
    const b = built(kind);
    const m = new Mounted(b.bytes);
    const beyond = 12 + b.fanOut + b.fanOut ** 2 + b.fanOut ** 3;
    expect(mapped(m, beyond)).toBe(Errno.EIO);
    expect(mapped(m, beyond - 1)).toBe(Errno.OK);
    m.finish();
  });

  test("in the middle of a run ends it there", () => {
    const b = built(kind);
    b.putPointer(b.slots(b.inos.get("/file")!) + 3 * (kind.version === 1 ? 4 : 8), 1);
    const m = new Mounted(b.bytes);
    const out = new BlockMap();
    expect(m.with("/file", (vp) => vp.ops.bmap(vp, 0, out))).toBe(Errno.OK);
    expect(out.run).toBe(2);
    m.finish();
  });
});

test("a run ends before what a group keeps for itself", () => {
  const b = built(KIND);
  const slots = b.slots(b.inos.get("/file")!);
  const superblock = b.groupStart(1) + b.superAt;
  b.putPointer(slots, superblock - b.frags); // data: the room before the copy
  b.putPointer(slots + 4, superblock);
  const m = new Mounted(b.bytes);
  const out = new BlockMap();
  expect(m.with("/file", (vp) => vp.ops.bmap(vp, 0, out))).toBe(Errno.OK);
  expect(out.run).toBe(0);
  expect(mapped(m, 1)).toBe(Errno.EIO);
  m.finish();
});

test("a run ends with the file", () => {
  const b = built(KIND);
  const slots = b.slots(b.inos.get("/after")!);
  const first = b.groupStart(2) + b.dataAt;
  b.putPointer(slots, first);
  b.putPointer(slots + 4, first + b.frags);
  const m = new Mounted(b.bytes);
  const out = new BlockMap();
  expect(m.with("/after", (vp) => vp.ops.bmap(vp, 0, out))).toBe(Errno.OK);
  expect(out.run).toBe(0);
  m.finish();
});

test("a file system may end within a block", () => {
  const b = built({ ...KIND, shorter: 2 });
  const frag = b.size - 2;
  expect(frag % b.frags).toBe(0);
  b.putPointer(b.slots(b.inos.get("/slow")!), frag);
  b.bytes.fill(0x79, frag * KIND.fragSize, frag * KIND.fragSize + 200);
  const m = new Mounted(b.bytes);
  expect(m.with("/slow", (vp) => vp.ops.readlink(vp), false)).toBe("y".repeat(200));
  m.finish();
});

describe.each(KINDS)("directories, %s", (_name, kind) => {
  const names = (m: Mounted): string => saying(() => m.with("/dir", (vp) => list(vp)));
  const inoOfDir = (b: Builder): number => b.inos.get("/dir")!;

  test("have no holes, and errors say which block", () => {
    const b = built(kind);
    const ino = inoOfDir(b);
    b.putPointer(b.slots(ino) + (kind.version === 1 ? 4 : 8), 0);
    const m = new Mounted(b.bytes);
    expect(names(m)).toBe(`ffs: block 1 of directory inode ${ino}: a hole: EIO`);
    const first = `/dir/${"name".repeat(55)}`;
    expect(m.inoOf(`${first}0`)).toBe(b.inos.get(`${first}0`));
    expect(errorOf(() => m.inoOf(`${first}25`))).toBe("EIO");
    m.finish();
  });

  test("with a damaged entry are found up to it", () => {
    const b = built(kind);
    const ino = inoOfDir(b);
    const { fragSize } = kind;
    const little = !kind.bigEndian;
    const at = b.slots(ino);
    const frag =
      kind.version === 1 ? b.view.getInt32(at, little) : Number(b.view.getBigInt64(at, little));
    b.put16(frag * fragSize + 512 + 4, 3);
    const m = new Mounted(b.bytes);
    expect(names(m)).toBe(
      `ffs: directory inode ${ino}, block 0: directory entry at offset 512: reclen 3, 512 bytes left: EIO`,
    );
    m.finish();
  });

  test("whose name leads to an inode that is not there", () => {
    const b = built(kind);
    const ino = b.inos.get("/after")!;
    b.put16(b.inodeByte(ino), 0);
    const m = new Mounted(b.bytes);
    expect(saying(() => m.inoOf("/after"))).toBe(
      `/after: ffs: inode ${ino}: it is not in use: EIO`,
    );
    expect(readAll(m, "/file")).toBe("OK");
    m.finish();
  });

  test("that are no directory cannot be the root", () => {
    const b = built(kind);
    b.put16(b.inodeByte(2), 0x81a4);
    const m = new Mounted(b.bytes);
    expect(errorOf(() => m.inoOf("/"))).toBe("ENOTDIR");
    m.finish();
  });
});

describe("groups", () => {
  test("with a damaged header refuse their inodes, others do not", () => {
    const b = built(WIDE);
    expect(Math.floor(b.inos.get("/file")! / 64)).not.toBe(1);
    const header = (b.groupStart(1) + b.headerAt) * WIDE.fragSize;
    b.put32(header + 4, 0);
    const m = new Mounted(b.bytes);
    expect(readAll(m, "/file")).toBe("OK");
    const other = [...b.inos].find(([, n]) => Math.floor(n / 64) === 1)!;
    expect(saying(() => m.inoOf(other[0]))).toMatch(
      /: ffs: group 1: header in fragment \d+: no magic: EIO$/,
    );
    m.finish();
  });

  test("refuse inodes that were never written", () => {
    const b = built(WIDE);
    const ino = b.inos.get("/after")!;
    const header = (b.groupStart(Math.floor(ino / 64)) + b.headerAt) * WIDE.fragSize;
    b.put32(header + 120, ino % 64);
    const m = new Mounted(b.bytes);
    expect(saying(() => m.inoOf("/after"))).toBe(
      `/after: ffs: inode ${ino} was never written: EIO`,
    );
    m.finish();
  });

  test("too short for their inodes refuse them", () => {
    const b = built({ ...KIND, groups: 4, step: 4, mask: ~3, shorter: 0 });
    b.put32(b.place + 24, 460); // groups 1 to 3 start where they end
    const m = new Mounted(b.bytes);
    expect(errorOf(() => m.inoOf("/file"))).toBe("OK"); // in group 0
    const other = [...b.inos].find(([, n]) => Math.floor(n / 64) === 1)!;
    expect(saying(() => m.inoOf(other[0]))).toMatch(
      /: ffs: group 1: its inodes end at \d+, its fragments are 480 at 480: EIO$/,
    );
    m.finish();
  });
});

describe("symlinks", () => {
  const target = (change: (b: Builder, ino: number) => void): string => {
    const b = built(KIND);
    change(b, b.inos.get("/slow")!);
    const m = new Mounted(b.bytes);
    const said = saying(() => m.with("/slow", (vp) => vp.ops.readlink(vp), false));
    m.finish();
    return said;
  };

  test("of no size, of more than a block, or without their block are EIO", () => {
    const refused = /^ffs: symlink inode \d+ has \d+ bytes: EIO$/;
    expect(target(() => {})).toBe("OK");
    expect(target((b, ino) => b.put64(b.inodeByte(ino) + 8, 0))).toMatch(refused);
    expect(target((b, ino) => b.put64(b.inodeByte(ino) + 8, 4097))).toMatch(refused);
    expect(target((b, ino) => b.putPointer(b.slots(ino), 0))).toMatch(/: a hole: EIO$/);
    expect(target((b, ino) => b.putPointer(b.slots(ino), 3))).toMatch(/leads to no data.*: EIO$/);
  });

  test("readlink of something else is EINVAL", () => {
    const m = new Mounted(built(KIND).bytes);
    expect(errorOf(() => m.with("/file", (vp) => vp.ops.readlink(vp)))).toBe("EINVAL");
    m.finish();
  });

  test("that lead to themselves are ELOOP", () => {
    const b = new Builder(KIND);
    b.symlink("/a", "b");
    b.symlink("/b", "a");
    const m = new Mounted(b.finish());
    expect(errorOf(() => m.inoOf("/a"))).toBe("ELOOP");
    m.finish();
  });
});

test("a file in the place of a directory's fragments has both read", () => {
  // The directory ends in fragments; the file claims the whole block that they lie in.
  const b = built(KIND);
  const little = !KIND.bigEndian;
  const frag = b.view.getInt32(b.slots(b.inos.get("/slow")!), little);
  const block = frag - (frag % b.frags);
  b.putPointer(b.slots(b.inos.get("/file")!) + 12 * 4, block);
  const m = new Mounted(b.bytes);
  expect(errorOf(() => m.with("/slow", (vp) => vp.ops.readlink(vp), false))).toBe("OK");
  expect(["OK", "EIO"]).toContain(readAll(m, "/file"));
  expect(errorOf(() => m.with("/dir", (vp) => list(vp)))).toBe("OK");
  m.finish();
});

test.each(KINDS)("any read of the disk may fail, %s", (_name, kind) => {
  const { bytes } = built(kind);
  const outcomes: Outcome[] = [];
  // The last ones read nothing: everything was read before.
  for (let n = 1; outcomes.at(-1) !== "as good"; n++) outcomes.push(meet(bytes, n));
  expect(outcomes.length).toBeGreaterThan(10);
  expect(outcomes[0]).toBe("refused");
  const rest = outcomes.filter((outcome) => outcome === "damaged");
  expect(rest.length).toBeGreaterThan(outcomes.length - 6);
});

test("nothing is written", () => {
  const m = new Mounted(built(KIND).bytes);
  const va = m.kmem.alloc(4096);
  const uio = new Uio(UioRw.WRITE, m.kmem.space, [{ base: va, length: 5 }], 0);
  expect(m.with("/file", (vp) => vp.ops.write(vp, uio, 0))).toBe(Errno.EROFS);
  expect(m.with("/file", (vp) => vnWrite(vp, uio, 0))).toBe(Errno.EROFS);
  m.kmem.free(va, 4096);
  m.finish();
});
