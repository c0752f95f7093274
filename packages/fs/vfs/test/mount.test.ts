/** Mounts: the vnode cache, reclaim of idle vnodes, unmount. */
import { Errno, errnoName, Panic } from "@physio/kern";
import { Pg } from "@physio/uvm";
import { describe, expect, test } from "vitest";
import type { Vnode } from "../src/index.ts";
import { Mount } from "../src/index.ts";
import type { Tree } from "./memory-fs.ts";
import { errorOf, MemoryFs } from "./memory-fs.ts";

const IDLE_LIMIT = 256;

function files(count: number): MemoryFs {
  const tree: Tree = Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, null]));
  return new MemoryFs(tree);
}

const get = (fs: MemoryFs, ino: number): Vnode => fs.get(ino);

/** Give a vnode a page. @returns the frame, busy. */
function addPage(fs: MemoryFs, vp: Vnode, index: number): number {
  const { pages } = fs.mount.context;
  const frame = pages.alloc(vp.object, index);
  pages.activate(frame);
  return frame;
}

describe("the vnode cache", () => {
  test("gives one vnode for an inode, counted for each user", () => {
    const fs = files(2);
    const [a, again, b] = [3, 3, 4].map((ino) => get(fs, ino));
    expect(a).toBe(again);
    expect([a.useCount, b.useCount, fs.mount.usedVnodes]).toEqual([2, 1, 2]);
    expect(fs.mount.cached(77)).toBe(null);
    for (const vp of [a, again, b]) fs.mount.vrele(vp);
    expect(fs.mount.usedVnodes).toBe(0);
    expect(fs.mount.cached(3)).toBe(a);
    fs.mount.vrele(a);
    fs.finish();
  });

  test("panics on a reference that nobody holds and on a second vnode of an inode", () => {
    const fs = files(1);
    const vp = get(fs, 3);
    expect(() => fs.mount.enter(vp)).toThrow(Panic);
    fs.mount.vrele(vp);
    expect(() => fs.mount.vrele(vp)).toThrow(Panic);
    expect(vp.useCount).toBe(0);
    fs.finish();
  });

  test("keeps 256 idle vnodes with their pages and reclaims the oldest beyond them", () => {
    const fs = files(IDLE_LIMIT + 40);
    const { pages } = fs.mount.context;
    const first = get(fs, 3);
    const used = get(fs, 4);
    pages.unbusy(addPage(fs, first, 0));
    pages.unbusy(addPage(fs, used, 0));
    fs.mount.vrele(first);
    for (let i = 0; i < IDLE_LIMIT - 1; i++) fs.mount.vrele(get(fs, 5 + i));
    expect([fs.mount.usedVnodes, pages.resident]).toEqual([1, 2]);
    const again = fs.mount.cached(3); // which makes it the youngest
    expect(again).toBe(first);
    fs.mount.vrele(first);
    for (let i = 0; i < 3; i++) fs.mount.vrele(get(fs, 270 + i));
    expect(fs.mount.cached(5)).toBe(null);
    expect(pages.resident).toBe(2);
    for (let ino = 6; ino < 298; ino++) fs.mount.vrele(get(fs, ino));
    expect(fs.mount.cached(3)).toBe(null);
    expect(pages.resident).toBe(1); // the used vnode's page stays
    expect(fs.mount.cached(4)).toBe(used);
    fs.mount.vrele(used);
    fs.mount.vrele(used);
    fs.finish();
  });

  test("keeps an idle vnode whose pages are being read", () => {
    const fs = files(IDLE_LIMIT + 10);
    const reading = get(fs, 3);
    const frame = addPage(fs, reading, 0);
    fs.mount.vrele(reading);
    for (let ino = 4; ino < IDLE_LIMIT + 12; ino++) fs.mount.vrele(get(fs, ino));
    expect(fs.mount.cached(3)).toBe(reading);
    expect(fs.mount.cached(4)).toBe(null);
    fs.mount.context.pages.unbusy(frame);
    fs.mount.vrele(reading);
    fs.finish();
  });

  test("goes over its limit when the pages of all idle vnodes are being read", () => {
    const fs = files(IDLE_LIMIT + 3);
    const frames: number[] = [];
    for (let ino = 3; ino < IDLE_LIMIT + 5; ino++) {
      const vp = get(fs, ino);
      frames.push(addPage(fs, vp, 0));
      fs.mount.vrele(vp);
    }
    for (const frame of frames) fs.mount.context.pages.unbusy(frame);
    fs.finish();
  });
});

