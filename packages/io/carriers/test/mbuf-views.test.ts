/**
 * Reads of the same bytes again and again, which go through views that are kept: they must be as good
 * as reads through the port, whatever became of the memory. And the counters that save a get its limit.
 */
import { MbufPool } from "@physio/carriers/mbuf";
import { MiB } from "@physio/kern";
import { PhysMem } from "@physio/physmem";
import { Kmem } from "@physio/pmap";
import { describe, expect, test } from "vitest";
import { Bench, pattern } from "./mbuf-fixture.ts";

function read(
  pool: MbufPool,
  m: Parameters<MbufPool["copydata"]>[0],
  from: number,
  length: number,
) {
  const out = new Uint8Array(length);
  pool.copydata(m, from, length, out);
  return out;
}

describe("reads again and again", () => {
  test("of three ranges by turns give the bytes of each, with what was written meanwhile", () => {
    const { pool, aside } = new Bench();
    const m = pool.getcl()!;
    aside.push(m);
    const bytes = new Uint8Array(2000);
    m.len = bytes.length;
    for (let turn = 0; turn < 5; turn++) {
      for (const [from, length] of [
        [0, 1000],
        [0, 446],
        [1, 446],
        [2, 446],
        [0, 446],
        [14, 986],
        [0, 33],
        [7, 32],
      ]) {
        const change = pattern(100, 31 * turn + length);
        bytes.set(change, from + 5);
        pool.copyback(m, from + 5, change.length, change);
        expect(read(pool, m, from, length)).toEqual(bytes.subarray(from, from + length));
      }
    }
  });

  test("follow the data when the front is cut off, and the storage to its next mbuf", () => {
    const { pool } = new Bench();
    for (let turn = 0; turn < 4; turn++) {
      const m = pool.getcl()!;
      const bytes = pattern(1500, turn);
      pool.append(m, 1500, bytes);
      expect(read(pool, m, 0, 1400)).toEqual(bytes.subarray(0, 1400));
      pool.adj(m, 40);
      expect(read(pool, m, 0, 1400)).toEqual(bytes.subarray(40, 1440));
      const n = pool.get()!;
      pool.append(n, 200, bytes);
      expect(read(pool, n, 0, 200)).toEqual(bytes.subarray(0, 200));
      pool.freem(n);
      pool.freem(m);
    }
  });

  test("see memory that grew, and so is another array of the host", () => {
    const lender = { buffer: new ArrayBuffer(2 * MiB) };
    const mem = new PhysMem({ banks: [{ base: MiB, adopt: lender }] });
    const pool = new MbufPool({ kmem: new Kmem(mem) });
    const m = pool.getcl()!;
    pool.append(m, 900, pattern(900));
    expect([read(pool, m, 0, 900), read(pool, m, 0, 900)]).toEqual([pattern(900), pattern(900)]);
    const old = lender.buffer;
    lender.buffer = structuredClone(old, { transfer: [old] }); // as a WebAssembly.Memory that grows
    expect(old.byteLength).toBe(0);
    expect([read(pool, m, 0, 900), read(pool, m, 0, 900)]).toEqual([pattern(900), pattern(900)]);
    pool.copyback(m, 3, 100, pattern(100, 77));
    expect(read(pool, m, 0, 900).subarray(3, 103)).toEqual(pattern(100, 77));
    pool.freem(m);
  });

  test("and copies from mbuf to mbuf are told to who watches the CPU, each time", () => {
    const { pool, kmem, aside } = new Bench();
    const m = pool.getcl()!;
    aside.push(m);
    pool.append(m, 300, pattern(300));
    const pa: number = kmem.pmap.extract(m.data);
    read(pool, m, 0, 300); // a view is kept
    const seen: [number, number, boolean][] = [];
    kmem.cpu.watcher = {
      device: () => {},
      cpu: (at, length, write) => seen.push([at - pa, length, write]),
    };
    for (let i = 0; i < 2; i++) read(pool, m, 0, 300);
    read(pool, m, 8, 4);
    expect(seen).toEqual([
      [0, 300, false],
      [0, 300, false],
      [8, 4, false],
    ]);
    const small = pool.get()!;
    pool.append(small, 20, pattern(20));
    seen.length = 0;
    const copy = pool.copym(small, 4, 10)!;
    expect(seen.map(([, length, write]) => [length, write])).toEqual([
      [10, false],
      [10, true],
    ]);
    kmem.cpu.watcher = null;
    aside.push(small, copy);
  });
});

test("a limit holds below the peak, at it and above", () => {
  const { pool } = new Bench({ mbufs: 3, clusters: 2 });
  const get = () => pool.getcl();
  for (let turn = 0; turn < 3; turn++) {
    const [a, b, c] = [get(), get(), get()];
    expect([a === null, b === null, c]).toEqual([false, false, null]);
    const [d, e] = [pool.get(), pool.get()];
    expect([d === null, e]).toEqual([false, null]);
    for (const m of [a, b, d]) pool.freem(m);
    const { mbufs, clusters } = pool.counters;
    expect([mbufs.peak, mbufs.inUse, mbufs.cached, mbufs.made]).toEqual([3, 0, 3, 3]);
    expect([clusters.peak, clusters.inUse, clusters.cached]).toEqual([2, 0, 2]);
    expect([mbufs.failures, clusters.failures]).toEqual([turn + 1, turn + 1]);
    // Of three gets with a cluster one found none, and its mbuf went back.
    expect([mbufs.allocated, clusters.allocated]).toEqual([4 * (turn + 1), 2 * (turn + 1)]);
    pool.check([]);
  }
});

test("what is free above the bound goes back to kernel memory at once", () => {
  const { pool } = new Bench({}, 8 * MiB);
  const held = Array.from({ length: 2100 }, (_, i) => (i < 1200 ? pool.getcl() : pool.get())!);
  for (const m of held) pool.freem(m);
  const { mbufs, clusters } = pool.counters;
  expect([mbufs.cached, mbufs.made, mbufs.peak]).toEqual([2048, 2048, 2100]);
  expect([clusters.cached, clusters.made, clusters.peak]).toEqual([1024, 1024, 1200]);
  pool.check([]);
});
