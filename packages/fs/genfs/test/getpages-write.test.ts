/** getpages for those who write: blocks for holes, dirty pages, times, the journal, and what goes wrong. */
import { Errno, KiB, PAGE_SIZE, Panic } from "@physio/kern";
import { PageRequest, PageTag, Pg, Pgo } from "@physio/uvm";
import { MountFlag } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { GopUpdate, getpages } from "../src/index.ts";
import type { FileMachineOptions } from "./file-machine.ts";
import { bytesOf, difference, FileMachine } from "./file-machine.ts";
import { HOLE } from "./machine.ts";
import { draw, picture, plant } from "./pictures.ts";

const K = KiB;
const SYNC = Pgo.CLEANIT | Pgo.SYNCIO;
const row = (count: number) => Array.from({ length: count }, (_, i) => i);

function filled(options: FileMachineOptions): FileMachine {
  const m = new FileMachine(options);
  m.fillDisk(7);
  return m;
}

function ask(index: number, count: number, flags: number = Pgo.SYNCIO): PageRequest {
  const request = new PageRequest(count);
  request.offset = index * PAGE_SIZE;
  request.count = count;
  request.flags = flags;
  request.write = true;
  return request;
}

const get = (m: FileMachine, request: PageRequest): Errno => m.run(getpages(m.vp, request));

function giveBack(m: FileMachine, request: PageRequest): void {
  for (const frame of request.pages) {
    if (frame < 0) continue;
    m.pages.clearFlags(frame, Pg.FAKE);
    m.pages.enqueue(frame);
    m.pages.unbusy(frame);
  }
}

describe("a write request", () => {
  test("over a hole allocates the whole range; its pages are dirty, and not read-only", () => {
    const m = filled({ blockSize: 8 * K, size: 24 * K, map: [2, HOLE, 4] });
    const request = ask(3, 2);
    expect(get(m, request)).toBe(Errno.OK);
    expect(m.allocs).toEqual([[1, 2]]); // pages 2 … 5 are blocks 1 and 2
    giveBack(m, request);
    expect(picture(m, 6)).toBe("..DDDD");
    m.run(m.put(0, 0, SYNC));
    const wanted = new Uint8Array(16 * K);
    wanted.set(bytesOf(7, 16 * K, 8 * K), 8 * K);
    expect(difference(m.onDisk(8 * K, 16 * K), wanted)).toBe(-1);
    m.finish();
  });

  test("over blocks allocates nothing; its pages are clean, with the dirty tag", () => {
    const m = filled({ size: 8 * K, map: [2, 3] });
    const request = ask(0, 2);
    expect(get(m, request)).toBe(Errno.OK);
    giveBack(m, request);
    expect([m.allocs, picture(m, 2), m.vp.onWorklist]).toEqual([[], "CC", true]);
    expect([0, 1].map((page) => m.vp.object.isTagged(PageTag.DIRTY, page))).toEqual([true, true]);
    m.finish();
  });

  test("to a page that a read left over a hole asks for its block", () => {
    const m = filled({ size: 8 * K, map: [HOLE, 3] });
    m.run(m.read(0, 8 * K));
    expect(picture(m, 2)).toBe("RC");
    const request = ask(0, 1);
    expect(get(m, request)).toBe(Errno.OK);
    giveBack(m, request);
    expect([m.allocs, picture(m, 2)]).toEqual([[[0, 1]], "DC"]);
    m.finish();
  });

  test("with NOBLOCKALLOC leaves holes, and their pages read-only", () => {
    const m = filled({ size: 8 * K, map: [HOLE, 3] });
    const request = ask(0, 2, Pgo.SYNCIO | Pgo.NOBLOCKALLOC);
    expect(get(m, request)).toBe(Errno.OK);
    const readOnly = [...request.pages].map((frame) => m.pages.flags(frame) & Pg.RDONLY);
    expect([m.allocs, readOnly]).toEqual([[], [Pg.RDONLY, 0]]);
    giveBack(m, request);
    m.finish();
  });

  test("with OVERWRITE reads nothing, and its pages are dirty, resident ones too", () => {
    const m = filled({ size: 16 * K, map: row(4) });
    draw(m, ".C");
    const request = ask(0, 3, Pgo.SYNCIO | Pgo.OVERWRITE);
    expect(get(m, request)).toBe(Errno.OK);
    const fake = [...request.pages].map((frame) => m.pages.flags(frame) & Pg.FAKE);
    expect([m.log, fake]).toEqual([[], [Pg.FAKE, 0, Pg.FAKE]]);
    giveBack(m, request);
    expect(picture(m, 4)).toBe("DDD.");
    m.finish();
  });

  test("with PASTEOF gets pages up to where the write will end, and panics beyond", () => {
    const m = filled({ size: 5000, map: row(2) });
    expect(get(m, ask(2, 1))).toBe(Errno.EINVAL);
    m.vp.writeSize = 12_000;
    const flags = Pgo.SYNCIO | Pgo.PASTEOF | Pgo.NOBLOCKALLOC;
    const request = ask(1, 2, flags);
    expect(get(m, request)).toBe(Errno.OK);
    expect([picture(m, 4), m.takeLog(false)]).toEqual([".BB.", [[1, 1]]]);
    giveBack(m, request);
    m.vp.writeSize = 5000;
    expect(() => get(m, ask(2, 1, flags))).toThrow(Panic);
  });

  test("that somebody's mapping sees makes the mapping dirty", () => {
    for (const writeMapped of [false, true]) {
      const m = filled({ size: 8 * K, map: row(2) });
      m.vp.writeMapped = writeMapped;
      const request = ask(0, 1);
      const before = m.node.dirtyGeneration;
      get(m, request);
      expect([m.vp.writeMapDirty, m.node.dirtyGeneration > before]).toEqual([writeMapped, true]);
      giveBack(m, request);
      m.finish();
    }
  });

  test("without waiting over a hole gets a read-only page: no blocks without sleeping", () => {
    const m = filled({ size: 8 * K, map: [HOLE, 3] });
    expect(get(m, ask(0, 2, 0))).toBe(Errno.OK);
    expect([m.allocs, picture(m, 2)]).toEqual([[], "RC"]);
    m.finish();
  });
});

