/** Name lookup over a tree in memory: where paths lead, how they fail, and that no vnode leaks. */
import { ErrnoError, errnoName } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NameiOptions } from "../src/index.ts";
import { MAXSYMLINKS, namei } from "../src/index.ts";
import type { Tree } from "./memory-fs.ts";
import { MemoryFs } from "./memory-fs.ts";

const LONG = "n".repeat(255);

/** Links 1 … 40, each to the one before; 0 is a file. */
const chain = (count: number): Tree =>
  Object.fromEntries(
    Array.from({ length: count + 1 }, (_, i) => [`l${i}`, i === 0 ? null : `l${i - 1}`]),
  );

const TREE: Tree = {
  file: null,
  [LONG]: null,
  "naïve Ω": null,
  dir: {
    file: null,
    sub: { deep: null, up: "../file", top: "/file", here: ".", apex: "/" },
    "to-sub": "sub",
    "to-sub-slash": "sub/",
    "to-file-slash": "file/",
  },
  "to-dir": "dir",
  "to-abs": "/dir/sub",
  "to-file": "file",
  "to-link": "to-dir/to-sub",
  nowhere: "missing/x",
  empty: "",
  nul: "a\0b",
  long: "n/".repeat(2100),
  longname: `${LONG}n`,
  unreadable: "unreadable",
  self: "self",
  ping: "pong",
  pong: "/dir/../ping",
  chain: chain(40),
};

/** Look `path` up and give the vnode back. @returns its inode number, or the name of the error. */
function resolve(fs: MemoryFs, path: string, options?: NameiOptions, from = "/"): number | string {
  return fs.sched.runSync(
    (function* () {
      const root = yield* fs.mount.root();
      const start = yield* namei(root, from);
      fs.mount.vrele(start);
      expect(fs.mount.usedVnodes).toBe(1);
      try {
        const vp = yield* namei(root, path, options);
        expect(fs.mount.usedVnodes).toBe(vp === root ? 1 : 2);
        expect(vp.useCount).toBe(vp === root ? 2 : 1);
        fs.mount.vrele(vp);
        return vp.ino;
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error;
        expect(fs.mount.usedVnodes).toBe(1);
        expect(root.useCount).toBe(1);
        return errnoName(error.errno);
      } finally {
        fs.mount.vrele(root);
      }
    })(),
  );
}

const FOUND: [path: string, leadsTo: string][] = [
  ["/", "/"],
  [".", "/"],
  ["..", "/"],
  ["/../..", "/"],
  ["file", "/file"],
  ["/file", "/file"],
  ["//dir///sub//deep", "/dir/sub/deep"],
  ["dir/", "/dir"],
  ["dir/.", "/dir"],
  ["dir/./sub/.././file", "/dir/file"],
  ["dir/sub/../..", "/"],
  ["dir/sub/../../../../file", "/file"],
  [LONG, `/${LONG}`],
  ["naïve Ω", "/naïve Ω"],
  ["to-dir", "/dir"],
  ["to-dir/", "/dir"],
  ["to-dir/file", "/dir/file"],
  ["to-dir/..", "/"],
  ["to-abs", "/dir/sub"],
  ["to-abs/deep", "/dir/sub/deep"],
  ["to-abs/..", "/dir"],
  ["to-file", "/file"],
  ["to-link", "/dir/sub"],
  ["to-link/deep", "/dir/sub/deep"],
  ["dir/to-sub-slash", "/dir/sub"],
  ["dir/to-sub-slash/deep", "/dir/sub/deep"],
  ["dir/sub/up", "/dir/file"],
  ["dir/sub/top", "/file"],
  ["dir/sub/here", "/dir/sub"],
  ["dir/sub/here/here/deep", "/dir/sub/deep"],
  ["dir/sub/apex", "/"],
  ["dir/sub/apex/..", "/"],
  ["dir/sub/apex/dir/sub/deep", "/dir/sub/deep"],
  [`chain/l${MAXSYMLINKS}`, "/chain/l0"],
];

