/** The syncer: when a vnode is written, what it does about those that it cannot write, and that it ends. */
import { Errno, PAGE_SIZE, Panic } from "@physio/kern";
import { RW_WRITER } from "@physio/sched";
import { Pg } from "@physio/uvm";
import { describe, expect, test } from "vitest";
import type { Vnode } from "../src/index.ts";
import { FsyncFlag, Syncer, syncDelay, vnLock, vnUnlock, zeroRange } from "../src/index.ts";
import type { MemoryFsOptions } from "./memory-fs.ts";
import { Chance, MemoryFs, seeds } from "./memory-fs.ts";

const SECOND = 1e9;
const TREE = { a: null, b: null, c: null };

/** Files 3, 4, 5 of two pages, whose fsyncs are noted: "ino@second". */
function scene(options: MemoryFsOptions = {}): { fs: MemoryFs; visits: string[] } {
  const visits: string[] = [];
  const fs: MemoryFs = new MemoryFs(TREE, { syncs: true, ...options });
  const own = { ...fs.ops };
  fs.ops.fsync = (vp, flags = 0) => {
    vp.lock.assertHeld(RW_WRITER);
    const how = flags === FsyncFlag.LAZY ? "" : "!";
    visits.push(`${vp.ino}@${Math.floor(fs.sched.now / SECOND)}${how}`);
    return own.fsync(vp, flags);
  };
  for (const ino of [3, 4, 5]) fs.files.contents.set(ino, new Uint8Array(2 * PAGE_SIZE).fill(ino));
  return { fs, visits };
}

/** Make the first page of a vnode dirty. */
function* dirty(vp: Vnode) {
  expect(yield* zeroRange(vp, 0, 10)).toBe(Errno.OK);
}

/** Others who do something all the time, for `seconds`. */
function* others(fs: MemoryFs, seconds: number) {
  for (let i = 0; i < seconds; i++) yield* fs.sched.pause("others", SECOND);
}