describe("unmount", () => {
  test("is EBUSY and changes nothing while a vnode is in use", () => {
    const fs = files(2);
    const [idle, used] = [get(fs, 3), get(fs, 4)];
    fs.mount.vrele(idle);
    expect(errorOf(() => fs.sched.runSync(fs.mount.unmount()))).toBe("EBUSY");
    expect(fs.mount.cached(3)).toBe(idle);
    for (const vp of [idle, used]) fs.mount.vrele(vp);
    fs.finish();
  });

  test("writes blocks that wait in the buffer cache, and is EIO when it cannot", () => {
    const fs = files(1);
    const { cache } = fs.context;
    const vp = get(fs, 3);
    fs.sched.runSync(
      (function* () {
        for (const owner of [null, vp]) {
          const buf = yield* cache.getblk(fs.disk, owner === null ? 2 : 4, 1024, owner);
          cache.clear(buf);
          cache.bdwrite(buf);
        }
      })(),
    );
    expect([vp.dirtyBufs, vp.onWorklist, vp.dirty]).toEqual([1, true, true]);
    fs.mount.vrele(vp);
    fs.diskFails = true;
    expect(errorOf(() => fs.sched.runSync(fs.mount.unmount()))).toBe("EIO");
    expect([vp.state, vp.dirtyBufs]).toEqual(["loaded", 1]);
    expect(errorOf(() => fs.sched.runSync(fs.mount.unmount()))).toBe("EIO");
    fs.diskFails = false;
    fs.finish();
    expect([vp.state, cache.bytes]).toEqual(["dead", 0]);
  });

  test("is EIO when a block that is no vnode's cannot be written, and forgets nothing", () => {
    const fs = files(1);
    const { cache } = fs.context;
    fs.sched.runSync(
      (function* () {
        const buf = yield* cache.getblk(fs.disk, 2, 1024);
        cache.clear(buf);
        cache.bdwrite(buf);
      })(),
    );
    fs.diskFails = true;
    expect(errorOf(() => fs.sched.runSync(fs.mount.unmount()))).toBe("EIO");
    expect(cache.incore(fs.disk, 2)).not.toBe(null);
    fs.diskFails = false;
    fs.finish();
  });

  /** An idle vnode with a page that is being read, and a thread that unmounts. */
  function unmounting(): { fs: MemoryFs; vp: Vnode; frame: number; result: () => string } {
    const fs = files(2);
    const { pages } = fs.mount.context;
    const vp = get(fs, 3);
    const frame = addPage(fs, vp, 0);
    pages.unbusy(addPage(fs, vp, 1));
    fs.mount.vrele(vp);
    fs.mount.vrele(get(fs, 4));
    const thread = fs.sched.start(fs.mount.unmount(), "unmount");
    fs.sched.pump();
    expect(fs.sched.threads()).toContain(thread);
    return { fs, vp, frame, result: () => errorOf(() => fs.sched.resultOf(thread)) };
  }

  test("sleeps while a page of an idle vnode is being read", () => {
    const { fs, frame, result } = unmounting();
    fs.mount.context.pages.clearFlags(frame, Pg.FAKE);
    fs.mount.context.pages.unbusy(frame);
    fs.sched.pump();
    expect(result()).toBe("none");
    expect([fs.mount.cached(3), fs.mount.context.pages.resident]).toEqual([null, 0]);
    fs.finish();
  });

  test("gives a vnode that it is ending to nobody", () => {
    const { fs, frame, result } = unmounting();
    expect(fs.mount.cached(3)).toBe(null);
    fs.mount.context.pages.unbusy(frame);
    fs.sched.pump();
    expect(result()).toBe("none");
    fs.finish();
  });

  test("lets nobody make a new vnode who has slept for the one that it ends", () => {
    const fs = files(2);
    const vp = get(fs, 3);
    const frame = addPage(fs, vp, 0);
    fs.mount.vrele(vp);
    const cleaner = fs.sched.start(fs.mount.vnodes.clean(vp));
    fs.sched.pump();
    const getter = fs.sched.start(fs.mount.vget(3));
    fs.sched.pump();
    const unmount = fs.sched.start(fs.mount.unmount());
    fs.sched.pump();
    fs.context.pages.unbusy(frame);
    fs.sched.pump();
    expect(fs.sched.resultOf(cleaner)).toBe(Errno.OK);
    expect(errorOf(() => fs.sched.resultOf(getter))).toBe("ENXIO");
    expect(errorOf(() => fs.sched.resultOf(unmount))).toBe("none");
    fs.finish();
  });

  test("is EBUSY when somebody takes another inode while it sleeps", () => {
    const { fs, frame, result } = unmounting();
    const taken = fs.mount.cached(4)!;
    expect(errorOf(() => fs.get(3))).toBe("ENXIO");
    fs.mount.context.pages.unbusy(frame);
    fs.sched.pump();
    expect(result()).toBe("EBUSY");
    expect(fs.mount.cached(4)).toBe(taken);
    const again = get(fs, 3); // the mount goes on
    expect([fs.mount.usedVnodes, again.useCount]).toEqual([2, 1]);
    for (const vp of [again, taken, taken]) fs.mount.vrele(vp);
    fs.finish();
  });
});

describe("the root", () => {
  test("is a directory, or ENOTDIR without a leak", () => {
    const fs = files(1);
    const root = fs.sched.runSync(fs.mount.root());
    expect([root.type, root.ino, root.useCount]).toEqual(["directory", 2, 1]);
    fs.mount.vrele(root);
    fs.rootIno = 3;
    expect(errorOf(() => fs.sched.runSync(fs.mount.root()))).toBe("ENOTDIR");
    expect(fs.mount.usedVnodes).toBe(0);
    fs.broken.add(4);
    fs.rootIno = 4;
    expect(errorOf(() => fs.sched.runSync(fs.mount.root()))).toBe(errnoName(Errno.EIO));
    fs.finish();
  });

  test("of two mounts are two vnodes", () => {
    const fs = files(1);
    const { disk, context } = fs;
    const other = new Mount({ disk, context, fsBshift: 10, devBshift: 9, ops: fs });
    const vp = get(fs, 3);
    expect(other.cached(3)).toBe(null);
    fs.mount.vrele(vp);
    fs.finish();
  });
});
