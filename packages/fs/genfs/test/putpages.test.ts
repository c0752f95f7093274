/** putpages: which pages are written, freed and deactivated, what it waits for, and when a vnode is clean. */
import { Errno, KiB, NO_FRAME, PAGE_SIZE, Panic } from "@physio/kern";
import { Prot } from "@physio/pmap";
import { PageTag, Pgo } from "@physio/uvm";
import { describe, expect, test } from "vitest";
import { gopWriteRwmap, nullPutpages } from "../src/index.ts";
import { bytesOf, campaign, difference, FileMachine, STALE } from "./file-machine.ts";
import { Chance } from "./machine.ts";
import { draw, drawn, frameOf, picture, plain, unwire } from "./pictures.ts";
import { PUT_CASES } from "./putpages-cases.ts";

const K = KiB;
const { CLEANIT, FREE, DEACTIVATE, SYNCIO, ALLPAGES, JOURNALLOCKED } = Pgo;

describe.each(["fixed", "seed"] as const)("putpages (%s)", (semantics) => {
  test.each(PUT_CASES)("$name", (c) => {
    const { before, lo = 0, hi = before.length, flags, writes, after } = c;
    const m = drawn(before, { semantics });
    expect(m.run(m.put(lo, hi, flags))).toBe(Errno.OK);
    expect(picture(m, before.length)).toBe(after);
    expect(m.takeLog(true)).toEqual(writes);
    for (let page = 0; page < before.length; page++) {
      const written = writes.some(([first, count]) => page >= first && page < first + count);
      const wanted = written
        ? bytesOf(1, page * PAGE_SIZE, PAGE_SIZE)
        : new Uint8Array(4 * K).fill(STALE);
      const got = m.onDisk(page * PAGE_SIZE, PAGE_SIZE);
      expect(difference(got, wanted), `page ${page}`).toBe(-1);
    }
    for (let page = 0; page < after.length; page++) if (after[page] === "W") unwire(m, page);
    m.finish();
  });

  test("takes dirty pages as it meets them: by list in the order in which they came, else by offset", () => {
    const m = plain(8, { semantics });
    draw(m, ".D.D.D..", [5, 1, 3]);
    m.run(m.put(0, 8, CLEANIT | SYNCIO));
    const order = semantics === "seed" ? [5, 1, 3] : [1, 3, 5];
    expect(m.takeLog(true)).toEqual(order.map((page) => [page, 1]));
    m.finish();
  });

  test("goes by offset where the range is small against the list", () => {
    // 20 pages in the object, 3 in the range: 20 > 3 * 4. Pages came in descending order.
    const m = plain(20, { semantics });
    draw(
      m,
      "CCCCCCCDCDCCCCCCCCCC",
      Array.from({ length: 20 }, (_, i) => 19 - i),
    );
    m.run(m.put(7, 10, CLEANIT | SYNCIO));
    expect(m.takeLog(true)).toEqual([
      [7, 1],
      [9, 1],
    ]);
    m.finish();
  });
});

