/** lookupParent: the directory of a path's last component, what is there, and that no vnode leaks. */
import { ErrnoError, errnoName } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NameiOptions } from "../src/index.ts";
import { lookupParent, namei } from "../src/index.ts";
import type { Tree } from "./memory-fs.ts";
import { MemoryFs } from "./memory-fs.ts";

const LONG = "n".repeat(255);
const TREE: Tree = {
  file: null,
  dir: { file: null, sub: { deep: null } },
  "to-dir": "dir",
  "to-file": "dir/file",
  "to-new": "dir/new",
  "to-new-slash": "dir/new/",
  "to-root": "/",
  "to-link": "to-new",
  nowhere: "missing/x",
  self: "self",
};

/** What lookupParent says: "directory name what[/]", where `what` is the inode's path or "-". */
function parentOf(fs: MemoryFs, path: string, options?: NameiOptions): string {
  return fs.sched.runSync(
    (function* () {
      const root = yield* fs.mount.root();
      try {
        const { dvp, name, vp, trailingSlash } = yield* lookupParent(root, path, options);
        const text = [dvp.ino, name, vp?.ino ?? "-"].join(" ") + (trailingSlash ? "/" : "");
        expect(dvp.lock.held).toBe(false);
        fs.mount.vrele(dvp);
        if (vp !== null) fs.mount.vrele(vp);
        return text;
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error;
        return errnoName(error.errno);
      } finally {
        expect([fs.mount.usedVnodes, root.useCount]).toEqual([1, 1]);
        fs.mount.vrele(root);
      }
    })(),
  );
}

const CASES: [path: string, parent: string, name: string, what: string, slash?: "/"][] = [
  ["file", "/", "file", "/file"],
  ["/new", "/", "new", "-"],
  ["new/", "/", "new", "-", "/"],
  ["new//", "/", "new", "-", "/"],
  ["dir/", "/", "dir", "/dir", "/"],
  ["file/", "/", "file", "/file", "/"],
  ["dir/new", "/dir", "new", "-"],
  ["to-dir/new", "/dir", "new", "-"],
  ["dir/./sub/../new", "/dir", "new", "-"],
  ["dir/..", "/dir", "..", "/"],
  ["..", "/", "..", "/"],
  ["dir/../..", "/", "..", "/"],
  ["dir/sub/..", "/dir/sub", "..", "/dir"],
  [".", "/", ".", "/", "/"],
  ["/", "/", ".", "/", "/"],
  ["///", "/", ".", "/", "/"],
  ["dir/.", "/dir", ".", "/dir", "/"],
  ["dir/./", "/dir", ".", "/dir", "/"],
  ["dir/sub/./.", "/dir/sub", ".", "/dir/sub", "/"],
  ["to-new", "/", "to-new", "/to-new"],
  ["to-new/", "/", "to-new", "/to-new", "/"],
  [LONG, "/", LONG, "-"],
];

describe("lookupParent", () => {
  test.each(CASES)("of %s", (path, parent, name, what, slash) => {
    const fs = new MemoryFs(TREE);
    const ino = what === "-" ? "-" : fs.inoOf(what);
    expect(parentOf(fs, path)).toBe(`${fs.inoOf(parent)} ${name} ${ino}${slash ?? ""}`);
    fs.finish();
  });

  const FOLLOWED: typeof CASES = [
    ["to-file", "/dir", "file", "/dir/file"],
    ["to-new", "/dir", "new", "-"],
    ["to-link", "/dir", "new", "-"],
    ["to-new-slash", "/dir", "new", "-", "/"],
    ["to-new/", "/dir", "new", "-", "/"],
    ["to-root", "/", ".", "/", "/"],
    ["to-dir", "/", "dir", "/dir"],
  ];
  test.each(FOLLOWED)("of %s, followed", (path, parent, name, what, slash) => {
    const fs = new MemoryFs(TREE);
    const ino = what === "-" ? "-" : fs.inoOf(what);
    const found = parentOf(fs, path, { follow: true });
    expect(found).toBe(`${fs.inoOf(parent)} ${name} ${ino}${slash ?? ""}`);
    fs.finish();
  });

  const FAILED: [path: string, error: string, follow?: boolean][] = [
    ["", "ENOENT"],
    ["missing/new", "ENOENT"],
    ["nowhere/new", "ENOENT"],
    ["nowhere", "ENOENT", true],
    ["file/new", "ENOTDIR"],
    ["to-file/new", "ENOTDIR"],
    ["file/..", "ENOTDIR"],
    ["file/.", "ENOTDIR"],
    ["self", "ELOOP", true],
    ["self/new", "ELOOP"],
    [`${LONG}n`, "ENAMETOOLONG"],
    ["a\0b", "EINVAL"],
  ];
  test.each(FAILED)("of %j fails with %s", (path, error, follow = false) => {
    const fs = new MemoryFs(TREE);
    expect(parentOf(fs, path, { follow })).toBe(error);
    fs.finish();
  });

  test("finds what namei finds, on any path, and gives every vnode back", () => {
    const fs = new MemoryFs(TREE, { idleVnodes: 3 });
    const part = fc.constantFrom("dir", "sub", "file", "..", ".", "", "to-dir", "to-file", "new");
    const path = fc.array(part, { maxLength: 8 }).map((parts) => parts.join("/"));
    fc.assert(
      fc.property(path, (text) => {
        const parent = parentOf(fs, text);
        const found = /^\d+ \S+ (\d+)\/?$/.exec(parent)?.[1];
        const slash = parent.endsWith("/");
        if (found === undefined) return;
        const named = fs.sched.runSync(
          (function* () {
            const root = yield* fs.mount.root();
            try {
              const vp = yield* namei(root, text, { follow: false });
              fs.mount.vrele(vp);
              return vp.ino;
            } catch (error) {
              return error instanceof ErrnoError ? error.errno : error;
            } finally {
              fs.mount.vrele(root);
            }
          })(),
        );
        const { type } = fs.inodes.get(Number(found))!;
        if (!slash || type === "directory") expect(named).toBe(Number(found));
      }),
      { numRuns: 400 },
    );
    fs.finish();
  });
});
