/** The life of vnodes: written back before they end, kept when that fails, told of their last user. */
import { Errno, ErrnoError, PAGE_SIZE, Panic } from "@physio/kern";
import type { Sleeps } from "@physio/sched";
import { RW_READER, RW_WRITER } from "@physio/sched";
import { Pg } from "@physio/uvm";
import { describe, expect, test } from "vitest";
import type { Vnode } from "../src/index.ts";
import { vnLock, zeroRange } from "../src/index.ts";
import type { MemoryFsOptions } from "./memory-fs.ts";
import { Chance, errorOf, MemoryFs, seeds } from "./memory-fs.ts";

const FILES = 12;
const FIRST = 3;
const INODES = Array.from({ length: FILES }, (_, i) => FIRST + i);

function scene(options: MemoryFsOptions = {}): MemoryFs {
  const fs = new MemoryFs(Object.fromEntries(INODES.map((ino) => [`f${ino}`, null])), {
    idleVnodes: 2,
    ...options,
  });
  for (const ino of INODES) fs.files.contents.set(ino, new Uint8Array(PAGE_SIZE).fill(ino));
  return fs;
}

/** Get a file, make its page dirty, and give it back. */
function* touch(fs: MemoryFs, ino: number): Sleeps<Vnode> {
  const vp = yield* fs.mount.vget(ino);
  yield* vnLock(vp, RW_WRITER);
  expect(yield* zeroRange(vp, 0, 10)).toBe(Errno.OK);
  yield* fs.mount.vput(vp);
  return vp;
}

const zeroed = (fs: MemoryFs, ino: number): boolean =>
  fs.files.page(ino, 0)[9] === 0 && fs.files.page(ino, 0)[10] === ino;

describe("a dirty vnode", () => {
  test("is written before it ends; who wants its inode sleeps until then", () => {
    const fs = scene();
    const first = fs.sched.runSync(touch(fs, 3));
    let again: Vnode | null = null;
    const getter = function* (): Sleeps<void> {
      while (first.state !== "cleaning") yield* fs.sched.pause("look", 100);
      expect(fs.mount.cached(3)).toBe(null);
      expect(() => fs.mount.vref(first)).toThrow(Panic);
      again = yield* fs.mount.vget(3);
      expect(zeroed(fs, 3)).toBe(true);
    };
    const fill = function* (): Sleeps<void> {
      for (const ino of [4, 5, 6]) fs.mount.vrele(yield* fs.mount.vget(ino));
    };
    const threads = [getter(), fill()].map((body) => fs.sched.start(body));
    fs.sched.pump();
    for (const thread of threads) fs.sched.resultOf(thread);
    expect([first.state, again === first]).toEqual(["dead", false]);
    expect(fs.files.written).toEqual(["3:0"]);
    fs.mount.vrele(again!);
    fs.finish();
  });

  test("that cannot be written is kept with its data, and unmount says EIO", () => {
    const fs = scene();
    const vp = fs.sched.runSync(touch(fs, 3));
    fs.files.failWrites.add(3);
    for (const ino of [4, 5, 6, 7]) fs.sched.runSync(touch(fs, ino));
    fs.sched.pump();
    expect([vp.state, vp.dirty, fs.mount.cached(3) === vp]).toEqual(["loaded", true, true]);
    fs.mount.vrele(vp);
    expect(fs.mount.vnodes.failures).toBeGreaterThan(0);
    expect(errorOf(() => fs.sched.runSync(fs.mount.unmount()))).toBe("EIO");
    expect(zeroed(fs, 3)).toBe(false);
    fs.files.failWrites.clear();
    fs.finish();
    expect(zeroed(fs, 3)).toBe(true);
  });

  test("whose pages somebody holds waits for them", () => {
    const fs = scene();
    const vp = fs.sched.runSync(touch(fs, 3));
    const frame = vp.object.lookup(0);
    fs.context.pages.setFlags(frame, Pg.BUSY);
    for (const ino of [4, 5, 6]) fs.sched.runSync(touch(fs, ino));
    fs.sched.pump();
    expect([vp.state, fs.files.written]).toEqual(["cleaning", []]);
    fs.context.pages.unbusy(frame);
    fs.sched.pump();
    expect([vp.state, zeroed(fs, 3)]).toEqual(["dead", true]);
    fs.finish();
  });

  test("is EBUSY, and stays, when its pages cannot be got rid of", () => {
    const fs = scene();
    const vp = fs.sched.runSync(touch(fs, 3));
    const own = { ...fs.ops };
    fs.ops.putpages = () => fs.say(Errno.OK); // and frees nothing
    expect(fs.sched.runSync(fs.mount.vnodes.clean(vp))).toBe(Errno.EBUSY);
    expect([vp.state, vp.object.pageCount, vp.unused]).toEqual(["loaded", 1, "idle"]);
    fs.ops.putpages = (...args) => own.putpages(...args);
    fs.finish();
  });
});

