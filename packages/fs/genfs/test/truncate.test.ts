/** genfsTruncate: what becomes of pages, blocks and of the bytes behind the end. */
import { Errno, KiB, PAGE_SIZE } from "@physio/kern";
import { Prot } from "@physio/pmap";
import type { Sleeps } from "@physio/sched";
import { Pg, Pgo } from "@physio/uvm";
import { describe, expect, test } from "vitest";
import { genfsTruncate } from "../src/index.ts";
import type { FileMachineOptions } from "./file-machine.ts";
import { bytesOf, difference, FileMachine, STALE } from "./file-machine.ts";
import { draw, picture, plant } from "./pictures.ts";

const K = KiB;
const SYNC = Pgo.CLEANIT | Pgo.SYNCIO;
const row = (count: number) => Array.from({ length: count }, (_, i) => i);

function filled(options: FileMachineOptions): FileMachine {
  const m = new FileMachine(options);
  m.fillDisk(7);
  return m;
}

/** The file has `id`'s bytes up to `kept`, then zeros up to its end. */
function check(m: FileMachine, kept: number): void {
  const wanted = new Uint8Array(m.vp.size);
  wanted.set(bytesOf(7, 0, kept));
  expect(difference(m.run(m.read(0, m.vp.size + 10)), wanted)).toBe(-1);
  expect(m.run(m.put(0, 0, SYNC))).toBe(Errno.OK);
  expect(difference(m.onDisk(0, m.vp.size), wanted)).toBe(-1);
}

describe("a file that shrinks", () => {
  test.each([
    { to: 0, blocks: 0, after: "....." },
    { to: 1, blocks: 1, after: "D...." },
    { to: 4 * K, blocks: 1, after: "C...." },
    { to: 5000, blocks: 2, after: "CD..." },
    { to: 16 * K, blocks: 4, after: "CCCC." },
    { to: 16 * K + 1, blocks: 5, after: "CCCCD" },
  ])("to $to bytes keeps $blocks blocks, and its last page is zero behind the end", (c) => {
    const m = filled({ size: 20 * K, map: row(5) });
    m.run(m.read(0, 20 * K));
    expect(m.run(m.truncate(c.to))).toBe(Errno.OK);
    expect([m.vp.size, m.vp.writeSize, m.map.length]).toEqual([c.to, c.to, c.blocks]);
    expect(picture(m, 5)).toBe(c.after);
    check(m, c.to);
    if (c.to % PAGE_SIZE !== 0) {
      const last = Math.floor(c.to / PAGE_SIZE);
      expect(
        difference(
          m.page(last).subarray(c.to % PAGE_SIZE),
          new Uint8Array(PAGE_SIZE - (c.to % PAGE_SIZE)),
        ),
      ).toBe(-1);
    }
    m.finish();
  });

  test("and grows again reads as zeros where it was cut", () => {
    for (const blockSize of [K, 4 * K, 16 * K]) {
      for (const to of [0, 100, 3000, 4 * K, 9000]) {
        const m = filled({ blockSize, size: 20 * K, map: row(Math.ceil((20 * K) / blockSize)) });
        expect(m.run(m.truncate(to))).toBe(Errno.OK);
        expect(m.run(m.truncate(18 * K))).toBe(Errno.OK);
        check(m, to);
        m.finish();
      }
    }
  });

  test("reads its last page if it must, and is EIO, as before, if that fails", () => {
    const m = filled({ size: 20 * K, map: row(5) });
    m.badDisk.add(1);
    expect(m.run(m.truncate(5000))).toBe(Errno.EIO);
    expect([m.vp.size, m.map.length]).toEqual([20 * K, 5]);
    m.badDisk.clear();
    check(m, 20 * K);
    m.finish();
  });

  test("gives its blocks up when its pages are gone, with the lock held", () => {
    const m = filled({ size: 20 * K, map: row(5) });
    draw(m, "CDDDC");
    let called = 0;
    // biome-ignore lint/correctness/useYield: as a file system's
    const release = function* (size: number): Sleeps<Errno> {
      called++;
      expect([size, m.vp.size, m.node.lock.held, picture(m, 5)]).toEqual([
        8 * K,
        8 * K,
        true,
        "CD...",
      ]);
      return Errno.EIO;
    };
    expect(m.run(genfsTruncate(m.vp, 8 * K, release))).toBe(Errno.EIO);
    expect([called, m.takeLog(true)]).toEqual([1, []]);
    m.finish();
  });

  test("waits for the output of pages that go, and for whoever holds one", () => {
    const m = filled({ size: 20 * K, map: row(5) });
    draw(m, "CCCDb");
    m.held = true;
    m.begin(m.put(3, 4, Pgo.CLEANIT));
    const result = m.begin(m.truncate(8 * K));
    expect([result(), m.map.length]).toEqual([undefined, 5]);
    m.answer();
    expect([result(), m.map.length]).toEqual([undefined, 5]);
    m.pages.unbusy(m.vp.object.lookup(4));
    m.sched.pump();
    expect([result(), m.map.length, picture(m, 5)]).toEqual([Errno.OK, 2, "CC..."]);
    m.finish();
  });
});