describe("an object that is cleaned whole", () => {
  const ALL = CLEANIT | SYNCIO | ALLPAGES;

  test("leaves the worklist by the pass that finds it clean", () => {
    const m = drawn("CDC");
    m.run(m.put(0, 0, ALL));
    expect(m.vp.onWorklist).toBe(true);
    m.run(m.put(0, 0, ALL));
    expect(m.vp.onWorklist).toBe(false);
    expect(m.takeLog(true)).toEqual([[1, 1]]);
    m.finish();
  });

  test.each([
    { name: "a part of it", lo: 0, hi: 2, flags: CLEANIT | SYNCIO },
    { name: "all but the first page", lo: 1, hi: 0, flags: CLEANIT | SYNCIO },
    { name: "no cleaning", lo: 0, hi: 0, flags: DEACTIVATE },
  ])("stays on it after $name", ({ lo, hi, flags }) => {
    const m = drawn("CCC");
    m.run(m.put(lo, hi, flags));
    expect(m.vp.onWorklist).toBe(true);
    m.finish();
  });

  test("stays on it while output of others is under way", () => {
    const m = drawn("CC");
    m.vp.numOutput = 1;
    m.run(m.put(0, 0, CLEANIT | ALLPAGES));
    expect(m.vp.onWorklist).toBe(true);
    m.bufs.outputDone(m.vp);
    m.finish();
  });

  test("stays on it when metadata blocks wait", () => {
    const m = drawn("CC");
    m.vp.dirtyBufs = 1;
    m.run(m.put(0, 0, ALL));
    expect(m.vp.onWorklist).toBe(true);
    m.vp.dirtyBufs = 0;
    m.finish();
  });

  test("loses its mappings for writing; a wired one keeps them, and the vnode its place", () => {
    for (const letter of ["C", "W"]) {
      const m = drawn(`C${letter}`);
      const [va, frame] = [m.kmem.kvaAlloc(PAGE_SIZE), frameOf(m, 1)];
      m.kmem.pmap.enter(va, frame, Prot.READ | Prot.WRITE);
      m.pages.tagDirty(frame);
      m.run(m.put(0, 0, ALL));
      const wired = letter === "W";
      expect([letter, m.pages.pmaps.isWriteMapped(frame)]).toEqual([letter, wired]);
      expect([letter, m.vp.onWorklist]).toEqual([letter, wired]);
      m.kmem.pmap.remove(va, PAGE_SIZE);
      m.kmem.kvaFree(va, PAGE_SIZE);
      if (wired) unwire(m, 1);
      m.finish();
    }
  });

  test("stays on the worklist when somebody asked for a page to write to meanwhile", () => {
    const m = drawn("CbC");
    const result = m.begin(m.put(0, 0, ALL));
    m.node.dirtyGeneration++; // as getpages does
    m.pages.unbusy(frameOf(m, 1));
    m.sched.pump();
    expect([result(), m.vp.onWorklist]).toEqual([Errno.OK, true]);
    m.finish();
  });

  test("leaves it at once when it has no page", () => {
    const m = drawn("...");
    m.run(m.put(0, 0, ALL));
    expect(m.vp.onWorklist).toBe(false);
    m.finish();
  });

  test("is not looked at when it is off the worklist, even if a page is modified", () => {
    for (const semantics of ["seed", "fixed"] as const) {
      const m = drawn("MD", { semantics });
      m.mount.context.syncer.remove(m.vp);
      m.run(m.put(0, 0, ALL));
      expect([picture(m, 2), m.takeLog(true)]).toEqual(["MD", []]);
      m.run(m.put(0, 0, ALL | FREE));
      const writes = semantics === "seed" ? [] : [[0, 2]]; // nothing that is dirty is freed unwritten
      expect([picture(m, 2), m.takeLog(true)]).toEqual(["..", writes]);
      m.finish();
    }
  });

  test("changes its time when it was written to through a mapping", () => {
    for (const mapped of [false, true]) {
      const m = drawn("CM");
      m.vp.writeMapped = mapped;
      m.vp.writeMapDirty = mapped;
      m.run(m.put(0, 0, ALL));
      expect([m.updates, m.vp.writeMapDirty]).toEqual([mapped ? 2 : 0, mapped]);
      m.run(m.put(0, 0, ALL));
      expect([m.vp.onWorklist, m.vp.writeMapDirty]).toEqual([false, false]);
      m.finish();
    }
  });
});

