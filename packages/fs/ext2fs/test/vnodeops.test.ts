/** A mounted image against its manifest: names, attributes, symlinks, directories and every block. */
import { Uio, UioRw } from "@physio/carriers";
import { Errno, KiB } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { DirEntry, Vnode } from "@physio/vfs";
import { BlockMap } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import type { ManifestEntry } from "./image.ts";
import { FIXTURE_NAMES, fixtureBytes, manifest } from "./image.ts";
import { errorOf, Mounted } from "./mounted.ts";

function* list(vp: Vnode, cookie = 0): Sleeps<DirEntry[]> {
  const all: DirEntry[] = [];
  for (let at = cookie; at >= 0; ) {
    const batch = yield* vp.ops.readdir(vp, at);
    all.push(...batch.entries);
    at = batch.next;
  }
  return all;
}

/** Walk the whole block map by its runs; each must be what the manifest says, holes too. */
function* checkMap(entry: ManifestEntry, vp: Vnode, blockSize: number): Sleeps<number> {
  const blocks = new Map<number, number>();
  for (const [logical, physical, count] of entry.runs ?? []) {
    for (let i = 0; i < count; i++) blocks.set(logical + i, physical + i);
  }
  const mapped = [...blocks.keys()].sort((a, b) => a - b);
  const out = new BlockMap();
  const total = Math.ceil(entry.size / blockSize);
  const perBlock = blockSize / 512;
  let nextMapped = 0;
  let asked = 0;
  for (let lbn = 0; lbn < total; asked++) {
    expect(yield* vp.ops.bmap(vp, lbn, out)).toBe(Errno.OK);
    while (nextMapped < mapped.length && mapped[nextMapped] < lbn) nextMapped++;
    if (out.blkno < 0) {
      // The hole ends before the next block of the manifest.
      const next = mapped[nextMapped] ?? Number.POSITIVE_INFINITY;
      if (!(lbn + out.run < next)) expect([entry.path, lbn, out.run]).toBe(`a block at ${next}`);
      lbn += 1 + out.run;
      continue;
    }
    for (let i = 0; i <= out.run && lbn + i < total; i++) {
      const found = out.blkno / perBlock + i;
      if (found !== blocks.get(lbn + i))
        expect([entry.path, lbn + i, found]).toBe(blocks.get(lbn + i));
    }
    lbn++; // every block that is mapped is asked for by itself
  }
  return asked;
}

describe.each(FIXTURE_NAMES)("%s, mounted", (name) => {
  const { entries } = manifest(name);
  const image = fixtureBytes(name);

  test("has every path, with the attributes of its inode", () => {
    const m = new Mounted(image);
    for (const entry of entries) {
      const body = (vp: Vnode): void => {
        const a = vp.ops.getattr(vp);
        const mode = `0${a.mode.toString(8).padStart(3, "0")}`;
        const { type, ino, uid, gid, size, links, sectors, mtime } = a;
        const rdev = a.rdev === null ? {} : { rdev: [a.rdev.major, a.rdev.minor] };
        expect({
          ...entry,
          type,
          ino,
          mode,
          uid,
          gid,
          size,
          links,
          sectors,
          mtime,
          ...rdev,
        }).toEqual(entry);
        expect(vp.size).toBe(entry.size);
      };
      m.sync(entry.path, body, false);
    }
    expect(errorOf(() => m.inoOf("/not-there"))).toBe("ENOENT");
    m.finish();
  });

  test("maps every block of every entry to where the manifest says, and nothing else", () => {
    const m = new Mounted(image);
    const { blockSize } = m.ext2.sb;
    let asked = 0;
    for (const entry of entries) {
      if (entry.runs === undefined) continue;
      asked += m.with(entry.path, (vp) => checkMap(entry, vp, blockSize), false);
    }
    const blocks = entries.flatMap((e) => e.runs ?? []).reduce((sum, run) => sum + run[2], 0);
    expect(asked).toBeGreaterThanOrEqual(blocks * 0.9);
    m.finish();
  });

  test("reads the targets of symlinks, short and long", () => {
    const m = new Mounted(image);
    const links = entries.filter((entry) => entry.target !== undefined);
    expect(links.length).toBeGreaterThan(0);
    for (const { path, target } of links) {
      expect(m.with(path, (vp) => vp.ops.readlink(vp), false)).toBe(target);
    }
    expect(errorOf(() => m.with("/", (vp) => vp.ops.readlink(vp)))).toBe("EINVAL");
    m.finish();
  });

  test("lists every directory, whole and from any cookie", () => {
    const m = new Mounted(image);
    for (const { path, names } of entries.filter((entry) => entry.type === "directory")) {
      m.with(path, function* (vp): Sleeps<void> {
        const all = yield* list(vp);
        expect(all.map((entry) => entry.name).sort()).toEqual([...(names ?? [])].sort());
        for (let cookie = 0; cookie < vp.size; cookie += 12 + 4 * (cookie % 61)) {
          const rest = yield* list(vp, cookie);
          expect(rest).toEqual(all.slice(all.length - rest.length));
          if (cookie === 0) expect(rest.length).toBe(all.length);
        }
        expect(yield* list(vp, vp.size)).toEqual([]);
        expect(yield* list(vp, vp.size + 100_000)).toEqual([]);
      });
    }
    m.finish();
  });

  test("knows a directory by one vnode, also through dot and dot-dot", () => {
    const m = new Mounted(image);
    for (const { path, ino, names } of entries.filter((entry) => entry.type === "directory")) {
      expect(m.inoOf(`${path}/.`)).toBe(ino);
      for (const name of (names ?? []).slice(0, 40)) {
        const child = entries.find((e) => e.path === `${path === "/" ? "" : path}/${name}`);
        if (child?.type !== "directory") continue;
        expect(m.inoOf(`${path}/${name}/..`)).toBe(ino);
      }
    }
    m.finish();
  });

  test("is read whole on a machine whose memory it does not fit in", () => {
    const m = new Mounted(image, 512 * KiB);
    const va = m.kmem.alloc(16 * KiB);
    for (const { path, type, size } of entries) {
      if (type !== "regular") continue;
      const error = m.with(path, function* (vp): Sleeps<Errno> {
        const uio = new Uio(UioRw.READ, m.kmem.space, [{ base: va, length: 16 * KiB }], 0);
        const result = yield* vp.ops.read(vp, uio, 0);
        expect(uio.offset).toBe(Math.min(size, 16 * KiB));
        return result;
      });
      expect([path, error]).toEqual([path, Errno.OK]);
    }
    expect(m.pages.reclaimed).toBeGreaterThan(0);
    m.kmem.free(va, 16 * KiB);
    m.finish();
  });
});