describe("the last user", () => {
  /** A file system that notes when it is told, and takes 100 ns for it. */
  function told(options: { due?: (vp: Vnode) => boolean; gone?: number; error?: number } = {}): {
    fs: MemoryFs;
    log: string[];
  } {
    const log: string[] = [];
    const { due, gone, error } = options;
    const fs: MemoryFs = scene({
      ops: {
        ...(due === undefined ? {} : { inactiveDue: due }),
        *inactive(vp: Vnode): Sleeps<boolean> {
          vp.lock.assertHeld(RW_WRITER);
          expect(fs.trans.open).toBe(1);
          yield* fs.sched.pause("inactive", 100);
          log.push(`inactive ${vp.ino}`);
          if (vp.ino === error) throw new ErrnoError(Errno.EIO, "inactive");
          return vp.ino === gone;
        },
        *reclaim(vp: Vnode): Sleeps<Errno> {
          vp.lock.assertHeld(RW_WRITER);
          yield* fs.sched.pause("reclaim", 100);
          log.push(`reclaim ${vp.ino}`);
          return Errno.OK;
        },
      },
    });
    return { fs, log };
  }

  test("is told to the file system, once, by a thread", () => {
    const { fs, log } = told();
    const vp = fs.get(3);
    fs.mount.vref(vp);
    fs.mount.vrele(vp);
    fs.sched.pump();
    expect(log).toEqual([]);
    fs.mount.vrele(vp);
    expect([vp.unused, log]).toEqual(["inactive", []]);
    fs.sched.pump();
    expect([vp.unused, log, fs.sched.threads()]).toEqual(["idle", ["inactive 3"], []]);
    fs.finish();
    expect(log).toEqual(["inactive 3", "reclaim 3"]);
  });

  test("is told before vput returns", () => {
    const { fs, log } = told();
    fs.sched.runSync(
      (function* () {
        const vp = yield* fs.mount.vget(3);
        yield* vnLock(vp, RW_READER);
        yield* fs.mount.vput(vp);
        expect(log).toEqual(["inactive 3"]);
      })(),
    );
    fs.finish();
  });

  test("may come back before it is told", () => {
    const { fs, log } = told();
    const vp = fs.get(3);
    fs.mount.vrele(vp);
    expect(fs.mount.cached(3)).toBe(vp);
    fs.sched.pump();
    expect([log, vp.useCount]).toEqual([[], 1]);
    fs.mount.vrele(vp);
    fs.finish();
    expect(log).toEqual(["inactive 3", "reclaim 3"]);
  });

  test("costs no thread when there is nothing to do", () => {
    const { fs, log } = told({ due: (vp) => vp.ino === 4 });
    fs.mount.vrele(fs.get(3));
    expect(fs.sched.threads()).toEqual([]);
    fs.mount.vrele(fs.get(4));
    expect(fs.sched.threads().length).toBe(1);
    fs.sched.pump();
    expect(log).toEqual(["inactive 4"]);
    fs.finish();
  });

  test("ends a vnode whose file is gone at once, unless somebody has it again", () => {
    const { fs, log } = told({ gone: 3 });
    const vp = fs.get(3);
    fs.mount.vrele(vp);
    fs.sched.pump();
    expect([vp.state, log]).toEqual(["dead", ["inactive 3", "reclaim 3"]]);
    const second = fs.get(3);
    fs.mount.vrele(second);
    fs.sched.step(); // the thread is in inactive
    expect(fs.mount.cached(3)).toBe(second);
    fs.sched.pump();
    expect([second.state, second.useCount]).toEqual(["loaded", 1]);
    fs.mount.vrele(second);
    fs.finish();
  });

  test("stays idle when the file system fails", () => {
    const { fs } = told({ error: 3 });
    const vp = fs.get(3);
    fs.mount.vrele(vp);
    fs.sched.pump();
    expect([vp.unused, fs.mount.vnodes.failures]).toEqual(["idle", 1]);
    fs.finish();
  });
});

