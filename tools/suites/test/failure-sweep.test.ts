/**
 * Every place where page I/O can fail, each once: see src/failure-sweep.ts. Some of the failures;
 * `PHYSIO_ALL` takes all of them.
 */
import { Uio, UioRw } from "@physio/carriers";
import { Errno, KiB, PAGE_SIZE } from "@physio/kern";
import { Pgo } from "@physio/uvm";
import { vnFsync, vnWrite, WriteErrors } from "@physio/vfs";
import { describe, expect, test } from "vitest";
import type { SweepCase } from "../src/failure-sweep.ts";
import { countPoints, failOnce, failuresOf } from "../src/failure-sweep.ts";
import type { Point } from "../src/fault-points.ts";
import { FaultPoints } from "../src/fault-points.ts";
import { PagingKernel } from "../src/paging-kernel.ts";

const STEP = process.env.PHYSIO_ALL === undefined ? 29 : 1;
const K = KiB;

const CASES: readonly SweepCase[] = [
  {
    name: "mapped",
    seed: 3,
    blockSize: 4 * K,
    completion: "softintr",
    journal: false,
    direct: false,
  },
  {
    name: "small blocks",
    seed: 5,
    blockSize: K,
    completion: "inline",
    journal: true,
    direct: false,
  },
  {
    name: "large blocks",
    seed: 8,
    blockSize: 16 * K,
    completion: "softintr",
    journal: true,
    direct: false,
  },
  {
    name: "direct",
    seed: 11,
    blockSize: 4 * K,
    completion: "inline",
    journal: false,
    direct: true,
  },
];

describe("one failure leaves nothing behind and loses nothing", () => {
  for (const of of CASES) {
    test(of.name, { timeout: 120_000 }, () => {
      let told = 0;
      let failures = 0;
      let at = 0;
      for (const [point, number] of failuresOf(of)) {
        if (at++ % STEP !== 0) continue;
        failures++;
        if (failOnce(of, point, number)) told++;
      }
      expect(failures).toBeGreaterThan(20 / STEP);
      expect(told).toBeGreaterThan(0);
    });
  }

  test("the cases come by every place", () => {
    const counts = CASES.map(countPoints);
    const sum = (point: Point) => counts.reduce((total, of) => total + of[point], 0);
    for (const point of ["page", "kva", "disk", "buf", "bmap", "alloc", "begin"] as const) {
      expect(sum(point), point).toBeGreaterThan(2);
    }
  });
});

describe("a write-back that fails", () => {
  /** A file of four pages that was written and synced once, and a transfer that fails next time. */
  function bench() {
    const kernel = new PagingKernel();
    const vp = kernel.file();
    const { kmem } = kernel;
    const va = kmem.alloc(4 * PAGE_SIZE);
    const write = (byte: number) => {
      kmem.write(va, new Uint8Array(4 * PAGE_SIZE).fill(byte));
      const iov = [{ base: va, length: 4 * PAGE_SIZE }];
      return kernel.run(vnWrite(vp, new Uio(UioRw.WRITE, kmem.space, iov, 0), 0));
    };
    const end = () => {
      kmem.free(va, 4 * PAGE_SIZE);
      kernel.finish();
    };
    expect(write(1)).toBe(Errno.OK);
    expect(kernel.run(vnFsync(vp))).toBe(Errno.OK);
    return { kernel, vp, write, end };
  }

  test("keeps the data, and the next sync writes them", () => {
    const { kernel, vp, write, end } = bench();
    let broken = true;
    kernel.disk.fails = () => (broken ? Errno.EIO : Errno.OK);
    expect(write(2)).toBe(Errno.OK);
    expect(kernel.run(vnFsync(vp))).toBe(Errno.EIO);
    expect(kernel.diskBytes(vp, 0, 8)).toEqual(new Uint8Array(8).fill(1));
    broken = false;
    expect(kernel.run(vnFsync(vp))).toBe(Errno.OK);
    expect(kernel.diskBytes(vp, 0, 4 * PAGE_SIZE)).toEqual(new Uint8Array(4 * PAGE_SIZE).fill(2));
    end();
  });

  test("is told to each opener once, also when nobody waited for it", () => {
    const { kernel, vp, write, end } = bench();
    const first = new WriteErrors(vp);
    const second = new WriteErrors(vp);
    let broken = true;
    kernel.disk.fails = () => (broken ? Errno.EIO : Errno.OK);
    expect(write(3)).toBe(Errno.OK);
    expect(kernel.run(vp.ops.putpages(vp, 0, 0, Pgo.CLEANIT))).toBe(Errno.OK);
    kernel.sched.pump();
    broken = false;
    const late = new WriteErrors(vp);
    const told = (errors: WriteErrors) => kernel.run(vnFsync(vp, errors));
    expect([told(first), told(first)]).toEqual([Errno.EIO, Errno.OK]);
    expect([told(second), told(second), told(late)]).toEqual([Errno.EIO, Errno.OK, Errno.OK]);
    expect(kernel.diskBytes(vp, 0, 8)).toEqual(new Uint8Array(8).fill(3));
    end();
  });
});

test("a place fails once, by its number", () => {
  const points = new FaultPoints("disk", 1);
  const seen = [points.hits("bmap"), points.hits("disk"), points.hits("disk"), points.hits("disk")];
  expect(seen).toEqual([false, false, true, false]);
  expect([points.fired, points.counts.disk]).toEqual([true, 3]);
});
