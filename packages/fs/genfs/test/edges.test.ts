/** Ends of files, holes and failed allocations: what the schedules of tools/suites have found, one case each. */
import { Errno, KiB, NO_FRAME, PAGE_SIZE } from "@physio/kern";
import { Prot } from "@physio/pmap";
import { MapFlag, Pg, Pgo, Vmspace } from "@physio/uvm";
import { IoFlag } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import type { FileMachineOptions } from "./file-machine.ts";
import { bytesOf, FileMachine, STALE } from "./file-machine.ts";

const PAGE = PAGE_SIZE;
const { CLEANIT, SYNCIO } = Pgo;

function file(options: FileMachineOptions): FileMachine {
  const m = new FileMachine(options);
  m.fillDisk(1);
  return m;
}

/** A mapping of the file's first `pages` pages. @returns the space, to be freed, and its address. */
function mapping(m: FileMachine, pages: number): [Vmspace, number] {
  const space = new Vmspace({ pages: m.pages, name: "mapping" });
  const prot = Prot.READ | Prot.WRITE;
  const { object } = m.vp;
  const length = pages * PAGE;
  return [space, space.mmap({ length, prot, flags: MapFlag.SHARED, object })];
}

const flagsOf = (m: FileMachine, page: number) => m.pages.flags(m.vp.object.lookup(page));

/** Write, sync, and see it on the disk. */
function lasts(m: FileMachine, offset: number, id: number, length: number): void {
  expect(m.run(m.write(offset, bytesOf(id, offset, length)))).toEqual([Errno.OK, 0]);
  expect(m.run(m.put(0, 0, CLEANIT | SYNCIO))).toBe(Errno.OK);
  expect(m.onDisk(offset, length)).toEqual(bytesOf(id, offset, length));
}

describe("the last block of a file, larger than a page", () => {
  test("shows nothing old when the file has shrunk and grows again", () => {
    for (const [small, large] of [
      [100, 4 * PAGE],
      [PAGE, 3 * PAGE + 1],
      [2 * PAGE - 1, 2 * PAGE + 5],
    ]) {
      const m = file({ blockSize: 16 * KiB, map: [0], size: 4 * PAGE });
      expect(m.run(m.truncate(small))).toBe(Errno.OK);
      expect(m.run(m.truncate(large))).toBe(Errno.OK);
      const wanted = new Uint8Array(large);
      wanted.set(bytesOf(1, 0, small));
      expect(m.run(m.read(0, large))).toEqual(wanted);
      m.finish();
    }
  });

  test("shows nothing old behind a write into a page that was mapped beyond the end", () => {
    const m = file({ blockSize: 16 * KiB, map: [0], size: 100 });
    const [space, va] = mapping(m, 4);
    const seen = new Uint8Array(1);
    expect(m.run(space.read(va + PAGE, seen))).toBe(Errno.OK);
    expect(seen[0]).toBe(STALE); // the page's own business, until the file reaches it
    m.run(m.write(PAGE, bytesOf(2, PAGE, 10)));
    expect(m.page(1).subarray(10)).toEqual(new Uint8Array(PAGE - 10));
    space.free();
    m.finish();
  });
});

test("a write that begins beyond the last block, within a page, leaves a hole that is asked for later", () => {
  const m = file({ blockSize: 2 * KiB, map: [0, 1, 2, 3], size: 6782 });
  expect(m.run(m.write(7 * PAGE - 1, Uint8Array.of(5)))).toEqual([Errno.OK, 0]);
  expect(flagsOf(m, 6) & Pg.RDONLY).toBe(Pg.RDONLY);
  lasts(m, 6 * PAGE, 2, 8);
  m.finish();
});

describe("no blocks for a write", () => {
  test("beyond the end leaves no page behind", () => {
    const m = file({ map: [0], size: PAGE });
    m.allocError = Errno.ENOSPC;
    for (const offset of [2 * PAGE, 2 * PAGE + 5]) {
      const [error] = m.run(m.write(offset, bytesOf(2, 0, PAGE + 10)));
      expect(error).toBe(Errno.ENOSPC);
    }
    expect([2, 3].map((page) => m.vp.object.lookup(page))).toEqual([NO_FRAME, NO_FRAME]);
    m.allocError = Errno.OK;
    expect(m.run(m.truncate(4 * PAGE))).toBe(Errno.OK);
    lasts(m, 2 * PAGE, 3, PAGE);
    m.finish();
  });

  test("over a hole leaves its page for readers", () => {
    const m = file({ map: [-1, 1], size: 2 * PAGE });
    m.run(m.read(0, PAGE));
    m.allocError = Errno.ENOSPC;
    const [error] = m.run(m.write(0, bytesOf(2, 0, PAGE)));
    expect(error).toBe(Errno.ENOSPC);
    expect(m.run(m.read(0, PAGE))).toEqual(new Uint8Array(PAGE));
    m.allocError = Errno.OK;
    lasts(m, 0, 3, PAGE);
    m.finish();
  });
});

test("a reader that keeps nothing leaves pages that others map", () => {
  const m = file({ map: [0, 1], size: 2 * PAGE });
  const [space, va] = mapping(m, 1);
  expect(m.run(space.write(va, Uint8Array.of(7)))).toBe(Errno.OK);
  expect(m.run(m.put(0, 0, CLEANIT | SYNCIO))).toBe(Errno.OK);
  m.run(m.read(0, 2 * PAGE, IoFlag.NOREUSE));
  expect([0, 1].map((page) => m.vp.object.lookup(page) !== NO_FRAME)).toEqual([true, false]);
  space.free();
  m.finish();
});

test("a vnode without pages leaves the worklist, and nothing of it is dirty through mappings", () => {
  const m = file({ map: [0], size: PAGE });
  const [space, va] = mapping(m, 1);
  expect(m.run(space.write(va, Uint8Array.of(7)))).toBe(Errno.OK);
  expect(m.run(m.truncate(0))).toBe(Errno.OK);
  expect([m.vp.onWorklist, m.vp.writeMapDirty]).toEqual([true, true]);
  m.mount.context.syncer.settle(m.vp);
  expect([m.vp.onWorklist, m.vp.writeMapDirty]).toEqual([false, false]);
  space.free();
  m.finish();
});