describe("reclaim", () => {
  test("that fails keeps the vnode, and flush names the inode", () => {
    let error: Errno = Errno.ENOSPC;
    const fs: MemoryFs = scene({
      ops: {
        reclaim: () => fs.say(error),
      },
    });
    const vp = fs.get(5);
    fs.mount.vrele(vp);
    const flush = () => fs.sched.runSync(fs.mount.vnodes.flush());
    expect(flush).toThrow("inode 5 cannot be written: ENOSPC");
    expect(fs.mount.cached(5)).toBe(vp);
    expect(flush).toThrow("inode 5 is in use: EBUSY");
    fs.sched.runSync(fs.mount.vnodes.flush(vp)); // but for this one
    error = Errno.OK;
    fs.mount.vrele(vp);
    fs.finish();
    expect(vp.state).toBe("dead");
  });

  test("of many at once is one thread, and leaves as many as are allowed", () => {
    const fs = scene();
    for (const ino of INODES) fs.sched.runSync(touch(fs, ino));
    fs.sched.pump();
    expect(fs.mount.vnodes.unused).toBeLessThanOrEqual(3); // the last one came after the thread
    expect(INODES.filter((ino) => zeroed(fs, ino)).length).toBeGreaterThanOrEqual(FILES - 3);
    fs.finish();
    expect(INODES.every((ino) => zeroed(fs, ino))).toBe(true);
  });
});

test("one thread makes a vnode, others wait for it, and for its failure", () => {
  const fs = scene();
  const threads = INODES.map(() => fs.sched.start(fs.mount.vget(3)));
  fs.sched.pump();
  const vnodes = new Set(threads.map((thread) => fs.sched.resultOf<Vnode>(thread)));
  expect([vnodes.size, [...vnodes][0].useCount]).toEqual([1, FILES]);
  for (let i = 0; i < FILES; i++) fs.mount.vrele([...vnodes][0]);
  fs.broken.add(4);
  const failing = [fs.sched.start(fs.mount.vget(4)), fs.sched.start(fs.mount.vget(4))];
  fs.sched.pump();
  for (const thread of failing) expect(errorOf(() => fs.sched.resultOf(thread))).toBe("EIO");
  expect(fs.mount.vnodes.loading).toBe(0);
  fs.finish();
});

/** Random users of a mount, an unmounter among them, over a disk that fails now and then. */
test.each(seeds(60))("seed %i: no vnode, page or byte is lost", (seed) => {
  const chance = new Chance(seed);
  const fs: MemoryFs = scene({
    seed,
    syncs: seed % 2 === 0,
    ops: {
      inactiveDue: () => chance.below(3) === 0,
      *inactive(vp: Vnode): Sleeps<boolean> {
        vp.lock.assertHeld(RW_WRITER);
        yield* fs.sched.pause("inactive", 1 + chance.below(2000));
        return chance.below(4) === 0;
      },
    },
  });
  const touched = new Set<number>();
  const user = function* (): Sleeps<void> {
    for (let round = 0; round < 12; round++) {
      const ino = INODES[chance.below(FILES)];
      try {
        if (chance.below(2) === 0) {
          yield* touch(fs, ino);
          touched.add(ino);
        } else {
          const vp = yield* fs.mount.vget(ino);
          yield* fs.sched.pause("use", 1 + chance.below(3000));
          fs.mount.vrele(vp);
        }
      } catch (error) {
        if (!(error instanceof ErrnoError) || error.errno !== Errno.ENXIO) throw error;
        return; // it is unmounted
      }
    }
  };
  const trouble = function* (): Sleeps<void> {
    for (let round = 0; round < 8; round++) {
      const ino = INODES[chance.below(FILES)];
      fs.files.failWrites.add(ino);
      yield* fs.sched.pause("trouble", 1 + chance.below(4000));
      fs.files.failWrites.delete(ino);
      yield* fs.mount.sync();
      fs.mount.vnodes.check();
      fs.mount.names.check();
    }
  };
  const unmounter = function* (): Sleeps<void> {
    for (let round = 0; round < 4; round++) {
      yield* fs.sched.pause("mounted", 1 + chance.below(20_000));
      try {
        yield* fs.mount.unmount();
        expect([fs.mount.vnodes.unused, fs.mount.usedVnodes]).toEqual([0, 0]);
        return;
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error;
      }
    }
  };
  const bodies = [
    user(),
    user(),
    user(),
    user(),
    trouble(),
    ...(seed % 3 === 0 ? [unmounter()] : []),
  ];
  const threads = bodies.map((body) => fs.sched.start(body));
  fs.sched.pump();
  for (const thread of threads) fs.sched.resultOf(thread);
  fs.finish();
  for (const ino of INODES) expect([ino, zeroed(fs, ino)]).toEqual([ino, touched.has(ino)]);
});

test("a vnode that nobody uses is not mapped: each mapping is a user", () => {
  const fs = scene();
  const vp = fs.sched.runSync(fs.mount.vget(3));
  vp.object.pager?.mapped(true);
  expect(vp.mapped).toBe(true);
  fs.mount.vrele(vp);
  expect([vp.state, vp.mapped]).toEqual(["loaded", false]);
  fs.finish();
});
