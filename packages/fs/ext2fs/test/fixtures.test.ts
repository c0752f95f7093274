import { decodeName } from "@physio/kern";
import { describe, expect, test } from "vitest";
import { DirentCursor, findDirent } from "../src/dirent.ts";
import { fastSymlinkTarget, isFastSymlink, isUnused } from "../src/inode.ts";
import { MODE_PERMISSIONS } from "../src/layout.ts";
import type { Image, ManifestEntry } from "./image.ts";
import {
  blockBytes,
  blockOf,
  FIXTURE_NAMES,
  fixtureBytes,
  manifest,
  openImage,
  readInode,
} from "./image.ts";

/** Names and inodes in a directory, in the order of the disk. */
function readNames(image: Image, ino: number): [name: string, ino: number][] {
  const cursor = new DirentCursor(image.sb);
  const seen: [string, number][] = [];
  for (const at of blockBytes(image, readInode(image, ino))) {
    cursor.open(image.bytes, at);
    while (cursor.next()) {
      seen.push([decodeName(image.bytes, cursor.nameOffset, cursor.nameEnd), cursor.ino]);
    }
  }
  return seen;
}

/** The inode at the end of a path, found name by name with `findDirent`. */
function resolve(image: Image, path: string): number {
  let ino = 2;
  for (const name of path.split("/").filter((part) => part !== "")) {
    const bytes = new Uint8Array(Buffer.from(name));
    let found = 0;
    for (const at of blockBytes(image, readInode(image, ino))) {
      found = findDirent(image.bytes, at, image.sb, bytes);
      if (found !== 0) break;
    }
    ino = found;
    if (ino === 0) break;
  }
  return ino;
}

function checkInode(image: Image, entry: ManifestEntry): void {
  const inode = readInode(image, entry.ino);
  const { blockSize } = image.sb;
  expect(isUnused(inode)).toBe(false);
  expect({
    ...entry,
    type: inode.type,
    mode: `0${(inode.mode & MODE_PERMISSIONS).toString(8).padStart(3, "0")}`,
    uid: inode.uid,
    gid: inode.gid,
    size: inode.size,
    links: inode.links,
    sectors: inode.sectors,
    mtime: inode.mtime,
    ...(inode.rdev === null ? {} : { rdev: [inode.rdev.major, inode.rdev.minor] }),
  }).toEqual(entry);
  if (entry.target !== undefined) {
    expect(isFastSymlink(inode, blockSize)).toBe(entry.fast ?? false);
    const at = blockOf(image, inode, 0) * blockSize;
    const target = entry.fast
      ? fastSymlinkTarget(inode)
      : image.bytes.subarray(at, at + inode.size);
    expect(decodeName(target)).toBe(entry.target);
  }
  for (const [logical, physical, count] of entry.runs ?? []) {
    for (const i of [0, count - 1]) expect(blockOf(image, inode, logical + i)).toBe(physical + i);
  }
}

describe.each(FIXTURE_NAMES)("%s, against what debugfs says of it", (name) => {
  const image = openImage(fixtureBytes(name));
  const { entries } = manifest(name);

  test("every entry has its inode, owner, size, times, device and first blocks", () => {
    for (const entry of entries) checkInode(image, entry);
  });

  test("every directory has its names, and no other", () => {
    const directories = entries.filter((entry) => entry.type === "directory");
    expect(directories.length).toBeGreaterThan(5);
    for (const { ino, names, path } of directories) {
      const seen = readNames(image, ino).map(([text]) => text);
      expect(seen.sort(), path).toEqual([...(names ?? [])].sort());
    }
  });

  test("every path leads to its inode", () => {
    for (const { path, ino } of entries) expect(resolve(image, path), path).toBe(ino);
    expect(resolve(image, "/not-there")).toBe(0);
  });

  test("every used inode of the table is one of the manifest or reserved", () => {
    const known = new Set(entries.map((entry) => entry.ino));
    for (let ino = image.sb.firstInode; ino <= image.sb.inodesCount; ino++) {
      expect([ino, isUnused(readInode(image, ino))]).toEqual([ino, !known.has(ino)]);
    }
  });
});
