/** Mounted images of makefs against their manifests, and what of the disk is read for a file. */
import { Errno } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import type { Vnode } from "@physio/vfs";
import { BlockMap } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { FIXTURE_NAMES, fixtureBytes, manifest, sha256 } from "./image.ts";
import { Mounted } from "./mounted.ts";
import { contentsOf, listNames } from "./reading.ts";

/** The fragments of a file by its block map: [first, count], joined. */
function* fragsOf(m: Mounted, vp: Vnode): Sleeps<number[][]> {
  const { blockSize, fragSize, frags } = m.ffs.sb;
  const out = new BlockMap();
  const runs: number[][] = [];
  for (let lbn = 0; lbn * blockSize < vp.size; lbn++) {
    expect(yield* vp.ops.bmap(vp, lbn, out)).toBe(Errno.OK);
    const frag = (out.blkno * 512) / fragSize;
    const left = Math.ceil((vp.size - lbn * blockSize) / fragSize);
    const count = Math.min(left, frags); // istat lists what the size needs
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === frag) last[1] += count;
    else runs.push([frag, count]);
  }
  return runs;
}

describe.each(FIXTURE_NAMES)("%s, mounted", (name) => {
  const { entries, format, rawSha256 } = manifest(name);
  const image = fixtureBytes(name);
  const files = entries.filter((entry) => entry.type === "regular");

  test("is the image of its manifest", () => {
    expect(sha256(image)).toBe(rawSha256);
    const m = new Mounted(image);
    const { sb } = m.ffs;
    expect([sb.blockSize, sb.fragSize]).toEqual([format.blockSize, format.fragmentSize]);
    const used = m.ffs.statistics();
    // Inodes 0 and 1 are nobody's, the root is not listed.
    expect(used.inodes - used.freeInodes).toBe(entries.length + 3);
    expect([used.blockSize, used.inodes]).toEqual([format.fragmentSize, 352]);
    expect(used.freeBlocks).toBeLessThan(used.blocks);
    expect(used.availableBlocks).toBeLessThan(used.freeBlocks);
    m.finish();
  });

  test("has every path, with the attributes of its inode", () => {
    const m = new Mounted(image);
    for (const entry of entries) {
      const { type, mode, mtime, size, ino } = m.sync(
        entry.path,
        (vp) => vp.ops.getattr(vp),
        false,
      );
      const text = `0${mode.toString(8).padStart(3, "0")}`;
      const got = { type, mode: text, mtime, size: entry.size === undefined ? undefined : size };
      const { path } = entry;
      expect({ path, ino: entry.ino, ...got }, path).toEqual({
        path,
        ino: entry.ino === undefined ? undefined : ino,
        type: entry.type,
        mode: entry.mode,
        mtime: entry.mtime,
        size: entry.size,
      });
    }
    m.finish();
  });

  test("every file has its sha256", () => {
    const m = new Mounted(image);
    expect(files.length).toBe(320);
    // Through the whole machine all of them are read, by tools/suites.
    const some = files.filter(({ size }, i) => i % 5 === 0 || size! > 20_000);
    for (const { path, size, sha256: wanted } of process.env.PHYSIO_ALL === undefined
      ? some
      : files) {
      expect(sha256(contentsOf(m, path, 0, size!)), path).toBe(wanted);
    }
    m.finish();
  });

  test("directories have their names, symlinks their targets", () => {
    const m = new Mounted(image);
    for (const { path, names, target } of entries) {
      if (names !== undefined) {
        expect(listNames(m, path).sort(), path).toEqual([".", "..", ...names].sort());
      }
      if (target === undefined) continue;
      expect(m.with(path, (vp) => vp.ops.readlink(vp), false)).toBe(target);
    }
    m.finish();
  });

  test("every file has the fragments that istat lists", () => {
    const m = new Mounted(image);
    for (const { path, frags, type } of entries) {
      if (frags === undefined || type !== "regular") continue;
      const got = m.with(path, (vp) => fragsOf(m, vp));
      expect(got, path).toEqual(frags);
    }
    m.finish();
  });

  test("of a small file nothing is read beyond its last fragment", () => {
    const { blockSize, fragmentSize: fragSize } = format;
    const small = files.filter(({ size }) => size! > 0 && size! < 12 * blockSize);
    expect(small.length).toBeGreaterThan(300);
    for (const { path, size } of small.filter((_, i) => i % 20 === 0)) {
      const m = new Mounted(image);
      m.inoOf(path);
      const before = m.reads.length;
      contentsOf(m, path, 0, size!);
      const bytes = m.reads.slice(before).reduce((sum, [, length]) => sum + length, 0);
      expect(bytes, path).toBe(Math.ceil(size! / fragSize) * fragSize);
      m.finish();
    }
  });
});
