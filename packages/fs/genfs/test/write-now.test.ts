/** genfsWriteNow: what it does at once, and what it leaves to genfsWrite. */
import { Uio, UioRw } from "@physio/carriers";
import { Errno, KiB, PAGE_SIZE } from "@physio/kern";
import { HostSpace } from "@physio/pmap";
import { RW_WRITER } from "@physio/sched";
import { Pgo } from "@physio/uvm";
import { IoFlag, MountFlag, vnTryLock, vnUnlock } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import { genfsWriteNow, WOULD_BLOCK } from "../src/index.ts";
import type { FileMachineOptions } from "./file-machine.ts";
import { bytesOf, difference, FileMachine } from "./file-machine.ts";

const K = KiB;
const SIZE = 100 * K;

/** A file of which all but page 3 is resident. */
function resident(options: FileMachineOptions = {}): FileMachine {
  const m = new FileMachine({
    size: SIZE,
    map: Array.from({ length: 25 }, (_, i) => i),
    ...options,
  });
  m.fillDisk(7);
  m.run(m.read(0, SIZE));
  expect(m.run(m.put(3, 4, Pgo.FREE))).toBe(Errno.OK);
  return m;
}

/** Write with the vnode locked. @returns the answer, and the bytes that are left. */
function writeNow(m: FileMachine, offset: number, data: Uint8Array, flags: IoFlag = 0) {
  const host = new HostSpace(m.kmem.pmaps, data);
  const uio = new Uio(UioRw.WRITE, host, [{ base: 0, length: data.length }], offset);
  expect(vnTryLock(m.vp, RW_WRITER)).toBe(true);
  const answer = genfsWriteNow(m.vp, uio, flags);
  vnUnlock(m.vp);
  host.close();
  return [answer, uio.resid];
}

test("what is resident is written at once, and is dirty", () => {
  const m = resident();
  const data = bytesOf(9, 0, 7000);
  expect(writeNow(m, 5000, data)).toEqual([Errno.OK, 0]);
  expect(m.vp.onWorklist).toBe(true);
  expect(difference(m.run(m.read(5000, 7000)), data)).toBe(-1);
  expect(m.run(m.put(0, 0, Pgo.CLEANIT | Pgo.SYNCIO))).toBe(Errno.OK);
  expect(difference(m.onDisk(5000, 7000), data)).toBe(-1);
  m.finish();
});

describe("genfsWrite is asked for", () => {
  const CASES = [
    { name: "from a missing page on", at: 2 * PAGE_SIZE, length: 8 * K, left: 4 * K },
    { name: "when a window is filled", at: 60 * K, length: 4 * K, left: 4 * K },
    { name: "over two windows", at: 60 * K, length: 8 * K, left: 8 * K },
    { name: "beyond the end", at: SIZE - 10, length: 11, left: 11 },
    { name: "to append", at: 0, length: 5, left: 5, flags: IoFlag.APPEND },
    { name: "to write through", at: 0, length: 5, left: 5, flags: IoFlag.SYNC },
    { name: "to write past the cache", at: 0, length: 512, left: 512, flags: IoFlag.DIRECT },
  ];
  for (const { name, at, length, left, flags = 0 } of CASES) {
    test(name, () => {
      const m = resident();
      expect(writeNow(m, at, bytesOf(9, at, length), flags)).toEqual([WOULD_BLOCK, left]);
      m.finish();
    });
  }
});

test("nothing is written to a read-only mount, or before the file", () => {
  const m = resident({ flags: MountFlag.RDONLY });
  expect(writeNow(m, 0, bytesOf(9, 0, 5))).toEqual([Errno.EROFS, 5]);
  m.finish();
  const other = resident();
  expect(writeNow(other, -1, bytesOf(9, 0, 5))).toEqual([Errno.EINVAL, 5]);
  expect(writeNow(other, 0, bytesOf(9, 0, 0))).toEqual([Errno.OK, 0]);
  other.finish();
});