const FAILED: [path: string, error: string][] = [
  ["", "ENOENT"],
  ["missing", "ENOENT"],
  ["dir/missing/deep", "ENOENT"],
  ["to-dir/missing", "ENOENT"],
  ["nowhere", "ENOENT"],
  ["nowhere/deep", "ENOENT"],
  ["empty", "ENOENT"],
  ["empty/deep", "ENOENT"],
  ["file/", "ENOTDIR"],
  ["file/.", "ENOTDIR"],
  ["file/..", "ENOTDIR"],
  ["file/deep", "ENOTDIR"],
  ["to-file/", "ENOTDIR"],
  ["to-file/deep", "ENOTDIR"],
  ["dir/to-file-slash", "ENOTDIR"],
  ["a\0b", "EINVAL"],
  ["dir/\0", "EINVAL"],
  ["nul", "EINVAL"],
  [`${LONG}n`, "ENAMETOOLONG"],
  [`dir/${"ä".repeat(128)}`, "ENAMETOOLONG"],
  [`missing${"/n".repeat(2100)}`, "ENAMETOOLONG"],
  ["long", "ENAMETOOLONG"],
  ["longname", "ENAMETOOLONG"],
  ["unreadable", "EIO"],
  ["self", "ELOOP"],
  ["self/deep", "ELOOP"],
  ["ping", "ELOOP"],
  [`chain/l${MAXSYMLINKS + 1}`, "ELOOP"],
];

describe("namei", () => {
  test.each(FOUND)("%s leads to %s", (path, leadsTo) => {
    const fs = new MemoryFs(TREE);
    expect(resolve(fs, path)).toBe(fs.inoOf(leadsTo));
    fs.finish();
  });

  test.each(FAILED)("%j fails with %s", (path, error) => {
    const fs = new MemoryFs(TREE);
    expect(resolve(fs, path)).toBe(error);
    fs.finish();
  });

  const NOFOLLOW: [path: string, leadsTo: string][] = [
    ["to-dir", "/to-dir"],
    ["to-dir/", "/dir"],
    ["to-dir/.", "/dir"],
    ["to-dir/to-sub", "/dir/to-sub"],
    ["self", "/self"],
    ["empty", "/empty"],
    ["file", "/file"],
    ["dir/sub/apex/to-link", "/to-link"],
  ];
  test.each(NOFOLLOW)("%s leads to %s when the last symlink is not followed", (path, leadsTo) => {
    const fs = new MemoryFs(TREE);
    expect(resolve(fs, path, { follow: false })).toBe(fs.inoOf(leadsTo));
    fs.finish();
  });

  test("fails with the error of an inode that cannot be read, and leaks nothing", () => {
    const fs = new MemoryFs(TREE);
    fs.broken.add(fs.inoOf("/dir/sub"));
    for (const path of ["dir/sub/deep", "to-abs", "to-link/deep", "dir/to-sub"]) {
      expect(resolve(fs, path)).toBe("EIO");
    }
    fs.finish();
  });

  test("gives up every vnode on random paths, found or not", () => {
    const fs = new MemoryFs(TREE);
    const names = ["dir", "sub", "file", "deep", "..", ".", "", "to-dir", "to-abs", "to-link"];
    const more = ["here", "apex", "up", "top", "self", "missing", "chain", "l30", "to-sub-slash"];
    const part = fc.constantFrom(...names, ...more);
    const path = fc.array(part, { maxLength: 12 }).map((parts) => parts.join("/"));
    const results = new Set<string>();
    fc.assert(
      fc.property(path, fc.boolean(), (text, follow) => {
        const found = resolve(fs, text, { follow });
        results.add(typeof found === "number" ? "found" : found);
      }),
      { numRuns: 1500 },
    );
    for (const result of ["found", "ENOENT", "ENOTDIR", "ELOOP"]) expect(results).toContain(result);
    fs.finish();
  });
});

test("many threads find the same vnodes when they look names up at once", () => {
  const fs = new MemoryFs(TREE);
  const inodes: number[] = [];
  for (let i = 0; i < 12; i++) {
    const path = ["to-link/deep", "dir/sub/deep", "to-abs/deep"][i % 3];
    fs.sched.spawn(
      path,
      (function* () {
        const root = yield* fs.mount.root();
        const vp = yield* namei(root, path);
        inodes.push(vp.ino);
        fs.mount.vrele(vp);
        fs.mount.vrele(root);
      })(),
    );
  }
  fs.sched.pump();
  expect(inodes).toEqual(new Array(12).fill(fs.inoOf("/dir/sub/deep")));
  fs.finish();
});
