/** The name cache: hits, negative entries, the bound, what a purge forgets, and a model of it. */
import { PAGE_SIZE } from "@physio/kern";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Vnode } from "../src/index.ts";
import { lookupIn, NameCache, namei, vnLock, vnUnlock, zeroRange } from "../src/index.ts";
import { MemoryFs } from "./memory-fs.ts";

const TREE = { a: null, b: null, dir: { a: null, sub: { deep: null } } };

/** A cache and the vnodes 2 … 7 of the tree, referenced. */
function scene(limit = 10): { fs: MemoryFs; cache: NameCache; vnodes: Vnode[]; end: () => void } {
  const fs = new MemoryFs(TREE);
  const vnodes = [2, 3, 4, 5, 6, 7].map((ino) => fs.get(ino));
  const end = () => {
    for (const vp of vnodes) fs.mount.vrele(vp);
    fs.finish();
  };
  return { fs, cache: new NameCache(limit), vnodes, end };
}

describe("entries", () => {
  test("are found, also the word that there is no such name, and counted", () => {
    const { cache, vnodes, end } = scene();
    const [root, a, b] = vnodes;
    expect(cache.lookup(root, "a")).toBe(undefined);
    cache.enter(root, "a", a);
    cache.enter(root, "none", null);
    expect([cache.lookup(root, "a"), cache.lookup(root, "none")]).toEqual([a, null]);
    expect(cache.lookup(b, "a")).toBe(undefined);
    expect([cache.hits, cache.negativeHits, cache.misses]).toEqual([1, 1, 2]);
    cache.enter(root, "none", b); // it was made
    cache.enter(root, "a", null); // it was removed
    expect([cache.lookup(root, "a"), cache.lookup(root, "none")]).toEqual([null, b]);
    expect(cache.length).toBe(2);
    cache.check();
    end();
  });

  test("beyond the limit go, the one used longest ago first", () => {
    const { cache, vnodes, end } = scene(3);
    const [root, a] = vnodes;
    for (const name of ["one", "two", "three"]) cache.enter(root, name, a);
    cache.lookup(root, "one");
    cache.enter(root, "four", null);
    const known = ["one", "two", "three", "four"].map((name) => cache.lookup(root, name));
    expect(known).toEqual([a, undefined, a, null]);
    cache.check();
    end();
  });

  test("of dot and dot-dot, or with a limit of 0, are not made", () => {
    const { cache, vnodes, end } = scene();
    const [root, a] = vnodes;
    cache.enter(root, ".", root);
    cache.enter(root, "..", root);
    const none = new NameCache(0);
    none.enter(root, "a", a);
    expect([cache.length, none.length]).toEqual([0, 0]);
    end();
  });
});

test("purges forget a name, a directory, a vnode with its names and children, everything", () => {
  const { cache, vnodes, end } = scene();
  const [root, a, b, dir] = vnodes;
  const fill = () => {
    cache.enter(root, "a", a);
    cache.enter(root, "alias", a);
    cache.enter(root, "dir", dir);
    cache.enter(dir, "b", b);
    cache.enter(dir, "none", null);
  };
  fill();
  cache.purge(root, "a");
  expect([cache.lookup(root, "a"), cache.lookup(root, "alias")]).toEqual([undefined, a]);
  fill();
  cache.purgeDirectory(dir);
  expect([cache.length, cache.lookup(root, "dir")]).toEqual([3, dir]);
  fill();
  cache.purgeVnode(dir);
  expect([cache.length, cache.lookup(root, "dir")]).toEqual([2, undefined]);
  fill();
  cache.purgeVnode(a);
  expect([cache.length, cache.lookup(root, "alias")]).toEqual([3, undefined]);
  cache.check();
  cache.clear();
  expect([cache.length, cache.lookup(dir, "b")]).toEqual([0, undefined]);
  cache.check();
  end();
});