describe("times", () => {
  const { ACCESSED, MODIFIED } = GopUpdate;
  test.each([
    { name: "a read", write: false, mount: 0, type: "regular", updates: ACCESSED },
    { name: "a write", write: true, mount: 0, type: "regular", updates: ACCESSED | MODIFIED },
    {
      name: "a read, NOATIME",
      write: false,
      mount: MountFlag.NOATIME,
      type: "regular",
      updates: 0,
    },
    {
      name: "a write, NOATIME",
      write: true,
      mount: MountFlag.NOATIME,
      type: "regular",
      updates: MODIFIED,
    },
    {
      name: "a write, NODEVMTIME",
      write: true,
      mount: MountFlag.NODEVMTIME,
      type: "regular",
      updates: ACCESSED | MODIFIED,
    },
    {
      name: "a device, NODEVMTIME",
      write: true,
      mount: MountFlag.NODEVMTIME,
      type: "block special",
      updates: 0,
    },
    {
      name: "a device",
      write: true,
      mount: 0,
      type: "block special",
      updates: ACCESSED | MODIFIED,
    },
  ] as const)("of $name", ({ write, mount, type, updates }) => {
    for (const quiet of [false, true]) {
      const m = filled({ blockSize: 512, size: 4 * K, map: row(8), flags: mount, type });
      const request = ask(0, 1, quiet ? Pgo.SYNCIO | Pgo.NOTIMESTAMP : Pgo.SYNCIO);
      request.write = write;
      expect(get(m, request)).toBe(Errno.OK);
      expect(m.updates).toBe(quiet ? 0 : updates);
      giveBack(m, request);
      m.finish();
    }
  });
});

describe("a write request that fails", () => {
  test("for want of blocks leaves new pages away, resident ones as they were, and the vnode clean", () => {
    const m = filled({ size: 12 * K, map: [HOLE, 3, HOLE], room: 0 });
    m.run(m.read(0, 8 * K));
    expect(get(m, ask(0, 3))).toBe(Errno.ENOSPC);
    expect([picture(m, 3), m.vp.onWorklist]).toEqual(["RC.", false]);
    m.finish();
  });

  test("because the journal does not begin has done nothing", () => {
    const m = filled({ size: 8 * K, map: [HOLE, 3], journal: true });
    m.beginError = Errno.EROFS;
    expect(get(m, ask(0, 2))).toBe(Errno.EROFS);
    expect([picture(m, 2), m.log, m.allocs, m.vp.onWorklist]).toEqual(["..", [], [], false]);
    m.beginError = Errno.OK;
    const request = ask(0, 2);
    expect(get(m, request)).toBe(Errno.OK);
    expect([m.transactions, m.open]).toEqual([1, 0]);
    giveBack(m, request);
    m.finish();
  });

  test("to read frees new pages, and the vnode stays clean", () => {
    const m = filled({ size: 8 * K, map: row(2) });
    plant(m, 0, "C");
    m.badDisk.add(1);
    expect(get(m, ask(0, 2))).toBe(Errno.EIO);
    expect([picture(m, 2), m.vp.onWorklist]).toEqual(["C.", false]);
    m.finish();
  });

  test("for want of an array, without waiting, is ENOMEM", () => {
    const m = filled({ size: 64 * K, map: row(16) });
    const context = m.mount.context as { pageArrays: typeof m.mount.context.pageArrays };
    const { pageArrays } = context;
    context.pageArrays = {
      take: (count, maySleep) => (maySleep ? pageArrays.take(count, true) : null),
      give: (array) => pageArrays.give(array),
    };
    const large = ask(0, 9, 0);
    const small = ask(0, 8, 0);
    expect([get(m, large), picture(m, 9)]).toEqual([Errno.ENOMEM, "........."]);
    expect([get(m, small), picture(m, 9)]).toEqual([Errno.OK, "CCCCCCCC."]);
    m.finish();
  });
});