describe("output", () => {
  test("counts two for each write and one for each piece, and SYNCIO waits for all of it", () => {
    for (const [map, pieces] of [
      [[0, 1, 2], 1],
      [[0, 5, 2], 3],
      [[4, 5, 9], 2],
    ] as const) {
      const m = plain(3, { map });
      draw(m, "DDD");
      m.held = true;
      const result = m.begin(m.put(0, 3, CLEANIT | SYNCIO));
      expect(m.waiting.length).toBe(pieces);
      expect(m.vp.numOutput).toBe(pieces === 1 ? 2 : 2 + pieces);
      for (let left = pieces; left > 0; left--) {
        expect(result()).toBe(undefined);
        m.answer();
      }
      expect([result(), m.vp.numOutput, picture(m, 3)]).toEqual([Errno.OK, 0, "CCC"]);
      m.finish();
    }
  });

  test("is not waited for without SYNCIO, and with it also when others started it", () => {
    const m = drawn("DDDD");
    m.held = true;
    expect(m.begin(m.put(0, 2, CLEANIT))()).toBe(Errno.OK);
    expect([picture(m, 4), m.waiting.length]).toEqual(["BBBB", 1]);
    const result = m.begin(m.put(4, 8, CLEANIT | SYNCIO));
    expect(result()).toBe(undefined);
    m.settle();
    expect(result()).toBe(Errno.OK);
    m.finish();
  });

  test("is tagged while it is under way", () => {
    const m = drawn("D.D");
    m.held = true;
    m.begin(m.put(0, 3, CLEANIT));
    const tags = () => [0, 2].map((page) => m.vp.object.isTagged(PageTag.WRITEBACK, page));
    expect(tags()).toEqual([true, true]);
    m.answer();
    expect(tags()).toEqual([false, true]);
    m.settle();
    expect(tags()).toEqual([false, false]);
    expect(m.vp.object.index.any(PageTag.DIRTY)).toBe(false);
    m.finish();
  });

  test.each([
    { who: "a caller that waits", flags: CLEANIT | SYNCIO, daemon: false, priority: 2 },
    { who: "one that does not", flags: CLEANIT, daemon: false, priority: 0 },
    { who: "the page daemon", flags: CLEANIT, daemon: true, priority: 1 },
  ])("of $who has priority $priority", ({ flags, daemon, priority }) => {
    const m = plain(2, { map: [0, 5] });
    draw(m, "DD");
    const thread = m.sched.start(m.put(0, 2, flags));
    if (daemon) m.pages.daemon = thread;
    m.sched.pump();
    expect(m.log.map((transfer) => transfer.priority)).toEqual([priority, priority]);
    m.finish();
  });

  test("through genfs_gop_write_rwmap is the same", () => {
    const m = plain(3, { map: [4, 5, 9], genfsOps: { write: gopWriteRwmap } });
    draw(m, "DDD");
    expect(m.run(m.put(0, 3, CLEANIT | SYNCIO))).toBe(Errno.OK);
    expect([m.takeLog(true), picture(m, 3)]).toEqual([
      [
        [4, 2],
        [9, 1],
      ],
      "CCC",
    ]);
    m.finish();
  });

  test("ends at the file's blocks, and leaves holes out", () => {
    const m = new FileMachine({ blockSize: 2 * K, size: 10 * K, map: [3, 4, -1, 6, 9] });
    draw(m, "DDD");
    m.run(m.put(0, 3, CLEANIT | SYNCIO));
    // 2 KiB blocks: 3 and 4 in a row, a hole, 6, 9; the last page has one block only.
    expect(m.takeLog(true)).toEqual([
      [3, 2],
      [6, 1],
      [9, 1],
    ]);
    expect(picture(m, 3)).toBe("CCC");
    expect(m.onDisk(6 * K, 4 * K)).toEqual(bytesOf(1, 6 * K, 4 * K));
    m.finish();
  });
});

describe("a write that fails", () => {
  test("is told to who waits; its pages stay dirty, whatever was to become of them", () => {
    for (const extra of [0, FREE, DEACTIVATE]) {
      const m = drawn("DCD");
      m.badDisk.add(2);
      expect(m.run(m.put(0, 3, CLEANIT | SYNCIO | extra))).toBe(Errno.EIO);
      expect(picture(m, 3)[2]).toBe("D");
      expect([m.vp.onWorklist, m.vp.object.writeErrors, m.vp.object.writeError]).toEqual([
        true,
        1,
        Errno.EIO,
      ]);
      m.badDisk.clear();
      expect(m.run(m.put(0, 3, CLEANIT | SYNCIO))).toBe(Errno.OK);
      expect(m.onDisk(8 * K, 4 * K)).toEqual(bytesOf(1, 8 * K, 4 * K));
      m.finish();
    }
  });

  test("is OK for who does not wait, and later writes go on", () => {
    const m = drawn("D.D");
    m.badDisk.add(0);
    expect(m.run(m.put(0, 3, CLEANIT))).toBe(Errno.OK);
    expect([picture(m, 3), m.vp.object.writeErrors]).toEqual(["D.C", 1]);
    m.finish();
  });

  test("of one piece makes the whole cluster dirty", () => {
    const m = plain(3, { map: [0, 5, 9] });
    draw(m, "DDD");
    m.badDisk.add(5);
    expect(m.run(m.put(0, 3, CLEANIT | SYNCIO))).toBe(Errno.EIO);
    expect(picture(m, 3)).toBe("DDD");
    m.finish();
  });

  test("of the block map too", () => {
    const m = plain(3);
    draw(m, "DDD");
    m.badBlocks.add(0);
    expect(m.run(m.put(0, 3, CLEANIT | SYNCIO))).toBe(Errno.EIO);
    expect([picture(m, 3), m.log]).toEqual(["DDD", []]);
    m.finish();
  });

  test("loses its data in seed, unless memory was short", () => {
    for (const [error, after] of [
      [Errno.EIO, "C"],
      [Errno.ENOMEM, "D"],
    ] as const) {
      const m = drawn("D", { semantics: "seed" });
      m.held = true;
      m.begin(m.put(0, 1, CLEANIT));
      m.answer(error);
      expect([error, picture(m, 1)]).toEqual([error, after]);
      m.finish();
    }
  });
});

