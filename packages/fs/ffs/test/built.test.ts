/** Built images of every kind, mounted: all that was put in comes out. */
import { describe, expect, test } from "vitest";
import type { Kind } from "./build.ts";
import { byteAt, KIND, mixedTree } from "./build.ts";
import { Mounted } from "./mounted.ts";
import { contentsOf, listNames } from "./reading.ts";

/** The first four go together through everything that the others have one by one. */
const ALL: readonly Kind[] = [
  { ...KIND, bigEndian: true, fragSize: 512, step: 8, mask: ~3, shorter: 3 },
  { ...KIND, oldInodes: true, step: 4, mask: ~1 },
  { ...KIND, version: 2, bigEndian: true, blockSize: 8192, fragSize: 1024, groupFrags: 760 },
  { ...KIND, version: 2, place: 0, fragSize: 512, groupFrags: 1000, shorter: 41 },
  KIND,
  { ...KIND, blockSize: 8192, fragSize: 8192, groupFrags: 100, shorter: 20 },
  { ...KIND, oldInodes: true, bigEndian: true },
  { ...KIND, version: 2, groupInodes: 64, groupFrags: 560 },
  { ...KIND, version: 2, bigEndian: true, place: 8192, fragSize: 4096, groupFrags: 200 },
  { ...KIND, place: 0 },
  { ...KIND, version: 2, blockSize: 65_536, fragSize: 8192, groupFrags: 640, groupInodes: 256 },
  {
    ...KIND,
    bigEndian: true,
    blockSize: 65_536,
    fragSize: 16_384,
    groupFrags: 320,
    groupInodes: 512,
  },
];
const KINDS = process.env.PHYSIO_ALL === undefined ? ALL.slice(0, 4) : ALL;

const title = (kind: Kind): string =>
  `version ${kind.version}, ${kind.bigEndian ? "big" : "little"}-endian, ` +
  `${kind.blockSize}/${kind.fragSize}${kind.oldInodes === true ? ", old inodes" : ""}`;

describe.each(KINDS.map((kind) => [title(kind), kind] as const))("%s", (_title, kind) => {
  const built = mixedTree(kind);
  const image = built.finish();

  test("files have their bytes, holes are zeros", () => {
    const m = new Mounted(image);
    for (const { path, ino, size, blocks } of built.files) {
      expect(m.inoOf(path)).toBe(ino);
      expect(m.sync(path, (vp) => vp.size)).toBe(size);
      // Of files with holes, the blocks that are there and one more on each side.
      const wanted = blocks === null ? [0] : [...blocks].flatMap((lbn) => [lbn - 1, lbn, lbn + 1]);
      const length = blocks === null ? size : kind.blockSize;
      for (const lbn of new Set(wanted.filter((n) => n >= 0))) {
        const at = lbn * kind.blockSize;
        const got = contentsOf(m, path, at, Math.min(length, Math.max(0, size - at)));
        const hole = blocks !== null && !blocks.has(lbn);
        const bad = got.findIndex((byte, i) => byte !== (hole ? 0 : byteAt(path, at + i)));
        if (bad >= 0) expect(`${path}: byte ${at + bad} is ${got[bad]}`).toBe("as written");
      }
    }
    m.finish();
  });

  test("directories have their names, symlinks their targets", () => {
    const m = new Mounted(image);
    for (const [path, entries] of built.names) {
      const wanted = [".", "..", ...entries.map(([name]) => name)];
      expect(listNames(m, path === "" ? "/" : path), path).toEqual(wanted);
    }
    for (const [path, target] of built.links) {
      expect(m.with(path, (vp) => vp.ops.readlink(vp), false)).toBe(target);
    }
    expect(m.inoOf("/links/up")).toBe(built.inos.get("/sizes/two"));
    m.finish();
  });

  test("attributes are those of the inode", () => {
    const m = new Mounted(image);
    const ino = built.inos.get("/sizes/two")!;
    const owner = kind.oldInodes === true ? { uid: ino + 7, gid: ino + 8 } : {};
    expect(m.sync("/sizes/two", (vp) => vp.ops.getattr(vp))).toMatchObject({
      type: "regular",
      mode: 0o644,
      ino,
      links: 1,
      uid: ino + 70_000,
      gid: ino + 80_000,
      ...owner,
      atime: 1000 * ino,
      mtime: 1000 * ino + 1,
      ctime: 1000 * ino + 2,
      blockSize: kind.blockSize,
      rdev: null,
    });
    const device = (path: string) => m.sync(path, (vp) => vp.ops.getattr(vp));
    expect(device("/null")).toMatchObject({ type: "character special", mode: 0o666 });
    expect(device("/null").rdev).toEqual({ major: 2, minor: 3 });
    expect(device("/disk")).toMatchObject({ type: "block special", mode: 0o600 });
    expect(device("/disk").rdev).toEqual({ major: 0x345, minor: 0x1267 });
    expect(device("/pipe").type).toBe("FIFO");
    expect(device("/socket").type).toBe("socket");
    m.finish();
  });
});