describe("the thread", () => {
  test("writes a file after 30 seconds, sees that it is clean 31 later, and ends", () => {
    const { fs, visits } = scene();
    const vp = fs.get(3);
    fs.sched.runSync(dirty(vp));
    expect([fs.context.syncer.length, vp.onWorklist, fs.context.syncer.running]).toEqual([
      1,
      true,
      true,
    ]);
    fs.mount.vrele(vp); // the syncer needs no user
    fs.sched.pump();
    expect(fs.files.written).toEqual(["3:0"]);
    expect(visits).toEqual(["3@30", "3@61"]);
    expect([fs.context.syncer.length, fs.context.syncer.running]).toEqual([0, false]);
    fs.finish();
  });

  test("takes what came later later, and starts again when it has ended", () => {
    const { fs, visits } = scene();
    const [a, b] = [fs.get(3), fs.get(4)];
    fs.sched.runSync(
      (function* () {
        yield* dirty(a);
        yield* fs.sched.pause("work", 5 * SECOND);
        yield* dirty(b);
        yield* fs.sched.pause("work", 200 * SECOND);
        yield* dirty(a);
      })(),
    );
    fs.sched.pump();
    expect(visits.slice(0, 4)).toEqual(["3@30", "4@36", "3@61", "4@67"]);
    expect(visits.slice(4)).toEqual(["3@235", "3@266"]);
    for (const vp of [a, b]) fs.mount.vrele(vp);
    fs.finish();
  });

  test("does not wait for a vnode that somebody has locked", () => {
    const { fs, visits } = scene();
    const [a, b] = [fs.get(3), fs.get(4)];
    fs.sched.runSync(
      (function* () {
        yield* dirty(a);
        yield* dirty(b);
        yield* vnLock(a, RW_WRITER);
        yield* fs.sched.pause("long", 40 * SECOND);
        vnUnlock(a);
      })(),
    );
    fs.sched.pump();
    expect(visits).toEqual(["4@31", "3@42", "4@62", "3@73"]);
    for (const vp of [a, b]) fs.mount.vrele(vp);
    fs.finish();
  });

  test("leaves a suspended mount alone", () => {
    const { fs, visits } = scene();
    const vp = fs.get(3);
    fs.sched.runSync(
      (function* () {
        yield* dirty(vp);
        yield* fs.trans.suspend(function* () {});
        yield* fs.sched.pause("snapshot", 35 * SECOND);
        expect(visits).toEqual([]);
        fs.trans.resume();
      })(),
    );
    fs.sched.pump();
    expect(visits[0]).toBe("3@36");
    fs.mount.vrele(vp);
    fs.finish();
  });

  test("ends on a machine where nothing moves, and goes on when it is kicked", () => {
    const { fs, visits } = scene();
    const vp = fs.get(3);
    fs.sched.runSync(dirty(vp));
    expect(vp.lock.tryEnter(RW_WRITER)).toBe(true); // nobody will ever give it back
    fs.sched.pump();
    const { syncer } = fs.context;
    expect([visits, syncer.running, syncer.length]).toEqual([[], false, 1]);
    vp.lock.exit();
    syncer.kick();
    fs.sched.pump();
    expect([visits.length, syncer.length]).toEqual([2, 0]);
    fs.mount.vrele(vp);
    fs.finish();
  });

  test("gives a vnode up whose writes fail, keeps its data, and sync writes them later", () => {
    const { fs, visits } = scene();
    const vp = fs.get(3);
    fs.sched.runSync(dirty(vp));
    fs.files.failWrites.add(3);
    const { syncer } = fs.context;
    fs.sched.runSync(others(fs, 200));
    expect(visits).toEqual(["3@30", "3@61", "3@92", "3@123"]);
    expect([syncer.givenUp, vp.dirty, vp.object.writeErrors]).toEqual([1, true, 4]);
    fs.sched.pump();
    expect(syncer.running).toBe(false);
    expect(fs.sched.runSync(syncer.sync(fs.mount))).toBe(Errno.EIO);
    fs.files.failWrites.clear();
    expect(fs.sched.runSync(syncer.sync(fs.mount))).toBe(Errno.OK);
    expect([fs.files.written, vp.dirty]).toEqual([["3:0"], false]);
    fs.mount.vrele(vp);
    fs.finish();
  });

  test("looks again at what it had given up when a sync could write it", () => {
    const { fs } = scene();
    const vp = fs.get(3);
    const { syncer } = fs.context;
    fs.sched.runSync(dirty(vp));
    fs.files.failWrites.add(3);
    fs.sched.runSync(others(fs, 200));
    expect([syncer.givenUp, vp.worklistSlot]).toEqual([1, -1]);
    fs.ops.putpages = () => fs.say(Errno.OK); // written, but not known to be clean: the vnode stays on the worklist
    expect(fs.sched.runSync(syncer.sync())).toBe(Errno.OK);
    expect([vp.onWorklist, vp.worklistSlot >= 0]).toEqual([true, true]);
    fs.ops.putpages = (...args) => fs.files.putpages(...args);
    fs.files.failWrites.clear();
    fs.sched.runSync(others(fs, 100));
    expect([fs.files.written, syncer.length]).toEqual([["3:0"], 0]);
    fs.mount.vrele(vp);
    fs.finish();
  });

  test("stops when it is told to, and starts again", () => {
    const { fs, visits } = scene();
    const vp = fs.get(3);
    const { syncer } = fs.context;
    fs.sched.runSync(dirty(vp));
    syncer.stop();
    fs.sched.pump();
    expect([syncer.running, syncer.length, visits]).toEqual([false, 1, []]);
    syncer.start();
    fs.sched.pump();
    expect([syncer.length, visits.length]).toEqual([0, 2]);
    fs.mount.vrele(vp);
    fs.finish();
  });
});