describe("a file that grows", () => {
  test("allocates nothing, and reads as zeros", () => {
    const m = filled({ size: 5000, map: [3, 4] });
    expect(m.run(m.truncate(60_000))).toBe(Errno.OK);
    expect([m.vp.size, m.vp.writeSize, m.allocs, m.map.length]).toEqual([60_000, 60_000, [], 2]);
    check(m, 5000);
    expect(m.onDisk(5000, 3192).includes(STALE)).toBe(false); // what was behind its end
    m.finish();
  });

  test("does not show what a mapping has written behind its end", () => {
    for (const blockSize of [K, 4 * K, 16 * K]) {
      const m = filled({ blockSize, size: 5000, map: row(Math.ceil(5000 / blockSize)) });
      m.run(m.read(0, 5000));
      const frame = m.vp.object.lookup(1);
      const at = m.mem.byteOffset(frame);
      m.mem.bytes(frame).fill(STALE, at + 904, at + PAGE_SIZE);
      expect(m.run(m.truncate(8 * K))).toBe(Errno.OK);
      check(m, 5000);
      m.finish();
    }
  });

  test("asks for the blocks of its old last page when that has no more of them than it needed", () => {
    const m = filled({ blockSize: K, size: 1500, map: [3, 4] });
    plant(m, 0, "D");
    const [va, frame] = [m.kmem.kvaAlloc(PAGE_SIZE), m.vp.object.lookup(0)];
    m.kmem.pmap.enter(va, frame, Prot.READ | Prot.WRITE);
    m.run(m.truncate(8 * K));
    expect(m.pages.flags(frame) & Pg.RDONLY).toBe(Pg.RDONLY);
    expect(m.pages.pmaps.isWriteMapped(frame)).toBe(false);
    m.kmem.pmap.remove(va, PAGE_SIZE);
    m.kmem.kvaFree(va, PAGE_SIZE);
    m.run(m.write(3 * K, bytesOf(2, 0, 10)));
    expect(m.map.length).toBe(4);
    m.run(m.put(0, 0, SYNC));
    expect(difference(m.onDisk(3 * K, 10), bytesOf(2, 0, 10))).toBe(-1);
    m.finish();
  });

  test("is EIO, and does not grow, when the old end cannot be read", () => {
    const m = filled({ size: 5000, map: [3, 4] });
    m.badDisk.add(4);
    expect(m.run(m.truncate(60_000))).toBe(Errno.EIO);
    expect([m.vp.size, m.vp.writeSize]).toEqual([5000, 5000]);
    m.finish();
  });
});

test("the same size is nothing to do", () => {
  const m = filled({ size: 5000, map: [3, 4] });
  expect(m.run(m.truncate(5000))).toBe(Errno.OK);
  expect([m.log, picture(m, 2)]).toEqual([[], ".."]);
  m.finish();
});
