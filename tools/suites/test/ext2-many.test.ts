/** Many names in one directory, and many users of one tree. */
import { ErrnoError, errnoName } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import {
  createFile,
  makeDirectory,
  namei,
  removeDirectory,
  renamePath,
  unlinkPath,
  vnRelease,
} from "@physio/vfs";
import { afterAll, describe, expect, test } from "vitest";
import { Chance } from "../src/chance.ts";
import { ImageFolder } from "../src/e2fsck.ts";
import { Ext2Machine } from "../src/ext2-machine.ts";
import { haveE2fsprogs } from "../src/make-image.ts";

const ALL = process.env.PHYSIO_ALL !== undefined; // CI sets it
const FIRST = Number(process.env.PHYSIO_SEED ?? 1);
const WIDE = { name: "many", args: ["-b", "1024", "-N", "10240"], kibibytes: 16384 };
const folder = new ImageFolder();
afterAll(() => folder.remove());

function start(seed?: number): Ext2Machine {
  const m = new Ext2Machine(folder.make(WIDE), seed === undefined ? {} : { seed });
  m.mount();
  return m;
}

function finish(m: Ext2Machine): void {
  m.unmount();
  m.finish();
  expect(folder.fsck(m.disk.media)).toBe("");
}

describe.runIf(haveE2fsprogs())("many names", { timeout: 120_000 }, () => {
  /** Blocks of the buffer cache that a create and an unlink look at, on the average. */
  function cost(m: Ext2Machine, count: number): number {
    const { cache } = m.context;
    const before = cache.hits + cache.misses;
    m.run(
      (function* () {
        yield* makeDirectory(m.top, "/wide");
        for (let i = 0; i < count; i++) yield* vnRelease(yield* createFile(m.top, `/wide/f${i}`));
        for (let i = 0; i < count; i++) yield* unlinkPath(m.top, `/wide/f${(i * 7919) % count}`);
        yield* removeDirectory(m.top, "/wide");
      })(),
    );
    return (cache.hits + cache.misses - before) / count;
  }

  test("a create and an unlink cost the same, however many names there are", () => {
    const m = start();
    const few = cost(m, ALL ? 2500 : 600);
    const many = cost(m, ALL ? 10_000 : 1500);
    expect(many).toBeLessThan(few * 1.4);
    finish(m);
  });
});

describe.runIf(haveE2fsprogs())("many users", { timeout: 120_000 }, () => {
  const HARMLESS = ["ENOENT", "EEXIST", "ENOTEMPTY", "EINVAL", "EISDIR", "ENOTDIR"];

  function* made(m: Ext2Machine, path: string): Sleeps<void> {
    yield* vnRelease(yield* createFile(m.top, path));
  }

  /** Directories whose inode numbers fall from above to below. */
  function* nest(m: Ext2Machine): Sleeps<void> {
    for (const path of ["/c", "/b", "/a"]) yield* makeDirectory(m.top, path);
    yield* renamePath(m.top, "/c", "/b/c");
    yield* renamePath(m.top, "/b", "/a/b");
  }

  /** Make, move and remove the same few names as everybody else. */
  function* user(m: Ext2Machine, chance: Chance, done: Map<string, number>): Sleeps<void> {
    const path = () => {
      if (chance.oneIn(2))
        return chance.pick(["/a", "/a/b", "/a/b/c", "/a/f", "/a/b/f", "/a/b/c/f"]);
      const parts = Array.from({ length: 1 + chance.below(3) }, () => chance.pick(["a", "b", "c"]));
      return `/${parts.join("/")}`;
    };
    for (let i = 0; i < 60; i++) {
      const [from, to] = [path(), path()];
      const calls: (() => Sleeps<unknown>)[] = [
        () => makeDirectory(m.top, from),
        () => makeDirectory(m.top, to),
        () => renamePath(m.top, from, to),
        () => renamePath(m.top, from, to),
        () => removeDirectory(m.top, from),
        () => unlinkPath(m.top, from),
        () => made(m, from),
        () => made(m, `${from}/${i % 5}`),
        function* () {
          yield* vnRelease(yield* namei(m.top, from));
        },
      ];
      let outcome = "OK";
      try {
        yield* chance.pick(calls)();
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error;
        outcome = errnoName(error.errno);
        if (!HARMLESS.includes(outcome)) throw error;
      }
      done.set(outcome, (done.get(outcome) ?? 0) + 1);
      yield* m.sched.preempt();
    }
  }

  test("of one tree do not lock each other out, and leave it whole", () => {
    for (let seed = FIRST; seed < FIRST + (ALL ? 50 : 4); seed++) {
      const m = start(seed);
      const done = new Map<string, number>();
      m.run(nest(m));
      const threads = Array.from({ length: 4 }, (_, i) =>
        m.sched.spawn(`user ${i}`, user(m, new Chance(seed * 10 + i), done)),
      );
      m.run(
        (function* () {
          for (const thread of threads) yield* m.sched.join(thread);
        })(),
      );
      expect(done.get("OK"), `PHYSIO_SEED=${seed}`).toBeGreaterThan(20);
      m.mounted.mount.names.check();
      m.mounted.mount.vnodes.check();
      finish(m);
    }
  });
});