describe("sync", () => {
  test("writes one mount's vnodes and waits for them; the first error is told", () => {
    const { fs, visits } = scene();
    const vnodes = [3, 4, 5].map((ino) => fs.get(ino));
    fs.sched.runSync(
      (function* () {
        for (const vp of vnodes) yield* dirty(vp);
        fs.files.failWrites.add(4);
        expect(yield* fs.mount.sync()).toBe(Errno.EIO);
        expect(fs.files.written).toEqual(["3:0", "5:0"]);
        fs.files.failWrites.clear();
        expect(yield* fs.mount.sync()).toBe(Errno.OK);
        expect(yield* fs.context.syncer.sync(null)).toBe(Errno.OK);
      })(),
    );
    expect(visits).toEqual(["3@0!", "4@0!", "5@0!", "4@0!"]);
    for (const vp of vnodes) fs.mount.vrele(vp);
    fs.finish();
  });
});

test("the worklist is entered and left once", () => {
  const { fs } = scene();
  const { syncer } = fs.context;
  const vp = fs.get(3);
  expect(() => syncer.remove(vp)).toThrow(Panic);
  syncer.add(vp, 30);
  expect(() => syncer.add(vp, 30)).toThrow(Panic);
  vp.dirtyBufs = 1;
  syncer.settle(vp);
  expect(vp.onWorklist).toBe(true);
  vp.dirtyBufs = 0;
  syncer.settle(vp); // no pages, and the last block is written
  expect(vp.onWorklist).toBe(false);
  vp.onDirtyBuf();
  vp.onDirtyBuf();
  expect(syncer.length).toBe(1);
  syncer.settle(vp);
  expect(() => new Syncer().run().next()).toThrow(Panic);
  fs.mount.vrele(vp);
  fs.finish();
});

test("files wait longer than directories, those longer than devices", () => {
  const types = ["regular", "directory", "block special", "symlink"] as const;
  expect(types.map(syncDelay)).toEqual([30, 15, 10, 30]);
});

test.each(seeds(25))(
  "seed %i: what writers leave behind is on the disk when all is quiet",
  (seed) => {
    const { fs } = scene({ seed, idleVnodes: 1 });
    const chance = new Chance(seed);
    const content = new Map([3, 4, 5].map((ino) => [ino, new Uint8Array(2 * PAGE_SIZE).fill(ino)]));
    const writer = function* (ino: number) {
      for (let round = 0; round < 4; round++) {
        const vp = yield* fs.mount.vget(ino);
        const from = chance.below(PAGE_SIZE);
        yield* vnLock(vp, RW_WRITER);
        expect(yield* zeroRange(vp, from, 100)).toBe(Errno.OK);
        content.get(ino)!.fill(0, from, from + 100);
        vnUnlock(vp);
        fs.mount.vrele(vp);
        yield* fs.sched.pause("rest", 1 + chance.below(40) * SECOND);
      }
    };
    for (const ino of [3, 4, 5, 3]) fs.sched.spawn(`writer ${ino}`, writer(ino));
    fs.sched.pump();
    fs.check();
    expect(fs.context.syncer.length).toBe(0);
    for (const [ino, bytes] of content) expect(fs.files.contents.get(ino)).toEqual(bytes);
    fs.finish();
  },
);

test("pages that are busy are waited for by sync", () => {
  const { fs } = scene();
  const vp = fs.get(3);
  fs.sched.runSync(dirty(vp));
  const frame = vp.object.lookup(0);
  fs.context.pages.setFlags(frame, Pg.BUSY);
  const thread = fs.sched.start(fs.mount.sync());
  while (fs.sched.now < SECOND && fs.sched.step());
  expect(fs.files.written).toEqual([]);
  fs.context.pages.unbusy(frame);
  fs.sched.pump();
  expect([fs.sched.resultOf(thread), fs.files.written]).toEqual([Errno.OK, ["3:0"]]);
  fs.mount.vrele(vp);
  fs.finish();
});