describe("transactions", () => {
  test("of the journal are begun once, unless the caller has one or nothing is cleaned", () => {
    for (const [flags, begun] of [
      [CLEANIT | SYNCIO, 1],
      [CLEANIT | SYNCIO | JOURNALLOCKED, 0],
      [FREE, 0],
    ]) {
      const m = drawn("DCD", { journal: true });
      m.run(m.put(0, 3, flags));
      expect([flags, m.transactions, m.open]).toEqual([flags, begun, 0]);
      m.finish();
    }
  });

  test("that cannot begin leave everything as it was", () => {
    const m = drawn("DCD", { journal: true });
    m.beginError = Errno.EROFS;
    expect(m.run(m.put(0, 3, CLEANIT | FREE | SYNCIO))).toBe(Errno.EROFS);
    expect([picture(m, 3), m.log]).toEqual(["DCD", []]);
    m.finish();
  });
});

describe("a call that makes no sense panics:", () => {
  const calls: [string, number, number, number][] = [
    ["an end before the beginning", 2, 1, CLEANIT],
    ["an empty range", 1, 1, CLEANIT],
    ["a negative offset", -1, 1, CLEANIT],
    ["an offset inside of a page", 0.5, 1, CLEANIT],
    ["nothing to do", 0, 1, SYNCIO],
    ["unknown flags", 0, 1, CLEANIT | 0x100000],
  ];
  test.each(calls)("%s", (_name, lo, hi, flags) => {
    const m = drawn("C");
    expect(() => m.run(m.put(lo, hi, flags))).toThrow(Panic);
  });

  test("and so does genfs_null_putpages on a vnode with pages", () => {
    const m = drawn("C");
    expect(() => nullPutpages(m.vp)).toThrow(Panic);
    m.run(m.put(0, 0, FREE));
    expect(nullPutpages(m.vp)).toBe(Errno.OK);
    m.finish();
  });
});

test("both walks leave the same bytes on the disk and the same pages, whatever the order", () => {
  for (const seed of campaign(10, 300)) {
    const outcomes = (["seed", "fixed"] as const).map((semantics) => {
      const chance = new Chance(seed);
      const letters = Array.from({ length: 40 }, () => "...CCcDDDdMW"[chance.below(12)]).join("");
      const map = letters.split("").map((_, i) => (chance.below(4) === 0 ? 99 - i : i));
      const order = shuffled(chance, 40);
      const m = plain(40, { semantics, map, seed });
      draw(m, letters, order);
      const flags = [SYNCIO, 0, SYNCIO | DEACTIVATE, SYNCIO | FREE, FREE][chance.below(5)];
      const lo = chance.below(2) === 0 ? 0 : chance.below(20);
      const hi = lo === 0 ? 0 : lo + 1 + chance.below(20);
      expect(m.run(m.put(lo, hi, CLEANIT | flags))).toBe(Errno.OK);
      const end = hi === 0 ? 40 : hi;
      const inside = picture(m, 40).slice(lo, end);
      const bytes = Buffer.from(m.onDisk(lo * PAGE_SIZE, (end - lo) * PAGE_SIZE)).toString(
        "latin1",
      );
      for (let page = 0; page < 40; page++) {
        if (frameOf(m, page) !== NO_FRAME && m.pages.wireCount(frameOf(m, page)) > 0)
          unwire(m, page);
      }
      const freed = letters.includes("W") && (flags & FREE) !== 0;
      if (!freed) m.finish(); // seed takes a freed page's wirings away, and fixed leaves them to their owners
      return { seed, inside, bytes };
    });
    expect(outcomes[0]).toEqual(outcomes[1]);
  }
});

function shuffled(chance: Chance, count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = chance.below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