test("any order of operations agrees with a list in the order of use", () => {
  const { cache, vnodes, end } = scene(6);
  const command = fc.record({
    what: fc.constantFrom("enter", "none", "lookup", "lookup", "purge", "directory", "vnode"),
    dvp: fc.nat({ max: 2 }),
    vp: fc.nat({ max: 5 }),
    name: fc.constantFrom("p", "q", "r"),
  });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      let model: { dvp: Vnode; name: string; vp: Vnode | null }[] = [];
      cache.clear();
      for (const { what, name, ...at } of commands) {
        const [dvp, vp] = [vnodes[at.dvp], vnodes[at.vp]];
        const is = (e: { dvp: Vnode; name: string }) => e.dvp === dvp && e.name === name;
        const found = model.find(is);
        if (what === "lookup") {
          expect(cache.lookup(dvp, name)).toBe(found?.vp);
          if (found !== undefined) model = [...model.filter((e) => !is(e)), found];
        } else if (what === "enter" || what === "none") {
          const entry = { dvp, name, vp: what === "none" ? null : vp };
          cache.enter(dvp, name, entry.vp);
          model = [...model.filter((e) => !is(e)), entry].slice(-6);
        } else if (what === "purge") {
          cache.purge(dvp, name);
          model = model.filter((e) => !is(e));
        } else if (what === "directory") {
          cache.purgeDirectory(dvp);
          model = model.filter((e) => e.dvp !== dvp);
        } else {
          cache.purgeVnode(vp);
          model = model.filter((e) => e.dvp !== vp && e.vp !== vp);
        }
        cache.check();
        expect(cache.length).toBe(model.length);
      }
    }),
    { numRuns: 150 },
  );
  cache.clear();
  end();
});

describe("namei", () => {
  test("asks the file system once for a name, found or not", () => {
    const fs = new MemoryFs(TREE);
    fs.sched.runSync(
      (function* () {
        const root = yield* fs.mount.root();
        for (let i = 0; i < 3; i++) {
          fs.mount.vrele(yield* namei(root, "dir/sub/deep"));
          yield* vnLock(root, 0);
          expect(yield* lookupIn(root, "none")).toBe(null);
          vnUnlock(root);
        }
        fs.mount.vrele(root);
      })(),
    );
    expect(fs.lookups).toBe(4);
    expect([fs.mount.names.hits, fs.mount.names.negativeHits]).toEqual([6, 2]);
    fs.finish();
  });

  test("does not remember an error", () => {
    const fs = new MemoryFs(TREE);
    fs.broken.add(fs.inoOf("/a"));
    const find = () =>
      fs.sched.runSync(
        (function* () {
          const root = yield* fs.mount.root();
          try {
            const vp = yield* namei(root, "a");
            fs.mount.vrele(vp);
            return vp.ino;
          } finally {
            fs.mount.vrele(root);
          }
        })(),
      );
    expect(find).toThrow("EIO");
    fs.broken.clear();
    expect(find()).toBe(fs.inoOf("/a"));
    fs.finish();
  });

  test("waits for a vnode that is being ended, and gets a new one", () => {
    const fs = new MemoryFs(TREE);
    fs.files.contents.set(fs.inoOf("/a"), new Uint8Array(PAGE_SIZE));
    const find = function* () {
      const root = yield* fs.mount.root();
      const vp = yield* namei(root, "a");
      fs.mount.vrele(root);
      return vp;
    };
    const first = fs.sched.runSync(find());
    fs.sched.runSync(zeroRange(first, 0, 10));
    fs.mount.vrele(first);
    const cleaner = fs.sched.start(fs.mount.vnodes.clean(first));
    fs.sched.step();
    expect(first.state).toBe("cleaning");
    const second = fs.sched.runSync(find());
    expect([fs.sched.resultOf(cleaner), first.state, second.state]).toEqual([0, "dead", "loaded"]);
    fs.mount.vrele(second);
    fs.finish();
  });

  test("finds a name again whose vnode was ended meanwhile", () => {
    const fs = new MemoryFs(TREE, { idleVnodes: 1 });
    const find = (path: string) =>
      fs.sched.runSync(
        (function* () {
          const root = yield* fs.mount.root();
          const vp = yield* namei(root, path);
          fs.mount.vrele(vp);
          fs.mount.vrele(root);
          return vp;
        })(),
      );
    const first = find("a");
    for (const path of ["dir/sub/deep", "b", "dir/a"]) find(path);
    expect(first.state).toBe("dead");
    const second = find("a");
    expect([second === first, second.ino, second.state]).toEqual([false, first.ino, "loaded"]);
    fs.finish();
  });
});
